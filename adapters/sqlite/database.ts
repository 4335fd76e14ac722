/** What is used of `node:sqlite`, which a database over sealed pages has as well. */
import type { SQLInputValue } from "node:sqlite";

export type Value = SQLInputValue;

/** A statement, as `node:sqlite` has it. */
export interface Prepared {
  run(...values: readonly Value[]): { readonly lastInsertRowid: number | bigint };
  get(...values: readonly Value[]): unknown;
  all(...values: readonly Value[]): readonly unknown[];
  iterate(...values: readonly Value[]): Iterable<unknown>;
  /** The runtime has it; its types, of an earlier Node, do not yet. */
  setReturnArrays?(enabled: boolean): void;
}

/** A database as `node:sqlite` has it, so far as it is used here: that one, or one over sealed pages. */
export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Prepared;
  close(): void;
}

/** What a file must be to be used: whose it is, and in which format. */
export interface Format {
  /** SQLite's `application_id`. */
  readonly application: number;
  /** SQLite's `user_version`; another one is moved aside. */
  readonly version: number;
  /** Statements that make an empty file one of ours. */
  readonly tables: string;
}
