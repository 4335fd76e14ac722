/**
 * Merges: neighbouring segments of one level become one of the next, a few pages at a time. How many pages the result takes follows
 * from the segments, so a merge has its page numbers before it begins, and new segments get theirs while it is under way. The
 * manifest names it with them: begun again after a crash, it writes the same bytes under the same numbers.
 */
import { FANOUT, type Segment } from "./segment.ts";
import { type Extent, type Pages, type PageSink, type Put, type Table, tablePages, TableWriter } from "./pages.ts";

/** A merge of the segments that `[from, until)` consists of. */
export interface Merging {
  readonly from: number;
  readonly until: number;
  /** Of the filters. */
  readonly bits_per_key: number;
  /** What it writes, no page more or less. */
  readonly pages: Extent;
}

const TABLES = ["ids", "streams", "terms"] as const;
/** Terms are few for each block; nobody asks for one that is nowhere. */
const bitsOf = (table: (typeof TABLES)[number], bitsPerKey: number): number => table === "terms" ? 0 : bitsPerKey;

const rowsOf = (run: readonly Segment[], table: (typeof TABLES)[number]): number =>
  run.reduce((sum, segment) => sum + segment[table].rows, 0);

const pagesFor = (run: readonly Segment[], bitsPerKey: number): number =>
  TABLES.reduce((sum, table) => {
    const { columns } = run[0]![table];
    return sum + tablePages(columns, rowsOf(run, table), bitsOf(table, bitsPerKey));
  }, 0);

/** The merges that are due beside those under way, at most one a level; their pages are numbered from `next` on. */
export const mergesDue = (
  segments: readonly Segment[],
  merging: readonly Merging[],
  next: number,
  bitsPerKey: number,
): readonly Merging[] => {
  const due: Merging[] = [];
  const busy = new Set(merging.map((merge) => segments.find(({ from }) => from === merge.from)?.level));
  for (let i = 0; i + FANOUT <= segments.length; i++) {
    const run = segments.slice(i, i + FANOUT);
    const { level, from } = run[0]!;
    if (busy.has(level) || run.some((segment) => segment.level !== level)) continue;
    busy.add(level);
    const pages = { start: next, pages: pagesFor(run, bitsPerKey) };
    next += pages.pages;
    due.push({ from, until: run.at(-1)!.until, bits_per_key: bitsPerKey, pages });
  }
  return due;
};

/** The segments of a merge that a manifest names; undefined where they would take other pages, as in a version with other pages. */
export const runOf = (segments: readonly Segment[], merging: Merging): readonly Segment[] | undefined => {
  const run = segments.filter(({ from, until }) => from >= merging.from && until <= merging.until);
  const whole = run.length > 1 && run[0]!.from === merging.from && run.at(-1)!.until === merging.until &&
    run.every(({ level }) => level === run[0]!.level) && pagesFor(run, merging.bits_per_key) === merging.pages.pages;
  return whole ? run : undefined;
};

/** Hands out the pages of the merged segment, `each` at a time and fewer at last, and then answers with it. */
export function* mergeSegments(
  run: readonly Segment[],
  pages: Pages,
  { bits_per_key, pages: extent }: Merging,
  each: number,
): Generator<readonly Put[], Segment> {
  let puts: Put[] = [];
  const sink: PageSink = { next: extent.start, put: (page) => puts.push(page) };
  const tables: Table[] = [];
  for (const table of TABLES) {
    const cursors = run.map((segment) => new Cursor(segment[table], pages));
    const { columns } = run[0]![table];
    const writer = new TableWriter(columns, sink, rowsOf(run, table), bitsOf(table, bits_per_key));
    for (let least = leastOf(cursors); least; least = leastOf(cursors)) {
      writer.add(least.page!, least.at);
      least.advance();
      if (puts.length < each) continue;
      yield puts;
      puts = [];
    }
    tables.push(writer.finish());
    while (puts.length >= each) yield puts.splice(0, each);
  }
  if (puts.length > 0) yield puts;
  if (sink.next !== extent.start + extent.pages) {
    throw new Error(`a merge of ${extent.pages} pages was planned, ${sink.next - extent.start} were written`);
  }
  const [ids, streams, terms] = tables as [Table, Table, Table];
  const { level, from } = run[0]!;
  return { level: level + 1, from, until: run.at(-1)!.until, ids, streams, terms };
}

/** A place in a table that is read from its beginning, past the cache. */
class Cursor {
  /** Undefined behind the last row. */
  page: Float64Array | undefined;
  at = 0;
  private next: number;
  private readonly end: number;

  constructor(private readonly table: Table, private readonly pages: Pages) {
    this.next = table.body.start;
    this.end = table.body.start + table.body.pages;
    this.turn();
  }

  advance(): void {
    this.at += this.table.columns;
    if (this.at >= this.page!.length) this.turn();
  }

  private turn(): void {
    this.page = this.next < this.end ? this.pages.numbers(this.next++, false) : undefined;
    this.at = 0;
  }
}

/** The cursor whose row comes first; among equals the oldest. */
const leastOf = (cursors: readonly Cursor[]): Cursor | undefined => {
  let least: Cursor | undefined;
  for (let i = 0; i < cursors.length; i++) {
    const cursor = cursors[i]!;
    if (cursor.page && (!least || before(cursor.page, cursor.at, least.page!, least.at))) least = cursor;
  }
  return least;
};

const before = (a: Float64Array, i: number, b: Float64Array, j: number): boolean =>
  a[i]! < b[j]! || (a[i] === b[j] && a[i + 1]! < b[j + 1]!);

/** The pages that merged segments no longer need, neighbours as one; gathered pages stay, the merged rows point to them. */
export const pagesOf = (segments: readonly Segment[]): readonly Extent[] => {
  const extents = segments.flatMap((segment) => TABLES.map((table) => segment[table]))
    .flatMap(({ body, fence, filter }) => [body, fence, ...(filter ? [filter] : [])])
    .sort((a, b) => a.start - b.start);
  const joined: Extent[] = [];
  for (const { start, pages } of extents) {
    const last = joined.at(-1);
    if (last && last.start + last.pages === start) joined[joined.length - 1] = { ...last, pages: last.pages + pages };
    else joined.push({ start, pages });
  }
  return joined;
};
