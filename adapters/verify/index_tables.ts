/** What the tables of a segment of the index say, in sums: one side of `index_check.ts`. */
import { Buffer } from "node:buffer";
import { shown } from "./failures.ts";
import { numberOf, type Sum } from "./index_sums.ts";
import { IndexFault, readPage, readTable, type TableShape } from "./index_table.ts";
import { emptyTables, type IndexSpan, type Lanes, lanesOf, type Tables } from "./index_tally.ts";
import type { Rows } from "./rows.ts";

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

/** Reads them page by page; yields after each. `streams` notes in `span.copied` which entries lie in the index once more. */
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
      yield* readTable(rows, segment.streams, (page, at) => runs.take(page, at));
    } else {
      const { ids, terms } = tables;
      yield* readTable(rows, segment.ids, (page, at) => ids.add(1, page[at]!, page[at + 1]!));
      yield* readTable(rows, segment.terms, (page, at) => terms.add(1, page[at]!, page[at + 1]!));
    }
  } catch (error) {
    // Damaged pages come as SQLite's own errors; the blocks may be whole all the same.
    fault = shown((error as Error).message);
  }
  return { lanes: lanesOf(tables), fault };
}

const OPEN = 0x5b; // [
const CLOSE = 0x5d; // ]
const NO_COPY = "a copy of entries that cannot be read";
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The rows of the table of streams. */
class Runs {
  private readonly copies: Sum;
  private readonly streams: Sum;
  private last: { readonly number: number; readonly bytes: Uint8Array } | undefined;

  constructor(
    private readonly rows: Rows,
    private readonly segment: Segment,
    { copies, streams }: Tables,
    private readonly span: IndexSpan,
  ) {
    this.copies = copies;
    this.streams = streams;
  }

  take(page: Float64Array, at: number): void {
    const fingerprint = page[at]!;
    const position = page[at + 1]!;
    const revision = page[at + 2]!;
    const count = page[at + 3]!;
    const place = page[at + 4]!;
    const { from, until } = this.segment;
    if (!(position >= from && count >= 1 && position + count <= until)) {
      throw new IndexFault(`a run of ${count} from ${position}, in a segment from ${from} to ${until}`);
    }
    if (place !== 0) return this.gathered(this.bytesAt(place), fingerprint, { position, revision, count });
    for (let i = 0; i < count; i++) this.streams.add(1, fingerprint, position + i, revision + i);
  }

  private bytesAt(place: number): Uint8Array {
    const number = Math.floor(place / 0x1_0000_0000);
    // Neighbours in a table lie on the same page.
    if (this.last?.number !== number) this.last = { number, bytes: readPage(this.rows, number) };
    const low = place % 0x1_0000_0000;
    const offset = Math.floor(low / 0x1_0000);
    return this.last.bytes.subarray(offset, offset + low % 0x1_0000);
  }

  /**
   * Entries of one stream, an array of them. Each must be, byte for byte, what its block has; then it is of the stream and has
   * the revision that the block's has.
   */
  private gathered(
    bytes: Uint8Array,
    fingerprint: number,
    { position, revision, count }: { readonly position: number; readonly revision: number; readonly count: number },
  ): void {
    if (bytes[0] !== OPEN || bytes[bytes.length - 1] !== CLOSE) throw new IndexFault(NO_COPY);
    if (count === 1) return this.copy(fingerprint, { position, revision }, bytes, 1, bytes.length - 1);
    const entries = parsed(bytes);
    const [first] = entries;
    if (entries.length !== count || first!.position !== position || first!.revision !== revision) {
      throw new IndexFault(`other entries than the ${count} from ${position} on`);
    }
    let from = 1;
    for (const entry of entries) {
      const until = from + Buffer.byteLength(JSON.stringify(entry));
      this.copy(fingerprint, entry, bytes, from, until);
      from = until + 1;
    }
    if (from !== bytes.length) throw new IndexFault(NO_COPY);
  }

  private copy(
    fingerprint: number,
    { position, revision }: { readonly position: number; readonly revision: number },
    bytes: Uint8Array,
    from: number,
    until: number,
  ): void {
    if (!Number.isSafeInteger(position) || position < this.segment.from || position >= this.segment.until) {
      throw new IndexFault("the copy of an entry that is not of its run");
    }
    if (until > bytes.length) throw new IndexFault(NO_COPY);
    this.streams.add(1, fingerprint, position, revision);
    this.copies.add(1, position, numberOf(this.span.secret, bytes, from, until));
    // Other threads note theirs.
    Atomics.or(this.span.copied, position >>> 3, 1 << (position & 7));
  }
}

interface Placed {
  readonly position: number;
  readonly revision: number;
}

const parsed = (bytes: Uint8Array): readonly Placed[] => {
  try {
    const entries = JSON.parse(utf8.decode(bytes)) as unknown;
    if (Array.isArray(entries) && entries.every((entry) => typeof entry === "object" && entry !== null)) {
      return entries as Placed[];
    }
  } catch {
    // Said below.
  }
  throw new IndexFault(NO_COPY);
};
