/**
 * Wraps a log with misfortune, for what is above it: one process's handle on a log that survives the process. Reads
 * are those of the log within; appends are slow, fail, or land without anybody being told.
 */
import type { BlobRef, StoredBlob } from "../../events/blobs.ts";
import type { Event, StreamId } from "../../events/event.ts";
import type { Append, Appended, Checkpoint, EventLog, HashTree, Heard, Range } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Faults } from "./faults.ts";

export interface FaultyLogOptions {
  /** The process's share of the clock. */
  readonly clock: Clock;
  readonly faults: Faults;
  /** Told when a fault kills the process; it must call `crash` here and end everything else of the process. */
  readonly died: () => void;
}

export class FaultyLog implements EventLog {
  private readonly ended = new AbortController();
  private dead = false;

  constructor(private readonly inner: EventLog, private readonly options: FaultyLogOptions) {}

  get size(): number {
    return this.alive.size;
  }

  get tree(): HashTree {
    return this.alive.tree;
  }

  append(batch: Append): Promise<Appended> {
    const { clock, faults, died } = this.options;
    if (this.dead) return NEVER;
    if (this.ended.signal.aborted) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      const later = (call: () => void) => clock.schedule(faults.latency(), () => this.dead || call());
      later(() => {
        const fault = faults.draw("locked", "full", "io_before", "crash_before");
        if (fault === "crash_before") return died();
        if (fault) return reject(new LogFault(fault === "io_before" ? "io" : fault, `simulated: ${fault}`));
        this.inner.append(batch).then((appended) => {
          const after = faults.draw("io_after", "crash_after");
          if (after === "crash_after") return died();
          later(() => after ? reject(new LogFault("io", "simulated: outcome unknown")) : resolve(appended));
        }, reject);
      });
    });
  }

  read(range: Range): Iterable<readonly Event[]> {
    return this.alive.read(range);
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]> {
    return this.whileAlive(signal, (either) => this.alive.follow(from, either));
  }

  hear(types: readonly string[], from: number, signal: AbortSignal): AsyncIterable<Heard> {
    return this.whileAlive(signal, (either) => this.alive.hear(types, from, either));
  }

  private async *whileAlive<T>(
    signal: AbortSignal,
    pages: (either: AbortSignal) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    for await (const page of pages(AbortSignal.any([signal, this.ended.signal]))) {
      if (this.dead) break;
      yield page;
    }
    if (this.dead) await NEVER;
  }

  find(source: string, id: string): Event | undefined {
    return this.alive.find(source, id);
  }

  head(stream: StreamId): number {
    return this.alive.head(stream);
  }

  entry(position: number): Uint8Array | undefined {
    return this.alive.entry(position);
  }

  leaf(position: number): Uint8Array | undefined {
    return this.alive.leaf(position);
  }

  positionAt(time: string): number {
    return this.alive.positionAt(time);
  }

  putBlob(bytes: Uint8Array): Promise<BlobRef> {
    return this.dead ? NEVER : this.alive.putBlob(bytes);
  }

  blob(sha256: string): StoredBlob | undefined {
    return this.alive.blob(sha256);
  }

  checkpoint(atLeast?: number): Promise<Checkpoint | undefined> {
    return this.alive.checkpoint(atLeast);
  }

  /** The process dies: nothing it awaits here ever settles, and it reads nothing more; what reached the log within stays. */
  crash(): void {
    this.dead = true;
    this.ended.abort();
  }

  /** Ends this handle; the log within lives on. */
  close(): Promise<void> {
    this.ended.abort();
    return Promise.resolve();
  }

  private get alive(): EventLog {
    if (this.dead) throw closed();
    return this.inner;
  }
}

const NEVER = new Promise<never>(() => {});
const closed = () => new LogFault("closed", "simulated: the log is closed");
