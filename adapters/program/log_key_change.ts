/**
 * Changing the key that signs the log. In this order, each step durable before the next, so that wherever it is cut off the log is
 * signed by whom its own history says: the new key is made and signs beside the old one; a checkpoint is kept; the change is
 * recorded, signed by both over that checkpoint; the new key takes the old one's place, which signs on until the overlap ends.
 */
import { kernelEvent } from "../../actors/kernel/kernel_event.ts";
import type { Event, Millis } from "../../events/event.ts";
import { LOG_STREAM } from "../../events/kernel_log.ts";
import { LogFault } from "../../events/log.ts";
import type { LogKey } from "../keys/log_key.ts";
import type { NoteSigner } from "../keys/note.ts";
import { rotationText } from "../keys/rotation.ts";
import type { Store } from "../../events/store.ts";
import { toldEvents } from "../kv/archive.ts";
import type { KvLog } from "../kv/log.ts";
import type { Crash } from "../process/crash.ts";
import { systemClock } from "../system/world.ts";
import { OPERATOR } from "./operator.ts";
import { checkpointKept } from "./settled.ts";

const CHANGED = "kernel.log.key_rotated";

export interface LogKeyChanged {
  /** Of the event that says so. */
  readonly position: number;
  readonly old: string;
  readonly new: string;
  /** Up to then checkpoints carry the signatures of both (RFC 3339). */
  readonly until: string;
  /** Of the checkpoint that both have signed for. */
  readonly size: number;
}

type Log = Pick<KvLog, "append" | "indexed" | "keepCheckpoint" | "read" | "size" | "tree" | "hindered">;

/** Throws `LogFault`; whatever it throws, the log is signed on, and the same may be asked again. */
export const changeLogKey = async (
  log: Log,
  logKey: LogKey,
  { overlap, crash }: { readonly overlap: Millis; readonly crash: Crash | undefined },
): Promise<LogKeyChanged> => {
  const next = logKey.begin();
  crash?.("log_key.begun");
  return await record(log, logKey, { old: logKey.signer, next, until: systemClock.now() + overlap, crash });
};

const record = async (
  log: Log,
  logKey: LogKey,
  { old, next, until: end, crash }: {
    readonly old: NoteSigner;
    readonly next: NoteSigner;
    readonly until: number;
    readonly crash: Crash | undefined;
  },
): Promise<LogKeyChanged> => {
  const checkpoint = await checkpointKept(log);
  if (!checkpoint) throw new LogFault("closed", "the log was closed before its key could be changed");
  const { origin, size, root } = checkpoint;
  const until = new Date(end).toISOString();
  const text = rotationText({ origin, size, root, old: old.vkey, new: next.vkey, until });
  const note = `${text}\n${old.signature(text)}${next.signature(text)}`;
  const appended = await log.append({
    events: [
      kernelEvent({ type: CHANGED, data: { old: old.vkey, new: next.vkey, until, note } }, {
        id: `${CHANGED} ${next.vkey}`,
        at: systemClock.now(),
        stream: LOG_STREAM,
        ...OPERATOR.principal,
      }),
    ],
  });
  if (!appended.ok) throw new LogFault("foreign", `the log knows of another change to the key ${next.vkey}`);
  crash?.("log_key.recorded");
  logKey.settle(end);
  crash?.("log_key.settled");
  return { position: appended.receipts[0]!.position, old: old.vkey, new: next.vkey, until, size };
};

/**
 * When a log is opened: ends a change that is recorded and was cut off. Where the keys have a change that the log does not know of, as when
 * a backup took the keys behind the log, it is recorded now.
 *
 * Throws `LogFault` `foreign` where that cannot be done, for a log signed by a key it does not know of is one nobody can follow.
 */
export const settleLogKey = async (log: Log, logKey: LogKey, lies: Pick<Store, "get">): Promise<void> => {
  const last = lastChange(log, lies);
  const { next, before, signer } = logKey;
  if (last && last.new === next?.vkey) return void logKey.settle(Date.parse(last.until));
  const [, old] = logKey.vkeys;
  if (last ? last.new === signer.vkey : old === undefined) return;
  if (!before || before.signer.vkey !== old || (last && last.new !== old)) {
    throw new LogFault("foreign", "the key that would sign the log is not the one that the log says signs it");
  }
  await record(log, logKey, { old: before.signer, next: signer, until: before.until, crash: undefined });
};

interface Change {
  readonly new: string;
  readonly until: string;
}

const lastChange = (log: Pick<KvLog, "read">, lies: Pick<Store, "get">): Change | undefined => {
  try {
    for (const [event] of log.read({ types: [CHANGED], backward: true, limit: 1 })) {
      return (event as Event | undefined)?.data as Change | undefined;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof LogFault) || error.kind !== "archived") throw error;
    // What a verifier needs without the archive is enough for us, too.
    return toldEvents(lies).findLast(({ type }) => type === CHANGED)?.data as Change | undefined;
  }
};
