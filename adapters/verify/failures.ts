/**
 * What the verifier can find wrong, and the bounded list of it. A failure names the first position it may concern:
 * where the evidence is one entry, that entry; where it is a hash over many, the first that the hash covers and
 * nothing else has cleared.
 */

/** Failures that a report lists; the lowest positions are kept. */
export const FAILURES_MAX = 100;

export type FailureKind =
  /** The file or a part of it cannot be read: damaged pages, a row that is no value. */
  | "unreadable"
  /** Not a log of ours, or a row in it that no log of this format has. */
  | "foreign"
  /** A format or codec that this program does not know; nothing behind it was checked. */
  | "newer"
  /** Positions without a block, while later ones have one. */
  | "missing_block"
  /** A block whose place is not what it says, or that overlaps the one before. */
  | "order"
  /** A block whose header, runs or lengths do not agree with its entries. */
  | "block"
  /** A block whose link is not the hash of the one before. */
  | "link"
  /** An entry that is not the canonical form of an event, or says it is at another position. */
  | "entry"
  /** A revision that does not follow the one before in its stream. */
  | "revision"
  /** `source` and `id` of an earlier event. */
  | "duplicate"
  /** `recordedat` before that of the event before. */
  | "time"
  /** A stored checkpoint that cannot be read or whose root is not that of the entries. */
  | "checkpoint"
  /** A checkpoint that the key has not signed. */
  | "signature"
  /** A change of the log's key that both keys have not signed, or not for this log, or that does not go on from the key before. */
  | "key_change"
  /** The log says that it left another one to go on under its own name, and that is not what its entries and checkpoints show. */
  | "fork"
  /** What is said of the part that was archived does not agree with itself, with the tree, or with the event that says it. */
  | "archive"
  /** A checkpoint covers more than there is. */
  | "truncated"
  /** A checkpoint from elsewhere has the same or a smaller size and another root. */
  | "forked"
  /** An attestation that is none, that speaks of more events than there were, or of fewer than one before it. */
  | "attestation"
  /** The stored frontier of the tree, from which the next checkpoint would be made, is not that of the entries. */
  | "tree"
  /** A stored tile of the tree is missing, is too many, or holds hashes that are not those of the entries. */
  | "tile"
  /** The index gives other answers than the blocks. */
  | "index"
  /** A blob that is damaged or not there as a whole, or one that an event names and that is not there. */
  | "blob"
  /** Of a folder: a file that is missing, that nothing there accounts for, or that does not hold what it has to. */
  | "file"
  /** Of a folder: an entry bundle whose lengths do not add up to it, or with another number of entries than its name says. */
  | "bundle";

export interface Failure {
  readonly position: number;
  readonly kind: FailureKind;
  readonly expected: string;
  readonly found: string;
}

/** Text from a log may be long or hold what no terminal should print. */
export const shown = (value: unknown, most = 120): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
  const short = text.length > most ? text.slice(0, most) + "…" : text;
  return short.replace(
    /[^\x20-\x7e\u00a1-\ud7ff…]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
};

export class Failures {
  private readonly kept: Failure[] = [];
  private found = 0;

  add(position: number, kind: FailureKind, expected: string, found: string): void {
    this.found++;
    const at = this.kept.findLastIndex((failure) => failure.position <= position) + 1;
    if (at >= FAILURES_MAX) return;
    this.kept.splice(at, 0, { position, kind, expected, found });
    if (this.kept.length > FAILURES_MAX) this.kept.pop();
  }

  /** Takes over what was found elsewhere, as if it had been found now. */
  join({ list, count }: Pick<Failures, "list" | "count">): void {
    for (const { position, kind, expected, found } of list) this.add(position, kind, expected, found);
    this.found += count - list.length;
  }

  /** How many there were, listed or not. */
  get count(): number {
    return this.found;
  }

  /** By position. */
  get list(): readonly Failure[] {
    return this.kept;
  }

  has(kind: FailureKind): boolean {
    return this.kept.some((failure) => failure.kind === kind);
  }
}
