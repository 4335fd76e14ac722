import assert from "node:assert/strict";
import { startsSetBack } from "../../actors/kernel/set_back.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { rig } from "./rig.ts";

const DAY = 86_400_000;
const YEARS = 10 * 365 * DAY;

Deno.test("a clock is set back since the first start by it behind what was recorded ahead, and not since one when it was years behind", async () => {
  const { clock } = rig();
  const log = new MemoryLog(clock);
  const started = async (ahead: number) => {
    clock.jump(ahead);
    const header = {
      id: `${log.size}`,
      source: "kernel",
      stream: "kernel/process" as const,
      authtype: "system",
      authid: "kernel",
    };
    const fact = { type: "kernel.process.started", version: 1, data: {}, timeGiven: false };
    await log.append({ events: [{ ...header, ...fact, time: new Date(clock.now()).toISOString() }] });
    clock.jump(-ahead);
  };
  const starts = () => startsSetBack({ log, clock }, DAY).map(({ position }) => position);
  clock.jump(YEARS);
  assert.deepEqual(starts(), []);
  await started(0);
  await started(YEARS);
  assert.deepEqual(starts(), []);
  await started(-YEARS);
  assert.deepEqual(starts(), []);
  clock.jump(DAY);
  await started(0);
  await started(YEARS);
  await started(0);
  assert.deepEqual(starts(), [3, 5]);
});
