/** What projections read, and how projections that go in step decode each batch once. */
import type { Event } from "../../events/event.ts";
import type { EventLog, Range } from "../../events/log.ts";

/** What a projection reads: the log, or a reader of the same file in another thread. */
export interface Feed {
  readonly size: number;
  read(range: Range): Iterable<readonly Event[]>;
  /** Resolves when `size` is above `from`, or the signal aborts. */
  grown(from: number, signal: AbortSignal): Promise<void>;
}

/** The log itself as a feed. */
export const feedOf = (log: Pick<EventLog, "size" | "read" | "follow">): Feed => ({
  get size() {
    return log.size;
  },
  read: (range) => log.read(range),
  async grown(from, signal) {
    if (log.size > from) return;
    for await (const _ of log.follow(from, signal)) return;
    // The log has closed; nothing more will come.
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
  },
});

/** What another process or thread reads of a log that it does not write. */
export interface LogFile {
  readonly size: number;
  read(range: Range): Iterable<readonly Event[]>;
  /** Takes in what has been written since. */
  refresh(): boolean;
}

/** A log file as a feed; `grown` is to be called with news of its size. */
export const feedOfFile = (file: LogFile): Feed & { grew(): void } => {
  const waiting = new Set<() => void>();
  return {
    get size() {
      return file.size;
    },
    read: (range) => file.read(range),
    grew() {
      if (file.refresh()) { for (const look of [...waiting]) look(); }
    },
    grown: (from, signal) =>
      new Promise((resolve) => {
        const look = () => {
          if (file.size <= from && !signal.aborted) return;
          waiting.delete(look);
          signal.removeEventListener("abort", look);
          resolve();
        };
        waiting.add(look);
        signal.addEventListener("abort", look, { once: true });
        look();
      }),
  };
};

/** A feed that remembers the batches read last, by where they begin, up to `max` events. */
export const sharing = (feed: Feed, max: number): Feed => {
  const kept = new Map<number, readonly Event[]>();
  let events = 0;
  const keep = (from: number, batch: readonly Event[]) => {
    kept.set(from, batch);
    events += batch.length;
    for (const [first, { length }] of kept) {
      if (events <= max) return;
      kept.delete(first);
      events -= length;
    }
  };
  return {
    get size() {
      return feed.size;
    },
    grown: (from, signal) => feed.grown(from, signal),
    *read({ from = 0 }) {
      let rest: Iterator<readonly Event[]> | undefined;
      try {
        for (let next = from; next < feed.size;) {
          let batch = kept.get(next);
          if (batch) {
            rest?.return?.();
            rest = undefined;
          } else {
            rest ??= feed.read({ from: next })[Symbol.iterator]();
            const read = rest.next();
            if (read.done) return;
            batch = read.value;
            keep(next, batch);
          }
          yield batch;
          next = batch.at(-1)!.position + 1;
        }
      } finally {
        rest?.return?.();
      }
    },
  };
};
