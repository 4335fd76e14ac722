/** `health.sinks` on histories that the laws meet seldom. */
import assert from "node:assert/strict";
import { healthSinks } from "../projections/health_sinks.ts";

type Row = ReturnType<typeof healthSinks.row.parse>;
type Heard = Parameters<typeof healthSinks.apply>[1];

Deno.test("time without delivery adds up to no more than a whole number may say", () => {
  let row: Row = healthSinks.initial;
  for (const failed_ms of [1, Number.MAX_SAFE_INTEGER, 5]) {
    const data = { sink: "siem", failed_ms, attempts: 1, size: 0 };
    const event = { type: "kernel.sink.recovered", data, time: "2026-01-01T00:00:00Z" } as unknown as Heard;
    row = healthSinks.apply(row, event, "siem", () => undefined)!;
  }
  assert.equal(row.failed_ms, Number.MAX_SAFE_INTEGER);
});
