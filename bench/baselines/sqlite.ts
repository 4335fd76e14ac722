/**
 * Baseline A: what a careful engineer would write without Daybook. `node:sqlite`, WAL, synchronous=FULL, one open handle,
 * prepared statements, one row per event with the same bytes. No chain, no dedup, no revision check.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

export class SqliteTable {
  private readonly db: DatabaseSync;
  private readonly insert: StatementSync;
  private readonly all: StatementSync;

  constructor(path: string) {
    this.db = new DatabaseSync(path);
    this.db.exec(
      "pragma journal_mode = wal; pragma synchronous = full; create table if not exists events(position integer primary key, entry text not null)",
    );
    this.insert = this.db.prepare("insert into events(entry) values (?)");
    this.all = this.db.prepare("select entry from events order by position");
  }

  /** One durable commit. */
  append(entry: string): void {
    this.insert.run(entry);
  }

  /** All in one durable commit. */
  appendMany(entries: readonly string[]): void {
    this.db.exec("begin immediate");
    for (const entry of entries) this.insert.run(entry);
    this.db.exec("commit");
  }

  /** Every event in order, parsed. */
  *read(): Iterable<{ readonly type: string }> {
    for (const row of this.all.iterate()) yield JSON.parse(row.entry as string);
  }

  close(): void {
    this.db.close();
  }
}

/** A view kept by hand: an upsert per event, a thousand to a transaction. */
export class SqliteCounts {
  private readonly db: DatabaseSync;
  private readonly upsert: StatementSync;

  constructor(path: string) {
    this.db = new DatabaseSync(path);
    this.db.exec(
      "pragma journal_mode = wal; pragma synchronous = normal; create table if not exists counts(key text primary key, count integer not null)",
    );
    this.upsert = this.db.prepare("insert into counts values (?, 1) on conflict do update set count = count + 1");
  }

  fold(events: Iterable<{ readonly key: string }>): void {
    let n = 0;
    this.db.exec("begin");
    for (const { key } of events) {
      this.upsert.run(key);
      if (++n % 1_000 === 0) this.db.exec("commit; begin");
    }
    this.db.exec("commit");
  }

  close(): void {
    this.db.close();
  }
}
