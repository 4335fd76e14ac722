/**
 * What was asked for and cut off: when a folder is opened, keys go of which the log says that they are gone or are to go, before
 * anybody reads. So an erasure survives a crash, and keys that were put back from a backup.
 */
import type { PrivacyFact } from "../../../events/privacy.ts";
import { isArchived } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import { type EventLog, LogFault } from "../../../events/log.ts";
import type { Keys } from "../../keys/keys.ts";

const REQUESTED = "privacy.subject.erasure_requested";
const ERASED = "privacy.subject.erased";
/** Settled by `retention.ts`; here it is enough that it can be read. */
const DESTROYED = "privacy.period.destroyed";

/**
 * What may be archived of it is settled: whoever archives has the keys open, and says so in them. Older ones that were put back would give
 * back who was erased since.
 */
function* readable(log: Pick<EventLog, "read">, from: number): Iterable<readonly Event[]> {
  try {
    yield* log.read({ types: [REQUESTED, ERASED, DESTROYED], from });
  } catch (error) {
    if (!isArchived(error)) throw error;
    throw new LogFault(
      "archived",
      "the keys are older than what was archived, in which persons or months were erased since: attach the archive " +
        "(log.archive in the configuration), so that they are erased in these keys, too",
      { cause: error.cause },
    );
  }
}

/** Of an erasure that is not recorded as done. */
export interface Pending {
  readonly subject: string;
  readonly key: "destroyed" | "none";
}

/**
 * Destroys every key that the log says is to be gone; looks at what came since it looked last. Answers which erasures are not recorded
 * as done.
 */
export const settleErasures = (log: Pick<EventLog, "read" | "size">, keys: Keys): readonly Pending[] => {
  const settled = keys.erasuresSettled;
  const requested = new Set<string>();
  const gone = new Set<string>();
  const from = settled <= log.size ? settled : 0;
  for (const batch of readable(log, from)) {
    for (const { type, data } of batch) {
      if (type === DESTROYED) continue;
      const { subject } = data as Extract<PrivacyFact, { type: typeof ERASED }>["data"];
      if (type === REQUESTED) requested.add(subject);
      else requested.delete(subject);
      gone.add(subject);
    }
  }
  if (gone.size === 0) return [];
  const had = keys.eraseKeys([...gone]);
  // What is not recorded is looked at again.
  if (requested.size === 0) keys.settleErasures(log.size);
  return [...requested].map((subject) => ({ subject, key: had.has(subject) ? "destroyed" : "none" }));
};
