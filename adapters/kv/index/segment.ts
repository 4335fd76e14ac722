/**
 * Segments: what the index knows of the events `[from, until)`, sorted and never changed. New ones are built from blocks,
 * neighbours of one level are merged into one of the next, as in a log-structured merge tree (O'Neil et al., 1996).
 *
 * | table   | columns                                                       |
 * |---------|---------------------------------------------------------------|
 * | ids     | fingerprint of source and id, position                        |
 * | streams | fingerprint of the stream, position, revision, count, place   |
 * | terms   | fingerprint of a type or correlation, first position of block |
 *
 * A row of `streams` is a run: `count` events from `revision` on, in the block that holds `position` (place 0). A stream that
 * is thin in many blocks has its entries gathered on pages of its own, so that loading it does not read the whole log; place
 * then says page, offset and length of a JSON array.
 */
import type { Block } from "../block.ts";
import { fingerprint, fingerprintOfId } from "../fingerprint.ts";
import { inOrder } from "./order.ts";
import { PAGE_BYTES, pageKey, type PageSink, type Table, TableWriter } from "./pages.ts";

export interface Segment {
  readonly level: number;
  readonly from: number;
  readonly until: number;
  readonly ids: Table;
  readonly streams: Table;
  readonly terms: Table;
}

const ID_COLUMNS = 2;
const STREAM_COLUMNS = 5;
const TERM_COLUMNS = 2;

/** So many neighbours of one level become one of the next. */
export const FANOUT = 8;

// Gathering doubles the bytes of a stream on disk; it is worth it when the blocks would cost four times as much to read as its pages,
// of which at least one is read whole.
const GATHER_EVENTS_MIN = 16;
const GATHER_GAIN_MIN = 4;

export const typeTerm = (type: string): number => fingerprint(type, 1);
export const correlationTerm = (correlation: string): number => fingerprint(correlation, 2);

/** Page, offset and length in one number; page numbers stay below 2^21. */
const packPlace = (page: number, offset: number, length: number): number => page * 2 ** 32 + offset * 2 ** 16 + length;
export const unpackPlace = (place: number): { page: number; offset: number; length: number } => ({
  page: Math.floor(place / 2 ** 32),
  offset: Math.floor(place / 2 ** 16) % 2 ** 16,
  length: place % 2 ** 16,
});

interface StreamRuns {
  readonly fp: number;
  readonly runs: { block: Block; index: number; revision: number; count: number }[];
  events: number;
  bytes: number;
}

/** Builds a segment from consecutive blocks, which are handed in one by one. */
export class SegmentBuilder {
  private readonly ids: number[] = [];
  private readonly terms: number[] = [];
  private readonly streams = new Map<string, StreamRuns>();
  private bytes = 0;
  private blocks = 0;
  private from = 0;
  private until = 0;

  add(block: Block): void {
    if (this.blocks++ === 0) this.from = block.first;
    this.until = block.until;
    this.bytes += block.bytes.length;
    let type = "";
    for (const { index, count, revision, fingerprint: fp } of block.runs()) {
      for (let i = index; i < index + count; i++) {
        const event = block.attributes(i);
        if (i === index) this.addRun(event.stream, fp, { block, index, revision, count });
        this.ids.push(fingerprintOfId(event.source, event.id), block.first + i);
        // One that comes again in its block is left out when the rows are in order.
        if (event.type !== type) this.terms.push(typeTerm(type = event.type), block.first);
        this.terms.push(correlationTerm(event.correlationid ?? event.id), block.first);
      }
    }
  }

  private addRun(stream: string, fp: number, run: StreamRuns["runs"][number]): void {
    let known = this.streams.get(stream);
    if (!known) this.streams.set(stream, known = { fp, runs: [], events: 0, bytes: 0 });
    known.runs.push(run);
    known.events += run.count;
    for (let i = run.index; i < run.index + run.count; i++) known.bytes += run.block.entryBytes(i);
  }

  /** Writes the pages; `bitsPerKey` sizes the filters. */
  finish(sink: PageSink, bitsPerKey: number): Segment {
    const streamRows = layStreams(this.streams, this.bytes / this.blocks, sink);
    return {
      level: 0,
      from: this.from,
      until: this.until,
      ids: writeTable(this.ids, ID_COLUMNS, sink, bitsPerKey),
      streams: writeTable(streamRows, STREAM_COLUMNS, sink, bitsPerKey),
      terms: writeTable(this.terms, TERM_COLUMNS, sink, 0),
    };
  }
}

/** Rows of the streams table; writes the pages of those that are gathered. */
function layStreams(streams: ReadonlyMap<string, StreamRuns>, blockBytes: number, sink: PageSink): number[] {
  const rows: number[] = [];
  const gather = new Gatherer(sink);
  for (const { fp, runs, events, bytes } of streams.values()) {
    const gain = (new Set(runs.map((run) => run.block)).size * blockBytes) / Math.max(bytes, PAGE_BYTES);
    if (events >= GATHER_EVENTS_MIN && gain >= GATHER_GAIN_MIN) {
      for (const { block, index, revision, count } of runs) {
        for (let i = 0; i < count; i++) gather.add(block.entry(index + i), block.first + index + i, revision + i);
      }
      for (const { position, revision, count, place } of gather.finish()) {
        rows.push(fp, position, revision, count, place);
      }
    } else {
      for (const { block, index, revision, count } of runs) rows.push(fp, block.first + index, revision, count, 0);
    }
  }
  gather.close();
  return rows;
}

/** Packs entries of one stream after another into shared pages, each stretch a JSON array. */
class Gatherer {
  private page = new Uint8Array(PAGE_BYTES + 4_000);
  private filled = 0;
  private start = 0;
  private placed: { position: number; revision: number; count: number; place: number }[] = [];
  private open: { position: number; revision: number; count: number } | undefined;

  constructor(private readonly sink: PageSink) {}

  add(entry: Uint8Array, position: number, revision: number): void {
    if (this.filled + entry.length + 2 > PAGE_BYTES && this.filled > 0) {
      this.endStretch();
      this.flush();
    }
    if (!this.open) {
      this.start = this.filled;
      this.open = { position, revision, count: 0 };
      this.page[this.filled++] = 0x5b; // [
    } else {
      this.page[this.filled++] = 0x2c; // ,
    }
    this.page.set(entry, this.filled);
    this.filled += entry.length;
    this.open.count++;
  }

  private endStretch(): void {
    if (!this.open) return;
    this.page[this.filled++] = 0x5d; // ]
    this.placed.push({ ...this.open, place: packPlace(this.sink.next, this.start, this.filled - this.start) });
    this.open = undefined;
  }

  private flush(): void {
    if (this.filled === 0) return;
    this.sink.put([pageKey(this.sink.next++), this.page.slice(0, this.filled)]);
    this.filled = 0;
  }

  /** Ends the stream; its stretches. */
  finish(): typeof this.placed {
    this.endStretch();
    const placed = this.placed;
    this.placed = [];
    return placed;
  }

  close(): void {
    this.flush();
  }
}

/** A row that says the same as the one before in its first two columns is left out. */
const writeTable = (rows: readonly number[], columns: number, sink: PageSink, bitsPerKey: number): Table => {
  const order = inOrder(rows, columns);
  // Streams whose fingerprints meet come one after the other, and not by position.
  const met = order.some((at, i) => rows[at] === rows[order[i - 1]!] && rows[at + 1]! < rows[order[i - 1]! + 1]!);
  if (met) order.sort((a, b) => rows[a]! - rows[b]! || rows[a + 1]! - rows[b + 1]!);
  const writer = new TableWriter(columns, sink, order.length, bitsPerKey);
  let last = -1;
  for (const at of order) {
    if (last < 0 || rows[at] !== rows[last] || rows[at + 1] !== rows[last + 1]) writer.add(rows, at);
    last = at;
  }
  return writer.finish();
};
