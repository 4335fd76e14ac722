/**
 * The log as simply as it can be said: arrays and maps. It is the reference that the contract suite holds every other log
 * against, and the model in property tests. It keeps every promise but durability, bounds and the signed tree.
 */
import { createHash } from "node:crypto";
import { BLOB_LIMITS, type BlobRef, type StoredBlob } from "../../events/blobs.ts";
import { canonical, CanonicalError } from "../../events/canonical.ts";
import type { Event, StreamId } from "../../events/event.ts";
import { correlationOf } from "../../events/event.ts";
import type { Append, Appended, Checkpoint, EventLog, Heard, NewEvent, Range, Receipt } from "../../events/log.ts";
import { entryTooLarge, LIMITS, LogFault, OPTIONAL_TEXTS, REQUIRED_TEXTS } from "../../events/log.ts";
import { sameAsSent } from "../../events/same.ts";
import type { Clock } from "../../actors/kernel/world.ts";

const BATCH = 256;
const bytes = new TextEncoder();
const none = () => undefined;

export class MemoryLog implements EventLog {
  private readonly entries: Event[] = [];
  private readonly streams = new Map<StreamId, number[]>();
  private readonly ids = new Map<string, number>();
  private readonly blobs = new Map<string, Uint8Array>();
  private readonly waiting = new Set<() => void>();
  private latest = 0;
  private closed = false;
  readonly tree = { size: 0, tile: none, inclusion: none, consistency: none, leaf: none, root: none };

  constructor(private readonly clock: Pick<Clock, "now">) {}

  get size(): number {
    return this.entries.length;
  }

  // Asynchronous as the port is, though nothing here waits.
  // deno-lint-ignore require-await
  async append(batch: Append): Promise<Appended> {
    if (this.closed) throw new LogFault("closed", "the log is closed");
    const { events, expected = [] } = batch;
    if (events.length === 0 || events.length > LIMITS.append_events_max) {
      throw new LogFault(
        "too_large",
        `an append has 1 to ${LIMITS.append_events_max} events, this one ${events.length}`,
      );
    }
    const now = Math.max(this.latest, this.clock.now());
    const recordedat = new Date(now).toISOString();
    const fresh: Event[] = [];
    const receipts: Receipt[] = [];
    const placed = new Map<StreamId, number>();
    let total = 0;
    for (const event of events) {
      checkAttributes(event);
      const before = this.find(event.source, event.id) ??
        fresh.find((e) => e.source === event.source && e.id === event.id);
      if (before) {
        if (!sameAsSent(event, { ...before })) {
          return { ok: false, conflict: "id", source: event.source, id: event.id, position: before.position };
        }
        const { id, source, stream, revision, position } = before;
        receipts.push({ id, source, stream, revision, position, duplicate: true });
        continue;
      }
      const revision = (placed.get(event.stream) ?? this.head(event.stream)) + 1;
      placed.set(event.stream, revision);
      const entry = place(event, { revision, position: this.entries.length + fresh.length, recordedat });
      const text = canonicalOrFault(entry);
      const length = bytes.encode(text).length;
      if (length > LIMITS.entry_bytes_max) {
        throw new LogFault("too_large", entryTooLarge(event));
      }
      if ((total += length) > LIMITS.append_bytes_max) {
        throw new LogFault("too_large", `an append has at most ${LIMITS.append_bytes_max} bytes`);
      }
      fresh.push(JSON.parse(text));
      receipts.push({
        id: event.id,
        source: event.source,
        stream: event.stream,
        revision,
        position: entry.position,
        duplicate: false,
      });
    }
    // A repeat of the whole is answered whatever the caller expects by now; anything new must meet its expectation.
    if (fresh.length > 0) {
      for (const [stream, want] of expected) {
        const revision = this.head(stream);
        const met = want === "any" ||
          (want === "none" ? revision < 0 : want === "exists" ? revision >= 0 : revision === want);
        if (!met) return { ok: false, conflict: "revision", stream, expected: want, revision };
      }
    }
    if (fresh.length > 0) this.latest = now;
    for (const event of fresh) {
      this.entries.push(event);
      this.ids.set(`${event.source}\n${event.id}`, event.position);
      const positions = this.streams.get(event.stream);
      positions ? positions.push(event.position) : this.streams.set(event.stream, [event.position]);
    }
    if (fresh.length > 0) { for (const wake of [...this.waiting]) wake(); }
    return {
      ok: true,
      receipts,
      accepted: fresh.length,
      duplicates: events.length - fresh.length,
      size: this.size,
      ...(fresh.length > 0 ? { recordedat } : {}),
    };
  }

  read(range: Range): Iterable<readonly Event[]> {
    const { from = 0, until = Infinity, limit = Infinity } = range;
    let matching = this.entries.filter((event) =>
      event.position >= from && event.position < until &&
      (range.stream === undefined || (event.stream === range.stream && event.revision >= (range.revision ?? 0))) &&
      (range.types === undefined || range.types.includes(event.type)) &&
      (range.correlation === undefined || correlationOf(event) === range.correlation)
    );
    if (range.backward) matching.reverse();
    if (limit !== Infinity) matching = matching.slice(0, limit);
    return Array.from(
      { length: Math.ceil(matching.length / BATCH) },
      (_, i) => matching.slice(i * BATCH, (i + 1) * BATCH),
    );
  }

  async *hear(types: readonly string[], from: number, signal: AbortSignal): AsyncIterable<Heard> {
    for await (const batch of this.follow(from, signal)) {
      yield { events: batch.filter(({ type }) => types.includes(type)), size: batch.at(-1)!.position + 1 };
    }
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]> {
    for (let next = Math.max(0, from); !signal.aborted && !this.closed;) {
      if (next < this.size) {
        const batch = this.entries.slice(next, next + BATCH);
        next += batch.length;
        yield batch;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
  }

  find(source: string, id: string): Event | undefined {
    const position = this.ids.get(`${source}\n${id}`);
    return position === undefined ? undefined : this.entries[position];
  }

  head(stream: StreamId): number {
    return (this.streams.get(stream)?.length ?? 0) - 1;
  }

  entry(position: number): Uint8Array | undefined {
    const event = this.entries[position];
    return event && bytes.encode(canonical(event));
  }

  leaf(position: number): Uint8Array | undefined {
    const entry = this.entry(position);
    return entry && createHash("sha256").update(Uint8Array.of(0)).update(entry).digest();
  }

  positionAt(time: string): number {
    const found = this.entries.findIndex((event) => Date.parse(event.recordedat) >= Date.parse(time));
    return found < 0 ? this.size : found;
  }

  // Asynchronous as the port is, though nothing here waits.
  // deno-lint-ignore require-await
  async putBlob(bytes: Uint8Array): Promise<BlobRef> {
    if (this.closed) throw new LogFault("closed", "the log is closed");
    const { blob_bytes_max } = BLOB_LIMITS;
    if (bytes.length > blob_bytes_max) {
      throw new LogFault("too_large", `a blob has at most ${blob_bytes_max} bytes, this one ${bytes.length}`);
    }
    const sha256 = createHash("sha256").update(bytes).digest("base64");
    this.blobs.set(sha256, bytes.slice());
    return { sha256, bytes: bytes.length };
  }

  blob(sha256: string): StoredBlob | undefined {
    const bytes = this.blobs.get(sha256);
    if (!bytes) return undefined;
    const { chunk_bytes } = BLOB_LIMITS;
    return {
      sha256,
      bytes: bytes.length,
      read: () => bytes.slice(),
      chunks: () =>
        Array.from(
          { length: Math.ceil(bytes.length / chunk_bytes) },
          (_, n) => bytes.slice(n * chunk_bytes, (n + 1) * chunk_bytes),
        ),
    };
  }

  checkpoint(): Promise<Checkpoint | undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    this.closed = true;
    for (const wake of [...this.waiting]) wake();
    return Promise.resolve();
  }
}

const canonicalOrFault = (entry: unknown): string => {
  try {
    return canonical(entry, LIMITS.data_depth_max + 1); // the entry is a level of its own
  } catch (error) {
    if (error instanceof CanonicalError) {
      throw new LogFault("invalid", `${error.path}: ${error.message}`, { cause: error });
    }
    throw error;
  }
};

const EXTENSION_NAME = new RegExp(`^[a-z0-9]{1,${LIMITS.extension_name_max}}$`);

const checkAttributes = (event: NewEvent): void => {
  for (const name of REQUIRED_TEXTS) {
    const value: unknown = event[name];
    if (typeof value !== "string" || value === "") {
      throw new LogFault("invalid", `/${name}: expected a text that is not empty`);
    }
  }
  if (event.stream.indexOf("/") < 1) throw new LogFault("invalid", "/stream: expected a domain, a slash and an id");
  if (!Number.isSafeInteger(event.version) || event.version < 1) {
    throw new LogFault("invalid", "/version: expected a whole number from 1 on");
  }
  for (const name of [...OPTIONAL_TEXTS, "data_base64"] as const) {
    const value: unknown = event[name];
    if (value !== undefined && typeof value !== "string") throw new LogFault("invalid", `/${name}: expected a text`);
  }
  for (const [name, value] of Object.entries(event.extensions ?? {})) {
    if (!EXTENSION_NAME.test(name)) throw new LogFault("invalid", `/${name}: is not a name an extension may have`);
    if (!["string", "number", "boolean"].includes(typeof value)) {
      throw new LogFault("invalid", `/${name}: expected a text, a number or a truth value`);
    }
  }
  for (const [name, value] of Object.entries({ ...event, ...event.extensions })) {
    if (typeof value !== "string" || name === "data" || name === "data_base64") continue;
    const most = name === "stream" ? LIMITS.stream_bytes_max : LIMITS.attribute_bytes_max;
    if (bytes.encode(value).length > most) throw new LogFault("too_large", `/${name}: at most ${most} bytes`);
  }
};

const place = (event: NewEvent, ours: { revision: number; position: number; recordedat: string }): Event => {
  const { extensions, timeGiven: _t, traceGiven: _g, ...given } = event;
  return { ...extensions, ...given, ...ours, specversion: "1.0" } as Event;
};
