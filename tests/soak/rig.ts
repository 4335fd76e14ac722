/** What the long runs share: a log that counts what it reads, small events, and numbers that can be told. */
import type { KvLog } from "../../adapters/kv/log.ts";
import type { LogOptions } from "../../adapters/kv/log_options.ts";
import { KvStore } from "../../adapters/kv/store.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import type { StreamId } from "../../events/event.ts";
import type { NewEvent } from "../../events/log.ts";
import type { Batch, Key, Span, Store } from "../../events/store.ts";
import { openWithWorker } from "../log_given.ts";

export { inFolder } from "../folder_given.ts";

/** Events of one append. */
export const BATCH = 1_000;
const MIB = 1024 * 1024;

/** What was read of the store, in values and bytes. */
export interface Reads {
  blocks: number;
  pages: number;
  bytes: number;
}

/** A store that counts what is read of it. */
export class CountingStore implements Store {
  readonly reads: Reads = { blocks: 0, pages: 0, bytes: 0 };

  constructor(private readonly store: Store) {}

  get(key: Key): Uint8Array | undefined {
    const value = this.store.get(key);
    if (value) this.count(key[0], value);
    return value;
  }

  list(span: Span): Iterable<readonly [number, Uint8Array]> {
    const values = [...this.store.list(span)];
    for (const [, value] of values) this.count(span.prefix[0], value);
    return values;
  }

  private count(prefix: string | number | undefined, value: Uint8Array): void {
    if (prefix === "index") this.reads.pages++;
    else this.reads.blocks++;
    this.reads.bytes += value.length;
  }

  /** What `work` reads. */
  during(work: () => void): Reads {
    const { blocks, pages, bytes } = this.reads;
    work();
    return {
      blocks: this.reads.blocks - blocks,
      pages: this.reads.pages - pages,
      bytes: this.reads.bytes - bytes,
    };
  }

  commit(batch: Batch): Promise<boolean> {
    return this.store.commit(batch);
  }

  bytes(): number {
    return this.store.bytes();
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

export type Tuning = Pick<LogOptions, "segmentEvents" | "cacheBytesMax" | "bounds">;

export interface Opened {
  readonly log: KvLog;
  readonly store: CountingStore;
}

/** The log on Deno KV as it is shipped, without checkpoints. */
export const openLog = async (path: string, tuning: Tuning = {}): Promise<Opened> => {
  const store = new CountingStore(await KvStore.open(path, { clock: systemClock, random: systemRandom }));
  const log = await openWithWorker(store, path, { catalogue: catalogue(), clock: systemClock, ...tuning });
  return { log, store };
};

/** Event `n` of a log of distinct ids; its stream is one of many. */
export const eventAt = (n: number, streams = 1_000, stream = `soak/s${Math.floor(n / 100) % streams}`): NewEvent => ({
  id: `e${n}`,
  source: "urn:soak",
  type: "soak.thing.happened",
  stream: stream as StreamId,
  version: 1,
  time: "2026-01-01T00:00:00Z",
  authtype: "system",
  authid: "soak",
  data: { n },
});

export interface Filled {
  readonly events: number;
  readonly seconds: number;
  /** Longest time one append of a thousand took, ms. */
  readonly longest_ms: number;
}

/** Appends events until the log has `size`, a thousand at a time, two on their way. */
export const fill = async (
  log: KvLog,
  size: number,
  make: (n: number) => NewEvent = (n) => eventAt(n),
  each: (size: number) => void = () => {},
): Promise<Filled> => {
  const began = performance.now();
  const start = log.size;
  let longest_ms = 0;
  let next = start;
  const writer = async () => {
    while (next < size) {
      const [from, until] = [next, Math.min(size, next + BATCH)];
      next = until;
      const sent = performance.now();
      const appended = await log.append({ events: Array.from({ length: until - from }, (_, i) => make(from + i)) });
      if (!appended.ok || appended.accepted !== until - from) throw new Error(JSON.stringify(appended).slice(0, 300));
      longest_ms = Math.max(longest_ms, performance.now() - sent);
      each(log.size);
    }
  };
  await Promise.all([writer(), writer()]);
  return { events: size - start, seconds: (performance.now() - began) / 1_000, longest_ms };
};

/** Of the whole process, MiB. */
export const rss = (): number => Math.round(Deno.memoryUsage().rss / MIB);

export const percentile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0;

export const rounded = (value: number): number => Number(value.toPrecision(3));
