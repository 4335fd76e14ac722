/**
 * The index's pages: one numbered shelf of byte values in the log's store. A table is rows of doubles, sorted by their first
 * two columns and cut into pages; beside it lie the first key of each page and, where asked for, a filter.
 */
import { LRUCache } from "lru-cache";
import { LogFault } from "../../../events/log.ts";
import type { Key, Store } from "../../../events/store.ts";
import { Filter, PROBES } from "./filter.ts";

export const PAGE_BYTES = 60_000;
export const pageKey = (page: number): Key => ["index", page];

/** Consecutive pages. */
export interface Extent {
  readonly start: number;
  readonly pages: number;
}

/** Where a table lies. */
export interface Table {
  readonly columns: number;
  readonly rows: number;
  readonly body: Extent;
  readonly fence: Extent;
  readonly filter?: Extent;
  /** Bits that a key sets in the filter; absent in tables made before it was said. */
  readonly probes?: number;
}

const rowsPerPage = (columns: number): number => Math.floor(PAGE_BYTES / (8 * columns));

/** How many pages a table takes, fence and filter included. */
export const tablePages = (columns: number, rows: number, bitsPerKey: number): number => {
  const body = Math.ceil(rows / rowsPerPage(columns));
  const filter = bitsPerKey > 0 ? Filter.bytesFor(rows, bitsPerKey) : 0;
  return body + Math.ceil((body * 8) / PAGE_BYTES) + Math.ceil(filter / PAGE_BYTES);
};

export type Put = readonly [Key, Uint8Array];

/** Hands out page numbers and takes pages, in order. */
export interface PageSink {
  next: number;
  put(page: Put): void;
}

const putBytes = (bytes: Uint8Array, sink: PageSink): Extent => {
  const start = sink.next;
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    sink.put([pageKey(sink.next++), bytes.slice(at, at + PAGE_BYTES)]);
  }
  return { start, pages: sink.next - start };
};

/** Takes rows in order and cuts them into pages. */
export class TableWriter {
  private page: Float64Array;
  private filled = 0;
  private rows = 0;
  private readonly firsts: number[] = [];
  private readonly filter: Filter | undefined;
  private readonly start: number;

  /** `keys` sizes the filter; the body's pages are numbered from the sink's next on, so nothing else may take numbers of it meanwhile. */
  constructor(private readonly columns: number, private readonly sink: PageSink, keys: number, bitsPerKey: number) {
    this.page = new Float64Array(rowsPerPage(columns) * columns);
    this.filter = bitsPerKey > 0 ? Filter.sized(keys, bitsPerKey) : undefined;
    this.start = sink.next;
  }

  add(row: Float64Array | readonly number[], at: number): void {
    if (this.filled === 0) this.firsts.push(row[at]!);
    for (let c = 0; c < this.columns; c++) this.page[this.filled + c] = row[at + c]!;
    this.filter?.add(row[at]!);
    this.filled += this.columns;
    this.rows++;
    if (this.filled === this.page.length) this.flush();
  }

  private flush(): void {
    if (this.filled === 0) return;
    const page = this.page.slice(0, this.filled);
    this.sink.put([pageKey(this.sink.next++), new Uint8Array(page.buffer)]);
    this.filled = 0;
  }

  finish(): Table {
    this.flush();
    const body = { start: this.start, pages: this.sink.next - this.start };
    const fence = putBytes(new Uint8Array(Float64Array.from(this.firsts).buffer), this.sink);
    const filter = this.filter && putBytes(this.filter.bytes, this.sink);
    return { columns: this.columns, rows: this.rows, body, fence, ...(filter ? { filter, probes: PROBES } : {}) };
  }
}

/** Reads pages through a bounded cache. */
export class Pages {
  private readonly cache: LRUCache<number, Float64Array>;

  constructor(private readonly store: Pick<Store, "get" | "list">, cacheBytesMax: number) {
    this.cache = new LRUCache({
      maxSize: Math.max(PAGE_BYTES, cacheBytesMax),
      sizeCalculation: ({ byteLength }) => byteLength || 1,
    });
  }

  numbers(page: number, cached = true): Float64Array {
    const known = cached ? this.cache.get(page) : undefined;
    if (known) return known;
    const copy = this.bytes(page).slice();
    const numbers = new Float64Array(copy.buffer, 0, copy.length >>> 3);
    if (cached) this.cache.set(page, numbers);
    return numbers;
  }

  bytes(page: number): Uint8Array {
    const bytes = this.store.get(pageKey(page));
    if (!bytes) throw new LogFault("truncated", `the index names page ${page}, which is not there`);
    return bytes;
  }

  extent({ start, pages }: Extent): Uint8Array {
    const parts = [...this.store.list({ prefix: ["index"], from: start, until: start + pages })].map(([, value]) =>
      value
    );
    if (parts.length !== pages) {
      throw new LogFault("truncated", `the index names ${pages} pages from ${start}, ${parts.length} are there`);
    }
    if (parts.length === 1) return parts[0]!;
    const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

/** Look-ups in one table. Fence and filter are read when first needed and then kept. */
export class TableReader {
  private fence: Float64Array | undefined;
  private filter: Filter | undefined;

  private folds = 0;

  constructor(readonly table: Table, private readonly pages: Pages) {}

  /** Memory of the filter, as far as it has been read. */
  get filterBytes(): number {
    return this.filter?.bytes.length ?? 0;
  }

  /** How often the filter is to be folded. */
  foldFilter(folds: number): void {
    this.folds = folds;
    this.filter = this.filter && this.filter.folds <= folds ? this.filter.folded(folds) : undefined;
  }

  /** False: no row starts with this fingerprint. */
  perhaps(fingerprint: number): boolean {
    if (this.table.rows === 0) return false;
    if (!this.table.filter) return true;
    return this.opened(this.table.filter).perhaps(fingerprint);
  }

  /** Marks those of many for which `perhaps` is true. */
  mark(fingerprints: Float64Array, count: number, marks: Uint8Array): void {
    if (this.table.rows === 0) return;
    if (this.table.filter) this.opened(this.table.filter).mark(fingerprints, count, marks);
    else marks.fill(1, 0, count);
  }

  private opened(filter: Extent): Filter {
    return this.filter ??= Filter.from(this.pages.extent(filter), this.table.probes).folded(this.folds);
  }

  /** All rows that start with this fingerprint, in order, each as a view of `columns` numbers. */
  find(fingerprint: number): Float64Array[] {
    if (!this.perhaps(fingerprint)) return [];
    const { columns, body } = this.table;
    const fence = this.fence ??= toNumbers(this.pages.extent(this.table.fence));
    const found: Float64Array[] = [];
    // The first row may lie at the end of the page before the one whose first key is ours.
    for (let p = Math.max(0, lowerBound(fence, 1, fingerprint) - 1); p < body.pages && fence[p]! <= fingerprint; p++) {
      const page = this.pages.numbers(body.start + p);
      for (
        let r = lowerBound(page, columns, fingerprint);
        r * columns < page.length && page[r * columns] === fingerprint;
        r++
      ) {
        found.push(page.subarray(r * columns, (r + 1) * columns));
      }
    }
    return found;
  }
}

const toNumbers = (bytes: Uint8Array): Float64Array => {
  const copy = bytes.slice();
  return new Float64Array(copy.buffer, 0, copy.length >>> 3);
};

/** Index of the first row whose first column is not below `value`. */
const lowerBound = (rows: Float64Array, columns: number, value: number): number => {
  let low = 0;
  let high = rows.length / columns;
  while (low < high) {
    const middle = (low + high) >>> 1;
    rows[middle * columns]! < value ? low = middle + 1 : high = middle;
  }
  return low;
};
