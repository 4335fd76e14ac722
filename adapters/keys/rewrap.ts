/** Keys that lie wrapped in tables, wrapped anew some at a time, and counted by the version that wraps them. */
import { Buffer } from "node:buffer";
import { KeysFault } from "./fault.ts";
import type { Hierarchy, Rows } from "./hierarchy.ts";
import { versionOf } from "./wrapping.ts";

/** A table with keys under the tenant's. */
export interface Wrapped {
  readonly table: string;
  /** Columns: what each is called, and the wrapped key, NULL where it was destroyed. */
  readonly id: string;
  readonly key: string;
  /** Rows that are such keys; default: all. */
  readonly only?: readonly string[];
  /** What a key is wrapped as. */
  place(id: string): string;
}

/** Rows of `meta` that hold a private key, each wrapped under its own name. `log key before` has the end of its overlap in front. */
export const WRAPPED_LOG_KEYS = ["log key", "log key next", "log key before"] as const;

/** Every table with keys under the tenant's. */
export const WRAPPED: readonly Wrapped[] = [
  { table: "subjects", id: "subject", key: "key", place: (id) => `subject ${id}` },
  { table: "periods", id: "period", key: "key", place: (id) => `period ${id}` },
  { table: "meta", id: "name", key: "value", only: WRAPPED_LOG_KEYS, place: (id) => id },
];

/** Keys of one transaction. */
export const REWRAP_BATCH = 1_000;

interface Keyed {
  readonly id: string;
  readonly wrapped: Uint8Array;
}

const these = (id: string, only: Wrapped["only"]): string =>
  only === undefined ? "" : `AND ${id} IN (${only.map((name) => `'${name}'`).join()})`;

const batch = (db: Rows, { table, id, key, only }: Wrapped, at: string): readonly Keyed[] => {
  const sql = `SELECT ${id} AS id, ${key} AS key FROM ${table}
    WHERE ${id} > ? AND ${key} IS NOT NULL ${these(id, only)} ORDER BY ${id} LIMIT ${REWRAP_BATCH}`;
  return db.all(sql, at).map((row) => ({ id: row.id as string, wrapped: row.key as Uint8Array }));
};

/** Within a transaction: the next keys behind `at`; `next` is undefined when there are no more. */
export const rewrap = (
  db: Rows,
  table: Wrapped,
  { from, to, at }: { readonly from: Hierarchy; readonly to: Hierarchy; readonly at: string },
): { readonly done: number; readonly next: string | undefined } => {
  const keys = batch(db, table, at);
  for (const { id, wrapped } of keys) {
    const place = table.place(id);
    db.run(
      `UPDATE ${table.table} SET ${table.key} = ? WHERE ${table.id} = ?`,
      to.wrap(place, from.unwrap(place, wrapped)),
      id,
    );
  }
  return { done: keys.length, next: keys.length < REWRAP_BATCH ? undefined : keys.at(-1)!.id };
};

/**
 * Unwraps every key of a table, some at a time; ends with how many there are under each version of the tenant's key. Throws `KeysFault`
 * for one that does not open.
 */
export function* unwrapAll(
  db: Rows,
  table: Wrapped,
  keys: () => Hierarchy,
): Generator<number, ReadonlyMap<number, number>> {
  const counts = new Map<number, number>();
  for (let at: string | undefined = ""; at !== undefined;) {
    const found = batch(db, table, at);
    for (const { id, wrapped } of found) {
      keys().unwrap(table.place(id), wrapped);
      counts.set(versionOf(wrapped), (counts.get(versionOf(wrapped)) ?? 0) + 1);
    }
    at = found.length < REWRAP_BATCH ? undefined : found.at(-1)!.id;
    yield found.length;
  }
  return counts;
}

/** Where keys of a table lie that do not open; `undefined` behind so many that were looked at. */
export function* unopened(db: Rows, table: Wrapped, keys: () => Hierarchy): Generator<string | undefined> {
  for (let at: string | undefined = ""; at !== undefined;) {
    const found = batch(db, table, at);
    for (const { id, wrapped } of found) {
      try {
        keys().unwrap(table.place(id), wrapped);
      } catch (error) {
        if (!(error instanceof KeysFault)) throw error;
        yield table.place(id);
      }
    }
    at = found.length < REWRAP_BATCH ? undefined : found.at(-1)!.id;
    yield undefined;
  }
}

/** Whether a table has a key under another version than this. */
export const anyOlder = (db: Rows, { table, id, key, only }: Wrapped, newest: number): boolean => {
  const version = Buffer.alloc(4);
  version.writeUInt32BE(newest);
  return db.get(
    `SELECT 1 AS older FROM ${table} WHERE ${key} IS NOT NULL AND substr(${key}, 1, 4) <> ? ${these(id, only)} LIMIT 1`,
    version,
  ) !== undefined;
};
