/**
 * The port of the log: the only way into and out of history.
 *
 * Reading is synchronous: the log is a local file, its pages are in the system's cache, and a point read costs
 * microseconds; so a fold over history is a plain loop. Long reads are cut into batches, between which the caller
 * yields to others. Only `append` and `follow` wait.
 */
import type { BlobRef, StoredBlob } from "./blobs.ts";
import type { Attributes, Event, Json, StreamId } from "./event.ts";

/** Bounds of the log; each has a test that reaches it. */
export const LIMITS = {
  /** One entry: the whole event in canonical form. */
  entry_bytes_max: 60_000,
  block_bytes_max: 64_000,
  append_events_max: 1_000,
  /** Entries of one append together. */
  append_bytes_max: 720_000,
  stream_bytes_max: 512,
  /** `id`, `source`, `subject` and other attributes of the header, each. */
  attribute_bytes_max: 1_024,
  /** Letters and digits of an extension attribute's name. */
  extension_name_max: 40,
  data_depth_max: 64,
} as const;

/** Attributes of an event that are texts: those that each has, and those that it may have. */
export const REQUIRED_TEXTS = ["authid", "authtype", "id", "source", "stream", "time", "type"] as const;
export const OPTIONAL_TEXTS = [
  "causationid",
  "correlationid",
  "datacontenttype",
  "dataschema",
  "subject",
  "traceparent",
  "tracestate",
] as const;

/** An event as handed in: sealed already, not yet placed. `version` is that of the shape of `data`. */
export interface NewEvent extends Attributes {
  readonly type: string;
  readonly stream: StreamId;
  readonly version: number;
  readonly authtype: string;
  readonly authid: string;
  readonly data?: unknown;
  readonly data_base64?: string;
  /** Further CloudEvents extension attributes, kept as sent. */
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
  /** False when `time` is ours because the sender gave none: then it does not count when a repeat is compared. */
  readonly timeGiven?: boolean;
  /** False when `traceparent` is ours; likewise. */
  readonly traceGiven?: boolean;
}

/** What an entry that is too large is refused with; it shows so much of the id as an error may. */
export const entryTooLarge = ({ type, id }: Pick<NewEvent, "type" | "id">): string => {
  const shown = id.length > SHOWN_ID_MAX ? `${id.slice(0, SHOWN_ID_MAX)}…` : id;
  return `an entry has at most ${LIMITS.entry_bytes_max} bytes, "${type}" with id ${JSON.stringify(shown)} has more`;
};

/** Characters of an id in an error. */
const SHOWN_ID_MAX = 40;

/** What the sender believes of a stream: anything, that it is empty, that it has events, or its last revision. */
export type Expected = "any" | "none" | "exists" | number;

/** All or none. May span streams; `expected` speaks of streams that `events` name (default `any`). */
export interface Append {
  readonly events: readonly NewEvent[];
  readonly expected?: readonly (readonly [StreamId, Expected])[];
}

export interface Receipt {
  readonly id: string;
  readonly source: string;
  readonly stream: StreamId;
  readonly revision: number;
  readonly position: number;
  /** True when the event was there already; the receipt is that of the first time. */
  readonly duplicate: boolean;
}

/** Losing a race and meeting one's own id with other content are values, not errors. */
export type Appended =
  | {
    readonly ok: true;
    readonly receipts: readonly Receipt[];
    readonly accepted: number;
    readonly duplicates: number;
    readonly size: number;
    /** What every event accepted here was stamped with; a log that leaves it out is read instead, where it is needed. */
    readonly recordedat?: string;
  }
  | {
    readonly ok: false;
    readonly conflict: "revision";
    readonly stream: StreamId;
    readonly expected: Expected;
    readonly revision: number;
  }
  | {
    readonly ok: false;
    readonly conflict: "id";
    readonly source: string;
    readonly id: string;
    readonly position: number;
  };

/** Why the log could not do it. Only `locked`, `full`, `overloaded` and `closed` may be worth a retry. */
export type FaultKind =
  | "locked" // another process holds the lock or the database
  | "full" // no room on the disk; writing resumes when there is
  | "read_only" // the folder or file cannot be written
  | "truncated" // the file is damaged
  | "foreign" // not a log of ours
  | "missing" // there is none
  | "newer" // written by a newer version of the program
  | "archived" // what was asked for lies in an archive that is not attached
  | "sealed" // sealed at rest under a key that was not handed in, or that is another
  | "fenced" // another writer has written behind our back, or the disk failed while it was written; this one stops
  | "too_large" // over one of LIMITS
  | "invalid" // not what the schema or I-JSON allows
  | "overloaded" // the append queue is at its bound
  | "closed"
  | "io"; // anything else the disk said

/** A call on the log failed, `kind` says how. Nothing of it was appended, but after `fenced`, where nobody knows. */
export class LogFault extends Error {
  override readonly name = "LogFault";
  constructor(readonly kind: FaultKind, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Which events, and in which order. Everything given must hold. */
export interface Range {
  /** First position, inclusive; one before the log's beginning is its beginning. Default 0. */
  readonly from?: number;
  /** Last position, exclusive. Default: the size when the read began. */
  readonly until?: number;
  readonly stream?: StreamId;
  /** With `stream`: first revision, inclusive. */
  readonly revision?: number;
  readonly types?: readonly string[];
  readonly correlation?: string;
  /** From the end towards the beginning. Default false. */
  readonly backward?: boolean;
  /** At most so many events. Default: all. */
  readonly limit?: number;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  /** Root hash (RFC 9162 section 2.1.1), base64. */
  readonly root: string;
  /** The signed note as text (C2SP tlog-checkpoint). */
  readonly note: string;
}

/** Some events of the types that are heard. */
export interface Heard {
  /** May be none. */
  readonly events: readonly Event[];
  /** Nothing else that is heard lies before this position. */
  readonly size: number;
}

/**
 * The Merkle tree over the entries (RFC 9162 section 2.1), as far as its hashes are stored: behind the commits, with each checkpoint.
 * Asking costs some reads and hashes, whatever the log's size. A hash is 32 bytes.
 */
export interface HashTree {
  /** Hashes and proofs are there of every tree up to this size; that of the newest checkpoint, unless some are still being made. */
  readonly size: number;
  /**
   * The first `width` hashes (default 256, all) of tile `index` of `level`, one after another, as C2SP tlog-tiles lays them out.
   * `undefined` when the tree of that size has no such tile.
   */
  tile(level: number, index: number, width?: number): Uint8Array | undefined;
  /** The proof that `position` is in the tree of `size` (section 2.1.3.1); `undefined` unless position < size <= this size. */
  inclusion(position: number, size: number): readonly Uint8Array[] | undefined;
  /** The proof that the tree of `to` extends that of `from` (section 2.1.4.1); `undefined` unless 1 <= from <= to <= this size. */
  consistency(from: number, to: number): readonly Uint8Array[] | undefined;
  /** The leaf hash of the entry at `position`; `undefined` unless position < this size. */
  leaf(position: number): Uint8Array | undefined;
  /** The root hash of the tree of `size`; `undefined` unless 1 <= size <= this size. */
  root(size: number): Uint8Array | undefined;
}

export interface EventLog {
  /** Number of events that are durable; position of the next one. */
  readonly size: number;
  /**
   * Appends all or none, in order, durable before it resolves.
   *
   * The same `source` + `id` again, with the same sender's attributes and data, returns the first receipt, so any append may
   * be repeated. Groups concurrent calls into one commit. Throws `LogFault`; on any fault but `fenced` nothing of the append is in
   * the log.
   */
  append(batch: Append): Promise<Appended>;
  /** Events in batches of bounded size (about one block each); a snapshot of the log as it is at the call. */
  read(range: Range): Iterable<readonly Event[]>;
  /** Catch-up, then live, in batches, without a gap or a repeat at the seam. Ends when the signal aborts or the log closes. */
  follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]>;
  /** As `follow`, but only events of these types, by the index: what is of no interest is not even decoded. */
  hear(types: readonly string[], from: number, signal: AbortSignal): AsyncIterable<Heard>;
  /** The event with this `source` + `id`. For one that was never recorded it costs a look into a filter. */
  find(source: string, id: string): Event | undefined;
  /** Last revision of a stream; -1 when it has no events. Throws `LogFault` `fenced` where nobody knows any more what it ends with. */
  head(stream: StreamId): number;
  /** The exact canonical bytes of one entry. */
  entry(position: number): Uint8Array | undefined;
  /** The tree's leaf hash of one entry (RFC 9162 section 2.1.1), not to be changed; those of neighbours come with it at little cost. */
  leaf(position: number): Uint8Array | undefined;
  /** Position of the first event recorded at or after this RFC 3339 time; `size` when there is none. */
  positionAt(time: string): number;
  /**
   * Stores bytes beside the events (`blobs.ts`), durable when it resolves; the answer is how an event may name them. The same
   * bytes again cost their hash and a look-up. A put that is cut off leaves no blob, and may be repeated. Throws `LogFault`:
   * `too_large` over `BLOB_LIMITS.blob_bytes_max`, `overloaded`, and as `append` does.
   *
   * The bytes must not be changed until it resolves.
   */
  putBlob(bytes: Uint8Array): Promise<BlobRef>;
  /** The blob with this SHA-256 (base64), if it is there as a whole; costs a look-up, and its bytes are read when asked for. */
  blob(sha256: string): StoredBlob | undefined;
  /** Newest signed checkpoint, if there is one; with `atLeast` it waits until one covers that size, if the log has it. */
  checkpoint(atLeast?: number): Promise<Checkpoint | undefined>;
  readonly tree: HashTree;
  /** Resolves after what was accepted is durable and everything opened is closed. */
  close(): Promise<void>;
}

export type { Json };
