/**
 * The log: one writer over a store. Concurrent appends share commits: when idle one goes at once, while one is on its way the
 * next gather behind it. A commit is some consecutive blocks, each under its own key; the first must be absent, which is the
 * check that nobody else has written.
 *
 * What is derived (tree, index) follows behind, see `behind.ts`.
 */
import { pause } from "../../actors/kernel/world.ts";
import type { BlobRef } from "../../events/blobs.ts";
import type { Event, StreamId } from "../../events/event.ts";
import {
  type Append,
  type Appended,
  type Checkpoint,
  type EventLog,
  type HashTree,
  type Heard,
  LogFault,
} from "../../events/log.ts";
import type { Key, Store } from "../../events/store.ts";
import type { StartBackground } from "./background.ts";
import { Behind, type Followed } from "./behind.ts";
import { BlobWriter } from "./blobs.ts";
import { Block } from "./block.ts";
import { fingerprint } from "./fingerprint.ts";
import { decodeFormat, encodeFormat, expectSeal, FORMAT_KEY } from "./format.ts";
import { COMMIT_EVENTS_MAX, type Ground, Group, type Riding, type Waiting, type Written } from "./group.ts";
import { StoredTree } from "./hash_tree.ts";
import { sameBytes } from "./key_encoding.ts";
import { LOG_BOUNDS, type LogBounds, type LogOptions } from "./log_options.ts";
import { News } from "./news.ts";
import { type Entry, prepare } from "./place.ts";
import { blockKey, LogReader } from "./reader.ts";

/** While so few appends wait, one commit takes them all; of more it takes half, so that the others are made ready meanwhile. */
const DEPART_APPENDS_MIN = 64;
/**
 * Of those who come back as soon as they are answered so many go into one commit, while the parts of their entries have so many bytes; with
 * what their places add that is less than the thread that asks writes at once (`HERE` in `writer.ts`).
 */
const TOGETHER = { appends_max: 256, bytes_max: 192 * 1_024 } as const;
/** After so many commits of one append each, behind which nobody had come meanwhile, nobody is expected to come. */
const ALONE_COMMITS = 4;
/** So long appends that write nothing may keep the event loop from its turn. */
const STAY_MS = 1;
/** How long closing waits for what follows the commits; nothing is lost when it does not. */
const CLOSE_MS_MAX = 10_000;
/** Fingerprints of streams that are remembered. */
const FINGERPRINTS_MAX = 65_536;
/** Faults of a commit of which nothing was written for certain. */
const NOT_WRITTEN: ReadonlySet<LogFault["kind"]> = new Set(["locked", "full", "too_large", "read_only", "closed"]);
const NOTHING: readonly never[] = [];

/** A commit that is durable and whose appends have not been answered. */
interface Landed {
  readonly appends: number;
  /** As they waited, see `Waiting`. */
  readonly bytes: number;
  answer(): void;
}

export class KvLog extends LogReader implements EventLog, Ground, Followed {
  /** Since it was opened: commits, their events, and the time they took. */
  readonly counts = { commits: 0, events: 0, ms: 0 };
  private readonly queue: Waiting[] = [];
  private queuedBytes = 0;
  private queuedEvents = 0;
  private readonly bounds: LogBounds;
  private pumping: Promise<void> | undefined;
  /** Whether those who were answered last appended again at once. */
  private returning = false;
  /** Commits of one append, one after the other, behind which nobody had come. */
  private alone: number = ALONE_COMMITS;
  /** When the event loop had its turn last for want of a commit. */
  private turned = -Infinity;
  /** No more appends are taken. */
  private stopping = false;
  /** Everything ends. */
  private closing = false;
  private closed: Promise<void> | undefined;
  private fenced: LogFault | undefined;
  private refused: Error | undefined;
  private lastBytes = 0;
  private readonly news = new News();
  private readonly fingerprints = new Map<StreamId, number>();
  /** Of entries that are looked for together. */
  private readonly looking = { ids: new Float64Array(COMMIT_EVENTS_MAX), marks: new Uint8Array(COMMIT_EVENTS_MAX) };
  private readonly blobs: BlobWriter;
  private behind!: Behind;
  readonly tree: HashTree;

  private constructor(protected override readonly store: Store, protected override readonly options: LogOptions) {
    super(store, { ...options, filterBytesMax: options.bounds?.filter_bytes_max });
    this.bounds = { ...LOG_BOUNDS, ...options.bounds };
    this.tree = new StoredTree(store);
    this.blobs = new BlobWriter(store, {
      clock: options.clock,
      bytesMax: this.bounds.blobs_bytes_max,
      check: () => {
        if (this.fenced) throw this.fenced;
      },
      fenced: (fault) => this.fence(fault),
    });
  }

  /**
   * Opens what is in the store, or begins a log in an empty one. The store is the log's from here on; it is closed with it,
   * and when opening fails. Throws `LogFault` `newer`, `foreign`, `truncated` or `sealed`.
   */
  static async open(store: Store, options: LogOptions): Promise<KvLog> {
    const log = new KvLog(store, options);
    try {
      await log.begin();
      return log;
    } catch (fault) {
      await store.close();
      throw fault;
    }
  }

  private async begin(): Promise<void> {
    const format = this.store.get(FORMAT_KEY);
    if (format) expectSeal(decodeFormat(format).seal, this.store.seal);
    else {
      if ([...this.store.list({ prefix: ["log"], limit: 1 })].length > 0) {
        throw new LogFault("foreign", "the database has blocks but no format");
      }
      await this.store.commit({ absent: FORMAT_KEY, puts: [[FORMAT_KEY, encodeFormat(this.store.seal)]] });
    }
    this.refresh();
    const { clock, background, signer } = this.options;
    this.behind = new Behind(this.store, this, this.news, {
      clock,
      background,
      lendWaitMs: this.options.backgroundWaitMs ?? 0,
      ...(signer ? { signer } : {}),
      checkpointMs: this.bounds.checkpoint_ms,
      tailEventsMax: this.bounds.tail_events_max,
      filterBytesMax: this.bounds.filter_bytes_max,
      trouble: (line) => this.options.trouble?.(line),
    });
  }

  /** Lets another make tree and index until the signal aborts or the log closes; rejects when it dies. Nothing acknowledged depends on it. */
  behindBy(background: StartBackground, signal: AbortSignal): Promise<void> {
    return this.behind.lend(background, signal);
  }

  /** Of a log that is fenced nobody knows what comes next, so nobody may decide on it; what is in it can be read. */
  override head(stream: StreamId): number {
    if (this.fenced) throw this.fenced;
    return super.head(stream);
  }

  get equal(): LogOptions["equal"] {
    return this.options.equal;
  }

  get checkpointed(): Checkpoint | undefined {
    return this.behind.checkpointed;
  }

  get indexed(): number {
    return this.index.manifest.until;
  }

  /** Why nothing is written: after a commit that the disk refused, until one goes through, and while what is written would be lost. */
  get unwritable(): Error | undefined {
    return this.fenced ?? this.store.lost ?? this.refused;
  }

  /** What tree or index met last, while they try it again. */
  get hindered(): Error | undefined {
    return this.behind.hindered;
  }

  get bytes(): number {
    try {
      this.lastBytes = this.store.bytes();
    } catch {
      // Who asks how the log is is to be told also where it cannot be read.
    }
    return this.lastBytes;
  }

  append(batch: Append): Promise<Appended> {
    try {
      if (this.fenced) throw this.fenced;
      if (this.stopping) throw new LogFault("closed", "the log is closed");
      const entries = prepare(batch);
      const bytes = entries.reduce((sum, { partBytes }) => sum + partBytes, 0);
      const { queue_events_max, queue_bytes_max } = this.bounds;
      if (this.queuedEvents + entries.length > queue_events_max || this.queuedBytes + bytes > queue_bytes_max) {
        throw new LogFault("overloaded", "too many appends are waiting for the disk");
      }
      return new Promise((resolve, reject) => {
        this.queue.push({ entries, expected: batch.expected ?? NOTHING, bytes, resolve, reject });
        this.queuedBytes += bytes;
        this.queuedEvents += entries.length;
        this.pumping ??= this.pump();
      });
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  putBlob(bytes: Uint8Array): Promise<BlobRef> {
    if (this.stopping) return Promise.reject(new LogFault("closed", "the log is closed"));
    return this.fenced ? Promise.reject(this.fenced) : this.blobs.put(bytes);
  }

  /**
   * One commit is on its way at a time. When it is durable the next one leaves first, with whoever waits by then, and only then
   * its own are answered: what they do next, and what they append next, is made ready while the disk is busy. A few who come back
   * as soon as they are answered are answered first, and go together: one flush for all of them takes less than two of half of them.
   */
  private async pump(): Promise<void> {
    let landed: Landed | undefined;
    while (this.queue.length > 0 || landed) {
      const full = this.behind.tooFar(this.bounds.tail_events_max);
      if (landed && (full || (this.returning && this.fitTogether(landed)))) {
        await this.answered(landed);
        landed = undefined;
      }
      if (!landed) await this.settled();
      if (full) {
        await this.behind.indexed(this.bounds.tail_events_max, () => this.stopping || this.fenced !== undefined);
      }
      const hasAsked = this.queue.length > 0;
      const flying = hasAsked ? this.depart(landed?.appends ?? 0) : undefined;
      if (landed) await this.answered(landed);
      landed = await flying;
      if (hasAsked && !flying) await this.turn();
      if (landed) this.alone = landed.appends === 1 && this.queue.length === 0 ? this.alone + 1 : 0;
    }
    this.pumping = undefined;
  }

  /** Appends that write nothing, as repeats, wait for no disk: who only ever sends such would keep everybody else from the event loop. */
  private async turn(): Promise<void> {
    const { clock } = this.options;
    if (clock.monotonic() - this.turned < STAY_MS) return;
    await pause(clock, 0);
    this.turned = clock.monotonic();
  }

  private fitTogether({ appends, bytes }: Pick<Landed, "appends" | "bytes">): boolean {
    return this.queue.length + appends <= TOGETHER.appends_max && this.queuedBytes + bytes <= TOGETHER.bytes_max;
  }

  /** Answers them, and sees who comes back at once. */
  private async answered(landed: Landed): Promise<void> {
    const { length } = this.queue;
    landed.answer();
    await this.settled(length - 1);
    this.returning = (this.queue.length - length) * 2 >= landed.appends;
  }

  /** Those who have just been answered are about to come back: waits while the queue still grows from what it was. */
  private async settled(before = 0): Promise<void> {
    while (this.queue.length > before) {
      before = this.queue.length;
      await null;
      await null;
      await null;
    }
  }

  /** Sends the next commit on its way; `coming` appends are about to be answered. Nothing is on its way when nothing is to be written. */
  private depart(coming: number): Promise<Landed | undefined> | undefined {
    const waiting = this.queue.length + coming;
    const together = this.returning && this.fitTogether({ appends: coming, bytes: 0 });
    const group = this.gather(together ? waiting : Math.max(DEPART_APPENDS_MIN, Math.ceil(waiting / 2)));
    const { entries, riding } = group;
    // Whoever else there is comes back when these are answered.
    const idle = coming + this.queue.length === 0 &&
      (this.returning || (riding.length === 1 && this.alone >= ALONE_COMMITS));
    if (entries.length > 0) return this.fly(group, idle);
    for (const rider of riding) this.answer(rider, undefined);
    return undefined;
  }

  /** Takes from the queue what fits into one commit, at most so many appends. */
  private gather(most: number): Group {
    const group = new Group(this);
    const near = this.look(most);
    let taken = 0;
    for (; taken < this.queue.length && taken < most && group.hasRoomFor(this.queue[taken]!); taken++) {
      const waiting = this.queue[taken]!;
      this.queuedBytes -= waiting.bytes;
      this.queuedEvents -= waiting.entries.length;
      group.take(waiting);
    }
    this.queue.splice(0, taken);
    for (const entry of near) entry.settled = true;
    return group;
  }

  /** Asks the index for all who are about to be taken at once; what it says holds until others are asked for. */
  private look(most: number): readonly Entry[] {
    const { ids, marks } = this.looking;
    const near: Entry[] = [];
    for (let i = 0; i < this.queue.length && i < most && near.length < ids.length; i++) {
      for (const entry of this.queue[i]!.entries) {
        if (near.length === ids.length) break;
        ids[near.length] = entry.fp;
        near.push(entry);
      }
    }
    marks.fill(0, 0, near.length);
    try {
      this.index.markIds(ids, near.length, marks);
    } catch {
      // Whoever asks for one of them meets the same, and says so.
      return [];
    }
    for (let i = 0; i < near.length; i++) near[i]!.settled = marks[i] === 1;
    return near;
  }

  /** Writes the group as one commit; `idle`: see `Batch`. Everyone in it who can be told that it failed is told at once. */
  private async fly(group: Group, idle: boolean): Promise<Landed | undefined> {
    const { entries, riding } = group;
    const { clock } = this.options;
    const now = clock.now();
    const recordedat = this.recorded && Date.parse(this.recorded) > now ? this.recorded : new Date(now).toISOString();
    const started = clock.monotonic();
    let blocks: readonly Written[];
    try {
      blocks = group.encode(this.link, recordedat);
      await this.write(blocks, idle);
    } catch (fault) {
      const { message } = fault as Error;
      if (!this.refused && !this.fenced) this.options.trouble?.(`the log cannot be written: ${message}`);
      this.refused = fault as Error;
      for (const { waiting } of riding) waiting.reject(fault);
      return undefined;
    }
    this.refused = undefined;
    this.note(blocks, entries, recordedat);
    this.counts.commits++;
    this.counts.events += entries.length;
    const took = clock.monotonic() - started;
    this.counts.ms += took;
    this.options.committed?.(entries.length, took);
    return {
      appends: riding.length,
      bytes: riding.reduce((sum, { waiting }) => sum + waiting.bytes, 0),
      answer: () => {
        for (const rider of riding) this.answer(rider, recordedat);
        this.news.tell();
        this.behind.grew();
      },
    };
  }

  private answer({ waiting, receipts, accepted }: Riding, recordedat: string | undefined): void {
    const duplicates = receipts.length - accepted;
    const { end: size } = this;
    waiting.resolve(
      accepted > 0
        ? { ok: true, receipts, accepted, duplicates, size, recordedat: recordedat! }
        : { ok: true, receipts, accepted, duplicates, size },
    );
  }

  /** Returns when the blocks are durable; throws when they certainly are not. */
  private async write(blocks: readonly Written[], idle: boolean): Promise<void> {
    if (this.fenced) throw this.fenced;
    const key = blockKey(blocks[0]!.first);
    const puts = blocks.map(({ first, bytes }) => [blockKey(first), bytes] as const);
    let fault: LogFault | undefined;
    try {
      if (await this.store.commit({ absent: key, puts, idle })) return;
    } catch (error) {
      fault = error instanceof LogFault ? error : new LogFault("io", String(error), { cause: error });
      // What a disk that failed says now proves nothing.
      if (fault.kind === "fenced") this.fence(fault);
      if (this.fenced) throw this.fenced;
    }
    // Refused, or the outcome is unknown: what the store holds now decides.
    const found = this.readBack(key, fault);
    if (found && sameBytes(found, blocks[0]!.bytes)) return;
    if (!found) throw fault ?? new LogFault("io", "the commit was refused, and nothing is there");
    this.fence(new LogFault("fenced", "another writer has written to this log; this one stops"));
    throw this.fenced;
  }

  private readBack(key: Key, fault: LogFault | undefined): Uint8Array | undefined {
    try {
      return this.store.get(key);
    } catch (error) {
      if (fault && NOT_WRITTEN.has(fault.kind)) throw fault;
      this.fence(new LogFault("fenced", `what became of a commit cannot be read: ${error}`, { cause: error }));
      throw this.fenced;
    }
  }

  fence(fault: LogFault): void {
    this.fenced ??= fault;
    this.options.trouble?.(fault.message);
    this.news.tell();
  }

  /** The group is durable: what memory knows of the log follows. */
  private note(blocks: readonly Written[], entries: readonly Entry[], recordedat: string): void {
    let at = 0;
    for (const { bytes, first, hash } of blocks) {
      const block = new Block(bytes, first);
      const generation = this.openGeneration(first);
      generation.addBlock(first);
      for (; at < entries.length && entries[at]!.position < block.until; at++) {
        const { event, fp, position, revision } = entries[at]!;
        generation.add(event, fp, position, revision);
      }
      this.remember(block);
      this.link = hash;
      this.end = block.until;
    }
    this.recorded = recordedat;
  }

  fingerprintOf(stream: StreamId): number {
    let known = this.fingerprints.get(stream);
    if (known === undefined) {
      if (this.fingerprints.size >= FINGERPRINTS_MAX) this.fingerprints.clear();
      this.fingerprints.set(stream, known = fingerprint(stream));
    }
    return known;
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]> {
    for (let next = Math.max(0, from); !signal.aborted && !this.closing;) {
      for (const batch of this.read({ from: next })) {
        next = batch.at(-1)!.position + 1;
        yield batch;
        if (signal.aborted || this.closing) return;
      }
      await this.grown(next, signal);
    }
  }

  async *hear(types: readonly string[], from: number, signal: AbortSignal): AsyncIterable<Heard> {
    for (let next = Math.max(0, from); !signal.aborted && !this.closing;) {
      const until = this.end;
      for (const events of this.read({ types, from: next, until })) {
        yield { events, size: next = events.at(-1)!.position + 1 };
        if (signal.aborted || this.closing) return;
      }
      if (until > next) yield { events: NOTHING, size: next = until };
      await this.grown(next, signal);
    }
  }

  /** Resolves when the log has more than `size` events, when it closes, or when the signal aborts; reads nothing. */
  grown(size: number, signal: AbortSignal): Promise<void> {
    return this.news.until(() => this.end > size || this.closing, signal);
  }

  async checkpoint(atLeast = 0): Promise<Checkpoint | undefined> {
    if (atLeast <= this.end) await this.behind.signed(atLeast, () => this.closing || this.fenced !== undefined);
    return this.behind.checkpointed;
  }

  /** Brings the index up to a position, however few events that is. */
  settleIndex(position: number): Promise<void> {
    return this.behind.indexedTo(position, () => this.closing || this.fenced !== undefined);
  }

  /** A checkpoint of all that is there now, kept in the log for good, or that `earlier` one instead; absent where there is no signer. */
  async keepCheckpoint(earlier?: Pick<Checkpoint, "size" | "note">): Promise<Checkpoint | undefined> {
    await this.checkpoint(this.end);
    return await this.behind.keep(earlier);
  }

  override close(): Promise<void> {
    return this.closed ??= this.shut();
  }

  private async shut(): Promise<void> {
    this.stopping = true;
    this.news.tell();
    await this.pumping;
    await this.blobs.ended();
    if (!this.fenced) {
      const enough = new AbortController();
      const behind = this.behind.catchUp(() => this.closing || this.fenced !== undefined).finally(() => enough.abort());
      await Promise.race([behind, pause(this.options.clock, CLOSE_MS_MAX, enough.signal)]);
    }
    this.closing = true;
    this.news.tell();
    await this.behind.close();
    await this.store.close();
  }
}
