/**
 * The index as a whole: sorted segments for what lies behind, generations in memory for the tail. All of it follows from the
 * blocks; the manifest names the position up to which the segments are complete.
 *
 * Answers are candidates: fingerprints can meet, so whoever asks compares with the event itself.
 */
import type { StreamId } from "../../../events/event.ts";
import { LogFault } from "../../../events/log.ts";
import type { Store } from "../../../events/store.ts";
import type { Block } from "../block.ts";
import { fingerprint, fingerprintOfId } from "../fingerprint.ts";
import { IdTable } from "./id_table.ts";
import { BITS_PER_KEY, Filter, FILTER_BLOCK_BYTES } from "./filter.ts";
import type { Merging } from "./merge.ts";
import { type Extent, PAGE_BYTES, Pages, type Table, TableReader } from "./pages.ts";
import { correlationTerm, type Segment, typeTerm } from "./segment.ts";

export interface Manifest {
  /** Events before this position are in the segments. */
  readonly until: number;
  /** Next free page. */
  readonly next: number;
  /** By position, without gaps. */
  readonly segments: readonly Segment[];
  /** Merges under way, at most one a level; what they have written is theirs, and is written again by whoever begins them again. */
  readonly merging: readonly Merging[];
  /** Pages of segments that were merged; let go a while later, when no reader still holds an older manifest. */
  readonly garbage: readonly Extent[];
}

export const EMPTY: Manifest = { until: 0, next: 0, segments: [], merging: [], garbage: [] };
export const MANIFEST_KEY = ["manifest"] as const;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** 1: without `merging`, and `garbage` as extents. 2: `garbage` as start, pages, start, pages …, for it is one value of the store. */
const MANIFEST_FORMAT = 2;

export const encodeManifest = (manifest: Manifest): Uint8Array => {
  const garbage = manifest.garbage.flatMap(({ start, pages }) => [start, pages]);
  return utf8.encode(JSON.stringify({ format: MANIFEST_FORMAT, ...manifest, garbage }));
};

export const decodeManifest = (bytes: Uint8Array | undefined): Manifest => {
  if (!bytes) return EMPTY;
  const { format, ...manifest } = JSON.parse(text.decode(bytes));
  if (format === 1) return { ...manifest, merging: [] };
  if (format !== MANIFEST_FORMAT) {
    throw new LogFault("newer", `the index has format ${format}, this program knows ${MANIFEST_FORMAT}`);
  }
  const garbage: Extent[] = [];
  for (let i = 0; i < manifest.garbage.length; i += 2) {
    garbage.push({ start: manifest.garbage[i], pages: manifest.garbage[i + 1] });
  }
  return { ...manifest, garbage };
};

/** Some events of one stream, wherever they lie. */
export interface Stretch {
  readonly position: number;
  readonly revision: number;
  readonly count: number;
  /** 0: in the block that holds `position`; else a gathered page, see `segment.ts`. */
  readonly place: number;
}

interface TailStream {
  head: number;
  /** Position, revision, count of each run. */
  readonly runs: number[];
}

/** What is known of the newest events, in memory, until a segment holds it. */
export class Generation {
  until: number;
  /** Takes no more blocks, whatever room it has. */
  ended = false;
  readonly blocks: number[] = [];
  readonly ids = new IdTable();
  readonly streams = new Map<StreamId, TailStream>();
  readonly types = new Map<string, number[]>();

  constructor(readonly from: number) {
    this.until = from;
  }

  /** Notes a block of these events; called once per block, in order. */
  addBlock(first: number): void {
    this.blocks.push(first);
  }

  add(
    event: { readonly stream: StreamId; readonly type: string },
    id: number,
    position: number,
    revision: number,
  ): void {
    this.ids.add(id, position);
    const block = this.blocks[this.blocks.length - 1]!;
    const stream = this.streams.get(event.stream);
    if (!stream) {
      this.streams.set(event.stream, { head: revision, runs: [position, revision, 1] });
    } else {
      const { runs } = stream;
      const last = runs.length - 3;
      // A run stays within its block: it is read from there.
      if (position === runs[last]! + runs[last + 2]! && runs[last]! >= block) runs[last + 2]!++;
      else runs.push(position, revision, 1);
      stream.head = revision;
    }
    const firsts = this.types.get(event.type);
    if (!firsts) this.types.set(event.type, [block]);
    else if (firsts[firsts.length - 1] !== block) firsts.push(block);
    this.until = position + 1;
  }

  /** Throws `LogFault` `truncated` where the block does not say of each entry what it is. */
  addWhole(block: Block): void {
    this.addBlock(block.first);
    for (const { index, revision, count } of block.runs()) {
      for (let i = 0; i < count; i++) {
        const event = block.attributes(index + i);
        this.add(event, fingerprintOfId(event.source, event.id), block.first + index + i, revision + i);
      }
    }
    block.forget();
    if (this.until !== block.until) {
      throw new LogFault("truncated", `block at position ${block.first}: its runs are not as long as its entries`);
    }
  }
}

class SegmentReader {
  readonly ids: TableReader;
  readonly streams: TableReader;
  readonly terms: TableReader;

  constructor(readonly segment: Segment, pages: Pages) {
    this.ids = new TableReader(segment.ids, pages);
    this.streams = new TableReader(segment.streams, pages);
    this.terms = new TableReader(segment.terms, pages);
  }
}

export class LogIndex {
  readonly pages: Pages;
  manifest: Manifest = EMPTY;
  private segments: readonly SegmentReader[] = [];
  /** Oldest first; the last one is open. */
  readonly generations: Generation[] = [];

  constructor(store: Pick<Store, "get" | "list">, cacheBytesMax: number, private readonly filterBytesMax: number) {
    this.pages = new Pages(store, cacheBytesMax);
  }

  /** Memory of the filters that have been read. */
  get filterBytes(): number {
    return this.segments.reduce((sum, { ids, streams }) => sum + ids.filterBytes + streams.filterBytes, 0);
  }

  /** Takes a newer manifest; generations that its segments hold are let go. */
  adopt(manifest: Manifest): void {
    const known = new Map(this.segments.map((reader) => [reader.segment.ids.body.start, reader]));
    this.segments = manifest.segments.map((segment) => {
      const reader = known.get(segment.ids.body.start);
      return reader && reader.segment.until === segment.until ? reader : new SegmentReader(segment, this.pages);
    });
    foldFilters(this.segments.flatMap(({ ids, streams }) => [ids, streams]), this.filterBytesMax);
    this.manifest = manifest;
    while (this.generations.length > 0 && this.generations[0]!.until <= manifest.until) this.generations.shift();
  }

  /** Events that are only in memory. */
  get tail(): number {
    const first = this.generations[0];
    return first ? this.generations.at(-1)!.until - first.from : 0;
  }

  /** Marks those of many fingerprints of source and id that a segment may hold. */
  markIds(ids: Float64Array, count: number, marks: Uint8Array): void {
    for (const { ids: table } of this.segments) table.mark(ids, count, marks);
  }

  /** Positions at which an event with this fingerprint of source and id may be. `settled`: false where it is known that no segment holds it. */
  idCandidates(id: number, settled: boolean): readonly number[] {
    let found: number[] | undefined;
    for (const generation of this.generations) found = generation.ids.find(id, found);
    if (!settled) return found ?? NONE;
    for (const segment of this.segments) {
      if (!segment.ids.perhaps(id)) continue;
      for (const row of segment.ids.find(id)) (found ??= []).push(row[1]!);
    }
    return found ?? NONE;
  }

  /** Last revision as the tail knows it. */
  tailHead(stream: StreamId): number | undefined {
    for (let i = this.generations.length - 1; i >= 0; i--) {
      const known = this.generations[i]!.streams.get(stream);
      if (known) return known.head;
    }
    return undefined;
  }

  /**
   * Stretches that may be of the stream, in order of position; in the tail they are for certain. Rows are fetched at once, so
   * that a merge meanwhile takes nothing away from a reader that is slow.
   */
  stretches(stream: StreamId, revision: number, backward: boolean): Iterable<Stretch> {
    const fp = fingerprint(stream);
    const rows = this.segments.map((segment) => segment.streams.find(fp));
    const tails = this.generations.map((generation) => generation.streams.get(stream));
    return inStretches(rows, tails, revision, backward);
  }

  /** The newest stretches first, segment by segment, as far as the caller goes; for an answer at once. */
  *newest(stream: StreamId): Iterable<Stretch> {
    const fp = fingerprint(stream);
    for (let i = this.segments.length - 1; i >= 0; i--) {
      for (const row of this.segments[i]!.streams.find(fp).reverse()) yield toStretch(row);
    }
  }

  /** First positions of blocks that may hold events of one of these types or of this correlation, in order; all from `from` on. */
  blocks(
    filter: { readonly types?: readonly string[]; readonly correlation?: string },
    from: number,
  ): readonly number[] {
    const { types, correlation } = filter;
    const terms = correlation === undefined ? types!.map(typeTerm) : [correlationTerm(correlation)];
    const firsts = new Set<number>();
    for (const { segment, terms: table } of this.segments) {
      if (segment.until <= from) continue;
      for (const term of terms) for (const row of table.find(term)) firsts.add(row[1]!);
    }
    for (const generation of this.generations) {
      if (generation.until <= from) continue;
      // The tail does not note correlations: it is short, and most reads never ask.
      const blocks = correlation === undefined
        ? types!.flatMap((type) => generation.types.get(type) ?? [])
        : generation.blocks;
      for (const first of blocks) firsts.add(first);
    }
    return [...firsts].sort((a, b) => a - b);
  }
}

const NONE: readonly number[] = [];

/**
 * Filters were made for the log as large as it was then. Folds those that have the most bits for a key until all of them
 * together fit: they may let more pass, but memory stays what it is.
 */
const foldFilters = (tables: readonly TableReader[], bytesMax: number): void => {
  const sized = tables.filter(({ table }) => table.filter).map((reader) => ({
    reader,
    bytes: filterBytesMost(reader.table),
    folds: 0,
  }));
  let total = sized.reduce((sum, { bytes }) => sum + bytes, 0);
  while (total > bytesMax) {
    const richest = sized.filter(({ bytes }) => bytes > FILTER_BLOCK_BYTES)
      .reduce<(typeof sized)[number] | undefined>(
        (most, one) => most && most.bytes / most.reader.table.rows >= one.bytes / one.reader.table.rows ? most : one,
        undefined,
      );
    if (!richest) break; // every filter is as small as it can be
    const half = Math.ceil(richest.bytes / FILTER_BLOCK_BYTES / 2) * FILTER_BLOCK_BYTES;
    total -= richest.bytes - half;
    richest.bytes = half;
    richest.folds++;
  }
  for (const { reader, folds } of sized) reader.foldFilter(folds);
};

/** What a filter can have at most; its last page is seldom full. */
const filterBytesMost = ({ rows, filter }: Table): number =>
  Math.min(filter!.pages * PAGE_BYTES, Filter.bytesFor(rows, BITS_PER_KEY));

const toStretch = (row: Float64Array): Stretch => ({
  position: row[1]!,
  revision: row[2]!,
  count: row[3]!,
  place: row[4]!,
});

function* inStretches(
  segments: readonly Float64Array[][],
  tails: readonly (TailStream | undefined)[],
  revision: number,
  backward: boolean,
): Iterable<Stretch> {
  if (backward) { for (const tail of tails.toReversed()) yield* tailStretches(tail, revision, true); }
  for (const rows of backward ? segments.toReversed() : segments) {
    for (const row of backward ? rows.toReversed() : rows) if (row[2]! + row[3]! > revision) yield toStretch(row);
  }
  if (!backward) { for (const tail of tails) yield* tailStretches(tail, revision, false); }
}

function* tailStretches(stream: TailStream | undefined, revision: number, backward: boolean): Iterable<Stretch> {
  if (!stream) return;
  const { runs } = stream;
  const stretch = (at: number): Stretch => ({
    position: runs[at]!,
    revision: runs[at + 1]!,
    count: runs[at + 2]!,
    place: 0,
  });
  if (backward) {
    for (let at = runs.length - 3; at >= 0; at -= 3) if (runs[at + 1]! + runs[at + 2]! > revision) yield stretch(at);
  } else {
    for (let at = 0; at < runs.length; at += 3) if (runs[at + 1]! + runs[at + 2]! > revision) yield stretch(at);
  }
}
