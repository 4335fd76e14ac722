/**
 * The store on a Deno KV file. Deno KV makes its tables; what is read and written goes past it through `node:sqlite`: reads are
 * synchronous and work where only reading is allowed (docs/decisions/0002-the-log-reads-synchronously.md), commits cost two thirds
 * (docs/decisions/0200-commits-go-to-the-file-of-deno-kv.md). The file is in WAL mode with a full flush at each commit, and a reader sees
 * every commit that was acknowledged.
 */
import { basename } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Clock, Random } from "../../actors/kernel/world.ts";
import { pause } from "../../actors/kernel/world.ts";
import { LogFault } from "../../events/log.ts";
import { type Batch, type Key, type Span, type Store, VALUE_BYTES_MAX } from "../../events/store.ts";
import { ENCODING_BYTES, leaveOutOfIndex, PAGE_BYTES } from "./commits.ts";
import { after, encodeKey, lastNumber, TEXT } from "./key_encoding.ts";
import { Writer } from "./writer.ts";

const fromUtf8 = new TextDecoder();
/** Comes with the last change that Deno KV makes to its tables. */
const LAST_COLUMN = "expiration_ms";

/** A locked database is tried again so many times, with growing, jittered pauses; about ten seconds in all. */
const LOCKED_RETRIES = 40;
const LOCKED_PAUSE_MS_MAX = 400;
/** A read waits so long for a database that is being recovered. */
const READ_WAIT_MS_MAX = 2_000;

/** What is open: the connection and its statements. */
class Connection {
  readonly one: StatementSync;
  readonly forward: StatementSync;
  readonly backward: StatementSync;
  readonly pages: StatementSync;

  constructor(readonly db: DatabaseSync) {
    this.one = db.prepare("select v, v_encoding from kv where k = ?");
    this.forward = db.prepare("select k, v from kv where k >= ? and k < ? order by k limit ?");
    this.backward = db.prepare("select k, v from kv where k >= ? and k < ? order by k desc limit ?");
    this.pages = db.prepare(
      "select (select * from pragma_page_count()) * (select * from pragma_page_size()) as bytes",
    );
  }
}

/**
 * The reading half; all there is where the folder cannot be written. It leaves no file behind: a log that was closed is not in
 * WAL mode any more (`settle`), and beside one that is open, or was cut off, the files of WAL mode are there already.
 */
export class KvReader {
  private at: Connection;

  constructor(protected readonly path: string) {
    this.at = new Connection(openDatabase(path));
  }

  /** Reads on in another file that holds the same and perhaps more. */
  goOnIn(path: string): void {
    const next = new Connection(openDatabase(path));
    this.at.db.close();
    this.at = next;
  }

  get(key: Key): Uint8Array | undefined {
    return this.reading(() => {
      const row = this.at.one.get(encodeKey(key));
      if (row && row.v_encoding !== ENCODING_BYTES) {
        throw new LogFault("foreign", "the database holds values that are not ours");
      }
      return row?.v as Uint8Array | undefined;
    });
  }

  list(span: Span): (readonly [number, Uint8Array])[] {
    return this.reading(() => {
      const lower = encodeKey([...span.prefix, span.from ?? 0]);
      const upper = span.until === undefined ? after(encodeKey(span.prefix)) : encodeKey([...span.prefix, span.until]);
      const rows = (span.backward ? this.at.backward : this.at.forward).all(lower, upper, span.limit ?? -1);
      return rows.map((row) => [lastNumber(row.k as Uint8Array), row.v as Uint8Array] as const);
    });
  }

  /** The first text behind `after` that follows `name` in a key. */
  nextText(name: string, after?: string): string | undefined {
    return this.reading(() => {
      const prefix = encodeKey([name]);
      // Behind all that goes on from the text before: no part begins with 0xff.
      const lower = after === undefined ? [...prefix, TEXT] : [...encodeKey([name, after]), 0xff];
      const [row] = this.at.forward.all(Uint8Array.from(lower), Uint8Array.from([...prefix, TEXT + 1]), 1);
      const key = row?.k as Uint8Array | undefined;
      return key && fromUtf8.decode(key.subarray(prefix.length + 1, key.indexOf(0, prefix.length)));
    });
  }

  bytes(): number {
    return this.reading(() => Number(this.at.pages.get()!.bytes));
  }

  /** Paths name the data folder; causes are recorded and shown. */
  private reading<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw ofFile(basename(this.path), faultOf(error));
    }
  }

  close(): Promise<void> {
    this.at.db.close();
    return Promise.resolve();
  }
}

/**
 * Tries again while another connection has the database. "Locked" is said before anything was written; whatever else is said,
 * the caller reads back what came of it.
 */
const whileLocked = async <T>(
  { clock, random }: { clock: Clock; random: Random },
  call: () => Promise<T>,
): Promise<T> => {
  for (let attempt = 0;; attempt++) {
    try {
      return await call();
    } catch (error) {
      const fault = faultOf(error);
      if (fault.kind !== "locked" || attempt >= LOCKED_RETRIES) throw fault;
      const longest = Math.min(LOCKED_PAUSE_MS_MAX, 2 ** Math.min(attempt, 9));
      await pause(clock, longest * (0.5 + random.next() / 2));
    }
  }
};

const openDatabase = (path: string): DatabaseSync => {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: READ_WAIT_MS_MAX });
    const kv = db.prepare("select 1 from sqlite_master where type = 'table' and name = 'kv'").get();
    if (!kv) throw new LogFault("foreign", "the file is a database, but not one of Deno KV");
    return db;
  } catch (error) {
    db?.close();
    throw ofFile(path, faultOf(error));
  }
};

/**
 * Puts a file that was closed back into WAL mode, and writes what a process that died left beside the database into it, flushed: if its
 * disk had failed, what is read of it may be in a cache and nowhere else, and what comes after it would be lost with it. False where Deno
 * KV was cut off while it made its tables, one change after another.
 */
const takeUp = (path: string): boolean =>
  guarded(() => {
    const db = new DatabaseSync(path, { timeout: READ_WAIT_MS_MAX });
    try {
      db.exec("pragma journal_mode = wal; pragma wal_checkpoint(truncate)");
      return db.prepare("select 1 from pragma_table_info('kv') where name = ?").get(LAST_COLUMN) !== undefined;
    } finally {
      db.close();
    }
  });

/**
 * Takes a file that was just closed out of WAL mode, so that it can be read where nothing can be written beside it. While
 * somebody still reads it stays as it is: then the files beside it are there, and are enough.
 */
const settle = (path: string): void => {
  try {
    const db = new DatabaseSync(path);
    try {
      db.exec("pragma journal_mode = delete");
    } finally {
      db.close();
    }
  } catch {
    // All is durable; only its form is another.
  }
};

const isNotEmpty = async (path: string): Promise<boolean> => {
  try {
    return (await Deno.stat(path)).size > 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};

/**
 * False for a database without any table: one that was begun here, and nothing came of it. Who was killed on the way into WAL mode or out
 * of it (`takeUp`, `settle`) left a journal, which is rolled back before anything can be read, by a connection that may write.
 */
const holdsTables = async (path: string): Promise<boolean> => {
  const readOnly = !await isNotEmpty(`${path}-journal`);
  return guarded(() => {
    const db = new DatabaseSync(path, { readOnly, timeout: READ_WAIT_MS_MAX });
    try {
      return db.prepare("select 1 from sqlite_master limit 1").get() !== undefined;
    } finally {
      db.close();
    }
  });
};

/**
 * Makes the file. SQLite would make it readable by all; the files beside it get the mode that it has. Nor does Deno KV say how
 * large its pages are to be, which is settled for good before the first is written.
 */
const begin = async (path: string): Promise<void> => {
  (await Deno.open(path, { create: true, append: true, mode: 0o600 })).close();
  guarded(() => {
    const db = new DatabaseSync(path, { timeout: READ_WAIT_MS_MAX });
    try {
      db.exec(`pragma page_size = ${PAGE_BYTES}; pragma journal_mode = wal`);
    } finally {
      db.close();
    }
  });
  await makeTables(path);
};

/** Only whoever makes the tables needs Deno KV; and under Deno all that the package does is to call this. */
const makeTables = async (path: string): Promise<void> => {
  (await (Deno.openKv ?? (await import("@deno/kv")).openKv)(path)).close();
  guarded(() => {
    const db = new DatabaseSync(path, { timeout: READ_WAIT_MS_MAX });
    try {
      leaveOutOfIndex(db);
    } finally {
      db.close();
    }
  });
};

/** Turns what SQLite says into the fault it means. */
export const faultOf = (error: unknown): LogFault => {
  if (error instanceof LogFault) return error;
  const said = error instanceof Error ? error.message : String(error);
  const kind = /database is locked|SQLITE_BUSY|database table is locked/i.test(said)
    ? "locked"
    : /disk is full|SQLITE_FULL|ENOSPC|No space left/i.test(said)
    ? "full"
    : /readonly|read-only|read only|SQLITE_READONLY|permission denied|EACCES|EROFS|unable to open/i.test(said)
    ? "read_only"
    : /not a database|SQLITE_NOTADB/i.test(said)
    ? "foreign"
    : /malformed|SQLITE_CORRUPT/i.test(said)
    ? "truncated"
    : /no such table|no such column/i.test(said)
    ? "foreign"
    : "io";
  return new LogFault(kind, said, { cause: error });
};

/** A fault of a file says which file. */
export const ofFile = (path: string, fault: LogFault): LogFault => {
  if (fault.message.includes(path)) return fault;
  const name = `${basename(path)}: `;
  const said = fault.message.startsWith(name) ? fault.message.slice(name.length) : fault.message;
  return new LogFault(fault.kind, `${path}: ${said}`, { cause: fault });
};

const guarded = <T>(call: () => T): T => {
  try {
    return call();
  } catch (error) {
    throw faultOf(error);
  }
};

export class KvStore extends KvReader implements Store {
  private constructor(
    path: string,
    private readonly writer: Writer,
    private readonly world: { clock: Clock; random: Random },
  ) {
    super(path);
  }

  /**
   * Opens or creates the file. One that was closed cleanly goes back into WAL mode, for which whoever is reading it must have
   * finished; that is waited for. Throws `LogFault`: `locked`, `read_only`, `foreign`, `truncated`, `full` or `io`.
   */
  static open(path: string, world: { clock: Clock; random: Random }): Promise<KvStore> {
    return whileLocked(world, async () => {
      // Deno KV would make its tables in any database it is given, so what is there already is looked at first.
      if (await isNotEmpty(path) && await holdsTables(path)) {
        openDatabase(path).close();
        if (!takeUp(path)) await makeTables(path);
      } else await begin(path);
      const writer = guarded(() => new Writer(path, world.clock));
      try {
        return new KvStore(path, writer, world);
      } catch (error) {
        await writer.close();
        throw error;
      }
    });
  }

  /** Throws `fenced` for good once the disk has failed: what it holds then may be in a cache and nowhere else. */
  commit(batch: Batch): Promise<boolean> {
    return whileLocked(this.world, () => this.attempt(batch));
  }

  private async attempt(batch: Batch): Promise<boolean> {
    const long = batch.puts.find(([, { length }]) => length > VALUE_BYTES_MAX);
    if (long) {
      throw new LogFault("too_large", `a value has at most ${VALUE_BYTES_MAX} bytes, this one ${long[1].length}`);
    }
    return await this.writer.commit(batch);
  }

  get lost(): LogFault | undefined {
    return this.writer.lost;
  }

  override async close(): Promise<void> {
    const { lost } = this;
    await this.writer.close();
    await super.close();
    // What lies there now, if anything does, is not ours.
    if (!lost) settle(this.path);
  }
}
