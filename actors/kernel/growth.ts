/** How fast the log grows: what an operator must know before the disk is full. */
import type { Millis } from "../../events/event.ts";
import { type EventLog, LogFault } from "../../events/log.ts";

export interface Growth {
  /** Looked back so far. */
  readonly hours: number;
  /** Recorded since then. */
  readonly events: number;
  /** Their part of the file, by the mean of all events: with block headers, index and free pages. */
  readonly bytes: number;
}

export const GROWTH_HOURS = 24;

/** `bytes`: of the whole file. A look for a position by time, so some dozen point reads. */
export const growthOf = (
  log: Pick<EventLog, "size" | "positionAt">,
  { bytes, now }: { readonly bytes: number; readonly now: Millis },
): Growth => {
  const { size } = log;
  const events = size - since(log, new Date(now - GROWTH_HOURS * 3_600_000).toISOString());
  return { hours: GROWTH_HOURS, events, bytes: size === 0 ? 0 : Math.round((bytes * events) / size) };
};

/** A log that archives what is so young counts all of it. */
const since = (log: Pick<EventLog, "positionAt">, time: string): number => {
  try {
    return log.positionAt(time);
  } catch (error) {
    if (error instanceof LogFault && error.kind === "archived") return 0;
    throw error;
  }
};
