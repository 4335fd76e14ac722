/**
 * Names (fingerprints of source and id) that occur more than once, among tables of the index and others. The tables are sorted and
 * were held against the blocks, so going through them side by side takes the place of holding all names at a time. Memory: a
 * page of each table, and a part of the names.
 */
import { tablePages, type TableShape } from "./index_table.ts";
import { Fingerprints } from "./fingerprints.ts";
import type { Rows } from "./rows.ts";

const COLUMNS = 2;
/** About so many names are held at a time: what a processor's nearest caches have room for. */
const PART_NAMES = 4_096;
/** Fingerprints are below. */
const FINGERPRINTS_END = 2 ** 53;

/** A table from its first page to its last. */
class Cursor {
  private values: Float64Array = new Float64Array(0);
  private at = 0;
  private readonly pages: Iterator<Float64Array>;

  constructor(rows: Rows, table: TableShape) {
    this.pages = tablePages(rows, table);
  }

  /** The next rows whose names are below `bound`; none where there are no more of them. */
  take(bound: number): Float64Array {
    if (this.at === this.values.length) {
      const { done, value } = this.pages.next();
      if (done) return NONE;
      this.values = value;
      this.at = 0;
    }
    const from = this.at;
    this.at = below(this.values, from, bound);
    return this.values.subarray(from, this.at);
  }
}
const NONE = new Float64Array(0);

/** Where the first row from `from` on is whose name is not below `bound`. */
const below = (values: Float64Array, from: number, bound: number): number => {
  let [low, high] = [from / COLUMNS, values.length / COLUMNS];
  while (low < high) {
    const middle = (low + high) >>> 1;
    values[middle * COLUMNS]! < bound ? low = middle + 1 : high = middle;
  }
  return low * COLUMNS;
};

/** Each once, in order. `others` is sorted. Throws what SQLite says of a page that it cannot read. */
export const repeatedNames = (
  rows: Rows,
  tables: readonly TableShape[],
  others: Float64Array,
): Float64Array => {
  const found = new Set<number>();
  const part = new Fingerprints();
  const cursors = tables.map((table) => new Cursor(rows, table));
  const names = tables.reduce((sum, table) => sum + table.rows, others.length);
  const parts = Math.ceil(names / PART_NAMES);
  for (let i = 1, other = 0; i <= parts; i++) {
    // As they are hashes, each part has about as many.
    const bound = i === parts ? Infinity : FINGERPRINTS_END / parts * i;
    part.begin(PART_NAMES);
    for (const cursor of cursors) {
      for (let taken = cursor.take(bound); taken.length > 0; taken = cursor.take(bound)) {
        part.addAll(taken, COLUMNS, found);
      }
    }
    let until = other;
    while (until < others.length && others[until]! < bound) until++;
    part.addAll(others.subarray(other, until), 1, found);
    other = until;
  }
  return Float64Array.from(found).sort();
};
