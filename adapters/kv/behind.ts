/**
 * What follows the commits, at most about a second behind: the signed tree and the index. It asks the background for both and writes what
 * comes back; being derived, all of it may wait for the disk, and be lost and made again.
 */
import { type Clock, pause } from "../../actors/kernel/world.ts";
import { type Checkpoint, LogFault } from "../../events/log.ts";
import type { Key, Store } from "../../events/store.ts";
import type { Background, StartBackground } from "./background.ts";
import {
  CHECKPOINT_KEY,
  CHECKPOINTS_PREFIX,
  hashOf,
  keptIn,
  rowOf,
  type Said,
  storedCheckpoint,
} from "./checkpoints.ts";
import { type Generation, type LogIndex, type Manifest, MANIFEST_KEY } from "./index/index.ts";
import { type Extent, pageKey } from "./index/pages.ts";
import type { Made } from "./integrator.ts";
import type { News } from "./news.ts";
import { type Frontier, TREE_KEY } from "./tree.ts";
import type { MadeRoot } from "./tree_work.ts";

/** Signs checkpoints. */
export interface Signer {
  readonly origin: string;
  /**
   * The signed note (C2SP tlog-checkpoint) over size and root (base64). Throws `LogFault` `fenced` where signing would contradict
   * what was signed: then the log must not grow. Whatever else it throws passes, and is tried again.
   */
  sign(size: number, root: string): string;
}

export interface BehindOptions {
  readonly clock: Clock;
  /** Who works while nobody has taken the work over (`lend`). */
  readonly background: StartBackground;
  /** How long, at opening and after somebody gave the work back, nobody works unless somebody waits. */
  readonly lendWaitMs: number;
  readonly signer?: Signer;
  /** A checkpoint follows growth after half of it at the latest. */
  readonly checkpointMs: number;
  /** Events that no segment holds, at most. */
  readonly tailEventsMax: number;
  readonly filterBytesMax: number;
  readonly trouble: (line: string) => void;
}

/** The log, as far as it matters here. */
export interface Followed {
  readonly size: number;
  readonly index: LogIndex;
  /** The next block begins a new generation. */
  endGeneration(): void;
  /** No more is to be written to the log. */
  fence(fault: LogFault): void;
}

/** A checkpoint is kept for good when the log has grown by so many events since the last that was. */
const CHECKPOINT_KEPT_EVERY = 10_000;
const SWEEP_AFTER_MS = 60_000;
const SWEEP_PAGES = 64;
/** A background of our own that died begins again after so long, then twice as long, up to the most. */
const RESTART_MS_MIN = 1_000;
const RESTART_MS_MAX = 60_000;
/** What cannot be written is tried again after so long, then twice as long, up to the most. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** A log that has not grown for so long is quiet: what can wait while appends come is done then. */
const QUIET_MS = 200;
/** So many unindexed events are read again faster than a segment is written. */
const TAIL_LEFT_MAX = 2_000;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();
const json = (value: unknown): Uint8Array => utf8.encode(JSON.stringify(value));

export class Behind {
  private background: Background | undefined;
  /** Changes of who works, one at a time. */
  private changing: Promise<void> = Promise.resolve();
  /** What was made last, on its way to the disk. */
  private taking: Promise<void> = Promise.resolve();
  /** Nobody works; cancels the wait for somebody to take the work over. */
  private waiting: (() => void) | undefined;
  private restartMs = RESTART_MS_MIN;
  private latest: Checkpoint | undefined;
  /** Segments have been asked for up to here. */
  private asked = 0;
  private rootAsked = false;
  private hurried = 0;
  /** Those who wait for segments. */
  private awaited = 0;
  private kept = 0;
  private said: Said;
  private readonly ended = new AbortController();
  private timer: (() => void) | undefined;
  /** Waits for the log to be quiet. */
  private lull: (() => void) | undefined;
  /** Where the stretches of garbage begin that are about to be let go. */
  private readonly unswept = new Set<number>();
  /** One after another. */
  private sweeping: Promise<void> = Promise.resolve();
  private readonly cancels = new Set<() => void>();
  /** What is tried again, with what it met last. */
  private readonly hindrances = new Map<symbol, Error>();

  constructor(
    private readonly store: Store,
    private readonly log: Followed,
    private readonly news: News,
    private readonly options: BehindOptions,
  ) {
    const stored = storedCheckpoint(store);
    // What was taken away or changed meanwhile stays said.
    const manifest = store.get(MANIFEST_KEY);
    this.said = {
      kept: Math.max(stored?.said.kept ?? 0, keptIn(store)),
      index: stored?.said.index ?? (manifest && hashOf(manifest)),
    };
    this.latest = stored?.checkpoint;
    this.hereLater(options.lendWaitMs);
  }

  /** The newest checkpoint. */
  get checkpointed(): Checkpoint | undefined {
    return this.latest;
  }

  /** What tree or index wait for now, if anything. */
  get hindered(): Error | undefined {
    return this.hindrances.values().next().value;
  }

  /**
   * Lets another do the work until the signal aborts; it begins from what is stored, and so does whoever comes after it: what was
   * under way is made again. Rejects when the other dies.
   */
  async lend(background: StartBackground, signal: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>();
    const ends = AbortSignal.any([signal, this.ended.signal]);
    ends.addEventListener("abort", () => over.resolve(), { once: true });
    try {
      await this.change(() => {
        if (!ends.aborted) this.begin(background, (cause) => over.reject(new Error(cause)));
      });
      if (!ends.aborted) await over.promise;
    } finally {
      await this.change(() => this.hereLater(this.options.lendWaitMs));
    }
  }

  /** Whoever works stops; when all that it has made is written, the next one begins. */
  private change(next: () => void): Promise<void> {
    const changed = this.changing.then(async () => {
      const before = this.background;
      this.background = undefined;
      this.waiting?.();
      this.waiting = undefined;
      await before?.close();
      await this.taking;
      if (!this.closing) next();
    });
    this.changing = changed.catch(() => {}); // who asked for the change is told
    return changed;
  }

  private hereLater(ms: number): void {
    if (ms === 0) return this.here();
    const cancel = this.later(ms, () => this.hereNow());
    this.waiting = () => {
      this.cancels.delete(cancel);
      cancel();
    };
  }

  /** Somebody waits for what is made: if nobody works, it is done here. */
  private hereNow(): void {
    if (!this.waiting) return;
    this.waiting();
    this.waiting = undefined;
    this.here();
  }

  private here(): void {
    const died = (cause: string) => {
      const dead = this.background;
      this.options.trouble(`what follows the log stopped and starts again: ${cause}`);
      this.later(this.restartMs, () => {
        // Unless somebody has taken the work over meanwhile.
        if (this.background === dead && !this.waiting) void this.change(() => this.here());
      });
      this.restartMs = Math.min(RESTART_MS_MAX, 2 * this.restartMs);
    };
    try {
      this.begin(this.options.background, died);
    } catch (error) {
      died(error instanceof Error ? error.message : String(error));
    }
  }

  private begin(background: StartBackground, died: (cause: string) => void): void {
    const tree = this.store.get(TREE_KEY);
    const frontier: Frontier = tree ? JSON.parse(fromUtf8.decode(tree)) : { size: 0, nodes: [] };
    const { manifest } = this.log.index;
    this.rootAsked = false;
    this.asked = manifest.until;
    this.background = background({
      frontier,
      manifest,
      filterBytesMax: this.options.filterBytesMax,
      made: async (made) => {
        await this.inTurn(() => this.take(made));
        this.restartMs = RESTART_MS_MIN;
      },
      died: (cause) => this.closing || died(cause),
    });
    this.sweepLater(manifest);
    this.grew();
    if (this.hurried > 0) this.wishRoot();
    // Whoever was asked before is not heard of any more.
    if (this.awaited > 0) this.wishSegments();
  }

  /** Calls once, unless the log is closed before. */
  private later(ms: number, call: () => void): () => void {
    if (this.closing) return () => {};
    const cancel = this.options.clock.schedule(ms, () => {
      this.cancels.delete(cancel);
      call();
    });
    this.cancels.add(cancel);
    return cancel;
  }

  /** To be called after each commit. */
  grew(): void {
    // A burst of appends is not to share processors and disk with segments, which nobody waits for before the tail is full.
    if (this.log.index.tail > this.options.tailEventsMax / 2) this.wishSegments();
    else if (!this.lull && this.closed.length > 0) this.awaitLull();
    if (this.timer || !this.unsigned) return;
    this.timer = this.later(this.options.checkpointMs / 2, () => {
      this.timer = undefined;
      this.wishRoot();
    });
  }

  private get closing(): boolean {
    return this.ended.signal.aborted;
  }

  private get unsigned(): boolean {
    return this.options.signer !== undefined && this.log.size > (this.latest?.size ?? 0);
  }

  private awaitLull(): void {
    const { size } = this.log;
    this.lull = this.later(QUIET_MS, () => {
      this.lull = undefined;
      if (this.log.size === size) this.wishSegments();
      else this.awaitLull();
    });
  }

  /** The generations that take no more. */
  private get closed(): readonly Generation[] {
    return this.log.index.generations.filter(({ ended }, i, { length }) => ended || i < length - 1);
  }

  private wishSegments(): void {
    for (const { until } of this.closed) this.wishSegment(until);
  }

  private wishSegment(until: number): void {
    if (until <= this.asked) return;
    this.background?.ask({ wish: "segment", from: this.asked, until });
    this.asked = until;
  }

  private wishRoot(): void {
    if (this.rootAsked || !this.unsigned) return;
    this.rootAsked = true;
    this.background?.ask({ wish: "root", size: this.log.size });
  }

  /** One after another: what the row of the newest checkpoint says must not go back. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.taking.then(work);
    this.taking = done.then(() => {}, () => {}); // whoever asked is told
    return done;
  }

  private async take(made: Made): Promise<void> {
    if (made.made === "pages") return void await this.commit(made.puts);
    if (made.made === "root") return await this.sign(made);
    const { manifest, bytes } = made;
    this.said = { ...this.said, index: hashOf(bytes) };
    if (await this.commit([[MANIFEST_KEY, bytes], ...this.row(this.latest)])) this.adopt(manifest);
  }

  /** The row of the newest checkpoint. */
  private row(checkpoint: Checkpoint | undefined): readonly (readonly [Key, Uint8Array])[] {
    return checkpoint ? [[CHECKPOINT_KEY, rowOf(checkpoint, this.said)]] : [];
  }

  /**
   * While the disk is full it waits: the log itself comes first, and nothing is lost by waiting. False when the disk has failed, and
   * nothing more is to be written.
   */
  private async commit(puts: readonly (readonly [Key, Uint8Array])[], deletes: readonly Key[] = []): Promise<boolean> {
    return await this.done("the index waits for the disk", () => this.store.commit({ puts, deletes })) !== undefined;
  }

  /** Tries until it is done, and says once what it waits for. Undefined where the log has stopped; throws when it closes meanwhile. */
  private async done<T>(waiting: string, work: () => T | Promise<T>): Promise<{ readonly result: T } | undefined> {
    const what = Symbol(waiting);
    let said = "";
    try {
      for (let wait = RETRY_MS_MIN;; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
        try {
          return { result: await work() };
        } catch (fault) {
          if (fault instanceof LogFault && fault.kind === "fenced") return void this.log.fence(fault);
          if (this.closing) throw fault;
          const error = fault as Error;
          this.hindrances.set(what, error);
          if (error.message !== said) this.options.trouble(`${waiting}: ${said = error.message}`);
          await pause(this.options.clock, wait, this.ended.signal);
        }
      }
    } finally {
      this.hindrances.delete(what);
    }
  }

  private adopt(manifest: Manifest): void {
    this.log.index.adopt(manifest);
    this.news.tell();
    this.sweepLater(manifest);
  }

  /** Readers may hold an older manifest for a while. */
  private sweepLater(manifest: Manifest): void {
    const fresh = manifest.garbage.filter(({ start }) => !this.unswept.has(start));
    if (fresh.length === 0) return;
    for (const { start } of fresh) this.unswept.add(start);
    this.later(SWEEP_AFTER_MS, () => this.sweeping = this.sweeping.then(() => this.sweep(fresh)));
  }

  /** Deletes pages that no manifest has named for a while, a few at a time: appends go on in between. */
  private async sweep(garbage: readonly Extent[]): Promise<void> {
    for (const extent of garbage) {
      for (let at = extent.start; at < extent.start + extent.pages && !this.closing; at += SWEEP_PAGES) {
        const pages = Math.min(SWEEP_PAGES, extent.start + extent.pages - at);
        const deletes = Array.from({ length: pages }, (_, i) => pageKey(at + i));
        await this.commit([], deletes).catch(() => {}); // closing; the next one sweeps
      }
    }
    if (this.closing) return;
    for (const { start } of garbage) this.unswept.delete(start);
    this.background?.swept(garbage);
  }

  private async sign({ frontier, root: hash, tiles }: MadeRoot): Promise<void> {
    const { signer } = this.options;
    const { size } = frontier;
    const root = hash.toBase64();
    // There will be none where it would contradict what was signed before.
    const signed = await this.done("the checkpoint waits", () => signer!.sign(size, root));
    if (!signed) return;
    const note = signed.result;
    const checkpoint: Checkpoint = { origin: signer!.origin, size, root, note };
    const keep = size - this.kept >= CHECKPOINT_KEPT_EVERY;
    if (keep) this.remember(size);
    const puts: (readonly [Key, Uint8Array])[] = [
      [TREE_KEY, json(frontier)],
      ...this.row(checkpoint),
      ...tiles,
    ];
    if (keep) puts.push([[CHECKPOINTS_PREFIX, size], utf8.encode(note)]);
    if (!await this.commit(puts)) return;
    if (keep) this.kept = size;
    this.latest = checkpoint;
    // Not before: checkpoints of two sizes must not overtake each other while the disk is waited for.
    this.rootAsked = false;
    this.news.tell();
    if (this.closing) return;
    if (this.hurried > 0) this.wishRoot();
    else this.grew();
  }

  /** The newest checkpoint, or one of fewer events, from now on kept for good; the newest. */
  keep(earlier?: Pick<Checkpoint, "size" | "note">): Promise<Checkpoint | undefined> {
    return this.inTurn(async () => {
      const { latest } = this;
      if (!latest) return undefined;
      const { size, note } = earlier ?? latest;
      this.remember(size);
      await this.commit([[[CHECKPOINTS_PREFIX, size], utf8.encode(note)], ...this.row(latest)]);
      return latest;
    });
  }

  /** From now on it is said that there is one more. */
  private remember(size: number): void {
    if (this.store.get([CHECKPOINTS_PREFIX, size])) return;
    this.said = { ...this.said, kept: this.said.kept + 1 };
  }

  /** Resolves when a checkpoint covers `size`, or `given up` says so. */
  async signed(size: number, givenUp: () => boolean): Promise<void> {
    if (!this.options.signer) return;
    if ((this.latest?.size ?? 0) < size) this.hereNow();
    this.hurried++;
    try {
      await this.news.until(() => {
        if ((this.latest?.size ?? 0) >= size || givenUp()) return true;
        this.wishRoot();
        return false;
      });
    } finally {
      this.hurried--;
    }
  }

  /** Whether the tail holds more events than `most` that no segment has. */
  tooFar(most: number): boolean {
    return this.log.index.tail > most;
  }

  /** Resolves when the tail holds at most `most` events that no segment has, or `given up` says so. */
  async indexed(most: number, givenUp: () => boolean): Promise<void> {
    if (!this.tooFar(most)) return;
    // The generation that is not full ends early only if it is too much by itself.
    const open = this.log.index.generations.at(-1)!;
    if (open.until - open.from > most) this.log.endGeneration();
    await this.awaiting(() => this.log.index.tail <= most || givenUp());
  }

  /** Resolves when segments reach up to a position, or `given up` says so. */
  async indexedTo(position: number, givenUp: () => boolean): Promise<void> {
    if (this.log.index.manifest.until >= position) return;
    this.log.endGeneration();
    await this.awaiting(() => this.log.index.manifest.until >= position || givenUp());
  }

  private async awaiting(reached: () => boolean): Promise<void> {
    this.hereNow();
    this.awaited++;
    try {
      this.wishSegments();
      await this.news.until(reached);
    } finally {
      this.awaited--;
    }
  }

  /** Brings checkpoint and index up to the end, so that the next one to open finds little to do. */
  async catchUp(givenUp: () => boolean): Promise<void> {
    await this.signed(this.log.size, givenUp);
    if (this.log.index.tail > TAIL_LEFT_MAX) await this.indexed(0, givenUp);
  }

  async close(): Promise<void> {
    this.ended.abort();
    for (const cancel of this.cancels) cancel();
    await this.changing;
    await this.background?.close();
    await this.sweeping;
  }
}
