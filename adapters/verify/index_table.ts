/**
 * A table of the index as it lies on its pages: rows of little-endian doubles in the order of their first two
 * columns; beside them the first key of each page, and for some a Bloom filter in blocks of 512 bits. Everything is
 * held against the rows themselves.
 */
import { InOrder, type Rows } from "./rows.ts";

export interface Extent {
  readonly start: number;
  readonly pages: number;
}

export interface TableShape {
  readonly columns: number;
  readonly rows: number;
  readonly body: Extent;
  readonly fence: Extent;
  readonly filter?: Extent;
  readonly probes?: number;
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isExtent = (value: unknown): value is Extent => {
  const extent = value as Partial<Extent> | null | undefined;
  return typeof extent === "object" && isWhole(extent?.start) && isWhole(extent?.pages);
};

export const isTable = (value: unknown, columns: number): value is TableShape => {
  const table = value as Partial<TableShape> | null | undefined;
  return typeof table === "object" && table?.columns === columns && isWhole(table.rows) && isExtent(table.body) &&
    isExtent(table.fence) && (table.filter === undefined || isExtent(table.filter)) &&
    (table.probes === undefined || (isWhole(table.probes) && table.probes >= 1 && table.probes <= PROBES_MAX));
};

/** Why a table is not one. */
export class IndexFault extends Error {
  override readonly name = "IndexFault";
}

/** The page that was read under a number. */
export const pageIn = (value: Uint8Array | string | undefined, number: number): Uint8Array => {
  if (value instanceof Uint8Array) return value;
  throw new IndexFault(`page ${number} ${value === undefined ? "is not there" : `is ${value}`}`);
};

export const pagesIn = (rows: Rows): InOrder =>
  new InOrder((from) => rows.list("index", from), (number) => rows.get("index", number));

/** Pages one after another. */
function* pagesOf(rows: Rows, { start, pages }: Extent): Generator<Uint8Array> {
  const all = pagesIn(rows);
  for (let number = start; number < start + pages; number++) yield pageIn(all.get(number), number);
}

const doubles = (bytes: Uint8Array): Float64Array => {
  if (bytes.length % 8 !== 0) throw new IndexFault(`${bytes.length} bytes are not doubles`);
  return new Float64Array(bytes.slice().buffer);
};

/** The pages of a table, one after another. */
export function* tablePages(rows: Rows, { body }: TableShape): Generator<Float64Array> {
  for (const bytes of pagesOf(rows, body)) yield doubles(bytes);
}

const whole = (rows: Rows, extent: Extent): Uint8Array => {
  const parts = [...pagesOf(rows, extent)];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

const BLOCK_WORDS = 16;
/** Bits that a key sets in a filter that does not say. */
const PROBES = 6;
const PROBES_MAX = 32;

/** A filter, and the one that the keys make: they are the same, or it hides a key, or lets through what is not there. */
class FilterCheck {
  private readonly made: Uint32Array;

  constructor(private readonly words: Uint32Array, private readonly probes = PROBES) {
    this.made = new Uint32Array(words.length);
  }

  /** Whether it lets a key through that is there. */
  add(key: number): boolean {
    const { words, made } = this;
    const low = key >>> 0;
    const base = Math.floor((low / 0x1_0000_0000) * (words.length / BLOCK_WORDS)) * BLOCK_WORDS;
    let mix = Math.imul(low ^ (key / 0x1_0000_0000), 0x9e3779b1);
    let missing = 0;
    for (let probe = 0; probe < this.probes; probe++) {
      mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
      const [at, bit] = [base + (mix >>> 28), 1 << ((mix >>> 23) & 31)];
      made[at]! |= bit;
      missing |= bit & ~words[at]!;
    }
    return missing === 0;
  }

  /** Whether it has no bit that no key has set. */
  get same(): boolean {
    return this.made.every((word, i) => word === this.words[i]);
  }
}

/** What the rows of a table must be, page by page. */
class RowsCheck {
  private key = -1;
  private second = -1;
  private count = 0;
  private readonly filter: FilterCheck | undefined;

  constructor(private readonly table: TableShape, filter: Uint8Array | undefined) {
    this.filter = filter &&
      new FilterCheck(new Uint32Array(filter.slice().buffer, 0, filter.length >>> 2), table.probes);
  }

  take(values: Float64Array, page: number): void {
    const { filter, table: { columns } } = this;
    let { key, second } = this;
    if (values.length === 0 || values.length % columns !== 0) {
      throw new IndexFault(`page ${page} does not hold whole rows`);
    }
    for (let at = 0; at < values.length; at++) {
      if (!isWhole(values[at])) throw new IndexFault(`page ${page} holds other than whole numbers`);
    }
    for (let at = 0; at < values.length; at += columns) {
      const next = values[at]!;
      const beside = values[at + 1]!;
      if (!(next > key || (next === key && beside > second))) throw new IndexFault(`page ${page} is not in order`);
      if (filter && !filter.add(next)) throw new IndexFault(`the filter hides a row of page ${page}`);
      key = next;
      second = beside;
    }
    this.key = key;
    this.second = second;
    this.count += values.length / columns;
  }

  end(): void {
    const { count, filter, table: { rows } } = this;
    if (count !== rows) throw new IndexFault(`${count} rows, not ${rows}`);
    if (filter && !filter.same) throw new IndexFault("the filter lets keys through that no row has");
  }
}

/** The pages of a table, each once it was looked at. Throws `IndexFault` where the table is not what a look-up needs. */
export function* checkedPages(rows: Rows, table: TableShape): Iterable<Float64Array> {
  const { body } = table;
  const fence = doubles(whole(rows, table.fence));
  if (fence.length !== body.pages) throw new IndexFault(`${fence.length} first keys for ${body.pages} pages`);
  const check = new RowsCheck(table, table.filter && whole(rows, table.filter));
  let p = 0;
  for (const values of tablePages(rows, table)) {
    const page = body.start + p;
    check.take(values, page);
    if (values[0] !== fence[p++]) throw new IndexFault(`page ${page} does not begin with its first key`);
    yield values;
  }
  check.end();
}
