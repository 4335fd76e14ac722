/**
 * Names (fingerprints of source and id) that occur more than once, among tables of the index and others. The tables are sorted and
 * were held against the blocks, so going through them side by side takes the place of holding all names at a time. Memory: a
 * page of each table.
 */
import { tablePages, type TableShape } from "./index_table.ts";
import type { Rows } from "./rows.ts";

const COLUMNS = 2;

/** A table from its first page to its last. */
class Cursor {
  private values: Float64Array = new Float64Array(0);
  private at = 0;
  private readonly pages: Iterator<Float64Array>;

  constructor(rows: Rows, table: TableShape) {
    this.pages = tablePages(rows, table);
  }

  /** False behind its last row. */
  ready(): boolean {
    if (this.at < this.values.length) return true;
    const { done, value } = this.pages.next();
    if (done) return false;
    this.values = value;
    this.at = 0;
    return true;
  }

  /** Last name of the page. */
  get last(): number {
    return this.values[this.values.length - COLUMNS]!;
  }

  /** The page's names up to `bound`. */
  take(bound: number): Float64Array {
    const { values } = this;
    const names = new Float64Array((values.length - this.at) / COLUMNS);
    let end = 0;
    for (; this.at < values.length && values[this.at]! <= bound; this.at += COLUMNS) names[end++] = values[this.at]!;
    return names.subarray(0, end);
  }
}

/** Two sorted lists as one. */
const merged = (a: Float64Array, b: Float64Array): Float64Array => {
  const all = new Float64Array(a.length + b.length);
  let [i, j] = [0, 0];
  for (let to = 0; to < all.length; to++) {
    all[to] = j === b.length || (i < a.length && a[i]! <= b[j]!) ? a[i++]! : b[j++]!;
  }
  return all;
};

/** Each once. `others` is sorted. Throws what SQLite says of a page that it cannot read. */
export const repeatedNames = (
  rows: Rows,
  tables: readonly TableShape[],
  others: Float64Array,
): Float64Array => {
  const found: number[] = [];
  const cursors = tables.map((table) => new Cursor(rows, table));
  let other = 0;
  let before = -1;
  for (let open = cursors;;) {
    open = open.filter((cursor) => cursor.ready());
    const bound = open.reduce((least, cursor) => Math.min(least, cursor.last), Infinity);
    let until = other;
    while (until < others.length && others[until]! <= bound) until++;
    const parts = [others.subarray(other, until), ...open.map((cursor) => cursor.take(bound))];
    other = until;
    // In pairs, so that each name is moved as often as the number of parts can be halved.
    while (parts.length > 1) parts.push(merged(parts.shift()!, parts.shift()!));
    const names = parts[0]!;
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      if (name === before && found[found.length - 1] !== name) found.push(name);
      before = name;
    }
    if (open.length === 0) return Float64Array.from(found);
  }
};
