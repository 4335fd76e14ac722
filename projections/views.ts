/**
 * The port of the views. Writing is one transaction per batch of events, rows and cursor together; readers get a snapshot.
 */
import type { Event } from "../events/event.ts";
import type { AnyProjection } from "./projection.ts";

/** A row of a view, and the position of the event that made it what it is. */
export interface Row<V = unknown> {
  readonly key: string;
  readonly row: V;
  /** Position of the event that made this row version. */
  readonly position: number;
}

/** A question to a view; without anything its first rows in the order of their keys. */
export interface ViewQuery {
  /** Equality on indexed fields; a value is compared as text. */
  readonly where?: Readonly<Record<string, string>>;
  /** Full text of the newest rows, words all required; only for projections with `text`. */
  readonly text?: string;
  /** Only rows made by events from this position on. A time becomes a position by `EventLog.positionAt`. */
  readonly from?: number;
  /** Only rows made by events before this position. */
  readonly until?: number;
  /** Prefix of the key. */
  readonly prefix?: string;
  /**
   * Indexed field, or `key`. Default: `key`; with `where` or `text` the order in which the keys came to be, which also
   * decides between equal fields.
   */
  readonly sort?: string;
  /** Without `sort`: the order in which the keys came to be, whatever is asked for. */
  readonly byAge?: boolean;
  readonly descending?: boolean;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** `next` of the page before. */
  readonly after?: string;
  /** As of after this position was applied. Default: newest. */
  readonly at?: number;
  /** Where the question named a time and not a position: that time, ms. Only computed views look at it, for what ends by itself. */
  readonly time?: number;
}

/** Rows that answer a question, as of the first `size` events. */
export interface ViewPage<V = unknown> {
  /** The answer reflects exactly the first `size` events. */
  readonly size: number;
  readonly rows: readonly Row<V>[];
  /** Opaque; absent on the last page. */
  readonly next?: string;
}

export interface ViewChange {
  readonly key: string;
  /** `undefined`: removed. */
  readonly row: unknown;
  readonly position: number;
  /** The event that made it; needed where the projection has `text`. */
  readonly event?: Event;
}

/** Thrown for a question that the view cannot answer as put: unknown field, bad `after`, `at` without history or beyond its size. */
export class ViewQuestion extends Error {
  override readonly name = "ViewQuestion";
  constructor(
    readonly code:
      | "unknown_field"
      | "bad_cursor"
      | "bad_limit"
      | "bad_text"
      | "no_history"
      | "not_yet"
      /** It is built from the beginning, and has not come to where readers knew it. */
      | "rebuilding"
      | "no_text"
      | "unknown_view"
      /** A computed view was not told what is asked (`computed.ts`). */
      | "unasked",
    message: string,
    /** The part of the question that it is about, where the code does not say. */
    readonly about?: string,
  ) {
    super(message);
  }
}

/**
 * Thrown when the file of the views cannot be used now; what they hold is in the log still.
 *
 * `damaged`: pages are not what they were, or the file is gone, replaced, cut short, or the disk fails at it; it is put aside
 * and built again. `unwritable`: the disk is full, or the folder may not be written; the same may be tried again later.
 */
export class ViewsFault extends Error {
  constructor(readonly kind: "damaged" | "unwritable", message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** What is known of a set of rows without having them: how many, and the digest (base64). */
export interface Digested {
  readonly rows: number;
  readonly digest: string;
}

/** What a view holds after its first `size` events, in 32 bytes (base64): equal digests, equal rows. See `digest.ts`. */
export interface ViewDigest extends Digested {
  readonly name: string;
  readonly version: number;
  readonly size: number;
}

/** Of rows as they were found. */
export interface FoundDigest extends ViewDigest {
  /** The digest that is kept with the newest rows, read in the same transaction; absent as of the past. */
  readonly kept?: Digested;
}

/** One stored version of a view, with the digest that is kept with its rows: it costs nothing to ask, and says what was written. */
export interface ViewState extends ViewDigest {
  /** Whether readers of the name are answered from it. */
  readonly served: boolean;
}

/** One version of one projection, as stored. */
export interface ViewStore {
  readonly name: string;
  readonly version: number;
  /** Number of events applied; position of the next one to apply. */
  readonly size: number;
  /** Newest row, committed or not. */
  get(key: string): unknown;
  /** One transaction: rows in order, then the cursor. */
  commit(changes: readonly ViewChange[], size: number): void;
}

/** Every method may throw `ViewsFault`. */
export interface Views {
  /** Opens or creates the store of this version; beside older ones, which stay readable until `swap`. */
  open(projection: AnyProjection): ViewStore;
  /** From now on readers of the name are answered from this version; other versions are dropped. */
  swap(store: ViewStore): void;
  /** Throws `ViewQuestion` `no_history` for an older state of a working row, too. */
  row(name: string, key: string, at?: number): { readonly size: number; readonly row: Row | undefined };
  list(name: string, query: ViewQuery): ViewPage;
  /** Every stored version that is not dropped. */
  stores(): readonly ViewState[];
  /** Removes a bounded part of what `swap` dropped; false when there was nothing left. To be called when there is time. */
  sweep(): boolean;
  /**
   * Of the served version, or as of after position `at`, from the rows as they are found; rows and size are read in one
   * transaction. Costs what there is, about 5 µs a row.
   */
  digest(name: string, at?: number): FoundDigest;
  /** Small durable notes of followers (cursors, states of process managers, snapshots), by key; same database, so rebuildable. */
  note(key: string): unknown;
  /** JSON values; `undefined` removes the note. */
  setNote(key: string, value: unknown): void;
  /** Several notes in one transaction, so that a follower's states and cursor never disagree. */
  setNotes(entries: readonly (readonly [string, unknown])[]): void;
  notes(prefix: string, limit: number): readonly (readonly [string, unknown])[];
  /** Bytes on disk, 0 when there is none. */
  bytes(): number;
  /**
   * After a `damaged` fault: closes what is open, puts it aside and begins anew, empty. Stores opened before are of no use
   * any more. Throws when that cannot be done.
   */
  renew(): void;
  close(): void;
}
