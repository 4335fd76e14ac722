/**
 * All that the command line touches of the world, in one port; `adapters/program/runtime.ts` implements it. So a command is a function from
 * what was typed and a `Runtime` to text and an exit code, and a test hands it a world of its own.
 */
import type { Ask, Daybook, Incoming, Ingested, Outcome, Principal, Status } from "../../actors/kernel/daybook.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Event } from "../../events/event.ts";
import type { Checkpoint, EventLog, HashTree } from "../../events/log.ts";
import type { ComputedView } from "../../projections/computed.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { Row, ViewPage, ViewQuery, Views } from "../../projections/views.ts";
import type { AccessRuntime } from "./access.ts";
import type { Audits } from "./audits.ts";
import type { ConfigurationRuntime } from "./configurations.ts";
import type {
  BenchRun,
  CloudtrailFiles,
  CloudtrailImport,
  GitImport,
  PushImport,
  SshdFiles,
  SshdImport,
} from "./imports.ts";
import type { ExitCode, Io, OnProgress } from "./io.ts";
import type { PrivacyRuntime, RestoreOptions } from "./persons.ts";
import type { Kept, Reader } from "./reader.ts";
import type { Settings } from "./settings.ts";
import type { StackRuntime } from "./stacks.ts";

/** The views of a folder, read-only. */
export type StoredViews = Pick<Views, "stores" | "row" | "list" | "digest" | "bytes" | "close">;

/** Personal values at the edge. Reads the keys, never writes them. */
export interface Edge {
  /** Plain text where the key is there, `[erased]` where it is gone. */
  unseal<T>(value: T): T;
  /** `[sealed]` and `[erased]`. */
  redact<T>(value: T): T;
  close(): void;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly tenant: string;
  /** Whose key it is. */
  readonly account?: string;
  /** When it was last used, some minutes ago at most. */
  readonly used?: string;
  readonly created: string;
  readonly expires?: string;
  readonly revoked?: string;
}

export interface Tokens {
  /** The token itself is told once, here. `expires`: RFC 3339. */
  create(
    request: {
      readonly name: string;
      readonly scopes: readonly string[];
      readonly expires?: string;
      readonly tenant?: string;
    },
  ): Promise<{ readonly token: string; readonly record: Token }>;
  list(): Promise<readonly Token[]>;
  /** By id. False when there is no such token. */
  revoke(id: string): Promise<boolean>;
  close(): Promise<void>;
}

/** The process that owns the folder, asked over `DIR/control.sock` with scope `admin`. */
export interface Remote {
  status(): Promise<Status>;
  ingest(events: readonly Incoming[], by: Principal): Promise<Ingested>;
  ask(ask: Ask): Promise<Outcome>;
  row(
    name: string,
    key: string,
    options?: { readonly at?: number; readonly wait?: number },
  ): Promise<{ readonly size: number; readonly row: Row | undefined }>;
  /** `wait`: after this position was applied, if the view comes so far in time (`HTTP_LIMITS.wait_ms_max`); else as far as it has come. */
  view(name: string, query?: ViewQuery, wait?: number): Promise<ViewPage>;
  /** As `Runtime.operate`. */
  operate(operation: string, input: unknown, progress: OnProgress): Promise<unknown>;
  close(): void;
}

/** Whom an importer hands its findings to: our own daybook, or the process that has the folder; what is known already it looks up itself. */
export interface Target extends Pick<Daybook, "ingest" | "ask" | "view"> {
  readonly log: Pick<EventLog, "find" | "read" | "head">;
}

export interface ServeOptions {
  readonly data: string;
  readonly settings: Settings;
}

export interface Serve extends ServeOptions {
  /** Tells of the first token of this folder, made just now: before any service is started, and it is kept once it was told. */
  tell(first: { readonly url: string; readonly token: string }): Promise<void>;
}

export interface Serving {
  readonly url: string;
  /** To be called once it was told where it listens: what may begin later than that begins now. */
  told(): void;
  /** Resolves with the cause when the supervision tree, and the server in it, has given up. */
  readonly fallen: Promise<string | undefined>;
  /** No new requests; those under way are answered. */
  stop(): Promise<void>;
}

/** Views are there and cannot be read. They can be built again from the log; only who writes the folder does it. */
export class ViewsUnreadable extends Error {
  override readonly name = "ViewsUnreadable";

  /** `older`: nothing is wrong with them, an earlier version of the program has written them. */
  constructor(message: string, readonly older: boolean) {
    super(message);
  }
}

/** A legal hold that stands, and the event that placed it. */
export interface Held {
  readonly hold: string;
  readonly reason: string;
  /** Opaque ids; with neither these nor types it covers everything. */
  readonly subjects?: readonly string[];
  readonly types?: readonly string[];
  readonly until?: string;
  readonly position: number;
  readonly recordedat: string;
}

/** The state of things says no to what an operator asked for; nothing was done. */
export class Refused extends Error {
  override readonly name = "Refused";
  /** `code`: stable, snake_case. */
  constructor(readonly code: string, message: string) {
    super(message);
  }
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Covered by a checkpoint that came from elsewhere. */
  readonly anchored: number;
  /** Events behind that. */
  readonly unanchored: number;
  /** Covered by a checkpoint that the given key has signed. */
  readonly signed: number;
  /** False: the folder agrees with itself, and no more is known. */
  readonly authenticated: boolean;
  /** Changes of the log's key that hold (public keys); with one of them given the others are followed. Absent where there are none. */
  readonly key_changes?: readonly { readonly position: number; readonly old: string; readonly new: string }[];
  /** Entries before `until` are in an archive, which was verified, too, where it was given (`checked`). */
  readonly archived?: { readonly until: number; readonly kept: number; readonly checked: boolean };
  /** It lies sealed at rest. Absent where it does not. */
  readonly sealed?: true;
  /** Where it left another log. Absent where it did not. */
  readonly forks?: readonly { readonly position: number; readonly from: string; readonly to: string }[];
  readonly failures: readonly {
    readonly position: number;
    readonly kind: string;
    readonly expected: string;
    readonly found: string;
  }[];
}

/** What a receipt proves. */
export type ReceiptReport =
  | {
    readonly ok: true;
    readonly position: number;
    /** Of the tree that the receipt's checkpoint is of. */
    readonly size: number;
    /** Base64. */
    readonly root: string;
    readonly origin: string;
    /** Names of the keys that have signed the checkpoint. */
    readonly signed: readonly string[];
    /** A witness that is believed has cosigned the checkpoint; else the log alone says so. */
    readonly anchored: boolean;
    /** Header of the entry, nothing of what it holds; absent where it is no event. */
    readonly event?: Partial<Event>;
  }
  | { readonly ok: false; readonly because: string };

/** What a witness says to the newest checkpoint. */
export type AnchorReport =
  | {
    readonly ok: true;
    readonly origin: string;
    readonly size: number;
    /** The checkpoint with the witness's cosignature. */
    readonly note: string;
  }
  | { readonly ok: false; readonly because: string };

/** A witness that listens. */
export interface Witnessing {
  readonly url: string;
  /** Its public key, of cosignatures (C2SP note verifier key). */
  readonly vkey: string;
  stop(): Promise<void>;
}

export interface BackupReport {
  readonly size: number;
  readonly root: string;
  readonly bytes: number;
  readonly keys: boolean;
}

export interface RestoreReport extends BackupReport {
  /** A checkpoint kept elsewhere that covers more than what was restored. */
  readonly shorterThan?: { readonly name: string; readonly size: number };
  /** Going on would fork what that checkpoint stands for, so the folder can be read and not written. */
  readonly readOnly?: boolean;
  /** Its name from now on, where that is another one. */
  readonly origin?: string;
  /** Persons whose keys came back and were destroyed again. */
  readonly erased?: number;
  /** Months of types that are kept for a shorter time, destroyed again. */
  readonly months?: number;
}

export interface Runtime extends AccessRuntime, Audits, PrivacyRuntime, ConfigurationRuntime, StackRuntime {
  readonly io: Io;
  readonly clock: Clock;
  /** Ends the process at once. */
  quit(code: ExitCode): void;
  /** Version of the program. */
  readonly version: string;
  /**
   * Takes the writer lock and starts everything. `LogFault` `locked` when another process has it. `:memory:` leaves nothing behind.
   * With settings it is for `serve`, and threads wait for `Serving.told`.
   */
  open(data: string, settings?: Settings): Promise<Daybook>;
  serve(daybook: Daybook, options: Serve): Promise<Serving>;
  /** Answers on the folder's socket alone, until the daybook is closed: for other commands that write meanwhile. */
  serveInside(daybook: Daybook, data: string): Promise<void>;
  /** Whether a process has the folder as its writer, with or without answering on its socket. */
  isWriting(data: string): Promise<boolean>;
  /** Undefined when no process answers on the folder's socket. */
  remote(data: string): Promise<Remote | undefined>;
  /** What is no command to an entity (`program/operations.ts`), done by this process. Throws `Refused`, or a fault. */
  operate(daybook: Daybook, operation: string, input: unknown, progress: OnProgress): Promise<unknown>;
  /** `LogFault` `foreign` when there is no log. `archive`: folder of what was archived, to read it there. */
  reader(data: string, archive?: string): Promise<Reader>;
  /** Legal holds that stand, the oldest first. */
  holds(data: string): Promise<readonly Held[]>;
  /** Writes entries from bundle to bundle into an archive, and verifies it. `Refused` for the folder of another log. */
  writeArchive(
    data: string,
    folder: string,
    what: {
      readonly from: number;
      readonly until: number;
      readonly root: string;
      readonly note: string;
      readonly key: string;
      /** Archive of what is archived already, to begin a new folder with. */
      readonly taken?: string;
    },
    progress: OnProgress,
  ): Promise<{ readonly files: number; readonly bytes: number }>;
  /** Undefined when the folder has no views (yet). `ViewsUnreadable` when there are, and they are damaged or of another format. */
  views(data: string): Promise<StoredViews | undefined>;
  /** Empty views that are gone when closed, to fold into. */
  scratch(): Promise<Views>;
  edge(data: string): Promise<Edge>;
  /**
   * An event, as it may be read, in one line of a format of other systems: `ocsf`, `syslog`, `cef`, `csv`; and what goes before the
   * first. `origin`: name of the log.
   */
  lines(
    format: string,
    origin: string | undefined,
  ): Promise<{ readonly head?: string; readonly line: (event: Event) => string }>;
  projections(): Promise<readonly AnyProjection[]>;
  /** Views that are made of a log when they are asked. */
  computed(log: Pick<EventLog, "read" | "size">): Promise<readonly ComputedView[]>;
  /** The tokens are in a database of their own, so this goes beside a running server too; it takes notice within a second. */
  tokens(data: string): Promise<Tokens>;
  /** The same without writing anything; none where there are no keys. */
  tokenList(data: string): Promise<readonly Token[]>;
  /** Whether the log of this folder has an enforced control that guards such an action; false where there is no log. */
  guarded(data: string, action: string): Promise<boolean>;
  /** Whether the folder has accounts, by its keys. */
  accounts(data: string): Promise<boolean>;
  /** Rejects with the `ImportFault` that an import would end in, so that nothing is opened for one that cannot be. */
  checkGit(path: string, options: { readonly range?: string; readonly data: string }): Promise<void>;
  importGit(
    target: Target,
    path: string,
    options: { readonly name?: string; readonly range?: string; readonly signal?: AbortSignal },
    progress: OnProgress,
  ): Promise<GitImport>;
  /** Why there is nothing to record of a body of GitHub's webhooks, if so. Rejects with `ImportFault` when it is none. */
  checkPush(body: string): Promise<string | undefined>;
  /** One body of GitHub's push webhook. `ImportFault` when it is none, or says what cannot be. */
  importPush(target: Target, body: string): Promise<PushImport>;
  /** What `deno bench --json` printed. `ImportFault` when it is something else; the message begins with the JSON path. */
  benchRun(
    text: string,
    options: { readonly project: string; readonly time: string; readonly commit?: string },
  ): Promise<BenchRun>;
  /** Reads files, and folders of them, to their ends; appends nothing. Throws what the disk says. */
  checkCloudtrail(paths: readonly string[], progress: OnProgress, signal: AbortSignal): Promise<CloudtrailFiles>;
  importCloudtrail(
    target: Pick<Target, "ingest" | "log">,
    files: CloudtrailFiles,
    progress: OnProgress,
    signal: AbortSignal,
  ): Promise<CloudtrailImport>;
  /** Reads files to their ends; appends nothing. Throws what the disk says, and `ImportFault` for a zone that there is not. */
  checkSshd(
    paths: readonly string[],
    zone: string | undefined,
    progress: OnProgress,
    signal: AbortSignal,
  ): Promise<SshdFiles>;
  importSshd(
    target: Pick<Target, "ingest" | "log">,
    files: SshdFiles,
    progress: OnProgress,
    signal: AbortSignal,
  ): Promise<SshdImport>;
  /** A small repository out of the program itself, for machines without git or without a repository. */
  importSample(target: Target): Promise<GitImport>;
  /** A private key for a certificate, PEM (PKCS #8), and its public key, base64 (SubjectPublicKeyInfo). */
  newKey(): Promise<{ readonly key: string; readonly public_key: string }>;
  /** Public key of the folder's log (C2SP note verifier key), for people to pass on; undefined without its keys. */
  verifierKey(data: string): Promise<string | undefined>;
  /** Rejects with `LogFault` `missing` where there is no log in the folder. */
  expectLog(data: string): Promise<void>;
  /** The same and those before it, the newest first; none without its keys. */
  verifierKeys(data: string): Promise<readonly string[]>;
  verify(
    data: string,
    options: {
      readonly key?: string;
      readonly against: readonly Kept[];
      readonly archive?: string;
      /** Whether this process has wide vectors, which hashing goes by. */
      readonly wide?: boolean;
    },
    progress: OnProgress,
  ): Promise<VerifyReport>;
  /** A folder of tiles (C2SP tlog-tiles), with nothing but itself. `LogFault`: `foreign`, `invalid`, `io`. */
  verifyTiles(
    folder: string,
    options: { readonly key?: string; readonly against: readonly Kept[] },
    progress: OnProgress,
  ): Promise<VerifyReport>;
  /** By one of these public keys and nothing else; anchored where one of the witnesses has cosigned. `LogFault` `invalid` when a key is none. */
  checkReceipt(
    text: string,
    by: { readonly keys: readonly string[]; readonly witnesses: readonly string[] },
  ): Promise<ReceiptReport>;
  /** Whether a receipt that was made here proves its entry by its checkpoint, whoever signed that. */
  receiptHolds(text: string): Promise<boolean>;
  /** Has a witness cosign a checkpoint. `LogFault`: `invalid` for a key that is none, `io` when the witness does not answer as one. */
  anchor(
    log: { readonly checkpoint: Checkpoint; readonly tree: HashTree },
    witness: { readonly url: string; readonly key: string },
  ): Promise<AnchorReport>;
  /** Listens until it is stopped. `LogFault`: `invalid` for a name or a key that is none, `locked`. */
  witness(
    options: {
      readonly dir: string;
      readonly name: string;
      /** Public keys of the logs it knows. */
      readonly logs: readonly string[];
      readonly host: string;
      readonly port: number;
    },
  ): Promise<Witnessing>;
  /** All that a checkpoint covers into a new folder (C2SP tlog-tiles). `LogFault`: `invalid` when the place is taken, `full`, `read_only`, `io`. */
  exportTiles(
    from: { readonly log: Pick<Reader, "entry" | "tree">; readonly checkpoint: Checkpoint },
    folder: string,
    progress: OnProgress,
  ): Promise<{ readonly files: number; readonly bytes: number }>;
  backup(
    data: string,
    destination: string,
    options: { readonly passphrase?: string; readonly signal?: AbortSignal },
    progress: OnProgress,
  ): Promise<BackupReport>;
  restore(
    source: string,
    data: string,
    options: RestoreOptions,
    progress: OnProgress,
  ): Promise<RestoreReport>;
}
