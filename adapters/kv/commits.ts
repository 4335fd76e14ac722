/**
 * One connection that writes into a Deno KV file, by SQLite, as Deno KV does: the same tables, a version greater than any before for
 * each commit, one flush (WAL, synchronous=FULL). Whatever it writes Deno KV reads, checks and overwrites
 * (https://github.com/denoland/denokv, `sqlite/`). It is synchronous; see `writer.ts` for who calls it in which thread.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { sameBytes } from "./key_encoding.ts";

/** How Deno KV marks a value of plain bytes. */
export const ENCODING_BYTES = 3;
/**
 * Pages of a new file. A block takes four instead of sixteen of SQLite's own, so a commit is written in a third of the steps; and
 * as SQLite merges the log of its writes every thousand pages, that comes four times as seldom (docs/decisions/0004-pages-of-the-log.md).
 */
export const PAGE_BYTES = 16_384;
/** Of an entry that does not expire. */
const NEVER = -1;
/** Deno KV's index of what expires, which holds every row; one that holds what does expire serves it as well. */
const EXPIRING_INDEX = "kv_expiration_ms_idx";
const EXPIRING = "expiration_ms >= 0";
/** Versions are taken from the database so many at a time: to count each there would be a page more in every commit. */
export const VERSIONS_TAKEN = 65_536;

/** A `Batch` whose keys are encoded. */
export interface Commit {
  readonly absent: Uint8Array | undefined;
  readonly puts: readonly (readonly [Uint8Array, Uint8Array])[];
  readonly deletes: readonly Uint8Array[];
}

/**
 * For tables that Deno KV has just made: nothing of a log expires, so its index of what expires is to hold no row, and each commit writes a page less.
 * Deno KV asks for what expires by the same condition (docs/decisions/0203-an-index-that-holds-nothing.md). A file that has rows keeps its own.
 */
export const leaveOutOfIndex = (db: DatabaseSync): void => {
  if (db.prepare("select 1 from kv limit 1").get() !== undefined) return;
  db.exec(
    `begin immediate; drop index ${EXPIRING_INDEX}; create index ${EXPIRING_INDEX} on kv (expiration_ms) where ${EXPIRING}; commit`,
  );
};

export class Commits {
  /** Pages that a commit writes beside those of its large values: of the table, the first one, and of Deno KV's index where that holds all rows. */
  readonly pagesEach: number;
  private readonly db: DatabaseSync;
  private readonly begin: StatementSync;
  private readonly end: StatementSync;
  private readonly there: StatementSync;
  private readonly take: StatementSync;
  private readonly add: StatementSync;
  private readonly put: StatementSync;
  private readonly remove: StatementSync;
  /** The version of the last commit, and the last one that was taken. */
  private version = 0;
  private taken = 0;

  /**
   * `walPagesMax`: once the write-ahead log has so many pages the next commit makes a checkpoint; default SQLite's, 1,000. Throws what
   * SQLite says. A database that another one has locked is not waited for.
   */
  constructor(path: string, walPagesMax?: number) {
    this.db = new DatabaseSync(path, { timeout: 0 });
    try {
      this.db.exec("pragma synchronous = full");
      if (walPagesMax !== undefined) this.db.exec(`pragma wal_autocheckpoint = ${walPagesMax}`);
      this.begin = this.db.prepare("begin immediate");
      this.end = this.db.prepare("commit");
      this.there = this.db.prepare("select 1 from kv where k = ?");
      this.take = this.db.prepare(
        "insert into data_version (k, version) values (0, ?) on conflict (k) do update set version = version + excluded.version returning version",
      );
      const row =
        "insert into kv (k, v, v_encoding, version, seq, expiration_ms) values (?, ?, ?, ?, 0, ?) on conflict (k) do ";
      this.add = this.db.prepare(`${row} nothing`);
      this.put = this.db.prepare(
        `${row} update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0, expiration_ms = excluded.expiration_ms`,
      );
      this.remove = this.db.prepare("delete from kv where k = ?");
      const index = this.db.prepare("select sql from sqlite_master where name = ?").get(EXPIRING_INDEX);
      this.pagesEach = index === undefined || String(index.sql).endsWith(EXPIRING) ? 2 : 3;
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  /** All or none, durable when it returns true; false, and nothing written, when `absent` is there. Throws what SQLite says. */
  commit(commit: Commit): boolean {
    this.begin.run();
    try {
      if (this.write(commit)) {
        this.end.run();
        return true;
      }
      this.undo();
      return false;
    } catch (error) {
      this.undo();
      throw error;
    }
  }

  private undo(): void {
    // What was taken in this transaction was taken back.
    this.version = this.taken = 0;
    if (this.db.isTransaction) this.db.exec("rollback");
  }

  /** False where `absent` is there. Where it is put, that tells: to look for it before would be to look twice. */
  private write({ absent, puts, deletes }: Commit): boolean {
    const added = absent && puts.findIndex(([key]) => sameBytes(key, absent));
    if (added === -1 && this.there.get(absent!) !== undefined) return false;
    const version = this.nextVersion();
    for (const [i, [key, value]] of puts.entries()) {
      const { changes } = (i === added ? this.add : this.put).run(key, value, ENCODING_BYTES, version, NEVER);
      if (changes === 0) return false;
    }
    for (const key of deletes) this.remove.run(key);
    return true;
  }

  private nextVersion(): number {
    if (this.version === this.taken) {
      this.taken = this.take.get(VERSIONS_TAKEN)!.version as number;
      this.version = this.taken - VERSIONS_TAKEN;
    }
    return ++this.version;
  }

  close(): void {
    this.db.close();
  }
}
