/**
 * What follows the commits, at most about a second behind: the signed tree and the index. It asks the background for both and writes what
 * comes back; being derived, all of it may wait for the disk, and be lost and made again.
 */
import { type Clock, pause } from "../../actors/kernel/world.ts";
import { type Checkpoint, LogFault } from "../../events/log.ts";
import type { Key, Store } from "../../events/store.ts";
import type { Background, StartBackground } from "./background.ts";
import { type LogIndex, type Manifest, MANIFEST_KEY } from "./index/index.ts";
import { pageKey } from "./index/pages.ts";
import type { Made } from "./integrator.ts";
import type { News } from "./news.ts";
import type { Frontier } from "./tree.ts";

export const TREE_KEY: Key = ["tree"];
export const CHECKPOINT_KEY: Key = ["checkpoint"];
export const CHECKPOINTS_PREFIX = "checkpoints";

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
  readonly background: StartBackground;
  readonly signer?: Signer;
  /** A checkpoint follows growth after half of it at the latest. */
  readonly checkpointMs: number;
  readonly filterBytesMax: number;
  readonly trouble: (line: string) => void;
}

/** The log, as far as it matters here. */
export interface Followed {
  readonly size: number;
  readonly index: LogIndex;
  /** The next block begins a new generation; answers where the last one ends. */
  endGeneration(): number;
  /** No more is to be written to the log. */
  fence(fault: LogFault): void;
}

/** A checkpoint is kept for good when the log has grown by so many events since the last that was. */
const CHECKPOINT_KEPT_EVERY = 10_000;
const SWEEP_AFTER_MS = 60_000;
const SWEEP_PAGES = 500;
const RESTART_MS = 1_000;
/** What cannot be written is tried again after so long, then twice as long, up to the most. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
/** So many unindexed events are read again faster than a segment is written. */
const TAIL_LEFT_MAX = 2_000;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();
const json = (value: unknown): Uint8Array => utf8.encode(JSON.stringify(value));

export class Behind {
  private background: Background | undefined;
  private latest: Checkpoint | undefined;
  /** Segments have been asked for up to here. */
  private asked = 0;
  private rootAsked = false;
  private hurried = 0;
  private kept = 0;
  private readonly ended = new AbortController();
  private timer: (() => void) | undefined;
  private sweeping: (() => void) | undefined;
  private readonly cancels = new Set<() => void>();

  constructor(
    private readonly store: Store,
    private readonly log: Followed,
    private readonly news: News,
    private readonly options: BehindOptions,
  ) {
    const stored = store.get(CHECKPOINT_KEY);
    if (stored) this.latest = JSON.parse(fromUtf8.decode(stored));
    this.start();
  }

  /** The newest checkpoint. */
  get checkpointed(): Checkpoint | undefined {
    return this.latest;
  }

  private start(): void {
    const tree = this.store.get(TREE_KEY);
    const frontier: Frontier = tree ? JSON.parse(fromUtf8.decode(tree)) : { size: 0, nodes: [] };
    const { manifest } = this.log.index;
    this.rootAsked = false;
    this.asked = manifest.until;
    this.background = this.options.background({
      frontier,
      manifest,
      filterBytesMax: this.options.filterBytesMax,
      made: (made) => this.take(made),
      died: (cause) => this.died(cause),
    });
    this.sweepLater(manifest);
    this.grew();
  }

  private died(cause: string): void {
    this.background = undefined;
    if (this.closing) return;
    this.options.trouble(`what follows the log stopped and starts again: ${cause}`);
    this.later(RESTART_MS, () => this.start());
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

  /** To be called after each commit. */
  grew(): void {
    for (const { until } of this.log.index.generations.slice(0, -1)) this.wishSegment(until);
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

  private async take(made: Made): Promise<void> {
    if (made.made === "pages") return await this.commit(made.puts);
    if (made.made === "root") return await this.sign(made.frontier, made.root.toBase64());
    await this.commit([[MANIFEST_KEY, made.bytes]]);
    this.adopt(made.manifest);
  }

  /** While the disk is full it waits: the log itself comes first, and nothing is lost by waiting. */
  private async commit(puts: readonly (readonly [Key, Uint8Array])[], deletes: readonly Key[] = []): Promise<void> {
    for (let wait = RETRY_MS_MIN;; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
      try {
        await this.store.commit({ puts, deletes });
        return;
      } catch (fault) {
        if (this.closing) throw fault;
        this.options.trouble(`the index waits for the disk: ${(fault as Error).message}`);
        await pause(this.options.clock, wait, this.ended.signal);
      }
    }
  }

  private adopt(manifest: Manifest): void {
    this.log.index.adopt(manifest);
    this.news.tell();
    this.sweepLater(manifest);
  }

  /** Readers may hold an older manifest for a while. */
  private sweepLater(manifest: Manifest): void {
    if (manifest.garbage.length === 0 || this.sweeping) return;
    this.sweeping = this.later(SWEEP_AFTER_MS, () => {
      this.sweeping = undefined;
      void this.sweep(manifest);
    });
  }

  /** Deletes pages that no manifest has named for a while. */
  private async sweep({ garbage }: Manifest): Promise<void> {
    for (const { start, pages } of garbage) {
      for (let at = start; at < start + pages && !this.closing; at += SWEEP_PAGES) {
        const deletes = Array.from({ length: Math.min(SWEEP_PAGES, start + pages - at) }, (_, i) => pageKey(at + i));
        await this.commit([], deletes).catch(() => {}); // closing; the next one sweeps
      }
    }
    this.background?.swept(garbage.length);
  }

  private async sign(frontier: Frontier, root: string): Promise<void> {
    const { signer } = this.options;
    const { size } = frontier;
    const note = await this.noteOf(size, root);
    if (note === undefined) return;
    const checkpoint: Checkpoint = { origin: signer!.origin, size, root, note };
    const puts: (readonly [Key, Uint8Array])[] = [[TREE_KEY, json(frontier)], [CHECKPOINT_KEY, json(checkpoint)]];
    const keep = size - this.kept >= CHECKPOINT_KEPT_EVERY;
    if (keep) puts.push([[CHECKPOINTS_PREFIX, size], utf8.encode(note)]);
    await this.commit(puts);
    if (keep) this.kept = size;
    this.latest = checkpoint;
    // Not before: checkpoints of two sizes must not overtake each other while the disk is waited for.
    this.rootAsked = false;
    this.news.tell();
    if (this.closing) return;
    if (this.hurried > 0) this.wishRoot();
    else this.grew();
  }

  /** Undefined when there will be none: it would contradict what was signed before, or the log is closed. */
  private async noteOf(size: number, root: string): Promise<string | undefined> {
    for (let wait = RETRY_MS_MIN;; wait = Math.min(RETRY_MS_MAX, wait * 2)) {
      try {
        return this.options.signer!.sign(size, root);
      } catch (fault) {
        if (fault instanceof LogFault && fault.kind === "fenced") return void this.log.fence(fault);
        if (this.closing) return undefined;
        this.options.trouble(`the checkpoint waits: ${fault instanceof Error ? fault.message : fault}`);
        await pause(this.options.clock, wait, this.ended.signal);
      }
    }
  }

  /** Resolves when a checkpoint covers `size`, or `given up` says so. */
  async signed(size: number, givenUp: () => boolean): Promise<void> {
    if (!this.options.signer) return;
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

  /** Resolves when the tail holds at most `most` events that no segment has, or `given up` says so. */
  async indexed(most: number, givenUp: () => boolean): Promise<void> {
    if (this.log.index.tail <= most) return;
    // Those that are full have been asked for; the one that is not ends early only if it is too much by itself.
    const open = this.log.index.generations.at(-1)!;
    if (open.until - open.from > most) this.wishSegment(this.log.endGeneration());
    await this.news.until(() => this.log.index.tail <= most || givenUp());
  }

  /** Brings checkpoint and index up to the end, so that the next one to open finds little to do. */
  async catchUp(givenUp: () => boolean): Promise<void> {
    await this.signed(this.log.size, givenUp);
    if (this.log.index.tail > TAIL_LEFT_MAX) await this.indexed(0, givenUp);
  }

  async close(): Promise<void> {
    this.ended.abort();
    for (const cancel of this.cancels) cancel();
    await this.background?.close();
  }
}
