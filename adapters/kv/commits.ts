/**
 * One connection that writes into a Deno KV file, by SQLite, as Deno KV does: the same tables, a version greater than any before for
 * each commit, one flush (WAL, synchronous=FULL). Whatever it writes Deno KV reads, checks and overwrites
 * (https://github.com/denoland/denokv, `sqlite/`). It is synchronous; see `writer.ts` for who calls it in which thread.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** How Deno KV marks a value of plain bytes. */
export const ENCODING_BYTES = 3;
/**
 * Pages of a new file. A block takes four instead of sixteen of SQLite's own, so a commit is written in a third of the steps; and
 * as SQLite merges the log of its writes every thousand pages, that comes four times as seldom (docs/decisions/0004-pages-of-the-log.md).
 */
export const PAGE_BYTES = 16_384;
/** Of an entry that does not expire. */
const NEVER = -1;
/** Versions are taken from the database so many at a time: to count each there would be a page more in every commit. */
export const VERSIONS_TAKEN = 65_536;

/** A `Batch` whose keys are encoded. */
export interface Commit {
  readonly absent: Uint8Array | undefined;
  readonly puts: readonly (readonly [Uint8Array, Uint8Array])[];
  readonly deletes: readonly Uint8Array[];
}

export class Commits {
  private readonly db: DatabaseSync;
  private readonly begin: StatementSync;
  private readonly end: StatementSync;
  private readonly there: StatementSync;
  private readonly take: StatementSync;
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
      this.put = this.db.prepare(
        "insert into kv (k, v, v_encoding, version, seq, expiration_ms) values (?, ?, ?, ?, 0, ?) on conflict (k) do update set " +
          "v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, seq = 0, expiration_ms = excluded.expiration_ms",
      );
      this.remove = this.db.prepare("delete from kv where k = ?");
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  /** All or none, durable when it returns true; false, and nothing written, when `absent` is there. Throws what SQLite says. */
  commit({ absent, puts, deletes }: Commit): boolean {
    this.begin.run();
    try {
      const refused = absent !== undefined && this.there.get(absent) !== undefined;
      if (refused) this.db.exec("rollback");
      else {
        this.write(puts, deletes);
        this.end.run();
      }
      return !refused;
    } catch (error) {
      // What was taken in this transaction was taken back.
      this.version = this.taken = 0;
      if (this.db.isTransaction) this.db.exec("rollback");
      throw error;
    }
  }

  private write(puts: Commit["puts"], deletes: Commit["deletes"]): void {
    if (this.version === this.taken) {
      this.taken = this.take.get(VERSIONS_TAKEN)!.version as number;
      this.version = this.taken - VERSIONS_TAKEN;
    }
    const version = ++this.version;
    for (const [key, value] of puts) this.put.run(key, value, ENCODING_BYTES, version, NEVER);
    for (const key of deletes) this.remove.run(key);
  }

  close(): void {
    this.db.close();
  }
}
