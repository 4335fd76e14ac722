/** Waiting for the projections of a daybook of our own, as long as they get on. */
import type { Daybook } from "../../actors/kernel/daybook.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { pause } from "../../actors/kernel/world.ts";

/** Projections that have not moved for so long are not waited for. */
export const STALL_MS = 10_000;
const LOOK_MS = 20;

/** Until all have applied what the log has now. The answer names those that have not, because they stand still or were stopped. */
export const caughtUp = async (daybook: Daybook, clock: Clock): Promise<readonly string[]> => {
  const target = daybook.log.size;
  let moved = clock.monotonic();
  for (let before = -1;;) {
    const behind = daybook.status().projections.filter(({ size }) => size < target);
    const going = behind.filter(({ state }) => state !== "stopped");
    if (going.length === 0) return behind.map(({ name }) => name);
    const reached = going.reduce((sum, { size }) => sum + size, 0) - going.length * target;
    if (reached !== before) moved = clock.monotonic();
    else if (clock.monotonic() - moved > STALL_MS) return behind.map(({ name }) => name);
    before = reached;
    await pause(clock, LOOK_MS);
  }
};
