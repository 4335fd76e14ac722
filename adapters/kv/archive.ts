/**
 * A log whose first blocks lie in an archive. Their entries are in a folder of entry bundles (C2SP tlog-tiles), which knows nothing of
 * blocks; where each block began, and what it linked to, stays here, so that every block can be made again, byte for byte. Tiles, index,
 * checkpoints and blobs stay, too.
 *
 * Rows: `["archived"]` says how far (`ArchivedMark`); `["archive", n]` has the blocks from number n on, at most `BLOCKS_PER_ROW`, each as
 * its first position (8 bytes, big-endian) and its link (32).
 */
import { Buffer } from "node:buffer";
import type { Event, StreamId } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch, Key, Span, Store } from "../../events/store.ts";
import { TILE_WIDTH } from "../../events/tiles.ts";
import { Block, blockHash, encodeBlock, type Run } from "./block.ts";
import { fingerprint } from "./fingerprint.ts";

export const ARCHIVED_KEY: Key = ["archived"];
const ROWS = "archive";
export const BLOCKS_PER_ROW = 1_000;
const RECORD = 40;
const ROWS_PER_COMMIT = 16;
const DELETES_PER_COMMIT = 200;
const PAGE_BLOCKS = 64;

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

/** Where archived blocks begin, and what they link to. */
class Bounds {
  private readonly bytes: Buffer;

  constructor(store: Pick<Store, "list">, readonly mark: ArchivedMark) {
    const rows = [...store.list({ prefix: [ROWS], until: mark.blocks })].map(([, bytes]) => bytes);
    this.bytes = Buffer.concat(rows).subarray(0, mark.blocks * RECORD);
    if (this.bytes.length !== mark.blocks * RECORD) {
      throw new LogFault("truncated", "where the archived blocks begin is not known any more");
    }
  }

  first(number: number): number {
    return number >= this.mark.blocks ? this.mark.kept : Number(this.bytes.readBigUInt64BE(number * RECORD));
  }

  link(number: number): Uint8Array {
    return this.bytes.subarray(number * RECORD + 8, (number + 1) * RECORD);
  }

  /** Number of the first block that begins at `position` or later. */
  from(position: number): number {
    let [low, high] = [0, this.mark.blocks];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.first(middle) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

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

  /** A block as it was. */
  private made(bounds: Bounds, number: number): readonly [number, Uint8Array] {
    const { archive } = this;
    const [first, until] = [bounds.first(number), bounds.first(number + 1)];
    if (!archive) throw notHere(bounds.mark);
    const entries = Array.from({ length: until - first }, (_, i) => archive.entry(first + i)!);
    return [first, blockOf(first, entries, bounds.link(number))];
  }
}

const notHere = ({ until, kept }: ArchivedMark): LogFault =>
  new LogFault(
    "archived",
    `what lies before position ${kept} was archived (entry bundles 0 to ${until / TILE_WIDTH - 1}); ` +
      "it can be read where the archive is attached: log.archive in the configuration, or --archive",
  );

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

  commit(batch: Batch): Promise<boolean> {
    return this.store.commit(batch);
  }
}

/** What is about to be let go, found out before anything is written. */
export interface LettingGo {
  readonly mark: ArchivedMark;
  /** From number `from` on. */
  readonly from: number;
  readonly bounds: readonly { readonly first: number; readonly link: Uint8Array }[];
  /** Entities whose facts go. */
  readonly streams: ReadonlySet<StreamId>;
}

/**
 * The whole blocks below `until`, a multiple of 256. `tells`: types of entries that a verifier is to find without the archive; `entities`:
 * whether streams of a domain are named. `undefined` where there is none that is not archived already.
 */
export const lettingGo = (
  store: Pick<Store, "get" | "list">,
  until: number,
  { tells, entities }: { readonly tells: readonly string[]; readonly entities: (domain: string) => boolean },
): LettingGo | undefined => {
  const before = markOf(store);
  const bounds: { first: number; link: Uint8Array }[] = [];
  const told = [...before?.told ?? []];
  const streams = new Set<StreamId>();
  let [next, link] = [
    before?.kept ?? 0,
    before ? Buffer.from(before.link, "base64") as Uint8Array : new Uint8Array(32),
  ];
  for (let more = true; more;) {
    const page = [...store.list({ prefix: ["log"], from: next, limit: PAGE_BLOCKS })];
    more = page.length > 0;
    for (const [first, bytes] of page) {
      const block = new Block(bytes, first);
      if (block.until > until) {
        more = false;
        break;
      }
      bounds.push({ first, link: block.link.slice() });
      for (let i = 0; i < block.count; i++) {
        const { type, stream } = block.attributes(i);
        if (entities(stream.slice(0, stream.indexOf("/")))) streams.add(stream as StreamId);
        if (!tells.includes(type)) continue;
        told.push([first + i, Buffer.from(block.entry(i)).toString("base64")]);
      }
      [next, link] = [block.until, blockHash(bytes)];
    }
  }
  if (bounds.length === 0) return undefined;
  const from = before?.blocks ?? 0;
  const mark = { until, kept: next, link: Buffer.from(link).toString("base64"), blocks: from + bounds.length, told };
  return { mark, from, bounds, streams };
};

/** Says what is archived, durable when it resolves; only then are blocks deleted, by `deleteArchived`. */
export const markArchived = async (store: Store, { mark, from, bounds }: LettingGo): Promise<void> => {
  const first = from - from % BLOCKS_PER_ROW;
  const begun = store.get([ROWS, first])?.subarray(0, (from - first) * RECORD) ?? new Uint8Array();
  const records = Buffer.concat([
    begun,
    ...bounds.map((bound) => {
      const record = Buffer.alloc(RECORD);
      record.writeBigUInt64BE(BigInt(bound.first));
      record.set(bound.link, 8);
      return record;
    }),
  ]);
  const rows: (readonly [Key, Uint8Array])[] = [];
  for (let at = 0; at < records.length; at += BLOCKS_PER_ROW * RECORD) {
    rows.push([[ROWS, first + at / RECORD], Uint8Array.from(records.subarray(at, at + BLOCKS_PER_ROW * RECORD))]);
  }
  // Rows that no mark speaks of are of no account.
  while (rows.length > 0) await store.commit({ puts: rows.splice(0, ROWS_PER_COMMIT) });
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
