/**
 * The file under everything here: one SQLite database, owner-only, every secret in it wrapped by the root key.
 *
 * A rollback journal, not a write-ahead log, and `secure_delete`: an erased key must be gone from the file when its
 * erasure is acknowledged, and a reader must be able to open the file in a folder it cannot write.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { closeSync, openSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import type { Clock } from "../../actors/kernel/world.ts";
import { KeysFault, keysFault } from "./fault.ts";
import { readRoot, ROOT_BYTES, type RootSource, syncFolder, tooOpen, writeRoot } from "./root.ts";
import { rootCheck, Wrapping } from "./wrapping.ts";

export interface DatabaseOptions {
  /** The file, or `:memory:`. */
  readonly path: string;
  readonly clock: Pick<Clock, "now">;
  /** Default: the file `root.key` beside the database. */
  readonly root?: RootSource;
  /** Never writes, not even when the folder would allow it. The file must exist. Default false. */
  readonly readOnly?: boolean;
  /**
   * There is a log that was written with these keys, so a missing database is a fault and not a first start. Default
   * false.
   */
  readonly existing?: boolean;
  /** How long a call waits for another process that writes, ms. Default 2,000. */
  readonly busyMs?: number;
  /** Secret bytes; for simulation. Default: the system's. */
  readonly random?: (bytes: number) => Uint8Array;
  /** Told of things that an operator should mend, one line each. */
  readonly warn?: (line: string) => void;
}

type Record = { readonly [column: string]: SQLOutputValue };

/** "dbk1": tells our file from other people's (https://sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION = 0x64626b31;
const VERSION = 1;
/** What another process changed is seen after at most so long. */
export const SEEN_WITHIN_MS = 500;

const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE subjects (subject TEXT PRIMARY KEY, key BLOB, created TEXT NOT NULL, erased TEXT) WITHOUT ROWID;
  CREATE TABLE identifiers (lookup BLOB PRIMARY KEY, subject TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX identifiers_of ON identifiers (subject);
  CREATE TABLE periods (period TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, scopes TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, revoked INTEGER) WITHOUT ROWID;
  CREATE TABLE sessions (id TEXT PRIMARY KEY, token TEXT NOT NULL, hash BLOB NOT NULL, created INTEGER NOT NULL,
    expires INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX sessions_end ON sessions (expires);
  CREATE TABLE checkpoints (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, note TEXT NOT NULL)
    WITHOUT ROWID;
`;

export class KeyDatabase {
  readonly readOnly: boolean;
  readonly clock: Pick<Clock, "now">;
  readonly random: (bytes: number) => Uint8Array;
  private readonly db: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();
  readonly wrapping: Wrapping;
  private version: unknown;
  private looked = -Infinity;
  /** Called when another process changed the file: caches are to be dropped. */
  private readonly onChange: (() => void)[] = [];

  constructor(private readonly options: DatabaseOptions) {
    const { path, readOnly = false } = options;
    this.readOnly = readOnly;
    this.clock = options.clock;
    this.random = options.random ?? randomBytes;
    this.db = this.open(path);
    try {
      const root = this.prepared(path);
      this.wrapping = new Wrapping(root, this.random);
      this.version = this.get("PRAGMA data_version")?.data_version;
    } catch (error) {
      this.db.close();
      throw keysFault(`open the key database ${path}`, error);
    }
  }

  private open(path: string): DatabaseSync {
    const { readOnly = false, existing = false, busyMs = 2_000, warn } = this.options;
    if (path !== ":memory:") {
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined && (existing || readOnly)) {
        throw new KeysFault(
          "missing",
          `Cannot find the key database ${path}: without it personal values stay sealed; restore it from a backup`,
        );
      }
      if (size === 0 && (existing || readOnly)) {
        throw new KeysFault("truncated", `Cannot open the key database ${path}: it is empty; restore it from a backup`);
      }
      try {
        // SQLite would make it readable by all.
        if (size === undefined) closeSync(openSync(path, "a", 0o600));
      } catch (error) {
        throw keysFault(`create the key database ${path}`, error);
      }
      const line = tooOpen(path);
      if (line) warn?.(line);
    }
    try {
      return new DatabaseSync(path, { readOnly, timeout: busyMs });
    } catch (error) {
      throw keysFault(`open the key database ${path}`, error);
    }
  }

  /** Brings the file to our shape, or says why it is not ours; answers with the root key that opens it. */
  private prepared(path: string): Uint8Array {
    if (!this.readOnly) {
      this.db.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON");
    }
    const application = Number(this.get("PRAGMA application_id")!.application_id);
    const version = Number(this.get("PRAGMA user_version")!.user_version);
    const tables = Number(this.get("SELECT count(*) AS n FROM sqlite_master")!.n);
    if (application === 0 && tables === 0 && !this.readOnly) return this.create(path);
    if (application !== APPLICATION) throw new KeysFault("foreign", `Cannot open ${path}: it is not a key database`);
    if (version > VERSION) {
      throw new KeysFault(
        "newer",
        `Cannot open ${path}: format ${version} was written by a newer version, this one knows ${VERSION}`,
      );
    }
    this.checkWhole(path);
    return this.known(path);
  }

  // A file cut short would show itself only when a lost page is read, perhaps months later.
  private checkWhole(path: string): void {
    if (path === ":memory:") return;
    const pages = Number(this.get("PRAGMA page_count")!.page_count) * Number(this.get("PRAGMA page_size")!.page_size);
    if (statSync(path).size < pages) {
      throw new KeysFault("truncated", `Cannot open ${path}: it is cut short; restore it from a backup`);
    }
  }

  private create(path: string): Uint8Array {
    const source = this.source(path);
    const draft = this.random(ROOT_BYTES);
    const root = source === undefined ? draft : readRoot(source) ?? writeRoot((source as { file: string }).file, draft);
    this.transaction(() => {
      // Another process may have been first.
      if (Number(this.get("PRAGMA application_id")!.application_id) === APPLICATION) return;
      this.db.exec(SCHEMA);
      this.db.exec(`PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${VERSION}`);
      this.run("INSERT INTO meta VALUES ('root', ?)", rootCheck(root));
    });
    if (path === ":memory:") return root;
    syncFolder(dirname(path));
    return this.known(path);
  }

  private known(path: string): Uint8Array {
    const source = this.source(path)!;
    const root = readRoot(source);
    if (!root) {
      throw new KeysFault(
        "root_missing",
        `Cannot open ${path}: its root key ${(source as { file: string }).file} is missing; restore it from a backup`,
      );
    }
    if ("file" in source) {
      const line = tooOpen(source.file);
      if (line) this.options.warn?.(line);
    }
    const check = this.get("SELECT value FROM meta WHERE name = 'root'")?.value as Uint8Array | undefined;
    if (!check || check.length !== ROOT_BYTES || !timingSafeEqual(check, rootCheck(root))) {
      throw new KeysFault("root_wrong", `Cannot open ${path}: this root key is not the one it was made with`);
    }
    return root;
  }

  private source(path: string): RootSource | undefined {
    return this.options.root ?? (path === ":memory:" ? undefined : { file: join(dirname(path), "root.key") });
  }

  /** The first row, or `undefined`. Statements are prepared once. */
  get(sql: string, ...values: SQLInputValue[]): Record | undefined {
    return this.statement(sql).get(...values) as Record | undefined;
  }

  all(sql: string, ...values: SQLInputValue[]): Record[] {
    return this.statement(sql).all(...values) as Record[];
  }

  /** Number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.statement(sql).run(...values).changes);
  }

  private statement(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (!statement) this.statements.set(sql, statement = this.db.prepare(sql));
    return statement;
  }

  /** All or none, durable when it returns. Throws `KeysFault` named after what was attempted. */
  write<T>(action: string, work: () => T): T {
    if (this.readOnly) throw new KeysFault("read_only", `Cannot ${action}: the key database is open for reading only`);
    try {
      return this.transaction(work);
    } catch (error) {
      throw keysFault(action, error);
    }
  }

  /** Reads, with faults named after what was attempted. */
  read<T>(action: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw keysFault(action, error);
    }
  }

  private transaction<T>(work: () => T): T {
    this.db.exec("BEGIN IMMEDIATE");
    try {
      const value = work();
      this.db.exec("COMMIT");
      return value;
    } catch (error) {
      // After some errors SQLite has rolled back by itself.
      if (this.db.isTransaction) this.db.exec("ROLLBACK");
      throw error;
    }
  }

  whenChanged(drop: () => void): void {
    this.onChange.push(drop);
  }

  /**
   * Looks, at most every `SEEN_WITHIN_MS`, whether another process has changed the file, and drops the caches if so.
   */
  refresh(): void {
    const now = this.clock.now();
    // A clock set back must not stop the looking.
    if (now - this.looked < SEEN_WITHIN_MS && now >= this.looked) return;
    this.looked = now;
    const version = this.read("read the key database", () => this.get("PRAGMA data_version")?.data_version);
    if (version === this.version) return;
    this.version = version;
    for (const drop of this.onChange) drop();
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
  }
}
