import assert from "node:assert/strict";
import { growthOf } from "../../actors/kernel/growth.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { event } from "../contract/log_contract.ts";

const HOUR = 3_600_000;

Deno.test("growth is what was recorded in the last day, and its part of the file", async () => {
  let now = Date.UTC(2026, 0, 1);
  const log = new MemoryLog({ now: () => now });
  assert.deepEqual(growthOf(log, { bytes: 4_096, now }), { hours: 24, events: 0, bytes: 0 });
  for (let n = 0; n < 6; n++) await log.append({ events: [event(n)] });
  now += 20 * HOUR;
  for (let n = 6; n < 8; n++) await log.append({ events: [event(n)] });
  assert.deepEqual(growthOf(log, { bytes: 8_000, now }), { hours: 24, events: 8, bytes: 8_000 });
  assert.deepEqual(growthOf(log, { bytes: 8_000, now: now + 5 * HOUR }), { hours: 24, events: 2, bytes: 2_000 });
  assert.deepEqual(growthOf(log, { bytes: 8_000, now: now + 25 * HOUR }), { hours: 24, events: 0, bytes: 0 });
  await log.close();
});
