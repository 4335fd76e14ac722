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
      for (const _ of readTable(rows, segment.streams, (page, at) => runs.take(page, at))) {
        runs.read();
        yield;
      }
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
    if (place !== 0) return void this.placed.push({ fingerprint, position, revision, count, place });
    for (let i = 0; i < count; i++) this.streams.add(1, fingerprint, position + i, revision + i);
  }

  /** Reads what was gathered, in the order in which it lies. */
  read(): void {
    this.placed.sort((a, b) => a.place - b.place);
    for (const { fingerprint, place, ...run } of this.placed) this.gathered(this.bytesAt(place), fingerprint, run);
    this.placed.length = 0;
  }

  private bytesAt(place: number): Uint8Array {
    const number = Math.floor(place / 0x1_0000_0000);
    if (this.last?.number !== number) this.last = { number, bytes: readPage(this.rows, number) };
    const low = place % 0x1_0000_0000;
    const offset = Math.floor(low / 0x1_0000);
    return this.last.bytes.subarray(offset, offset + low % 0x1_0000);
  }

  /**
   * Entries of one stream, an array of them. Each must be, byte for byte, what its block has; then it is of the stream and has
   * the revision that the block's has.
   */
  private gathered(bytes: Uint8Array, fingerprint: number, { position, revision, count }: Run): void {
    if (bytes[0] !== OPEN || bytes[bytes.length - 1] !== CLOSE) throw new IndexFault(NO_COPY);
    const entries = entriesIn(bytes, count);
    if (entries.length !== count || entries[0]!.position !== position) {
      throw new IndexFault(`other entries than the ${count} from ${position} on`);
    }
    let from = 1;
    for (const [i, { position, until }] of entries.entries()) {
      if (!Number.isSafeInteger(position) || position < this.segment.from || position >= this.segment.until) {
        throw new IndexFault("the copy of an entry that is not of its run");
      }
      if (until >= bytes.length) throw new IndexFault(NO_COPY);
      this.streams.add(1, fingerprint, position, revision + i);
      this.copies.add(1, position, numberOf(this.span.secret, bytes, from, until));
      // Other threads note theirs.
      Atomics.or(this.span.copied, position >>> 3, 1 << (position & 7));
      from = until + 1;
    }
    if (from !== bytes.length) throw new IndexFault(NO_COPY);
  }
}

/** An entry by what it says of its place, and where it ends. */
interface Placed {
  readonly position: number;
  readonly until: number;
}

const entriesIn = (bytes: Uint8Array, count: number): readonly Placed[] => foundIn(bytes, count) ?? parsedFrom(bytes);

const BETWEEN = "},{";
const POSITION = ',"position":';

/**
 * By looking for what stands between two entries and before a position. Neither can stand in a JSON string without an escape or
 * be missing from an array of so many entries, so where there is not one too many each is the one that was looked for.
 */
const foundIn = (bytes: Uint8Array, count: number): readonly Placed[] | undefined => {
  // A character for each byte.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const entries: Placed[] = [];
  let at = text.indexOf(POSITION);
  for (let from = 1; from < text.length;) {
    const between = text.indexOf(BETWEEN, from);
    const until = between < 0 ? text.length - 1 : between + 1;
    const next = text.indexOf(POSITION, at + 1);
    if (at < 0 || at >= until || (next >= 0 && next < until)) return undefined;
    if (entries.push({ position: Number.parseInt(text.slice(at + POSITION.length, at + 32)), until }) > count) {
      return undefined;
    }
    at = next;
    from = until + 1;
  }
  return entries.length === count ? entries : undefined;
};

/** By reading them. */
const parsedFrom = (bytes: Uint8Array): readonly Placed[] => {
  try {
    const entries = JSON.parse(utf8.decode(bytes)) as unknown;
    if (Array.isArray(entries) && entries.every((entry) => typeof entry === "object" && entry !== null)) {
      let until = 0;
      return entries.map((entry) => {
        until += 1 + Buffer.byteLength(JSON.stringify(entry));
        return { position: entry.position, until };
      });
    }
  } catch {
    // Said below.
  }
  throw new IndexFault(NO_COPY);
};
