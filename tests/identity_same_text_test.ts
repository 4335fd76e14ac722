import assert from "node:assert/strict";
import { sameText } from "../adapters/program/identity/same_text.ts";

Deno.test("a secret is said right, or in any other way wrong", () => {
  assert.ok(sameText("drawn", "drawn"));
  for (const wrong of ["", "drawm", "draw", "drawns", "DRAWN", "dräwn", null, undefined]) {
    assert.ok(!sameText(wrong, "drawn"), `${wrong}`);
  }
});
