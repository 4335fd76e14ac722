/**
 * A log whose first blocks lie in an archive. Their entries are in a folder of entry bundles (C2SP tlog-tiles), which knows nothing of
 * blocks; where each block began, and what it linked to, stays here, so that every block can be made again, byte for byte. Tiles, index,
 * checkpoints and blobs stay, too.
 *
 * Rows: `["archived"]` says how far (`ArchivedMark`); `["archive", n]` has the blocks from number n on, at most `BLOCKS_PER_ROW`, each as
 * its first position (8 bytes, big-endian) and its link (32).
 */
import { Buffer } from "node:buffer";
import { LRUCache } from "lru-cache";
import type { Event, StreamId } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch, Key, Span, Store } from "../../events/store.ts";
import { TILE_WIDTH } from "../../events/tiles.ts";
import { Block, blockHash, encodeBlock, type Run } from "./block.ts";
import { fingerprint } from "./fingerprint.ts";

const ARCHIVED_KEY: Key = ["archived"];
const ROWS = "archive";
export const BLOCKS_PER_ROW = 1_000;
const RECORD = 40;
const ROWS_PER_COMMIT = 16;
const DELETES_PER_COMMIT = 200;
const PAGE_BLOCKS = 16;
/** Rows of bounds in memory, 40 KB each. */
const ROWS_KEPT = 16;

export interface ArchivedMark {
  /** Entries below are in the archive; a multiple of 256. */
  readonly until: number;
  /** First position of the first block that is kept: at most `until`. */
  readonly kept: number;
  /** What that block links to, base64. */
  readonly link: string;
  /** Blocks that are not kept. */
  readonly blocks: number;
  /** Entries below `kept` that a verifier needs to know whose log it is: position, and its bytes in base64. */
  readonly told: readonly (readonly [number, string])[];
}

/** What can be asked of an archive. */
export interface ArchivedEntries {
  /** The exact bytes of an entry. Throws `LogFault` where the archive lacks it, and says which bundle that is. */
  entry(position: number): Uint8Array | undefined;
}

type Reading = Pick<Store, "get" | "list" | "bytes" | "close">;

export const markOf = (store: Pick<Store, "get">): ArchivedMark | undefined => {
  const stored = store.get(ARCHIVED_KEY);
  return stored && JSON.parse(new TextDecoder().decode(stored));
};

/** Archived events that are told beside the archive, by position. */
export const toldEvents = (store: Pick<Store, "get">): readonly Event[] =>
  (markOf(store)?.told ?? []).map(([, entry]) => JSON.parse(Buffer.from(entry, "base64").toString()) as Event);

/** Where archived blocks begin, and what they linked to; read a row at a time, as there may be a block for each event. */
class Bounds {
  private readonly rows = new LRUCache<number, Buffer>({ max: ROWS_KEPT });
  /** Where the first block of a row begins, of rows that were read. */
  private readonly begins = new Map<number, number>();

  constructor(private readonly store: Pick<Store, "get">, readonly mark: ArchivedMark) {}

  first(number: number): number {
    return number >= this.mark.blocks ? this.mark.kept : Number(this.record(number).readBigUInt64BE());
  }

  link(number: number): Uint8Array {
    return number >= this.mark.blocks ? Buffer.from(this.mark.link, "base64") : this.record(number).subarray(8);
  }

  /** Number of the first block that begins at `position` or later. */
  from(position: number): number {
    const rows = Math.ceil(this.mark.blocks / BLOCKS_PER_ROW);
    const next = lowest(0, rows, (row) => this.begin(row) >= position);
    const first = Math.max(0, next - 1) * BLOCKS_PER_ROW;
    const until = Math.min(next * BLOCKS_PER_ROW, this.mark.blocks);
    return lowest(first, until, (number) => this.first(number) >= position);
  }

  private begin(row: number): number {
    let known = this.begins.get(row);
    if (known === undefined) this.begins.set(row, known = this.first(row * BLOCKS_PER_ROW));
    return known;
  }

  private record(number: number): Buffer {
    const at = (number % BLOCKS_PER_ROW) * RECORD;
    const record = this.row(number - number % BLOCKS_PER_ROW).subarray(at, at + RECORD);
    if (record.length === RECORD) return record;
    throw new LogFault("truncated", "where the archived blocks begin is not known any more");
  }

  private row(first: number): Buffer {
    let known = this.rows.get(first);
    if (known === undefined) this.rows.set(first, known = Buffer.from(this.store.get([ROWS, first]) ?? []));
    return known;
  }
}

/** The lowest whole number from `low` on for which it is so, and with it for all above; `high` where it is for none below that. */
const lowest = (low: number, high: number, isSo: (number: number) => boolean): number => {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isSo(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
};

/** A store as if nothing had been archived. Without an archive, whoever asks for what is there is told so. */
export class ArchivedReader implements Reading {
  private bounds: Bounds | undefined;

  constructor(
    protected readonly store: Reading & Pick<Store, "seal">,
    private readonly archive: ArchivedEntries | undefined,
  ) {}

  get seal(): string | undefined {
    return this.store.seal;
  }

  get(key: Key): Uint8Array | undefined {
    return this.store.get(key);
  }

  bytes(): number {
    return this.store.bytes();
  }

  close(): Promise<void> {
    return this.store.close();
  }

  *list(span: Span): Iterable<readonly [number, Uint8Array]> {
    const found = this.store.list(span);
    if (span.prefix.length !== 1 || span.prefix[0] !== "log") return yield* found;
    const kept = [...found];
    // What is there tells whether something may be missing below it, without a look at what is archived.
    yield* span.backward ? this.backward(span, kept) : this.forward(span, kept);
  }

  private *forward(
    { from = 0, until = Infinity, limit = Infinity }: Span,
    kept: readonly (readonly [number, Uint8Array])[],
  ) {
    const lowest = kept[0]?.[0] ?? Infinity;
    const bounds = lowest > from ? this.known() : undefined;
    let left = limit;
    if (bounds) {
      const end = Math.min(until, lowest, bounds.mark.kept);
      for (
        let number = bounds.from(from);
        left > 0 && number < bounds.mark.blocks && bounds.first(number) < end;
        number++
      ) {
        yield this.made(bounds, number);
        left--;
      }
    }
    yield* kept.slice(0, left);
  }

  private *backward(
    { from = 0, until = Infinity, limit = Infinity }: Span,
    kept: readonly (readonly [number, Uint8Array])[],
  ) {
    yield* kept;
    const lowest = kept.at(-1)?.[0] ?? until;
    const bounds = kept.length < limit && lowest > from ? this.known() : undefined;
    // Who reads back may have enough already; else they come again.
    if (!bounds || (kept.length > 0 && !this.archive)) return;
    let left = limit - kept.length;
    for (let number = bounds.from(Math.min(lowest, bounds.mark.kept)) - 1; left > 0 && number >= 0; number--) {
      if (bounds.first(number) < from) return;
      yield this.made(bounds, number);
      left--;
    }
  }

  private known(): Bounds | undefined {
    const mark = markOf(this.store);
    if (mark && (this.bounds?.mark.kept !== mark.kept)) this.bounds = new Bounds(this.store, mark);
    return this.bounds;
  }

  /** A block as it was, to which the one behind it links; what else the archive may hold is nobody's to read. */
  private made(bounds: Bounds, number: number): readonly [number, Uint8Array] {
    const { archive } = this;
    const [first, until] = [bounds.first(number), bounds.first(number + 1)];
    if (!archive) throw notHere(bounds.mark);
    const entries = Array.from({ length: until - first }, (_, i) => archive.entry(first + i)!);
    const block = tried(() => blockOf(first, entries, bounds.link(number)));
    if (block && Buffer.compare(blockHash(block), bounds.link(number + 1)) === 0) return [first, block];
    const because = `what it holds from position ${first} to ${until - 1} is not what was archived`;
    throw new LogFault("archived", `the archive is damaged: ${because}`, { cause: new LogFault("truncated", because) });
  }
}

const notHere = ({ until, kept }: ArchivedMark): LogFault =>
  new LogFault(
    "archived",
    `what lies before position ${kept} was archived (entry bundles 0 to ${until / TILE_WIDTH - 1}); ` +
      "it can be read where the archive is attached: log.archive in the configuration, or --archive",
  );

/** `undefined` where it cannot be made. */
const tried = <T>(make: () => T): T | undefined => {
  try {
    return make();
  } catch {
    return undefined;
  }
};

const text = new TextDecoder();

const blockOf = (first: number, entries: readonly Uint8Array[], link: Uint8Array): Uint8Array => {
  const texts = entries.map((entry) => text.decode(entry));
  const runs: Run[] = [];
  let stream: string | undefined;
  for (const entry of texts) {
    const event = JSON.parse(entry) as { readonly stream: string; readonly revision: number };
    if (event.stream !== stream) {
      stream = event.stream;
      runs.push({ fingerprint: fingerprint(stream), revision: event.revision, count: 0 });
    }
    runs.at(-1)!.count++;
  }
  const lengths = entries.map(({ length }) => length);
  const bytes = lengths.reduce((sum, length) => sum + length, 0);
  return encodeBlock({ first, runs, text: ["[", texts.join(",")], lengths, bytes }, link);
};

/** The same, to be written. */
export class ArchivedStore extends ArchivedReader implements Store {
  constructor(protected override readonly store: Store, archive: ArchivedEntries | undefined) {
    super(store, archive);
  }

  get lost(): LogFault | undefined {
    return this.store.lost;
  }

  commit(batch: Batch): Promise<boolean> {
    return this.store.commit(batch);
  }
}

/** What is about to be let go, found out before anything is written. */
export interface LettingGo {
  readonly mark: ArchivedMark;
  /** From number `from` on. */
  readonly from: number;
  /** As they are stored, `RECORD` bytes for each block. */
  readonly records: Uint8Array;
  /** Entities whose facts go. */
  readonly streams: ReadonlySet<StreamId>;
}

/**
 * The whole blocks below `until`, a multiple of 256. `tells`: types of entries that a verifier is to find without the archive; `entities`:
 * whether streams of a domain are named; `turn`: lets others have theirs, after a few ms of work each. `undefined` where there is none that
 * is not archived already.
 */
export const lettingGo = async (
  store: Pick<Store, "get" | "list">,
  until: number,
  { tells, entities, turn }: {
    readonly tells: readonly string[];
    readonly entities: (domain: string) => boolean;
    readonly turn: () => Promise<void>;
  },
): Promise<LettingGo | undefined> => {
  const before = markOf(store);
  const parts: Uint8Array[] = [];
  let blocks = before?.blocks ?? 0;
  const told = [...before?.told ?? []];
  const streams = new Set<StreamId>();
  let [next, link] = [
    before?.kept ?? 0,
    before ? Buffer.from(before.link, "base64") as Uint8Array : new Uint8Array(32),
  ];
  for (let more = true; more;) {
    const page = [...store.list({ prefix: ["log"], from: next, limit: PAGE_BLOCKS })];
    more = page.length > 0;
    const records = Buffer.alloc(page.length * RECORD);
    let at = 0;
    for (const [first, bytes] of page) {
      const block = new Block(bytes, first);
      if (block.until > until) {
        more = false;
        break;
      }
      records.writeBigUInt64BE(BigInt(first), at);
      records.set(block.link, at + 8);
      at += RECORD;
      for (let i = 0; i < block.count; i++) {
        const { type, stream } = block.attributes(i);
        if (entities(stream.slice(0, stream.indexOf("/")))) streams.add(stream as StreamId);
        if (!tells.includes(type)) continue;
        told.push([first + i, Buffer.from(block.entry(i)).toString("base64")]);
      }
      [next, link] = [block.until, blockHash(bytes)];
    }
    parts.push(records.subarray(0, at));
    blocks += at / RECORD;
    await turn();
  }
  const from = before?.blocks ?? 0;
  if (blocks === from) return undefined;
  const mark = { until, kept: next, link: Buffer.from(link).toString("base64"), blocks, told };
  return { mark, from, records: Buffer.concat(parts), streams };
};

/** Says what is archived, durable when it resolves; only then are blocks deleted, by `deleteArchived`. */
export const markArchived = async (store: Store, { mark, from, records }: LettingGo): Promise<void> => {
  const first = from - from % BLOCKS_PER_ROW;
  const begun = store.get([ROWS, first])?.subarray(0, (from - first) * RECORD) ?? new Uint8Array();
  // Rows that no mark speaks of are of no account.
  for (let row = first; row < mark.blocks; row += ROWS_PER_COMMIT * BLOCKS_PER_ROW) {
    const puts: (readonly [Key, Uint8Array])[] = [];
    for (let at = row; at < mark.blocks && puts.length < ROWS_PER_COMMIT; at += BLOCKS_PER_ROW) {
      const some = records.subarray(Math.max(0, at - from) * RECORD, (at - from + BLOCKS_PER_ROW) * RECORD);
      puts.push([[ROWS, at], Uint8Array.from(at === first ? Buffer.concat([begun, some]) : some)]);
    }
    await store.commit({ puts });
  }
  await store.commit({ puts: [[ARCHIVED_KEY, new TextEncoder().encode(JSON.stringify(mark))]] });
};

/** Deletes the blocks that are archived and still there, the first ones first. May be repeated. Answers how many it deleted. */
export const deleteArchived = async (store: Store): Promise<number> => {
  const mark = markOf(store);
  let count = 0;
  while (mark) {
    const page = [...store.list({ prefix: ["log"], until: mark.kept, limit: DELETES_PER_COMMIT })];
    if (page.length === 0) break;
    await store.commit({ puts: [], deletes: page.map(([first]) => ["log", first] as const) });
    count += page.length;
  }
  return count;
};
