/** What the tables of a segment of the index say, in sums: one side of `index_check.ts`. */
import { shown } from "./failures.ts";
import { copiesIn, positionOf } from "./copies.ts";
import type { Sum } from "./index_sums.ts";
import { IndexFault, pageIn, pagesIn, readTable, type TableShape } from "./index_table.ts";
import { emptyTables, type IndexSpan, type Lanes, lanesOf, type Tables } from "./index_tally.ts";
import type { InOrder, Rows } from "./rows.ts";

export interface Segment {
  readonly from: number;
  readonly until: number;
  readonly ids: TableShape;
  readonly streams: TableShape;
  readonly terms: TableShape;
}

/** The table of streams, with the entries it has gathered, and the other two. */
export type Part = "streams" | "others";
export const PARTS: readonly Part[] = ["streams", "others"];

/** Plain data. */
export interface TablesFound {
  readonly lanes: Lanes;
  /** Why they are not what a look-up needs. */
  readonly fault: string | undefined;
}

/** Reads them page by page; yields after each. `streams` notes in `span.left` which entries do not lie in the index once more. */
export function* readTables(
  rows: Rows,
  segment: Segment,
  part: Part,
  span: IndexSpan,
): Generator<void, TablesFound> {
  const tables = emptyTables(span.secret);
  let fault: string | undefined;
  try {
    if (part === "streams") {
      const runs = new Runs(rows, segment, tables, span);
      yield* readTable(rows, segment.streams, span.secret, (page) => runs.take(page));
    } else {
      for (const table of ["ids", "terms"] as const) {
        tables[table].join(yield* readTable(rows, segment[table], span.secret));
      }
    }
  } catch (error) {
    // Damaged pages come as SQLite's own errors; the blocks may be whole all the same.
    fault = shown((error as Error).message);
  }
  return { lanes: lanesOf(tables), fault };
}

interface Run {
  readonly position: number;
  readonly revision: number;
  readonly count: number;
}

/** The rows of the table of streams. */
class Runs {
  private readonly copies: Sum;
  private readonly streams: Sum;
  private readonly placed: (Run & { readonly fingerprint: number; readonly place: number })[] = [];
  private readonly pages: InOrder;
  private page = -1;
  private bytes!: Uint8Array;

  constructor(
    rows: Rows,
    private readonly segment: Segment,
    { copies, streams }: Tables,
    private readonly span: IndexSpan,
  ) {
    this.pages = pagesIn(rows);
    this.copies = copies;
    this.streams = streams;
  }

  /** The rows of a page; what was gathered is read in the order in which it lies. */
  take(page: Float64Array): void {
    for (let at = 0; at < page.length; at += this.segment.streams.columns) {
      this.run(page[at]!, page[at + 4]!, { position: page[at + 1]!, revision: page[at + 2]!, count: page[at + 3]! });
    }
    this.placed.sort((a, b) => a.place - b.place);
    for (const { fingerprint, place, ...run } of this.placed) this.gathered(this.bytesAt(place), fingerprint, run);
    this.placed.length = 0;
  }

  private run(fingerprint: number, place: number, { position, revision, count }: Run): void {
    const { from, until } = this.segment;
    if (!(position >= from && count >= 1 && position + count <= until)) {
      throw new IndexFault(`a run of ${count} from ${position}, in a segment from ${from} to ${until}`);
    }
    if (place !== 0) return void this.placed.push({ fingerprint, position, revision, count, place });
    const { left } = this.span;
    for (let i = 0; i < count; i++) {
      this.streams.add(1, fingerprint, position + i, revision + i);
      // Other threads note theirs.
      Atomics.or(left, (position + i) >>> 3, 1 << ((position + i) & 7));
    }
  }

  private bytesAt(place: number): Uint8Array {
    const page = Math.floor(place / 0x1_0000_0000);
    if (page !== this.page) this.bytes = pageIn(this.pages.get(page), page);
    this.page = page;
    const low = place % 0x1_0000_0000;
    const offset = Math.floor(low / 0x1_0000);
    return this.bytes.subarray(offset, offset + low % 0x1_0000);
  }

  /** Entries of one stream, an array of them. Each must be, byte for byte, what a block has of that stream and revision. */
  private gathered(bytes: Uint8Array, fingerprint: number, { position, revision, count }: Run): void {
    const { numbers, first } = copiesIn(bytes, count, this.span.secret);
    if (positionOf(first) !== position) throw new IndexFault(`other entries than the ${count} from ${position} on`);
    for (let i = 0; i < count; i++) this.copies.add(1, fingerprint, revision + i, numbers[i]!);
  }
}
