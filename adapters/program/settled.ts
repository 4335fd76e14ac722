/** What is written behind the log, tree, index and checkpoints that are kept, waited for as long as that gets on. */
import { type Clock, pause } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import { type Checkpoint, LogFault } from "../../events/log.ts";
import type { KvLog } from "../kv/log.ts";
import { systemClock } from "../system/world.ts";

export const SETTLING = {
  /** What cannot be written is tried again every five seconds at least, and given up after so long. */
  hindered_ms: 10_000,
  /** What nothing is known to hinder may wait for a background that died to begin again, or for garbage to be swept: a minute each. */
  still_ms: 150_000,
} as const;

const LOOK_MS = 100;

type Standing = Pick<KvLog, "hindered" | "indexed" | "size" | "tree">;

/** A signed tree of all events, and an index of so many. Throws `LogFault` once neither gets further, as on a disk that is full. */
export const settled = (
  log: Standing & Pick<KvLog, "checkpoint" | "settleIndex">,
  indexed: number,
  clock: Clock = systemClock,
) => whileOn(log, log.checkpoint(log.size).then(() => log.settleIndex(indexed)), clock);

/** A checkpoint of so many events. Throws as `settled` does. */
export const signed = (
  log: Standing & Pick<KvLog, "checkpoint">,
  size: number,
): Promise<Checkpoint | undefined> => whileOn(log, log.checkpoint(size), systemClock);

/** As `keepCheckpoint` of the log. Throws as `settled` does; then it may be kept later. */
export const checkpointKept = (
  log: Standing & Pick<KvLog, "keepCheckpoint">,
  earlier?: Pick<Checkpoint, "size" | "note">,
): Promise<Checkpoint | undefined> => whileOn(log, log.keepCheckpoint(earlier), systemClock);

const whileOn = async <T>(log: Standing, work: Promise<T>, clock: Clock): Promise<T> => {
  const enough = new AbortController();
  const late = Promise.withResolvers<never>();
  stalled(log, clock, enough.signal).catch(late.reject);
  return await Promise.race([work, late.promise]).finally(() => enough.abort());
};

const stalled = async (log: Standing, clock: Clock, signal: AbortSignal): Promise<void> => {
  const { size } = log;
  let moved: Millis = clock.monotonic();
  let free = moved;
  for (let before = -1; !signal.aborted;) {
    const now = clock.monotonic();
    const reached = Math.min(log.tree.size, size) + Math.min(log.indexed, size);
    if (reached !== before) moved = now;
    before = reached;
    const { hindered } = log;
    if (!hindered) free = now;
    if (now - Math.max(moved, free) >= SETTLING.hindered_ms || now - moved >= SETTLING.still_ms) {
      const kind = hindered instanceof LogFault ? hindered.kind : "io";
      throw new LogFault(kind, `tree and index of the log get no further${hindered ? `: ${hindered.message}` : ""}`);
    }
    await pause(clock, LOOK_MS, signal);
  }
};
