/** Clocks for tests that go by the real one: moved as an administrator or NTP would, and one that a pause of the machine does not move. */
import type { Clock } from "../actors/kernel/world.ts";
import { systemClock } from "../adapters/system/world.ts";

/** It is so much later, until this is disposed of; timers that run go on as they were. */
export const clockAhead = (ms: number): Disposable => {
  const { now } = Date;
  Date.now = () => now() + ms;
  return { [Symbol.dispose]: () => void (Date.now = now) };
};

/** Its timers are real; of its time only as much passes as they were to take, however late they come. */
export const steadyClock = (): Clock => {
  let passed = 0;
  return {
    ...systemClock,
    monotonic: () => passed,
    schedule: (after, call) => systemClock.schedule(after, () => (passed += after, call())),
  };
};
