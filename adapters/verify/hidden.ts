/**
 * That what is found by a key is what was walked over. SQLite looks for a key as if rows lay in the order of their keys, and walks from one
 * to the next until it is past the end; in a file that somebody made by hand the one comes to rows that the other never sees. So what
 * the file has must be a table of rows and nothing that changes what is read of it, and all rows that its pages hold must have been seen.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Failures } from "./failures.ts";
import { shown } from "./failures.ts";
import { blocksBetween } from "./rows.ts";

/** How SQLite keeps a table as it stands. */
const TABLE = "create table ";
/** The table that Deno KV makes. One of other types, with checks or with references may hold what is written as something else, or not at all. */
const KV =
  "CREATE TABLE kv ( k blob primary key, v blob not null, v_encoding integer not null, version integer not null " +
  ", seq integer not null default 0, expiration_ms integer not null default -1) without rowid";
/** The index that Deno KV makes, and made. Out of others SQLite may answer in the place of the table, also where it goes through all of it. */
const INDEX = /^create index kv_expiration_ms_idx on kv \(expiration_ms\)( where expiration_ms >= 0)?$/i;

/**
 * Triggers, views, indexes and other tables in the place of the one that Deno KV makes. Asked by statements, for a table may have the name
 * of a function.
 */
export const checkTables = (db: DatabaseSync, failures: Failures): void => {
  for (const { name, sql } of db.prepare("select name, sql from sqlite_master where sql is not null").all()) {
    if (String(sql).toLowerCase().startsWith(TABLE) || INDEX.test(String(sql))) continue;
    failures.add(0, "foreign", "the tables and the index of Deno KV, and nothing else", shown(`${name}: ${sql}`));
  }
  const sql = String(db.prepare("select sql from sqlite_master where name = 'kv'").get()?.sql).replaceAll(/\s+/g, " ");
  if (sql !== KV) failures.add(0, "foreign", KV, shown(sql, 2 * KV.length));
};

/**
 * Behind all else: `blocks` is how many were walked over. What is damaged may be unseen for that. Blocks that somebody adds meanwhile may
 * have been seen, and are not counted. All is asked in one scan without bounds: for a bound SQLite would read whole rows, and not their
 * keys. A key that is null is neither in order nor out of it.
 */
export const checkHidden = (db: DatabaseSync, blocks: number, failures: Failures): void => {
  if (failures.count > 0) return;
  const sql = `select total(k >= ? and k < ?) as blocks, total(back) as back
    from (select k, typeof(k) <> 'blob' or k <= lag(k) over (order by k) as back from kv not indexed)`;
  try {
    const expiring = expiringIn(db);
    if (expiring !== undefined) {
      failures.add(0, "foreign", "no row that expires", `in the index one with key ${expiring}`);
    }
    const found = db.prepare(sql).get(...blocksBetween()) as { blocks: number; back: number };
    if (found.back > 0) failures.add(0, "unreadable", "rows in the order of keys that are bytes", "others");
    if (found.blocks > blocks) {
      failures.add(0, "unreadable", `${blocks} blocks, as many as can be seen`, `${found.blocks} in the file`);
    }
  } catch (error) {
    failures.add(0, "unreadable", "pages that SQLite can read", shown((error as Error).message));
  }
};

/** Key of a row that expires by the index: Deno KV deletes what is there, without a look at the row itself. */
const expiringIn = (db: DatabaseSync): string | undefined => {
  if (!db.prepare("pragma main.index_list(kv)").all().some(({ name }) => name === "kv_expiration_ms_idx")) return;
  const sql = "select hex(k) as k from kv indexed by kv_expiration_ms_idx where expiration_ms >= 0 limit 1";
  const row = db.prepare(sql).get();
  return row && shown(String(row.k));
};
