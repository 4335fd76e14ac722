/** What the blocks of a range say must be in the index: the other side of `index_check.ts`, in sums for each segment. */
import type { Event } from "../../events/event.ts";
import { correlationFingerprint, typeFingerprint } from "./fingerprint.ts";
import { numberOf, type Secret, Sum } from "./index_sums.ts";

/** What is to be summed up; plain data. */
export interface IndexSpan {
  readonly secret: Secret;
  /** As it was when the segments were read out of it. */
  readonly manifest: Uint8Array | undefined;
  /** Without a gap from position 0 on. */
  readonly segments: readonly { readonly from: number; readonly until: number }[];
  /** Positions whose entries lie in the index once more, a bit each. */
  readonly copied: Uint8Array;
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

/** Types whose fingerprints are kept. */
const TYPES_MAX = 4_096;

export class IndexTally {
  private readonly until: number;
  private readonly tallied: { readonly segment: number; readonly tables: Tables }[] = [];
  private current = -1;
  private tables!: Tables;
  private readonly types = new Map<string, number>();
  private block = -1;
  private readonly blockTerms = new Set<number>();

  constructor(private readonly span: IndexSpan) {
    this.until = span.segments[span.segments.length - 1]?.until ?? 0;
  }

  /** The next event, which lies at `from` to `until` of its block's bytes. `name` and `stream` are fingerprints. */
  add(
    event: Event,
    place: { readonly block: number; readonly bytes: Uint8Array; readonly from: number; readonly until: number },
    stream: number,
    name: number,
  ): void {
    const { position } = event;
    if (position >= this.until) return;
    const { ids, streams, terms, copies } = this.tablesOf(position);
    ids.add(-1, name, position);
    streams.add(-1, stream, position, event.revision);
    if (place.block !== this.block) {
      this.block = place.block;
      this.blockTerms.clear();
    }
    this.term(terms, this.typeOf(event.type));
    this.term(terms, correlationFingerprint(event.correlationid ?? event.id));
    if ((this.span.copied[position >>> 3]! >>> (position & 7) & 1) === 1) {
      copies.add(-1, position, numberOf(this.span.secret, place.bytes, place.from, place.until));
    }
  }

  private term(terms: Sum, term: number): void {
    if (this.blockTerms.has(term)) return;
    this.blockTerms.add(term);
    terms.add(-1, term, this.block);
  }

  private tablesOf(position: number): Tables {
    const { segments, secret } = this.span;
    if (this.current >= 0 && position < segments[this.current]!.until) return this.tables;
    do this.current++; while (segments[this.current]!.until <= position);
    this.tables = emptyTables(secret);
    this.tallied.push({ segment: this.current, tables: this.tables });
    return this.tables;
  }

  private typeOf(type: string): number {
    let known = this.types.get(type);
    if (known === undefined) {
      if (this.types.size >= TYPES_MAX) this.types.clear();
      this.types.set(type, known = typeFingerprint(type));
    }
    return known;
  }

  get found(): readonly Tallied[] {
    return this.tallied.map(({ segment, tables }) => ({ segment, lanes: lanesOf(tables) }));
  }
}
