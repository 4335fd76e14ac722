/**
 * What was asked for and cut off: when a folder is opened, keys go of which the log says that they are gone or are to go, before
 * anybody reads. So an erasure survives a crash, and keys that were put back from a backup.
 */
import type { PrivacyFact } from "../../../events/privacy.ts";
import type { EventLog } from "../../../events/log.ts";
import { readableFrom } from "../controls/caught_up.ts";
import type { Keys } from "../../keys/keys.ts";

const REQUESTED = "privacy.subject.erasure_requested";
const ERASED = "privacy.subject.erased";

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
  // Of what was archived since then the keys have seen to everything: whoever archives has them open.
  const from = Math.max(settled <= log.size ? settled : 0, readableFrom(log));
  for (const batch of log.read({ types: [REQUESTED, ERASED], from })) {
    for (const { type, data } of batch) {
      const { subject } = data as Extract<PrivacyFact, { type: typeof ERASED }>["data"];
      if (type === REQUESTED) requested.add(subject);
      else requested.delete(subject);
      gone.add(subject);
    }
  }
  if (gone.size === 0) return [];
  const had = new Set([...gone].filter((subject) => keys.eraseKey(subject)));
  // What is not recorded is looked at again.
  if (requested.size === 0) keys.settleErasures(log.size);
  return [...requested].map((subject) => ({ subject, key: had.has(subject) ? "destroyed" : "none" }));
};
