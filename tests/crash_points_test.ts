import assert from "node:assert/strict";
import { CRASH_POINTS, crashAt } from "../adapters/process/crash.ts";

Deno.test("the switch that makes a process die names a point that exists and how often it is passed, and nothing else", () => {
  for (
    const text of ["", "append", "append.never", "append.durable:0", "append.durable:x", "append.durable:", "toString"]
  ) {
    assert.throws(() => crashAt(text), { name: "TypeError", message: /^expected one of append\.begun, / }, text);
  }
  // Points that are passed and are not the one cost nothing but the call.
  const crash = crashAt("append.durable:2");
  crash("append.durable");
  for (const point of Object.keys(CRASH_POINTS) as (keyof typeof CRASH_POINTS)[]) {
    if (point !== "append.durable") crash(point);
  }
});

Deno.test({
  name: "a process that may not send signals refuses the switch, for it could not keep its word",
  permissions: { run: false },
  fn: () => assert.throws(() => crashAt("append.durable"), { name: "TypeError", message: /--allow-run/ }),
});
