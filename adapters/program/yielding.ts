/** Long work on the thread that answers, in turns with others. */
import { pause } from "../../actors/kernel/world.ts";
import { systemClock } from "../system/world.ts";

/** So long others wait for this thread. */
const TURN_MS = 5;

/** To be called again and again: every now and then others who wait for this thread go first, and whatever they began in other threads. */
export const yielding = (): () => Promise<void> | undefined => {
  let began = systemClock.monotonic();
  return () =>
    systemClock.monotonic() - began < TURN_MS
      ? undefined
      : pause(systemClock, 1).then(() => void (began = systemClock.monotonic()));
};
