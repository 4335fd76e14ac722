/**
 * Reading the log: by position, stream, type and correlation, forward and backward. It needs nothing but a store that can be
 * read, so a process that may not write uses it as it is, and the log itself builds on it.
 */
import { LRUCache } from "lru-cache";
import { isArchived } from "../../actors/kernel/kept.ts";
import type { StoredBlob } from "../../events/blobs.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import { correlationOf, type Event, type StreamId } from "../../events/event.ts";
import { LogFault, type Range } from "../../events/log.ts";
import type { Key, Store } from "../../events/store.ts";
import { raised } from "../../events/upcast.ts";
import { readBlob } from "./blobs.ts";
import { Block, blockHash, LINK_ZERO } from "./block.ts";
import { fingerprintOfId } from "./fingerprint.ts";
import { decodeManifest, Generation, LogIndex, MANIFEST_KEY, type Stretch } from "./index/index.ts";
import { unpackPlace } from "./index/segment.ts";
import { sameBytes } from "./key_encoding.ts";

/** Bytes of blocks kept for point reads and followers, unless said otherwise. */
const CACHE_BYTES_MAX = 32 * 1024 * 1024;
/** Memory for the filters that say "never seen", unless said otherwise. */
export const FILTER_BYTES_MAX = 64 * 1024 * 1024;
/** A segment is built when a generation holds this many events, unless said otherwise. */
const SEGMENT_EVENTS = 16_384;
const PAGE_BLOCKS_MAX = 64;
const PAGE_BLOCKS_MIN = 8;

/** Blocks that hold their events beside their bytes: as many as a commit has, for all who follow the log's end. */
export const PARSED_BLOCKS_MAX = 13;

const LOG_PREFIX = "log";
export const blockKey = (first: number): Key => [LOG_PREFIX, first];

export interface ReaderOptions {
  readonly catalogue: Catalogue;
  /** False: only reading by position is needed, so no index is kept. Default true. */
  readonly index?: boolean;
  /** Events of a segment, at least. Default `SEGMENT_EVENTS`. */
  readonly segmentEvents?: number;
  /** Memory for blocks and index pages read lately. Default `CACHE_BYTES_MAX`. */
  readonly cacheBytesMax?: number;
  /** Memory for the index's filters. Default `FILTER_BYTES_MAX`. */
  readonly filterBytesMax?: number;
}

export class LogReader {
  readonly index: LogIndex;
  /** Hash of the newest block. */
  protected link: Uint8Array = LINK_ZERO;
  protected end = 0;
  protected recorded = "";
  private readonly blocks: LRUCache<number, Block>;
  /** Those that hold their events; whoever reads the whole log must not fill memory with them. */
  private readonly parsed: Block[] = [];
  private readonly text = new TextDecoder();
  /** The manifest that was taken in last. */
  private manifestBytes: Uint8Array | undefined;

  constructor(
    protected readonly store: Pick<Store, "get" | "list" | "bytes" | "close">,
    protected readonly options: ReaderOptions,
  ) {
    const half = (options.cacheBytesMax ?? CACHE_BYTES_MAX) / 2;
    // What of a block is worked out when it is asked for is about as much again as its bytes.
    this.blocks = new LRUCache({ maxSize: half, sizeCalculation: ({ bytes }) => bytes.length * 2 });
    this.index = new LogIndex(store, half, options.filterBytesMax ?? FILTER_BYTES_MAX);
  }

  get size(): number {
    return this.end;
  }

  /** Time at which the newest event was recorded; empty for an empty log. */
  get latest(): string {
    return this.recorded;
  }

  /**
   * Takes in what is in the store: at first, and in a reading process whenever another one has written. The blocks that are
   * new must continue the chain. Answers whether there was anything new.
   */
  refresh(): boolean {
    this.takeManifest();
    if (this.options.index === false) return this.takeNewest();
    let grown = false;
    for (const block of this.blocksFrom(this.end)) {
      this.expectNext(block);
      this.noteWhole(block);
      this.advance(block);
      grown = true;
    }
    return grown;
  }

  private takeManifest(): void {
    const bytes = this.store.get(MANIFEST_KEY);
    // All of it counts: a merge that ends changes neither where the segments end nor the next page.
    if (!bytes || (this.manifestBytes && sameBytes(bytes, this.manifestBytes))) return;
    const manifest = decodeManifest(bytes);
    if (this.options.index !== false) {
      // Of the writer's a generation may have ended early where it went on here; then what is behind its segment is read again.
      const straddled = this.index.generations.some(({ from, until }) =>
        from < manifest.until && manifest.until < until
      );
      if (straddled) this.index.generations.length = 0;
      if (straddled || manifest.until > this.end) this.jump(manifest.until);
      this.index.adopt(manifest);
    }
    this.manifestBytes = bytes;
  }

  /** Without an index only the newest block matters. */
  private takeNewest(): boolean {
    const [newest] = this.store.list({ prefix: [LOG_PREFIX], backward: true, limit: 1 });
    if (!newest) return false;
    const block = new Block(newest[1], newest[0]);
    if (block.until === this.end) return false;
    this.advance(block);
    return true;
  }

  /** Events before `until` are indexed, so they need not be seen. */
  private jump(until: number): void {
    const before = this.blockAt(until - 1, until);
    if (!before || before.until !== until) {
      throw new LogFault("truncated", `the index reaches to position ${until}, the blocks do not`);
    }
    this.advance(before);
  }

  private expectNext(block: Block): void {
    if (block.first !== this.end) {
      throw new LogFault(
        "truncated",
        `the block at position ${this.end} is missing; the next one is at ${block.first}`,
      );
    }
    if (!sameBytes(block.link, this.link)) {
      throw new LogFault("truncated", `the block at position ${block.first} does not link to the one before it`);
    }
  }

  protected advance(block: Block): void {
    this.link = blockHash(block.bytes);
    this.recorded = block.event(block.count - 1).recordedat;
    this.end = block.until;
  }

  protected noteWhole(block: Block): void {
    this.openGeneration(block.first).addWhole(block);
  }

  /** The generation that takes the block at this position. */
  protected openGeneration(first: number): Generation {
    const { generations } = this.index;
    let last = generations.at(-1);
    if (!last || last.ended || last.until - last.from >= (this.options.segmentEvents ?? SEGMENT_EVENTS)) {
      generations.push(last = new Generation(first));
    }
    return last;
  }

  /** The next block begins a new generation. */
  endGeneration(): void {
    const last = this.index.generations.at(-1);
    if (last) last.ended = true;
  }

  /** Blocks before a position are not here any more, nor in memory. */
  forgetBefore(position: number): void {
    for (const first of [...this.blocks.keys()]) if (first < position) this.blocks.delete(first);
    if (this.lately && this.lately.first < position) this.lately = undefined;
    for (const block of this.parsed.splice(0)) block.forget();
  }

  protected remember(block: Block): void {
    this.blocks.set(block.first, block);
    // Whoever appended asks for the new entries next.
    this.lately = block;
  }

  /** Blocks from the one that holds `from` on, a page at a time, so that no read is held open between them. */
  protected *blocksFrom(from: number, until = Infinity): Iterable<Block> {
    let limit = PAGE_BLOCKS_MIN;
    for (let next = from; next < until;) {
      const known = this.blocks.get(next);
      if (known) {
        next = known.until;
        yield known;
        continue;
      }
      const start = next === from ? this.floor(next) : next;
      if (start === undefined) return;
      const page = [
        ...this.store.list({ prefix: [LOG_PREFIX], from: start, limit, ...(until === Infinity ? {} : { until }) }),
      ];
      const before = next;
      for (const [first, bytes] of page) {
        const block = new Block(bytes, first);
        if (block.until <= next) continue;
        if (first > next) {
          throw new LogFault("truncated", `the block at position ${next} is missing; the next one is at ${first}`);
        }
        next = block.until;
        yield block;
      }
      // The block before is all there is.
      if (next === before) return;
      limit = Math.min(PAGE_BLOCKS_MAX, limit * 2);
    }
  }

  private *blocksBackFrom(last: number, from: number): Iterable<Block> {
    for (let at = last; at >= from;) {
      const page = [
        ...this.store.list({ prefix: [LOG_PREFIX], until: at + 1, backward: true, limit: PAGE_BLOCKS_MIN }),
      ];
      if (page.length === 0) return;
      for (const [first, bytes] of page) {
        if (at < from) return;
        yield new Block(bytes, first);
        at = first - 1;
      }
    }
  }

  private floor(position: number): number | undefined {
    const [found] = this.store.list({ prefix: [LOG_PREFIX], until: position + 1, backward: true, limit: 1 });
    return found?.[0];
  }

  /** The block that holds a position below `size`. */
  protected blockAt(position: number, size = this.end): Block | undefined {
    if (position < 0 || position >= size) return undefined;
    const known = this.recent(position);
    if (known) return this.lately = known;
    const [found] = this.store.list({ prefix: [LOG_PREFIX], until: position + 1, backward: true, limit: 1 });
    if (!found) return undefined;
    const block = this.blocks.get(found[0]) ?? new Block(found[1], found[0]);
    if (position >= block.until) {
      throw new LogFault("truncated", `the block that holds position ${position} is missing`);
    }
    this.blocks.set(block.first, block);
    this.lately = block;
    return block;
  }

  private lately: Block | undefined;
  private recent(position: number): Block | undefined {
    const block = this.lately;
    return block && position >= block.first && position < block.until ? block : this.blocks.get(position);
  }

  /** The event at a position, as recorded, before any upcast. */
  protected stored(position: number): Event | undefined {
    const block = this.blockAt(position);
    return block?.event(position - block.first);
  }

  entry(position: number): Uint8Array | undefined {
    const block = this.blockAt(position);
    return block?.entry(position - block.first);
  }

  leaf(position: number): Uint8Array | undefined {
    const block = this.blockAt(position);
    return block?.leaf(position - block.first);
  }

  find(source: string, id: string): Event | undefined {
    const found = this.findStored(source, id, fingerprintOfId(source, id));
    return found && this.upcast([found])[0];
  }

  /** `settled`: see `LogIndex.idCandidates`. */
  findStored(source: string, id: string, fp: number, settled = true): Event | undefined {
    for (const position of this.index.idCandidates(fp, settled)) {
      const event = this.stored(position);
      if (event && event.source === source && event.id === id) return event;
    }
    return undefined;
  }

  head(stream: StreamId): number {
    const known = this.index.tailHead(stream);
    if (known !== undefined) return known;
    for (const stretch of this.index.newest(stream)) {
      if (this.isOf(stretch.position, stream)) return stretch.revision + stretch.count - 1;
    }
    return -1;
  }

  /** Of an event that was archived the index alone tells: 53 bits of the stream's name. Else nobody could go on with an old stream. */
  private isOf(position: number, stream: StreamId): boolean {
    try {
      return this.stored(position)?.stream === stream;
    } catch (error) {
      if (isArchived(error)) return true;
      throw error;
    }
  }

  positionAt(time: string): number {
    const wanted = Date.parse(time);
    let low = 0;
    let high = this.end;
    let archived = false;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      let before: boolean;
      try {
        before = Date.parse(this.stored(middle)!.recordedat) < wanted;
      } catch (error) {
        if (!isArchived(error)) throw error;
        before = archived = true;
      }
      before ? low = middle + 1 : high = middle;
    }
    // What was archived may have been recorded at that time, too; if it was the last of it that nobody can tell.
    if (archived && low > 0) this.stored(low - 1);
    return low;
  }

  blob(sha256: string): StoredBlob | undefined {
    return readBlob(this.store, sha256);
  }

  read(range: Range): Iterable<readonly Event[]> {
    // Fixed here and not in the generator, which begins only when it is first asked.
    return this.batches(range, Math.max(0, range.from ?? 0), Math.min(range.until ?? Infinity, this.end));
  }

  private *batches(range: Range, from: number, until: number): Iterable<readonly Event[]> {
    let left = range.limit ?? Infinity;
    if (left <= 0) return;
    for (const batch of this.candidates({ ...range, from, until })) {
      const kept = batch.filter((event) => matches(event, range, from, until));
      if (kept.length === 0) continue;
      const page = kept.length > left ? kept.slice(0, left) : kept;
      left -= page.length;
      yield this.upcast(page);
      if (left <= 0) return;
    }
  }

  private eventsOf(block: Block): readonly Event[] {
    if (!block.isParsed) {
      this.parsed.push(block);
      if (this.parsed.length > PARSED_BLOCKS_MAX) this.parsed.shift()!.forget();
    }
    return block.events();
  }

  /** Batches in the order asked for that hold all the range asks for, and perhaps more. */
  private *candidates(range: Range & { from: number; until: number }): Iterable<readonly Event[]> {
    const { from, until, stream, types, correlation, backward = false } = range;
    if (from >= until) return;
    if (stream !== undefined) {
      for (const stretch of this.index.stretches(stream, range.revision ?? 0, backward)) {
        if (stretch.position >= until || stretch.position + (stretch.place ? Infinity : stretch.count) <= from) {
          continue;
        }
        const events = this.stretch(stretch);
        yield backward ? events.toReversed() : events;
      }
    } else if (types !== undefined || correlation !== undefined) {
      const firsts = this.index.blocks(correlation === undefined ? { types: types! } : { correlation }, from);
      for (const first of backward ? firsts.toReversed() : firsts) {
        if (first >= until) continue;
        const block = this.blockFor(first, from);
        if (!block || block.until <= from) continue;
        yield backward ? this.eventsOf(block).toReversed() : this.eventsOf(block);
      }
    } else if (backward) {
      for (const block of this.blocksBackFrom(until - 1, from)) yield this.eventsOf(block).toReversed();
    } else {
      for (const block of this.blocksFrom(from, until)) yield this.eventsOf(block);
    }
  }

  /** The block at `first`, for who wants what lies from `from` on: one that was archived may lie before that as a whole. */
  private blockFor(first: number, from: number): Block | undefined {
    try {
      return this.blockAt(first);
    } catch (error) {
      if (!isArchived(error) || from >= this.end) throw error;
      this.blockAt(from); // throws if that was archived, too
      return undefined;
    }
  }

  private stretch({ position, count, place }: Stretch): readonly Event[] {
    if (place !== 0) {
      const { page, offset, length } = unpackPlace(place);
      return JSON.parse(this.text.decode(this.index.pages.bytes(page).subarray(offset, offset + length)));
    }
    const block = this.blockAt(position)!;
    const index = position - block.first;
    if (count * 2 > block.count) return this.eventsOf(block).slice(index, index + count);
    return Array.from({ length: count }, (_, i) => block.event(index + i));
  }

  protected upcast(events: readonly Event[]): readonly Event[] {
    return raised(this.options.catalogue, events);
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

const matches = (event: Event, range: Range, from: number, until: number): boolean =>
  event.position >= from && event.position < until &&
  (range.stream === undefined || (event.stream === range.stream && event.revision >= (range.revision ?? 0))) &&
  (range.types === undefined || range.types.includes(event.type)) &&
  (range.correlation === undefined || correlationOf(event) === range.correlation);
