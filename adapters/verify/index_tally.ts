/** What the blocks of a range say must be in the index: the other side of `index_check.ts`, in sums for each segment. */
import type { StoredBlock } from "./block.ts";
import { Fingerprints } from "./fingerprints.ts";
import type { Headers } from "./headers.ts";
import { type Secret, Sum } from "./index_sums.ts";

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

export class IndexTally {
  private readonly until: number;
  private readonly tallied: { readonly segment: number; readonly tables: Tables }[] = [];
  private current = -1;
  private tables!: Tables;
  private readonly blockTerms = new Fingerprints();

  constructor(private readonly span: IndexSpan) {
    this.until = span.segments[span.segments.length - 1]?.until ?? 0;
  }

  /** The next block, as far as it is indexed. */
  take(block: StoredBlock, headers: Headers): void {
    const { first, count } = block;
    const end = Math.min(count, this.until - first);
    if (end <= 0) return;
    this.blockTerms.begin(count * 2);
    for (let from = 0; from < end;) {
      const tables = this.tablesOf(first + from);
      const until = Math.min(end, this.span.segments[this.current]!.until - first);
      this.takeNames(tables, block, headers, from, until);
      this.takeEntries(tables, block, headers, from, until);
      this.takeTerms(tables, block, headers, from, until);
      from = until;
    }
  }

  private takeNames(
    { ids }: Tables,
    { first }: StoredBlock,
    { sound, name }: Headers,
    from: number,
    until: number,
  ): void {
    for (let i = from; i < until; i++) if (sound[i] === 1) ids.add(-1, name[i]!, first + i);
  }

  private takeEntries(
    { streams, copies }: Tables,
    { first }: StoredBlock,
    { sound, stream, revision, number }: Headers,
    from: number,
    until: number,
  ): void {
    const { left } = this.span;
    for (let i = from; i < until; i++) {
      const position = first + i;
      if (sound[i] === 0) continue;
      if ((left[position >>> 3]! >>> (position & 7) & 1) === 1) {
        streams.add(-1, stream[i]!, position, revision[i]!);
      } else {
        copies.add(-1, stream[i]!, revision[i]!, number[i]!);
      }
    }
  }

  private takeTerms(
    { terms }: Tables,
    { first }: StoredBlock,
    { sound, kind, correlation }: Headers,
    from: number,
    until: number,
  ): void {
    const { blockTerms } = this;
    let known = -1;
    for (let i = from; i < until; i++) {
      if (sound[i] === 0) continue;
      if (kind[i] !== known && blockTerms.add(known = kind[i]!)) terms.add(-1, known, first);
      if (blockTerms.add(correlation[i]!)) terms.add(-1, correlation[i]!, first);
    }
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
