/** Names in telemetry are those of the semantic conventions of the version that is stated. */
import assert from "node:assert/strict";
import * as conventions from "@opentelemetry/semantic-conventions";
import { CONVENTIONAL, SEMANTIC_CONVENTIONS } from "../adapters/system/telemetry.ts";
import deno from "../deno.json" with { type: "json" };

Deno.test("every conventional name is a stable attribute of the version that the spans' schema states", () => {
  const stable = new Set<unknown>(
    Object.entries(conventions).flatMap(([name, value]) => name.startsWith("ATTR_") ? [value] : []),
  );
  for (const name of Object.values(CONVENTIONAL)) assert.ok(stable.has(name), name);
  assert.equal(
    deno.imports["@opentelemetry/semantic-conventions"],
    `npm:@opentelemetry/semantic-conventions@${SEMANTIC_CONVENTIONS}`,
  );
});
