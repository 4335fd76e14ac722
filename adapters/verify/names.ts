/**
 * Names (fingerprints of source and id) that occur more than once, among tables of the index and others. The tables are sorted and
 * were held against the blocks, so going through them side by side takes the place of holding all names at a time. Memory: a
 * page of each table.
 */
import { pageOf, type TableShape } from "./index_table.ts";
import type { Rows } from "./rows.ts";

const COLUMNS = 2;

/** A table from its first page to its last. */
class Cursor {
  private values: Float64Array = new Float64Array(0);
  private at = 0;
  private page = 0;

  constructor(private readonly rows: Rows, private readonly table: TableShape) {}

  /** False behind its last row. */
  ready(): boolean {
    if (this.at < this.values.length) return true;
    if (this.page === this.table.body.pages) return false;
    this.values = pageOf(this.rows, this.table, this.page++);
    this.at = 0;
    return true;
  }

  /** Last name of the page. */
  get last(): number {
    return this.values[this.values.length - COLUMNS]!;
  }

  /** Appends the page's names up to `bound`; answers where they end. */
  take(bound: number, into: Float64Array, to: number): number {
    let end = to;
    for (; this.at < this.values.length && this.values[this.at]! <= bound; this.at += COLUMNS) {
      into[end++] = this.values[this.at]!;
    }
    return end;
  }

  get left(): number {
    return (this.values.length - this.at) / COLUMNS;
  }
}

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
    const names = new Float64Array(open.reduce((sum, { left }) => sum + left, until - other));
    names.set(others.subarray(other, until));
    let end = until - other;
    other = until;
    for (const cursor of open) end = cursor.take(bound, names, end);
    for (const name of names.subarray(0, end).sort()) {
      if (name === before && found[found.length - 1] !== name) found.push(name);
      before = name;
    }
    if (open.length === 0) return Float64Array.from(found);
  }
};
