/** Since when a clock is known to be set back that was far ahead, and what it recorded is ahead for good. */
import { type Millis, millis } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import { instant } from "./instant.ts";
import { isArchived, readableFrom } from "./kept.ts";
import type { Clock } from "./world.ts";

export interface Start {
  readonly position: number;
  readonly at: Millis;
}

/** When processes started by the clock as it is now, behind what is recorded more than `ahead_ms` ahead of it; in the order of the log. */
export const startsSetBack = (
  { log, clock }: { readonly log: Pick<EventLog, "read" | "positionAt">; readonly clock: Clock },
  ahead_ms: Millis,
): readonly Start[] => {
  const now = clock.now();
  const ahead = firstAfter(log, now + ahead_ms);
  // A machine may start with a clock that is years behind, until it is set right.
  let least = -Infinity;
  if (ahead > readableFrom(log)) {
    for (const [event] of log.read({ from: ahead - 1, limit: 1 })) least = millis(event!.recordedat) - ahead_ms;
  }
  const starts: Start[] = [];
  for (const page of log.read({ types: ["kernel.process.started"], from: ahead })) {
    for (const { position, time } of page) {
      const at = millis(time);
      if (at >= least && at <= now) starts.push({ position, at });
    }
  }
  return starts;
};

const firstAfter = (log: Pick<EventLog, "read" | "positionAt">, at: Millis): number => {
  try {
    return Math.max(log.positionAt(instant(at + 1)), readableFrom(log));
  } catch (error) {
    if (!isArchived(error)) throw error;
    return readableFrom(log);
  }
};
