/**
 * The whole of Daybook as a program sees it: what HTTP, the command line and an embedding program all talk to. Wired in
 * `main.ts`; adapters import only this shape.
 */
import type { Event, StreamId } from "../../events/event.ts";
import type { BlobRef } from "../../events/blobs.ts";
import type { Append, Appended, Checkpoint, EventLog, NewEvent, Range } from "../../events/log.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { Computed } from "../../projections/computed.ts";
import type { Projection } from "../../projections/projection.ts";
import type { Row, ViewPage, ViewQuery } from "../../projections/views.ts";
import type { Actor, CommandType } from "../types.ts";
import type { Growth } from "./growth.ts";
import type { Redriven } from "./dead_letters.ts";
import type { DeadLetter } from "./held_letters.ts";

/** Who asks. Opaque ids only. */
export interface Principal {
  /** As in the CloudEvents authcontext extension: a person, a token of ours, or the program itself. */
  readonly authtype: "user" | "api_key" | "system";
  readonly authid: string;
  /** Of a key of an account: which. It is not recorded with what comes of it. */
  readonly account?: string;
  /** Which policies let this be done, with spaces between; kept with the facts that come of a command (`authpolicies`). */
  readonly policies?: string;
}

/** A command to an entity, with what the asker says of it. What comes of it is an `Outcome`. */
export interface Ask {
  readonly type: CommandType;
  /** The entity's id; the stream is the command's domain, a slash, and this. */
  readonly id: string;
  readonly data: unknown;
  readonly by: Principal;
  /** The caller's own id for this wish, unique per caller and entity; the same again returns the first accepted outcome. Default: fresh. */
  readonly command?: string;
  /** Refuse unless the entity's last revision is this one. */
  readonly expected?: number;
  /** How long the caller is willing to wait, ms. Default 5,000. */
  readonly deadline?: number;
  readonly causationid?: string;
  readonly correlationid?: string;
  readonly traceparent?: string;
}

export interface Issue {
  /** Path into `data`, `/`-joined as in a JSON Pointer (RFC 6901); empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** What came of a command. Only of `accepted` anything is recorded, durably and once for each command id; `unavailable` may be repeated with the same one. */
export type Outcome =
  | {
    readonly is: "accepted";
    readonly stream: StreamId;
    readonly revision: number;
    readonly position: number;
    readonly facts: readonly Event[];
    readonly duplicate: boolean;
  }
  | { readonly is: "rejected"; readonly code: string; readonly because: string; readonly revision: number }
  | { readonly is: "invalid"; readonly issues: readonly Issue[] }
  | { readonly is: "unknown_command" }
  /** `expected` was not met, or the command's id was used before with other data or another `expected`. */
  | { readonly is: "conflict"; readonly reason: "revision" | "command_id"; readonly revision: number }
  /**
   * May be repeated with the same `command` id. `deadline`, `log`: it may be done nevertheless, or have been; else it was not. `archived`:
   * what is asked for lies there, and is answered once the archive is attached.
   */
  | {
    readonly is: "unavailable";
    readonly reason: "mailbox_full" | "deadline" | "contention" | "log" | "archived" | "stopping";
    readonly retryAfterMs: number;
  };

/** An event as a program outside hands it in: CloudEvents attributes as sent, nothing of ours. */
export interface Incoming {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly time?: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly data?: unknown;
  readonly data_base64?: string;
  readonly causationid?: string;
  readonly correlationid?: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly extensions?: Readonly<Record<string, string | number | boolean>>;
}

/** Ingest's answer: as the log's, or why an event was not acceptable (`index` is its place in the batch). */
export type Ingested =
  | Appended
  | {
    readonly ok: false;
    readonly conflict: "invalid";
    readonly index: number;
    readonly code: "decided_type" | "unknown_type" | "invalid_data" | "invalid_attribute" | "not_permitted";
    readonly issues: readonly Issue[];
  };

/** A node of the supervision tree, as it is now. */
export interface HealthNode {
  readonly id: string;
  readonly state: "starting" | "running" | "backoff" | "stopping" | "stopped" | "down";
  /** Since the start of the process. */
  readonly restarts: number;
  readonly since: string;
  /** Last cause of a crash, one line, nothing personal. */
  readonly cause?: string;
  readonly children?: readonly HealthNode[];
}

/** Paths of what is down for good, the highest of each branch: its budget of restarts is spent, or it is never started again. */
export const downIn = ({ id, state, children = [] }: HealthNode): readonly string[] =>
  state === "down" ? [id] : children.flatMap((child) => downIn(child).map((path) => `${id}:${path}`));

export interface ProjectionState {
  readonly name: string;
  readonly version: number;
  /** `rebuilding`: readers knew more; an older version answers them meanwhile, or nothing where the views were lost. */
  readonly state: "catching_up" | "live" | "rebuilding" | "stopped";
  readonly size: number;
  /** Events the log has and the view has not. */
  readonly lag: number;
  readonly stoppedAt?: StoppedAt;
}

/** The projection stands still before this position. */
export interface StoppedAt {
  readonly position: number;
  readonly cause: string;
  /** `event`: that one cannot be folded. `views`: they cannot be used; it goes on by itself when they can. */
  readonly of: "event" | "views";
}

/** How a daybook stands at this moment; bytes and events are counts. */
export interface Status {
  /**
   * `unwritable`: the log cannot be written now; reading goes on. `down`: the root of the supervision tree has given up; nothing that is
   * supervised runs any more.
   */
  readonly state: "starting" | "ready" | "unwritable" | "down" | "stopping";
  /** Why it is `unwritable`, one line. */
  readonly cause?: string;
  readonly durable: boolean;
  readonly size: number;
  readonly indexed: number;
  readonly checkpoint?: { readonly size: number; readonly root: string };
  readonly bytes: { readonly log: number; readonly views: number };
  /** As of some seconds ago at most. */
  readonly growth: Growth;
  readonly health: HealthNode;
  readonly projections: readonly ProjectionState[];
  readonly deadLetters: number;
  /** Further ones, which gave way to those: the log tells of them, and they cannot be redriven before the next start. */
  readonly deadLettersEvicted: number;
}

export interface IngestContext {
  readonly traceparent?: string;
  /** Whether an event of this source may go to this stream; default: any may. */
  readonly may?: (source: string, stream: StreamId) => boolean;
}

/** An open daybook: what happened goes in by `ingest`, wishes by `ask`; history comes out by `read` and `follow`, what follows from it by `row` and `view`. */
export interface Daybook {
  readonly catalogue: Catalogue;
  /** Those that take commands from outside. */
  readonly actors: readonly Actor[];
  readonly projections: readonly Projection[];
  /** Views that are made when they are asked; `row` and `view` answer them, too. */
  readonly computed: readonly Computed[];
  readonly log: EventLog;
  /**
   * Validates, seals and appends observed events: the front door for everything that happened elsewhere.
   * `traceparent` of the context is kept in the header of events that bring none; being ours it does not count when a repeat is compared.
   * Throws `Declined` (`gate.ts`) where an enforced control that guards one of them is red, as `append` and `ask` do.
   */
  ingest(events: readonly Incoming[], by: Principal, context?: IngestContext): Promise<Ingested>;
  /**
   * Appends as the program itself; for embedding programs. Personal fields are sealed on the way. Of a type that the catalogue has the data
   * is checked, and the version is that of the catalogue: throws `LogFault` `invalid` for another.
   */
  append(batch: Append): Promise<Appended>;
  /** One after another, as of the call. Events cannot be changed, here and in `follow`: others are given the same ones. */
  read(range: Range): AsyncIterable<Event>;
  /**
   * From this position on, and then what comes, in batches, without a gap or a repeat at the seam. Ends when the signal aborts or the
   * daybook closes.
   */
  follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]>;
  /** Hands a command to its entity. What comes of it is an answer, a rejection, too. */
  ask(ask: Ask): Promise<Outcome>;
  /**
   * A row, absent where there is none, as of the first `size` events. `at`: as of after this position; `time`: as in `ViewQuery`. `wait`:
   * not before the view shows this position, so that one reads one's own write; `deadline`: for at most so long, ms. Default 5,000.
   *
   * Throws `ViewQuestion`, `not_yet` where it is not there in time, and `ViewsFault`.
   */
  row(
    name: string,
    key: string,
    options?: { readonly at?: number; readonly time?: number; readonly wait?: number; readonly deadline?: number },
  ): Promise<{ readonly size: number; readonly row: Row | undefined }>;
  /** Rows that answer a question; `wait`, `deadline` and what is thrown as of `row`. */
  view(name: string, query?: ViewQuery & { readonly wait?: number; readonly deadline?: number }): Promise<ViewPage>;
  /** Restores personal values; `[erased]` where the key is gone. Only for a principal with scope `personal`. */
  unseal<T>(value: T): T;
  /** Replaces sealed texts by `[sealed]`; `[erased]` where the key is gone. What everybody else gets. */
  redact<T>(value: T): T;
  /**
   * Stores bytes beside the events, durable when it resolves; the answer is how an event names them (`events/blobs.ts`).
   * May be repeated. `log.blob` reads them.
   *
   * `subject`: whom the bytes tell of, an opaque id or an identifier. Then they are sealed under that person's key before they
   * are stored, and the answer names the sealed bytes: once the key is gone nobody can read them.
   */
  putBlob(bytes: Uint8Array, options?: { readonly subject?: string }): Promise<BlobRef>;
  /**
   * The plain bytes of a sealed blob, and of any other the bytes themselves; `undefined` where the key is gone, or is not one
   * of ours. Only for a principal with scope `personal`.
   */
  unsealBlob(bytes: Uint8Array): Promise<Uint8Array | undefined>;
  /** Newest signed checkpoint, if there is one; with `atLeast` it waits until one covers that size, if the log has it. */
  checkpoint(atLeast?: number): Promise<Checkpoint | undefined>;
  /** What could not be delivered, oldest first; what is sealed in it is sealed. Bounded, see `dead_letters.ts`. */
  deadLetters(): readonly DeadLetter[];
  /** Delivers a dead letter again; it stays one when that fails. */
  redrive(id: string): Promise<Redriven>;
  /** Waits for nothing, whatever holds the log or the views up. */
  status(): Status;
  /**
   * Stops taking work, drains, stops children in reverse order, closes. Never throws; safe to call twice. Who waits for a view is told at
   * once that it is not there yet; `row` and `view` of what is closed reject with `LogFault` `closed`.
   */
  close(): Promise<void>;
}

export type { NewEvent };
