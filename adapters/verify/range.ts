/**
 * A range of the log, walked by itself: all that its blocks show, and what it has to be joined to the rest by. One thread walks
 * all ranges one after another, several share them out; what is found is the same, because it is found here.
 */
import { sameBytes, StoredBlock } from "./block.ts";
import { type Failure, Failures, shown } from "./failures.ts";
import { HeaderReader, type Headers, unsound } from "./headers.ts";
import { type HistoryFound, HistorySpan, type NamesRule } from "./history_span.ts";
import { type IndexSpan, IndexTally, type Tallied } from "./index_tally.ts";
import type { Rows } from "./rows.ts";
import { checkRuns } from "./runs.ts";
import { namedIn } from "./subjects.ts";
import { GROUP, groupsOf, HASH_BYTES, leavesOf } from "./tree.ts";

/** Between two blocks: what those before have come to. */
export interface Seam {
  /** False from the first gap on: what follows has no place in tree and history. */
  readonly whole: boolean;
  /** Position behind the last block; where it is not known, the next block says. */
  readonly next: number | undefined;
  /** The same, as far as is known. */
  readonly end: number;
  /** Hash and first position of the block before; `undefined` where there is none to link to. */
  readonly before: { readonly hash: Uint8Array; readonly first: number } | undefined;
}

export interface Range {
  /** First key; blocks belong to the range that their key lies in. */
  readonly from: number;
  /** Key behind the last; absent where the range goes on to the end. */
  readonly until?: number;
}

/** The same for all ranges of a log; plain data. */
export interface Rules {
  readonly index: IndexSpan;
  readonly names: NamesRule;
  /** The key of a log that is sealed at rest. */
  readonly sealedUnder?: Uint8Array;
  /** Key of the first block as it was when the verification began; absent where there was none. */
  readonly begins?: number;
  /** See `VerifyOptions`. */
  readonly wide?: boolean;
  /** Whether it is asked whose personal values there are. */
  readonly subjects?: boolean;
}

/** Plain data. */
export interface RangeFound {
  /** Key of its first row; `undefined` where that is no number. */
  readonly first: number | undefined;
  readonly rows: number;
  /** What its first block links to, where the block before is not known. */
  readonly link: Uint8Array | undefined;
  /** Behind it. */
  readonly seam: Seam;
  /** What SQLite said when it could not go on. */
  readonly broken: string | undefined;
  readonly failures: { readonly list: readonly Failure[]; readonly count: number };
  /** Blocks whose link is not the hash of the one before, and those. */
  readonly links: readonly { readonly before: number; readonly at: number }[];
  /** Leaf hashes of the entries that have a place in the tree, and the hashes of the groups of 256 that they hold. */
  readonly leaves: Uint8Array;
  readonly groups: Uint8Array;
  readonly history: HistoryFound;
  readonly index: readonly Tallied[];
  /** Types of its events, each once. */
  readonly types: readonly string[];
  /** Whose personal values they may have, each once. */
  readonly subjects: readonly string[];
  /** First position whose entry could not be read. */
  readonly lost: number;
  readonly blocks: number;
  readonly entryBytes: number;
}

/** What follows from a seam that nothing is known of but whether there was a gap. */
export const unknownSeam = (whole: boolean): Seam => ({ whole, next: undefined, end: 0, before: undefined });

/** Never throws for what is in the file. */
export const walkRange = (rows: Rows, range: Range, seam: Seam, rules: Rules): RangeFound =>
  new RangeWalk(seam, rules).run(rows, range);

class RangeWalk {
  private first: number | undefined;
  private rows = 0;
  private link: Uint8Array | undefined;
  private whole: boolean;
  private next: number | undefined;
  private end: number;
  private before: Seam["before"];
  private readonly unlinked: boolean;
  private readonly failures = new Failures();
  private readonly links: { readonly before: number; readonly at: number }[] = [];
  private readonly leaves: Uint8Array[] = [];
  private readonly history: HistorySpan;
  private readonly index: IndexTally;
  private readonly headers: HeaderReader;
  private readonly types = new Set<string>();
  private type = "";
  private readonly subjects = new Set<string>();
  private lost = Infinity;
  private blocks = 0;
  private entryBytes = 0;
  private grownFrom = 0;

  constructor({ whole, next, end, before }: Seam, private readonly rules: Rules) {
    this.whole = whole;
    this.next = next;
    this.end = end;
    this.before = before;
    this.unlinked = before === undefined;
    this.history = new HistorySpan(this.failures, rules.names);
    this.index = new IndexTally(rules.index);
    this.headers = new HeaderReader(undefined, rules.index.secret);
  }

  run(rows: Rows, { from, until }: Range): RangeFound {
    let broken: string | undefined;
    try {
      for (const { number, value } of rows.list("log", from, until)) {
        if (this.rows++ === 0) this.first = number;
        if (number === undefined) this.failures.add(this.end, "order", "a position as a block's key", "another key");
        else if (typeof value === "string") {
          this.lose(number, () => this.failures.add(number, "unreadable", "a block", value));
        } else this.visit(number, value);
      }
    } catch (error) {
      this.whole = false;
      broken = shown((error as Error).message);
    }
    const leaves = joined(this.leaves);
    return {
      first: this.first,
      rows: this.rows,
      link: this.link,
      seam: { whole: this.whole, next: this.next, end: this.end, before: this.before },
      broken,
      failures: { list: this.failures.list, count: this.failures.count },
      links: this.links,
      leaves,
      groups: groupsOf(wholeGroups(leaves, this.grownFrom)),
      history: this.history.found,
      index: this.index.found,
      types: [...this.types],
      subjects: [...this.subjects],
      lost: this.lost,
      blocks: this.blocks,
      entryBytes: this.entryBytes,
    };
  }

  /** From here on there is a gap in what is known. */
  private lose(position: number, say: () => void): void {
    say();
    this.whole = false;
    this.before = undefined;
    this.next = undefined;
    this.end = Math.max(this.end, position + 1);
  }

  private visit(position: number, bytes: Uint8Array): void {
    if (this.next !== undefined && position < this.next) {
      this.failures.add(position, "order", `no block before position ${this.next}`, `one at ${position}`);
      return;
    }
    if (this.next !== undefined && position > this.next) {
      const from = this.next;
      this.lose(
        from,
        () => this.failures.add(from, "missing_block", `a block at position ${from}`, `the next one is at ${position}`),
      );
    }
    const block = StoredBlock.read(bytes);
    if (!(block instanceof StoredBlock)) {
      return this.lose(position, () => this.failures.add(position, block.kind, block.expected, block.found));
    }
    if (block.first !== position) {
      return this.lose(
        position,
        () => this.failures.add(position, "order", `a block of position ${position}`, `one of ${block.first}`),
      );
    }
    if (!this.before) {
      if (this.rows === 1 && this.unlinked) this.link = block.link.slice();
    } else if (!sameBytes(this.before.hash, block.link)) {
      this.links.push({ before: this.before.first, at: position });
    }
    this.before = { hash: block.hash(), first: position };
    this.take(block);
    this.next = block.until;
    this.end = block.until;
  }

  private take(block: StoredBlock): void {
    this.blocks++;
    const headers = this.headers.read(block, this.failures);
    checkRuns(block, headers, this.failures);
    if (!this.whole) return;
    const { bytes, starts, first, count } = block;
    this.entryBytes += bytes.length - starts[0]! - count;
    if (this.leaves.length === 0) this.grownFrom = first;
    this.leaves.push(leavesOf(bytes, starts));
    if (this.rules.subjects && headers.maySeal) namedIn(block, this.subjects);
    this.lost = Math.min(this.lost, first + unsound(headers, count));
    this.history.take(first, count, headers);
    this.index.take(block, headers);
    this.noteTypes(count, headers);
  }

  private noteTypes(count: number, { sound, type }: Headers): void {
    for (let i = 0; i < count; i++) {
      if (sound[i] === 1 && type[i] !== this.type) this.types.add(this.type = type[i]!);
    }
  }
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** Of leaf hashes from a position on, those of groups that begin and end among them. */
const wholeGroups = (leaves: Uint8Array, position: number): Uint8Array => {
  const count = leaves.length / HASH_BYTES;
  const from = (GROUP - position % GROUP) % GROUP;
  const groups = Math.max(0, Math.floor((count - from) / GROUP));
  return leaves.subarray(from * HASH_BYTES, (from + groups * GROUP) * HASH_BYTES);
};
