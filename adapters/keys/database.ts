/**
 * The file under everything here: one SQLite database, owner-only, every secret in it wrapped by the root key.
 *
 * A rollback journal, not a write-ahead log, and `secure_delete`: an erased key must be gone from the file when its
 * erasure is acknowledged, and a reader must be able to open the file in a folder it cannot write.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { AWAY, changeOf, type FileSeen } from "../../actors/kernel/open_file.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { KeysFault, keysFault } from "./fault.ts";
import { APPLICATION, create, FORMAT, type Founding, upgrade } from "./format.ts";
import { Hierarchy, rootsIn, type Row } from "./hierarchy.ts";
import { holdsAny } from "./leftovers.ts";
import { findRoot, firstRoot, type Found, settleRoot } from "./open_root.ts";
import { type RootSource, syncFolder, tooOpen } from "./root.ts";

export interface DatabaseOptions {
  /** The file, or `:memory:`. */
  readonly path: string;
  readonly clock: Pick<Clock, "now">;
  /** Default: the file `root.key` beside the database; in memory, random bytes. */
  readonly root?: RootSource;
  /** Never writes, not even when the folder would allow it. The file must exist. Default false. */
  readonly readOnly?: boolean;
  /**
   * There is a log that was written with these keys, so a missing database is a fault and not a first start. Default
   * false.
   */
  readonly existing?: boolean;
  /** How long a call waits for another process that writes, ms; `HELD_MS` where that was in vain before. Default 2,000. */
  readonly busyMs?: number;
  /** Secret bytes; for simulation. Default: the system's. */
  readonly random?: (bytes: number) => Uint8Array;
  /** Told of things that an operator should mend, one line each. */
  readonly warn?: (line: string) => void;
}

/** What another process changed is seen after at most so long. */
export const SEEN_WITHIN_MS = 500;
/** A file that stayed held for as long as is waited for is then asked for so long, until it is free: all else stands still meanwhile. */
export const HELD_MS = 10;
/** Who seals looks this often whether the file is there: a look takes a sixth of what sealing three values does. */
export const THERE_WITHIN_MS = 10;

/** With faults named after what was attempted. */
const named = <T>(action: string, work: () => T): T => {
  try {
    return work();
  } catch (error) {
    throw keysFault(action, error);
  }
};

export class KeyDatabase {
  readonly readOnly: boolean;
  readonly clock: Pick<Clock, "now">;
  readonly random: (bytes: number) => Uint8Array;
  private readonly db: DatabaseSync;
  private readonly busyMs: number;
  /** What SQLite waits now. */
  private waits: number;
  /** What the file was held for last. */
  private readonly held = { read: false, write: false };
  private readonly statements = new Map<string, StatementSync>();
  private root: Found;
  private keys: Hierarchy;
  private version: unknown;
  private looked = -Infinity;
  /** As it was opened; nothing in memory. */
  private file: FileSeen | undefined;
  private there = -Infinity;
  /** Called when another process changed the file: caches are to be dropped. */
  private readonly onChange: (() => void)[] = [];

  constructor(private readonly options: DatabaseOptions) {
    const { path, readOnly = false } = options;
    this.readOnly = readOnly;
    this.clock = options.clock;
    this.random = options.random ?? randomBytes;
    this.busyMs = this.waits = options.busyMs ?? 2_000;
    this.db = this.open(path);
    try {
      this.root = this.prepared(path);
      this.keys = new Hierarchy(this, this.root, this.random).load();
      this.version = this.get("PRAGMA data_version")?.data_version;
      if (path !== ":memory:") this.file = statSync(path);
    } catch (error) {
      this.db.close();
      throw keysFault(`open the key database ${path}`, error);
    }
  }

  private open(path: string): DatabaseSync {
    const { readOnly = false, existing = false, warn } = this.options;
    if (path !== ":memory:") {
      const found = statSync(path, { throwIfNoEntry: false });
      if (found && !found.isFile()) {
        throw new KeysFault("foreign", `Cannot open the key database ${path}: it is no file`);
      }
      const size = found?.size;
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
      return new DatabaseSync(path, { readOnly, timeout: this.busyMs });
    } catch (error) {
      throw keysFault(`open the key database ${path}`, error);
    }
  }

  /** Brings the file to our shape, or says why it is not ours; answers with the root key that opens it. */
  private prepared(path: string): Found {
    if (!this.readOnly) {
      this.db.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON");
      // What is sorted or copied on the way must not lie in a folder for temporary files.
      this.db.exec("PRAGMA temp_store = MEMORY");
    }
    const application = Number(this.get("PRAGMA application_id")!.application_id);
    const tables = Number(this.get("SELECT count(*) AS n FROM sqlite_master")!.n);
    if (application === 0 && tables === 0 && !this.readOnly) return this.create(path);
    if (application !== APPLICATION) throw new KeysFault("foreign", `Cannot open ${path}: it is not a key database`);
    const format = this.format();
    if (format > FORMAT) {
      throw new KeysFault(
        "newer",
        `Cannot open ${path}: format ${format} was written by a newer version, this one knows ${FORMAT}`,
      );
    }
    this.checkWhole(path);
    const found = this.known(path);
    if (this.readOnly) return found;
    if (found.waiting) this.settle();
    if (found.version > 0) return found;
    this.transaction(() => {
      // Another process may have been first.
      if (this.format() < 2) upgrade(this.founding, found.key);
    });
    return this.known(path);
  }

  /** Puts a root key that waits beside its file in its place. */
  settle(): void {
    const source = this.source(this.options.path);
    if (!source || !("file" in source)) return;
    this.transaction(() => settleRoot(source.file, rootsIn(this, this.format()).at(-1)!));
  }

  private format(): number {
    return Number(this.db.prepare("PRAGMA user_version").get()!.user_version);
  }

  private get founding(): Founding {
    return {
      get: (sql, ...values) => this.get(sql, ...values),
      all: (sql, ...values) => this.all(sql, ...values),
      run: (sql, ...values) => this.run(sql, ...values),
      exec: (sql) => this.db.exec(sql),
      random: this.random,
      now: () => new Date(this.clock.now()).toISOString(),
    };
  }

  // A file cut short would show itself only when a lost page is read, perhaps months later.
  private checkWhole(path: string): void {
    if (path === ":memory:") return;
    const pages = Number(this.get("PRAGMA page_count")!.page_count) * Number(this.get("PRAGMA page_size")!.page_size);
    if (statSync(path).size < pages) {
      throw new KeysFault("truncated", `Cannot open ${path}: it is cut short; restore it from a backup`);
    }
  }

  private create(path: string): Found {
    const first = firstRoot(this.source(path), this.random);
    this.transaction(() => {
      // Another process may have been first.
      if (Number(this.get("PRAGMA application_id")!.application_id) === APPLICATION) return;
      create(this.founding, first.key, first.kdf);
    });
    if (path === ":memory:") return { key: first.key, version: 1 };
    syncFolder(dirname(path));
    return this.known(path);
  }

  private known(path: string): Found {
    const source = this.source(path)!;
    const roots = rootsIn(this, this.format());
    let found: Found;
    try {
      found = findRoot(path, source, roots);
    } catch (error) {
      const now = rootsIn(this, this.format());
      if (now.at(-1)?.version === roots.at(-1)?.version) throw error;
      // It was replaced between the two looks.
      found = findRoot(path, source, now);
    }
    if ("file" in source) {
      const line = tooOpen(source.file);
      if (line) this.options.warn?.(line);
    }
    return found;
  }

  private source(path: string): RootSource | undefined {
    return this.options.root ?? (path === ":memory:" ? undefined : { file: join(dirname(path), "root.key") });
  }

  /** The first row, or `undefined`. Statements are prepared once. */
  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.statement(sql).get(...values) as Row | undefined;
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.statement(sql).all(...values) as Row[];
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
    this.expectThere(action);
    return this.attempt("write", action, () => this.transaction(work));
  }

  /** Looks, at most every `THERE_WITHIN_MS`; throws as `expectThere`. */
  expectThereLately(action: string): void {
    const now = this.clock.now();
    if (now - this.there < THERE_WITHIN_MS && now >= this.there) return;
    this.expectThere(action);
    this.there = now;
  }

  /** Throws where the file was deleted, moved or replaced: what is sealed then could not be read once this process has ended. */
  expectThere(action: string): void {
    const { path } = this.options;
    if (!this.file) return;
    const change = changeOf(this.file, named(action, () => statSync(path, { throwIfNoEntry: false })));
    if (change === "gone" || change === "another") {
      throw new KeysFault("read_only", `Cannot ${action}: ${path} ${AWAY[change]}`);
    }
  }

  /** Reads, with faults named after what was attempted. */
  read<T>(action: string, work: () => T): T {
    return this.attempt("read", action, work);
  }

  private attempt<T>(kind: "read" | "write", action: string, work: () => T): T {
    // A transaction waits once more at its end, for those who still read; what is read within it leaves that as it is.
    if (this.db.isOpen && this.db.isTransaction) return named(action, work);
    try {
      const value = named(action, () => {
        const ms = this.held[kind] ? Math.min(HELD_MS, this.busyMs) : this.busyMs;
        if (ms !== this.waits) this.db.exec(`PRAGMA busy_timeout = ${this.waits = ms}`);
        return work();
      });
      this.held[kind] = false;
      return value;
    } catch (fault) {
      this.held[kind] = (fault as KeysFault).kind === "locked";
      throw fault;
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
    this.reread();
    this.version = version;
    this.forget();
  }

  /** Drops all that was read from the file: another process has changed it, or a key in it was destroyed. */
  forget(): void {
    for (const drop of this.onChange) drop();
  }

  /** Another process may have replaced the root key, or the tenant's. */
  private reread(): void {
    const { path } = this.options;
    this.keys = this.read("read the key database", () => {
      const newest = rootsIn(this, this.format()).at(-1)?.version;
      if (newest !== this.root.version) this.root = this.known(path);
      return new Hierarchy(this, this.root, this.random).load();
    });
  }

  /** The keys that wrap the others; another process, or `underKeys`, may replace them. */
  get wrapping(): Hierarchy {
    return this.keys;
  }

  /** Goes on under this root key, which the database is wrapped under since the last transaction. */
  underKeys(root: Found, keys: Hierarchy): void {
    this.root = root;
    this.keys = keys;
  }

  get rootVersion(): number {
    return this.root.version;
  }

  /** The file of the root key, where it has one. */
  get rootFile(): string | undefined {
    const source = this.source(this.options.path);
    return source && "file" in source ? source.file : undefined;
  }

  /**
   * Whether none of these bytes lies in the file or its journal. `secure_delete` sees to it when something is deleted, and this looks. A
   * VACUUM would need other databases attached, which the platform lets only those do who may read and write everything.
   */
  isFreeOf(pieces: readonly Uint8Array[]): boolean {
    const { path } = this.options;
    if (path === ":memory:") return true;
    return named(
      "look into the key database",
      () => [path, `${path}-journal`].every((file) => !holdsAny(file, pieces)),
    );
  }

  close(): void {
    this.forget();
    if (this.db.isOpen) this.db.close();
  }
}
