/**
 * A table of the index as it lies on its pages: rows of little-endian doubles in the order of their first two
 * columns; beside them the first key of each page, and for some a Bloom filter in blocks of 512 bits. Everything is
 * held against the rows themselves.
 */
import { isCount } from "./counts.ts";
import type { Secret } from "./index_sums.ts";
import { InOrder, type Rows } from "./rows.ts";
import { FILTER_BLOCK_BYTES, FOUND, PAGE_BYTES_MAX, TableScan } from "./table_code.ts";

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

const isExtent = (value: unknown): value is Extent => {
  const extent = value as Partial<Extent> | null | undefined;
  return typeof extent === "object" && isCount(extent?.start) && isCount(extent?.pages);
};

export const isTable = (value: unknown, columns: number): value is TableShape => {
  const table = value as Partial<TableShape> | null | undefined;
  return typeof table === "object" && table?.columns === columns && isCount(table.rows) && isExtent(table.body) &&
    isExtent(table.fence) && (table.filter === undefined || isExtent(table.filter)) &&
    (table.probes === undefined || (isCount(table.probes) && table.probes >= 1 && table.probes <= PROBES_MAX));
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

/** Bits that a key sets in a filter that does not say. */
const PROBES = 6;
const PROBES_MAX = 32;

const SAID = {
  [FOUND.notWhole]: (page: number) => `page ${page} holds other than whole numbers`,
  [FOUND.disorder]: (page: number) => `page ${page} is not in order`,
  [FOUND.hidden]: (page: number) => `the filter hides a row of page ${page}`,
} as const;

/**
 * Looks at a table, page by page; answers what its rows come to, told by their first two columns, where it has only those. `visit` sees
 * each page once it was looked at. Throws `IndexFault` where it is not what a look-up needs.
 */
export function* readTable(
  rows: Rows,
  table: TableShape,
  secret: Secret,
  visit?: (page: Float64Array) => void,
): Generator<void, readonly [number, number]> {
  const { body, columns } = table;
  const fence = doubles(whole(rows, table.fence));
  if (fence.length !== body.pages) throw new IndexFault(`${fence.length} first keys for ${body.pages} pages`);
  const filter = table.filter && whole(rows, table.filter);
  if (filter && (filter.length === 0 || filter.length % FILTER_BLOCK_BYTES !== 0)) {
    throw new IndexFault(`a filter of ${filter.length} bytes`);
  }
  const scan = new TableScan(columns, secret, filter && { bytes: filter, probes: table.probes ?? PROBES });
  let count = 0;
  let page = body.start;
  for (const bytes of pagesOf(rows, body)) {
    if (bytes.length === 0 || bytes.length > PAGE_BYTES_MAX || bytes.length % (columns * 8) !== 0) {
      throw new IndexFault(`page ${page} has ${bytes.length} bytes, not whole rows`);
    }
    const found = scan.take(bytes, columns === 2);
    if (found !== FOUND.good) throw new IndexFault(SAID[found as keyof typeof SAID](page));
    if (scan.first !== fence[page - body.start]) throw new IndexFault(`page ${page} does not begin with its first key`);
    count += bytes.length / (columns * 8);
    visit?.(doubles(bytes));
    page++;
    yield;
  }
  if (count !== table.rows) throw new IndexFault(`${count} rows, not ${table.rows}`);
  if (filter && !scan.exact) throw new IndexFault("the filter lets keys through that no row has");
  return scan.lanes;
}
