/** What is written behind the log, tree, index and checkpoints that are kept, waited for as long as that gets on. */
import { pause } from "../../actors/kernel/world.ts";
import { type Checkpoint, LogFault } from "../../events/log.ts";
import { systemClock } from "../system/world.ts";
import type { Opened } from "./daybook.ts";

/** What cannot be written is tried again every five seconds at least. */
const STALL_MS = 10_000;
const LOOK_MS = 100;

type Standing = Pick<Opened["log"], "indexed" | "size" | "tree" | "unwritable">;

/** A signed tree of all events, and an index of so many. Throws `LogFault` once neither gets further, as on a disk that is full. */
export const settled = (log: Standing & Pick<Opened["log"], "checkpoint" | "settleIndex">, indexed: number) =>
  whileOn(log, log.checkpoint(log.size).then(() => log.settleIndex(indexed)));

/** As `keepCheckpoint` of the log. Throws as `settled` does; then it may be kept later. */
export const checkpointKept = (
  log: Standing & Pick<Opened["log"], "keepCheckpoint">,
  earlier?: Pick<Checkpoint, "size" | "note">,
): Promise<Checkpoint | undefined> => whileOn(log, log.keepCheckpoint(earlier));

const whileOn = async <T>(log: Standing, work: Promise<T>): Promise<T> => {
  const enough = new AbortController();
  const late = Promise.withResolvers<never>();
  stalled(log, enough.signal).catch(late.reject);
  return await Promise.race([work, late.promise]).finally(() => enough.abort());
};

const stalled = async (log: Standing, signal: AbortSignal): Promise<void> => {
  const { size } = log;
  for (let before = -1, moved = 0; !signal.aborted;) {
    const reached = Math.min(log.tree.size, size) + Math.min(log.indexed, size);
    if (reached !== before) moved = systemClock.monotonic();
    else if (systemClock.monotonic() - moved >= STALL_MS) {
      const { unwritable } = log;
      const kind = unwritable instanceof LogFault ? unwritable.kind : "io";
      throw new LogFault(
        kind,
        `tree and index of the log get no further${unwritable ? `: ${unwritable.message}` : ""}`,
      );
    }
    before = reached;
    await pause(systemClock, LOOK_MS, signal);
  }
};
