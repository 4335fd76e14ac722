/**
 * A connection to one SQLite file: statements prepared once, one transaction at a time, and what to do with a file that
 * is not ours or is damaged. All that lies here can be built again from the log, so such a file is moved aside.
 */
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ViewsFault } from "../../projections/views.ts";
import type { Database, Format, Prepared, Value } from "./database.ts";
import { faultOf, Lookout } from "./faults.ts";
import { SEALED, type Sealed, SealedPages } from "./sealed_pages.ts";

/** Prepared statements kept; past that the oldest is let go. */
const STATEMENTS_MAX = 500;
/** How long to wait for another connection's transaction, ms. Ours are short. */
const BUSY_MS = 5_000;

/**
 * Text for a column that is compared or read back. The runtime reads text up to its first NUL, so NUL is written as 01 01
 * and 01 as 01 02, which keeps the order and prefixes.
 */
export const written = (text: string): string =>
  CONTROL.test(text) ? text.replaceAll("\x01", "\x01\x02").replaceAll("\0", "\x01\x01") : text;

/** The inverse of `written`. */
export const readBack = (text: string): string =>
  text.includes("\x01") ? text.replaceAll("\x01\x01", "\0").replaceAll("\x01\x02", "\x01") : text;

// deno-lint-ignore no-control-regex
const CONTROL = /[\0\x01]/;

export class Connection {
  private readonly statements = new Map<string, Prepared>();
  private depth = 0;
  private closed = false;

  /** `file`: whose errors become faults. */
  constructor(readonly db: Database, private readonly file?: FileOf) {}

  run(sql: string, ...values: readonly Value[]): void {
    try {
      this.statement(sql).run(...values);
    } catch (error) {
      throw this.fault(error);
    }
  }

  /** The first row, as an array of its columns. */
  one(sql: string, ...values: readonly Value[]): readonly Value[] | undefined {
    try {
      return this.statement(sql).get(...values) as readonly Value[] | undefined;
    } catch (error) {
      throw this.fault(error);
    }
  }

  all(sql: string, ...values: readonly Value[]): readonly (readonly Value[])[] {
    try {
      return this.statement(sql).all(...values) as readonly (readonly Value[])[];
    } catch (error) {
      throw this.fault(error);
    }
  }

  /**
   * Only within a transaction: where a page cannot be read the runtime ends the walk as if there were no more rows, and it is the
   * transaction's end that fails.
   */
  each(sql: string, ...values: readonly Value[]): Iterable<readonly Value[]> {
    return this.statement(sql).iterate(...values) as Iterable<readonly Value[]>;
  }

  exec(sql: string): void {
    this.db.exec(sql);
  }

  /** For the hot path: the statement itself, to be kept by the caller. */
  statement(sql: string): Prepared {
    let found = this.statements.get(sql);
    if (found === undefined) {
      if (this.statements.size >= STATEMENTS_MAX) this.statements.delete(this.statements.keys().next().value!);
      found = this.db.prepare(sql);
      found.setReturnArrays?.(true);
      this.statements.set(sql, found);
    }
    return found;
  }

  /** All of `work` or nothing, and to readers at once. Within another transaction it is part of that one. */
  transaction<T>(kind: "read" | "write", work: () => T): T {
    if (this.depth > 0) return work();
    this.depth++;
    try {
      this.file?.lookout?.look();
      this.db.exec(kind === "write" ? "BEGIN IMMEDIATE" : "BEGIN");
      const result = work();
      this.db.exec("COMMIT");
      return result;
    } catch (error) {
      // After some faults (disk full) SQLite has rolled back by itself, and says so by refusing.
      try {
        this.db.exec("ROLLBACK");
      } catch { /* nothing was open any more */ }
      throw this.fault(error);
    } finally {
      this.depth--;
    }
  }

  /** JSON as it was written. Pages may be damaged in what is text to SQLite: then this is a fault, too. */
  json(text: Value | undefined): unknown {
    try {
      return JSON.parse(text as string);
    } catch (cause) {
      const { path = ":memory:" } = this.file ?? {};
      throw this.fault(new ViewsFault("damaged", `${path.split("/").at(-1)}: what is not JSON is stored`, { cause }));
    }
  }

  /** What an error means for the file; the next who opens it is left word that it is damaged. */
  private fault(error: unknown): unknown {
    if (this.file === undefined) return error;
    const { path, owned } = this.file;
    const fault = faultOf(error, path);
    if (owned && fault instanceof ViewsFault) {
      if (fault.kind === "damaged") leaveWord(path, fault);
      else forgetAside(path);
    }
    return fault;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.statements.clear();
    this.db.close();
  }
}

/** The file of a connection. */
interface FileOf {
  readonly path: string;
  /** Whether something may be written beside it. */
  readonly owned: boolean;
  readonly lookout?: Lookout;
}

/** A file that could not be used, and where it lies now. */
export interface Aside {
  readonly path: string;
  readonly movedTo: string;
  readonly because: string;
}

/** How files are opened. */
export interface Opening {
  readonly onAside: (aside: Aside) => void;
  readonly lookEvery?: number;
  /** The file's pages are sealed; `:memory:` needs no such thing. Default: they are clear. */
  readonly sealed?: Sealed;
}

/**
 * Opens a file for writing, or `:memory:`. What is damaged, foreign or in another format is moved aside and made anew. Throws `ViewsFault`
 * `unwritable` for what cannot be written here, and what the system says.
 */
export const openWritable = (path: string, format: Format, opening: Opening): Connection => {
  try {
    const word = wordOf(path);
    if (word !== undefined) throw new Unusable(word);
    return prepare(path, format, opening);
  } catch (error) {
    const because = reasonToMoveAside(error, path);
    if (because === undefined || path === ":memory:") throw faultOf(error, path);
    const movedTo = moveAside(path);
    // What is clear does not stay in a folder that is sealed.
    if (error instanceof Clear) forgetAside(path);
    opening.onAside({ path, movedTo, because });
    return prepare(path, format, opening);
  }
};

const prepare = (path: string, format: Format, { lookEvery, sealed }: Opening): Connection => {
  expectFile(path);
  // SQLite would make it readable by all; the files beside it get the mode that it has.
  if (path !== ":memory:") Deno.openSync(path, { create: true, append: true, mode: 0o600 }).close();
  const db = new DatabaseSync(path);
  let used: Database = db;
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    if (sealed && path !== ":memory:") {
      begin(db, sealedFormat(sealed), DURABILITY);
      used = insideOf(db, sealed, format);
      begin(used, format, MEMORY);
    } else begin(db, format, `${DURABILITY}; ${MEMORY}`);
    if (path === ":memory:") return new Connection(used);
    used.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get();
    return new Connection(used, { path, owned: true, lookout: new Lookout(path, lookEvery) });
  } catch (error) {
    used.close();
    if (db.isOpen) db.close();
    throw error;
  }
};

/**
 * What was committed to a file in WAL mode is on the disk when it returns, also after a power cut. Throws what the system says. The database
 * itself is flushed whenever something is moved into it; to open and close it here would let go of SQLite's locks
 * (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 */
export const flush = (path: string): void => {
  for (const place of [`${path}-wal`, dirname(path)]) {
    try {
      using open = Deno.openSync(place);
      open.syncSync();
    } catch (error) {
      // A file that was closed has nothing beside it.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
};

// Rows and cursor are one transaction, so losing the last ones in a power cut costs folding them again, nothing else.
const DURABILITY = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 8000";
const MEMORY = "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000";

const number = (db: Database, pragma: string) => Object.values(db.prepare(`PRAGMA ${pragma}`).get()!)[0] as number;

/** Makes an empty database one of this format, or finds that it is. */
const begin = (db: Database, format: Format, pragmas: string): void => {
  const fresh = db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
  if (!fresh) expect(db, format);
  db.exec(pragmas);
  if (!fresh) return;
  db.exec(`BEGIN IMMEDIATE; ${format.tables};
    PRAGMA application_id = ${format.application}; PRAGMA user_version = ${format.version}; COMMIT`);
};

/** Throws `Unusable` for a database that is not of this format. */
const expect = (db: Database, { application, version }: Format): void => {
  const whose = number(db, "application_id");
  if (whose !== application) {
    if (whose === SEALED.application) throw new NeedsKey("it is sealed");
    throw application === SEALED.application ? new Clear("it is not sealed") : new Unusable("it is not one of ours");
  }
  const found = number(db, "user_version");
  if (found !== version) {
    throw new (found < version ? Older : Unusable)(`it has format ${found}, this program ${version}`);
  }
};

const sealedFormat = ({ sealing }: Sealed): Format => ({
  ...SEALED,
  tables: `${SEALED.tables}; INSERT INTO about VALUES ('${sealing.check}')`,
});

/** The database whose pages another one holds; it closes both. */
const insideOf = (db: DatabaseSync, { sealing, engine }: Sealed, { application }: Format): Database => {
  const pages = new SealedPages(db, sealing, application);
  if (pages.isOurs()) return engine.open(pages);
  throw new Unusable("it is sealed under another key");
};

/** Opens a file of ours for reading; it must be there. Throws as `openWritable` does, and `ViewsFault` `damaged`. */
export const openReadable = (
  path: string,
  format: Format,
  { lookEvery, sealed }: Omit<Opening, "onAside">,
): Connection => {
  try {
    const db = readable(path, format, sealed);
    db.exec("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000");
    db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get();
    return new Connection(db, { path, owned: true, lookout: new Lookout(path, lookEvery) });
  } catch (error) {
    throw faultOf(error, path);
  }
};

/**
 * Opens a file of ours, which must be there, in a process that may not write. A file that was closed cleanly is out of WAL mode
 * (`settle`), so nothing is left beside it, and it can be read where nothing can be written.
 */
export const openResting = (path: string, format: Format, sealed?: Sealed): Connection => {
  const db = readable(path, format, sealed);
  try {
    db.exec("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000");
    expect(db, format);
    return new Connection(db, { path, owned: false });
  } catch (error) {
    db.close();
    throw error;
  }
};

/** What is there under the name and is no file, such as a pipe, would be waited for. */
const expectFile = (path: string): void => {
  if (path === ":memory:") return;
  try {
    if (Deno.statSync(path).isFile) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Unusable("it is no file");
};

const readable = (path: string, format: Format, sealed: Sealed | undefined): Database => {
  expectFile(path);
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    if (!sealed) return db;
    expect(db, SEALED);
    return insideOf(db, sealed, format);
  } catch (error) {
    if (db.isOpen) db.close();
    throw error;
  }
};

/** Takes a file out of WAL mode, if nobody else has it open; for the last act of its writer. */
export const settle = (path: string): void => {
  try {
    const db = new DatabaseSync(path);
    try {
      db.exec("PRAGMA journal_mode = DELETE");
    } finally {
      db.close();
    }
  } catch {
    // Nothing is lost: it stays as it is, with its files beside it.
  }
};

class Unusable extends Error {}
class Clear extends Unusable {}
/** Thrown for a file in a format that an earlier version of this program wrote. */
export class Older extends Unusable {}
/** Thrown where a file that is sealed was to be opened as a clear one. */
export class NeedsKey extends Unusable {}

const reasonToMoveAside = (error: unknown, path: string): string | undefined => {
  if (error instanceof Unusable) return error.message;
  const fault = faultOf(error, path);
  return fault instanceof ViewsFault && fault.kind === "damaged" ? (error as Error).message : undefined;
};

// Damage deep in a file shows only when it is read. An open file cannot be moved from under its readers, so the next opening does it.
const leaveWord = (path: string, fault: ViewsFault): void => {
  try {
    Deno.writeTextFileSync(`${path}.damaged`, fault.message);
  } catch { /* the folder cannot be written: whoever opens it next will find out for itself */ }
};

const wordOf = (path: string): string | undefined => {
  try {
    return path === ":memory:" ? undefined : Deno.readTextFileSync(`${path}.damaged`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

const SUFFIXES = ["", "-wal", "-shm", ".damaged"];

/** One earlier file is kept, for whoever wants to look at it, until its room is needed. */
const moveAside = (path: string): string => {
  const movedTo = `${path}.aside`;
  for (const suffix of SUFFIXES) {
    try {
      Deno.renameSync(path + suffix, movedTo + suffix);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return movedTo;
};

const forgetAside = (path: string): void => {
  for (const suffix of SUFFIXES) {
    try {
      Deno.removeSync(`${path}.aside${suffix}`);
    } catch { /* there is none, or it cannot be helped */ }
  }
};
