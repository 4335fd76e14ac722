/** What somebody has changed in a key database, as far as it shows by itself: keys that do not open, or that something leads to and are not there. */
import type { KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";
import type { LogKey } from "./log_key.ts";
import { checkpointOf } from "./note.ts";
import { unopened, WRAPPED } from "./rewrap.ts";

/** Keys that are named. */
export const WRONG_MAX = 100;

export interface WrongKey {
  readonly kind: "key" | "checkpoint";
  readonly expected: string;
  readonly found: string;
}

/** Yields now and then; ends with what is wrong, the first hundred. */
export function* wrongKeys(db: KeyDatabase, logKey: LogKey): Generator<void, readonly WrongKey[]> {
  const wrong: WrongKey[] = [];
  const add = (kind: WrongKey["kind"], expected: string, found: string): void => {
    if (wrong.length < WRONG_MAX) wrong.push({ kind, expected, found });
  };
  for (const table of WRAPPED) {
    for (const place of unopened(db, table, () => db.wrapping)) {
      if (place === undefined) yield;
      else add("key", `the key of ${place}`, "one that does not open");
    }
  }
  for (const name of db.wrapping.secretNames()) {
    if (!opens(() => db.wrapping.secret(name))) add("key", `the secret ${name}`, "one that does not open");
  }
  const led = "SELECT DISTINCT subject FROM identifiers WHERE subject NOT IN (SELECT subject FROM subjects) LIMIT ?";
  for (const { subject } of db.all(led, WRONG_MAX)) {
    add("key", `the key of subject ${subject}, to whom an identifier leads`, "none");
  }
  const known = logKey.latest();
  const said = known && checkpointOf(known.note.slice(0, known.note.lastIndexOf("\n\n") + 1));
  if (known && (!said || said.origin !== known.origin || said.size !== known.size || said.root !== known.root)) {
    const found = `${known.origin}, ${known.size}, ${known.root}`;
    add("checkpoint", "the newest checkpoint in the key database to say what its note says", found);
  }
  return wrong;
}

const opens = (open: () => unknown): boolean => {
  try {
    open();
    return true;
  } catch (error) {
    if (error instanceof KeysFault) return false;
    throw error;
  }
};
