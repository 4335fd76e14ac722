/** The real clock, chance and hash. */
import { createHash } from "node:crypto";
import { clearImmediate, setImmediate } from "node:timers";
import { uuidv7 } from "uuidv7";
import type { Clock, Hash, Random } from "../../actors/kernel/world.ts";

// A timer of the platform fires at once when its delay does not fit 31 bits; longer ones are taken in steps.
const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(after, call) {
    // A timer of 0 ms waits for the next millisecond; this, for one round of the event loop, timers and disk included.
    if (after <= 0) {
      const turn = setImmediate(call);
      return () => clearImmediate(turn);
    }
    let timer: ReturnType<typeof setTimeout>;
    const arm = (left: number) => {
      timer = setTimeout(
        () => left > TIMER_MS_MAX ? arm(left - TIMER_MS_MAX) : call(),
        Math.min(left, TIMER_MS_MAX),
      );
    };
    arm(after);
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = { next: () => Math.random(), id: () => uuidv7() };

export const systemHash: Hash = { sha256: (text) => createHash("sha256").update(text).digest("base64url") };
