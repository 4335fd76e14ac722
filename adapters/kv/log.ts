/**
 * The log: one writer over a store. Concurrent appends share commits: when idle one goes at once, while one is on its way the
 * next gather behind it. A commit is some consecutive blocks, each under its own key; the first must be absent, which is the
 * check that nobody else has written.
 *
 * What is derived (tree, index) follows behind, see `integrator.ts`.
 */
import type { Clock } from "../../actors/kernel/world.ts";
import { pause } from "../../actors/kernel/world.ts";
import type { Event, StreamId } from "../../events/event.ts";
import {
  type Append,
  type Appended,
  type Checkpoint,
  type EventLog,
  type Expected,
  LIMITS,
  LogFault,
  type Receipt,
} from "../../events/log.ts";
import { sameAsSent } from "../../events/same.ts";
import type { Key, Store } from "../../events/store.ts";
import type { Background, StartBackground } from "./background.ts";
import { Block, BLOCK_OVERHEAD, blockHash, type BlockPlan, encodeBlock, ENTRY_OVERHEAD, type Run } from "./block.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Manifest } from "./index/index.ts";
import { pageKey } from "./index/pages.ts";
import type { Made } from "./integrator.ts";
import { entryBytes, prepare, type Prepared, writeEntry } from "./place.ts";
import { blockKey, LogReader, type ReaderOptions, sameBytes } from "./reader.ts";
import type { Frontier } from "./tree.ts";

/** Signs checkpoints. */
export interface Signer {
  readonly origin: string;
  /** The signed note (C2SP tlog-checkpoint) over size and root (base64). */
  sign(size: number, root: string): string;
}

export interface LogOptions extends ReaderOptions {
  readonly clock: Clock;
  readonly background: StartBackground;
  /** Without one there are no checkpoints. */
  readonly signer?: Signer;
  /** Default `LOG_BOUNDS`. */
  readonly bounds?: Partial<LogBounds>;
  /** Compares the data of a repeat with what is stored; default by letters. */
  readonly equal?: (sent: unknown, stored: unknown) => boolean;
  /** Told of each commit: events, bytes, ms. */
  readonly committed?: (events: number, bytes: number, ms: number) => void;
  /** Told when something behind the log went wrong and is tried again; one line. */
  readonly trouble?: (line: string) => void;
}

/** Bounds of one open log. */
export interface LogBounds {
  /** Events waiting for a commit; more are refused as `overloaded`. */
  readonly queue_events_max: number;
  /** Bytes of their entries; likewise. */
  readonly queue_bytes_max: number;
  /** A signed checkpoint follows growth within about so long. */
  readonly checkpoint_ms: number;
  /** Events that no segment holds yet; appends wait while there are more. */
  readonly tail_events_max: number;
  /** Memory for the filters that say "never seen". */
  readonly filter_bytes_max: number;
}
export const LOG_BOUNDS: LogBounds = {
  queue_events_max: 100_000,
  queue_bytes_max: 64 * 1024 * 1024,
  checkpoint_ms: 500,
  tail_events_max: 65_536,
  filter_bytes_max: 64 * 1024 * 1024,
};

const CHECKPOINT_KEPT_EVERY = 10_000;
const SWEEP_AFTER_MS = 60_000;
const RESTART_BACKGROUND_MS = 1_000;

export const FORMAT_KEY: Key = ["format"];
export const FORMAT = 1;
export const TREE_KEY: Key = ["tree"];
export const CHECKPOINT_KEY: Key = ["checkpoint"];
export const CHECKPOINTS_PREFIX = "checkpoints";

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();
const json = (value: unknown): Uint8Array => utf8.encode(JSON.stringify(value));

interface Waiting {
  readonly prepared: readonly Prepared[];
  readonly expected: readonly (readonly [StreamId, Expected])[];
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (fault: unknown) => void;
}

interface Placed {
  readonly prepared: Prepared;
  readonly position: number;
  readonly revision: number;
}

/** An append that is part of a commit on its way. */
interface Riding {
  readonly waiting: Waiting;
  readonly receipts: readonly Receipt[];
  readonly accepted: number;
}

export class KvLog extends LogReader implements EventLog {
  private readonly queue: Waiting[] = [];
  private queuedBytes = 0;
  private queuedEvents = 0;
  private readonly bounds: LogBounds;
  private pumping: Promise<void> | undefined;
  /** No more appends are taken. */
  private stopping = false;
  /** Everything ends. */
  private closing = false;
  private fenced: LogFault | undefined;
  private refused = false;
  private readonly watchers = new Set<() => void>();
  private readonly fingerprints = new Map<StreamId, number>();

  // One group at a time: where its events go before they are durable.
  private groupHeads = new Map<StreamId, number>();
  private groupIds = new Map<number, Placed[]>();
  private groupEvents: Placed[] = [];
  private groupBytes = 0;

  private background: Background | undefined;
  private sealedUntil = 0;
  private latestCheckpoint: Checkpoint | undefined;
  private rootAsked = false;
  private checkpointTimer: (() => void) | undefined;
  private keptCheckpoint = 0;
  private readonly cancels = new Set<() => void>();

  private constructor(protected override readonly store: Store, protected override readonly options: LogOptions) {
    super(store, options);
    this.bounds = { ...LOG_BOUNDS, ...options.bounds };
  }

  /**
   * Opens what is in the store, or begins a log in an empty one. The store is the log's from here on; it is closed with it,
   * and when opening fails. Throws `LogFault` `newer`, `foreign` or `truncated`.
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
    if (format) checkFormat(format);
    else {
      if ([...this.store.list({ prefix: ["log"], limit: 1 })].length > 0) {
        throw new LogFault("foreign", "the database has blocks but no format");
      }
      await this.store.commit({ absent: FORMAT_KEY, puts: [[FORMAT_KEY, json({ format: FORMAT })]] });
    }
    this.refresh();
    const note = this.store.get(CHECKPOINT_KEY);
    if (note) this.latestCheckpoint = JSON.parse(fromUtf8.decode(note));
    this.startBackground();
  }

  get checkpointed(): Checkpoint | undefined {
    return this.latestCheckpoint;
  }

  get indexed(): number {
    return this.index.manifest.until;
  }

  /** False after a commit that the disk refused, until one goes through. */
  get writable(): boolean {
    return !this.refused && !this.fenced;
  }

  get bytes(): number {
    return this.store.bytes();
  }

  // — append —

  append(batch: Append): Promise<Appended> {
    let prepared: Prepared[];
    try {
      if (this.fenced) throw this.fenced;
      if (this.stopping) throw new LogFault("closed", "the log is closed");
      prepared = prepare(batch);
      const bytes = prepared.reduce((sum, event) => sum + event.bytes, 0);
      if (
        this.queuedEvents + prepared.length > this.bounds.queue_events_max ||
        this.queuedBytes + bytes > this.bounds.queue_bytes_max
      ) {
        throw new LogFault("overloaded", "too many appends are waiting for the disk");
      }
      return new Promise((resolve, reject) => {
        this.queue.push({ prepared, expected: batch.expected ?? NOTHING, bytes, resolve, reject });
        this.queuedBytes += bytes;
        this.queuedEvents += prepared.length;
        this.pumping ??= this.pump();
      });
    } catch (fault) {
      return Promise.reject(fault);
    }
  }

  private async pump(): Promise<void> {
    while (this.queue.length > 0) {
      // Those whose last append has just been answered are about to come back: wait while the queue still grows.
      for (let before = 0; this.queue.length > before;) {
        before = this.queue.length;
        await null;
        await null;
        await null;
      }
      while (this.index.tail > this.bounds.tail_events_max && !this.closing) {
        this.wishSegment(this.endGeneration());
        await this.indexGrown();
      }
      const riding = this.gather();
      if (this.groupEvents.length === 0) {
        for (const rider of riding) this.answer(rider, undefined);
        continue;
      }
      await this.ride(riding);
    }
    this.pumping = undefined;
  }

  /** Takes what fits into one commit from the queue; what is answered without writing is answered at once. */
  private gather(): Riding[] {
    this.groupHeads = new Map();
    this.groupIds = new Map();
    this.groupEvents = [];
    this.groupBytes = 0;
    const riding: Riding[] = [];
    let taken = 0;
    for (; taken < this.queue.length; taken++) {
      const waiting = this.queue[taken]!;
      const most = waiting.bytes + waiting.prepared.length * OURS_BYTES_MAX;
      const events = this.groupEvents.length + waiting.prepared.length;
      if (
        this.groupEvents.length > 0 && (this.groupBytes + most > LIMITS.append_bytes_max || events > COMMIT_EVENTS_MAX)
      ) break;
      this.queuedBytes -= waiting.bytes;
      this.queuedEvents -= waiting.prepared.length;
      try {
        const rider = this.place(waiting);
        if (rider) riding.push(rider);
      } catch (fault) {
        waiting.reject(fault);
      }
    }
    this.queue.splice(0, taken);
    return riding;
  }

  /** Gives an append its places on top of the group; one that does not go in is answered and leaves no trace. */
  private place(waiting: Waiting): Riding | undefined {
    const start = this.groupEvents.length;
    const receipts: Receipt[] = [];
    let bytes = 0;
    for (const prepared of waiting.prepared) {
      const { id, source, stream } = prepared.event;
      const before = this.known(prepared);
      if (before) {
        if (!before.same) {
          this.takeBack(start);
          return void waiting.resolve({ ok: false, conflict: "id", source, id, position: before.receipt.position });
        }
        receipts.push(before.receipt);
        continue;
      }
      const revision = (this.groupHeads.get(stream) ?? this.head(stream)) + 1;
      const position = this.end + this.groupEvents.length;
      bytes += entryBytes(prepared, position, revision);
      this.groupHeads.set(stream, revision);
      const placed = { prepared, position, revision };
      this.groupEvents.push(placed);
      const same = this.groupIds.get(prepared.fp);
      same ? same.push(placed) : this.groupIds.set(prepared.fp, [placed]);
      receipts.push({ id, source, stream, revision, position, duplicate: false });
    }
    const accepted = this.groupEvents.length - start;
    if (accepted > 0) {
      // A repeat of the whole is answered whatever is expected by now; anything new must meet what is expected.
      const lost = this.unmet(waiting.expected, start);
      if (lost || bytes > LIMITS.append_bytes_max) this.takeBack(start);
      if (lost) return void waiting.resolve(lost);
      if (bytes > LIMITS.append_bytes_max) {
        throw new LogFault(
          "too_large",
          `the entries of an append have at most ${LIMITS.append_bytes_max} bytes together, these ${bytes}`,
        );
      }
    }
    this.groupBytes += bytes;
    return { waiting, receipts, accepted };
  }

  /** Removes from the group what was placed from `start` on. */
  private takeBack(start: number): void {
    for (const { prepared, revision } of this.groupEvents.splice(start).reverse()) {
      this.groupIds.get(prepared.fp)!.pop();
      this.groupHeads.set(prepared.event.stream, revision - 1);
    }
  }

  /** The same event, recorded or on its way, and whether it says the same. */
  private known(prepared: Prepared): { readonly receipt: Receipt; readonly same: boolean } | undefined {
    const { event, fp } = prepared;
    const { id, source } = event;
    const riding = this.groupIds.get(fp)?.find((placed) =>
      placed.prepared.event.id === id && placed.prepared.event.source === source
    );
    const before = riding ? asRecorded(riding) : this.findStored(source, id, fp);
    if (!before) return undefined;
    const { stream, revision, position } = before;
    return {
      receipt: { id, source, stream, revision, position, duplicate: true },
      same: sameAsSent(event, { ...before }, this.options.equal),
    };
  }

  private unmet(expected: Waiting["expected"], start: number): Appended | undefined {
    for (const [stream, want] of expected) {
      if (want === "any") continue;
      const own = this.groupEvents.slice(start).find((placed) => placed.prepared.event.stream === stream);
      const revision = own ? own.revision - 1 : this.groupHeads.get(stream) ?? this.head(stream);
      const met = want === "none" ? revision < 0 : want === "exists" ? revision >= 0 : revision === want;
      if (!met) return { ok: false, conflict: "revision", stream, expected: want, revision };
    }
    return undefined;
  }

  /** Writes the group as one commit and answers everyone in it. */
  private async ride(riding: readonly Riding[]): Promise<void> {
    const now = this.options.clock.now();
    const recordedat = this.recorded && Date.parse(this.recorded) > now ? this.recorded : new Date(now).toISOString();
    const started = this.options.clock.monotonic();
    let blocks: ReturnType<KvLog["encode"]>;
    try {
      blocks = this.encode(recordedat);
      await this.write(blocks);
    } catch (fault) {
      this.refused = true;
      for (const { waiting } of riding) waiting.reject(fault);
      return;
    }
    this.refused = false;
    this.note(blocks, recordedat);
    this.options.committed?.(
      this.groupEvents.length,
      blocks.reduce((sum, { bytes }) => sum + bytes.length, 0),
      this.options.clock.monotonic() - started,
    );
    for (const rider of riding) this.answer(rider, recordedat);
    for (const wake of [...this.watchers]) wake();
    this.afterCommit();
  }

  private answer({ waiting, receipts, accepted }: Riding, recordedat: string | undefined): void {
    const duplicates = receipts.length - accepted;
    waiting.resolve({
      ok: true,
      receipts,
      accepted,
      duplicates,
      size: this.end,
      ...(accepted > 0 ? { recordedat } : {}),
    });
  }

  private encode(
    recordedat: string,
  ): { readonly bytes: Uint8Array; readonly first: number; readonly hash: Uint8Array }[] {
    const blocks: { bytes: Uint8Array; first: number; hash: Uint8Array }[] = [];
    let link = this.link;
    for (const plan of planBlocks(this.groupEvents, recordedat, (stream) => this.fingerprintOf(stream))) {
      const bytes = encodeBlock(plan, link);
      link = blockHash(bytes);
      blocks.push({ bytes, first: plan.first, hash: link });
    }
    return blocks;
  }

  private fingerprintOf(stream: StreamId): number {
    let known = this.fingerprints.get(stream);
    if (known === undefined) {
      if (this.fingerprints.size >= FINGERPRINTS_MAX) this.fingerprints.clear();
      this.fingerprints.set(stream, known = fingerprint(stream));
    }
    return known;
  }

  /** Returns when the blocks are durable; throws when they certainly are not. */
  private async write(blocks: readonly { readonly bytes: Uint8Array; readonly first: number }[]): Promise<void> {
    const key = blockKey(blocks[0]!.first);
    const puts = blocks.map(({ first, bytes }) => [blockKey(first), bytes] as const);
    let fault: LogFault | undefined;
    try {
      if (await this.store.commit({ absent: key, puts })) return;
    } catch (error) {
      fault = error instanceof LogFault ? error : new LogFault("io", String(error), { cause: error });
    }
    // Refused, or the outcome is unknown: what the store holds now decides.
    const found = this.store.get(key);
    if (found && sameBytes(found, blocks[0]!.bytes)) return;
    if (found) throw this.fence();
    throw fault ?? new LogFault("io", "the commit was refused, and nothing is there");
  }

  private fence(): LogFault {
    this.fenced = new LogFault("fenced", "another writer has written to this log; this one stops");
    this.options.trouble?.(this.fenced.message);
    return this.fenced;
  }

  /** The group is durable: what memory knows of the log follows. */
  private note(
    blocks: readonly { readonly bytes: Uint8Array; readonly first: number; readonly hash: Uint8Array }[],
    recordedat: string,
  ): void {
    let at = 0;
    for (const { bytes, first, hash } of blocks) {
      const block = new Block(bytes, first);
      const generation = this.openGeneration(first);
      generation.addBlock(first);
      for (; at < this.groupEvents.length && this.groupEvents[at]!.position < block.until; at++) {
        const { prepared, position, revision } = this.groupEvents[at]!;
        generation.add(prepared.event as { stream: StreamId; type: string }, prepared.fp, position, revision);
      }
      this.remember(block);
      this.link = hash;
      this.end = block.until;
    }
    this.recorded = recordedat;
  }

  // — follow —

  async *follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]> {
    for (let next = from; !signal.aborted && !this.closing;) {
      for (const batch of this.read({ from: next })) {
        next = batch.at(-1)!.position + 1;
        yield batch;
        if (signal.aborted || this.closing) return;
      }
      if (next >= this.end) await this.grown(signal, next);
    }
  }

  /** Resolves when the log is larger than `size`, when it closes, or when the signal aborts. */
  private grown(signal: AbortSignal, size: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        if (this.end <= size && !this.closing && !signal.aborted) return;
        this.watchers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.watchers.add(wake);
      signal.addEventListener("abort", wake);
      wake();
    });
  }

  // — what follows the commits —

  private startBackground(): void {
    const tree = this.store.get(TREE_KEY);
    const frontier: Frontier = tree ? JSON.parse(fromUtf8.decode(tree)) : { size: 0, nodes: [] };
    this.rootAsked = false;
    this.sealedUntil = this.index.manifest.until;
    this.background = this.options.background({
      frontier,
      manifest: this.index.manifest,
      filterBytesMax: this.bounds.filter_bytes_max,
      made: (made) => this.take(made),
      died: (cause) => this.backgroundDied(cause),
    });
    this.afterCommit();
  }

  private backgroundDied(cause: string): void {
    this.background = undefined;
    if (this.closing) return;
    this.options.trouble?.(`what follows the log stopped and starts again: ${cause}`);
    this.later(RESTART_BACKGROUND_MS, () => this.startBackground());
  }

  /** Calls once, unless the log is closed before. */
  private later(ms: number, call: () => void): () => void {
    const cancel = this.options.clock.schedule(ms, () => {
      this.cancels.delete(cancel);
      call();
    });
    this.cancels.add(cancel);
    return cancel;
  }

  private afterCommit(): void {
    for (const generation of this.index.generations.slice(0, -1)) this.wishSegment(generation.until);
    if (this.options.signer && !this.checkpointTimer && this.end > (this.latestCheckpoint?.size ?? 0)) {
      this.checkpointTimer = this.later(this.bounds.checkpoint_ms / 2, () => {
        this.checkpointTimer = undefined;
        this.wishRoot();
      });
    }
  }

  private wishSegment(until: number): void {
    if (until <= this.sealedUntil) return;
    this.background?.ask({ wish: "segment", from: this.sealedUntil, until });
    this.sealedUntil = until;
  }

  private wishRoot(): void {
    if (this.rootAsked || !this.options.signer || this.end <= (this.latestCheckpoint?.size ?? 0)) return;
    this.rootAsked = true;
    this.background?.ask({ wish: "root", size: this.end });
  }

  private async take(made: Made): Promise<void> {
    switch (made.made) {
      case "pages":
        await this.commitBehind(made.puts);
        return;
      case "manifest":
        await this.commitBehind([[["manifest"], made.bytes]]);
        this.adopt(made.manifest);
        return;
      case "root":
        this.rootAsked = false;
        await this.keepCheckpoint(made.frontier, made.root.toBase64());
        return;
    }
  }

  /** Writes what is derived. While the disk is full it waits: the log itself comes first, and nothing is lost by waiting. */
  private async commitBehind(
    puts: readonly (readonly [Key, Uint8Array])[],
    deletes: readonly Key[] = [],
  ): Promise<void> {
    for (let wait = 100;; wait = Math.min(5_000, wait * 2)) {
      try {
        await this.store.commit({ puts, deletes });
        return;
      } catch (fault) {
        if (this.closing) throw fault;
        this.options.trouble?.(`the index waits for the disk: ${(fault as Error).message}`);
        await pause(this.options.clock, wait);
      }
    }
  }

  private adopt(manifest: Manifest): void {
    this.index.adopt(manifest);
    for (const wake of [...this.watchers]) wake();
    if (manifest.garbage.length > 0 && !this.sweeping) {
      this.sweeping = this.later(SWEEP_AFTER_MS, () => {
        this.sweeping = undefined;
        void this.sweep(manifest);
      });
    }
  }
  private sweeping: (() => void) | undefined;

  /** Deletes pages that no manifest has named for a while. */
  private async sweep({ garbage }: Manifest): Promise<void> {
    for (const { start, pages } of garbage) {
      for (let at = start; at < start + pages && !this.closing; at += SWEEP_PAGES) {
        const deletes = Array.from({ length: Math.min(SWEEP_PAGES, start + pages - at) }, (_, i) => pageKey(at + i));
        await this.commitBehind([], deletes).catch(() => {});
      }
    }
    this.background?.swept(garbage.length);
  }

  private async keepCheckpoint(frontier: Frontier, root: string): Promise<void> {
    const { signer } = this.options;
    const { size } = frontier;
    let note: string;
    try {
      note = signer!.sign(size, root);
    } catch (fault) {
      // What cannot be signed must not grow: it contradicts what was signed before.
      this.fenced = fault instanceof LogFault
        ? fault
        : new LogFault("io", "the checkpoint cannot be signed", { cause: fault });
      this.options.trouble?.(this.fenced.message);
      for (const wake of [...this.watchers]) wake();
      return;
    }
    const checkpoint: Checkpoint = { origin: signer!.origin, size, root, note };
    const kept = size - this.keptCheckpoint >= CHECKPOINT_KEPT_EVERY;
    const puts: (readonly [Key, Uint8Array])[] = [[TREE_KEY, json(frontier)], [CHECKPOINT_KEY, json(checkpoint)]];
    if (kept) puts.push([[CHECKPOINTS_PREFIX, size], utf8.encode(checkpoint.note)]);
    await this.commitBehind(puts);
    if (kept) this.keptCheckpoint = size;
    this.latestCheckpoint = checkpoint;
    for (const wake of [...this.watchers]) wake();
    if (this.closing) return;
    if (this.checkpointWaiters > 0) this.wishRoot();
    else this.afterCommit();
  }
  private checkpointWaiters = 0;

  async checkpoint(atLeast = 0): Promise<Checkpoint | undefined> {
    if (!this.options.signer || atLeast > this.end) return this.latestCheckpoint;
    this.checkpointWaiters++;
    try {
      while ((this.latestCheckpoint?.size ?? 0) < atLeast && !this.closing && !this.fenced) {
        this.wishRoot();
        await this.stirred();
      }
    } finally {
      this.checkpointWaiters--;
    }
    return this.latestCheckpoint;
  }

  private async indexGrown(): Promise<void> {
    const before = this.index.manifest.until;
    while (this.index.manifest.until === before && !this.closing) await this.stirred();
  }

  /** The next time that something about the log changes. */
  private stirred(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.watchers.delete(wake);
        resolve();
      };
      this.watchers.add(wake);
    });
  }

  // — close —

  override close(): Promise<void> {
    return this.closed ??= this.shut();
  }
  private closed: Promise<void> | undefined;

  private async shut(): Promise<void> {
    this.stopping = true;
    await this.pumping;
    const enough = new AbortController();
    const behind = this.catchUp().finally(() => enough.abort());
    await Promise.race([behind, pause(this.options.clock, CLOSE_MS_MAX, enough.signal)]);
    this.closing = true;
    for (const cancel of this.cancels) cancel();
    for (const wake of [...this.watchers]) wake();
    await this.background?.close();
    await this.store.close();
  }

  /** Brings checkpoint and index up to the end, so that the next one to open finds little to do. */
  private async catchUp(): Promise<void> {
    if (this.fenced) return;
    if (this.options.signer) await this.checkpoint(this.end);
    if (this.index.tail <= CLOSE_TAIL_EVENTS_MAX) return;
    this.wishSegment(this.endGeneration());
    while (this.index.tail > 0 && !this.closing) await this.stirred();
  }
}

const NOTHING: readonly never[] = [];
/** What our own members add to an entry, at most. */
const OURS_BYTES_MAX = 110;
/** Events of one commit, so that with its blocks' headers it stays below what Deno KV takes (819,200 bytes). */
const COMMIT_EVENTS_MAX = 2_000;
const FINGERPRINTS_MAX = 65_536;
const SWEEP_PAGES = 500;
/** How long closing waits for what follows the commits; nothing is lost when it does not. */
const CLOSE_MS_MAX = 10_000;
/** So many unindexed events are read again faster than a segment is written. */
const CLOSE_TAIL_EVENTS_MAX = 2_000;

const checkFormat = (bytes: Uint8Array): void => {
  const { format } = JSON.parse(fromUtf8.decode(bytes));
  if (format !== FORMAT) throw new LogFault("newer", `the log has format ${format}, this program knows ${FORMAT}`);
};

/** An event on its way, as it will be read. */
const asRecorded = ({ prepared: { event }, position, revision }: Placed): Event => {
  const { extensions, timeGiven: _t, traceGiven: _g, ...rest } = event;
  return { ...extensions, ...rest, position, revision } as unknown as Event;
};

/** Cuts a group into blocks. */
function* planBlocks(
  placed: readonly Placed[],
  recordedat: string,
  fingerprintOf: (stream: StreamId) => number,
): Iterable<BlockPlan> {
  let plan = emptyPlan(placed[0]!.position);
  let stream: StreamId | undefined;
  for (const { prepared, position, revision } of placed) {
    const length = entryBytes(prepared, position, revision);
    if (
      plan.entries.length > 0 &&
      plan.bytes + length + (plan.entries.length + 1) * ENTRY_OVERHEAD + BLOCK_OVERHEAD > LIMITS.block_bytes_max
    ) {
      yield plan;
      plan = emptyPlan(position);
      stream = undefined;
    }
    if (prepared.event.stream !== stream) {
      stream = prepared.event.stream;
      plan.runs.push({ fingerprint: fingerprintOf(stream), revision, count: 0 });
    }
    plan.runs[plan.runs.length - 1]!.count++;
    plan.entries.push(writeEntry(prepared, position, recordedat, revision));
    plan.lengths.push(length);
    plan.bytes += length;
  }
  yield plan;
}

const emptyPlan = (
  first: number,
): { first: number; runs: Run[]; entries: string[]; lengths: number[]; bytes: number } => ({
  first,
  runs: [],
  entries: [],
  lengths: [],
  bytes: 0,
});
