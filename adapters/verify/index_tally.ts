/** What the blocks of a range say must be in the index: the other side of `index_check.ts`, in sums for each segment. */
import type { StoredBlock } from "./block.ts";
import type { Headers } from "./headers.ts";
import { numberOf, type Secret, Sum } from "./index_sums.ts";

/** What is to be summed up; plain data. */
export interface IndexSpan {
  readonly secret: Secret;
  /** As it was when the segments were read out of it. */
  readonly manifest: Uint8Array | undefined;
  /** Without a gap from position 0 on. */
  readonly segments: readonly { readonly from: number; readonly until: number }[];
  /** Positions whose entries lie in their blocks alone, not in the index once more; a bit each. */
  readonly left: Uint8Array;
}

export const TABLES = ["ids", "streams", "terms", "copies"] as const;
export type Table = (typeof TABLES)[number];

/** The sums of one segment. */
export type Tables = Readonly<Record<Table, Sum>>;
export const emptyTables = (secret: Secret): Tables => ({
  ids: new Sum(secret),
  streams: new Sum(secret),
  terms: new Sum(secret),
  copies: new Sum(secret),
});

/** What the sums have come to, in the order of `TABLES`; plain data. */
export type Lanes = readonly (readonly [number, number])[];
export const lanesOf = (tables: Tables): Lanes => TABLES.map((table) => tables[table].lanes);
export const joinLanes = (tables: Tables, lanes: Lanes): void => {
  for (const [i, table] of TABLES.entries()) tables[table].join(lanes[i]!);
};

/** What a range takes away from the sums of a segment; plain data. */
export interface Tallied {
  readonly segment: number;
  readonly lanes: Lanes;
}

/** A set of fingerprints that is often begun anew. */
class Fingerprints {
  private keys = new Float64Array(1_024);
  /** Which set a key is of. */
  private sets = new Uint32Array(1_024);
  private set = 0;

  /** A new one, of at most so many. */
  begin(most: number): void {
    this.set++;
    if (most * 2 <= this.keys.length) return;
    const size = 2 ** Math.ceil(Math.log2(most * 2));
    this.keys = new Float64Array(size);
    this.sets = new Uint32Array(size);
  }

  /** Whether it is new. */
  add(key: number): boolean {
    const { keys, sets, set } = this;
    const mask = keys.length - 1;
    let at = key & mask;
    for (; sets[at] === set; at = (at + 1) & mask) if (keys[at] === key) return false;
    keys[at] = key;
    sets[at] = set;
    return true;
  }
}

export class IndexTally {
  private readonly until: number;
  private readonly tallied: { readonly segment: number; readonly tables: Tables }[] = [];
  private current = -1;
  private tables!: Tables;
  private block = -1;
  private readonly blockTerms = new Fingerprints();
  /** Fingerprint of the type of the entry before, in the same block. */
  private kind = -1;

  constructor(private readonly span: IndexSpan) {
    this.until = span.segments[span.segments.length - 1]?.until ?? 0;
  }

  /** The next event, and where in a block and its headers it is. */
  add({ first, count, view, starts }: StoredBlock, headers: Headers, i: number): void {
    const position = first + i;
    if (position >= this.until) return;
    const { ids, streams, terms, copies } = this.tablesOf(position);
    ids.add(-1, headers.name[i]!, position);
    if (first !== this.block) {
      this.block = first;
      this.blockTerms.begin(count * 2);
      this.kind = -1;
    }
    const kind = headers.kind[i]!;
    if (kind !== this.kind) this.term(terms, this.kind = kind);
    this.term(terms, headers.correlation[i]!);
    if ((this.span.left[position >>> 3]! >>> (position & 7) & 1) === 1) {
      streams.add(-1, headers.stream[i]!, position, headers.revision[i]!);
    } else {
      const entry = numberOf(this.span.secret, view, starts[i]!, starts[i + 1]! - 1);
      copies.add(-1, headers.stream[i]!, headers.revision[i]!, entry);
    }
  }

  private term(terms: Sum, term: number): void {
    if (this.blockTerms.add(term)) terms.add(-1, term, this.block);
  }

  private tablesOf(position: number): Tables {
    const { segments, secret } = this.span;
    if (this.current >= 0 && position < segments[this.current]!.until) return this.tables;
    do this.current++; while (segments[this.current]!.until <= position);
    this.tables = emptyTables(secret);
    this.tallied.push({ segment: this.current, tables: this.tables });
    return this.tables;
  }

  get found(): readonly Tallied[] {
    return this.tallied.map(({ segment, tables }) => ({ segment, lanes: lanesOf(tables) }));
  }
}
