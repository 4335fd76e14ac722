/**
 * One database of `sealed_engine.ts`, with the calls of `node:sqlite` that views use and its errors.
 *
 * Rows come back as arrays. Numbers are doubles, as they are there, until a column makes whole ones of them.
 */
import type { SQLInputValue } from "node:sqlite";
import type { Database, Prepared } from "./connection.ts";
import type { Build } from "./sealed_engine.ts";
import { PAGE_BYTES, type SealedPages } from "./sealed_pages.ts";

type Value = SQLInputValue;

/** Result codes and types of values (https://sqlite.org/rescode.html, https://sqlite.org/c3ref/c_blob.html). */
const OK = 0, ROW = 100, DONE = 101;
const INTEGER = 1, FLOAT = 2, TEXT = 3, BLOB = 4;
const OPEN_READWRITE = 2, OPEN_CREATE = 4;
const PREPARE_PERSISTENT = 1;
const RESERVE_BYTES = 38;
const ROLLBACK = /^\s*rollback\s*;?\s*$/i;
/** Room for what a statement is given, at first. */
const ARENA_BYTES = 4_096;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

const withText = <T>(build: Build, text: string, use: (pointer: number, bytes: number) => T): T => {
  const bytes = utf8.encode(text + "\0");
  const pointer = build.exports.sqlite3_malloc!(bytes.length);
  build.bytes().set(bytes, pointer);
  try {
    return use(pointer, bytes.length);
  } finally {
    build.exports.sqlite3_free!(pointer);
  }
};

/** Text that ends in a zero byte. */
const textAt = (build: Build, pointer: number): string => {
  const heap = build.bytes();
  return fromUtf8.decode(heap.subarray(pointer, heap.indexOf(0, pointer)));
};

export class SealedDatabase implements Database {
  private readonly pointer: number;
  private readonly pages: SealedPages;
  private readonly living = new Set<number>();
  /** A statement that nobody holds any more is let go. */
  private readonly forgotten = new FinalizationRegistry<number>((pointer) => this.finalize(pointer));
  private closed = false;

  constructor(
    readonly build: Build,
    { name, vfs, pages }: { readonly name: string; readonly vfs: string; readonly pages: SealedPages },
  ) {
    this.pages = pages;
    const { exports } = build;
    const out = exports.sqlite3_malloc!(8);
    const code = withText(
      build,
      name,
      (name) => withText(build, vfs, (vfs) => exports.sqlite3_open_v2!(name, out, OPEN_READWRITE | OPEN_CREATE, vfs)),
    );
    this.pointer = build.view().getUint32(out, true);
    if (code === OK) {
      build.view().setInt32(out, pages.reserve, true);
      withText(build, "main", (main) => exports.sqlite3_file_control!(this.pointer, main, RESERVE_BYTES, out));
    }
    exports.sqlite3_free!(out);
    try {
      if (code !== OK) throw this.fault(code);
      exports.sqlite3_extended_result_codes!(this.pointer, 1);
      // Undoing is kept in memory: what the transaction below does not commit never was.
      this.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = NORMAL`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  exec(sql: string): void {
    // Else it would write all pages back as they were, and leave the room that they had taken.
    if (ROLLBACK.test(sql)) this.pages.undo();
    const code = withText(this.build, sql, (sql) => this.build.exports.sqlite3_exec!(this.pointer, sql, 0, 0, 0));
    if (code !== OK) throw this.fault(code);
  }

  prepare(sql: string): Prepared {
    const { build } = this;
    const out = build.exports.sqlite3_malloc!(4);
    const code = withText(
      build,
      sql,
      (sql, bytes) => build.exports.sqlite3_prepare_v3!(this.pointer, sql, bytes, PREPARE_PERSISTENT, out, 0),
    );
    const pointer = build.view().getUint32(out, true);
    build.exports.sqlite3_free!(out);
    if (code !== OK) throw this.fault(code);
    this.living.add(pointer);
    const statement = new SealedStatement(this, pointer);
    this.forgotten.register(statement, pointer);
    return statement;
  }

  /** As `node:sqlite` throws it; what the pages below said goes before what was made of it. */
  fault(code: number): Error {
    const below = this.build.failure();
    if (below) return below;
    const { exports } = this.build;
    const said = textAt(this.build, exports.sqlite3_errmsg!(this.pointer));
    return Object.assign(new Error(said), { code: "ERR_SQLITE_ERROR", errcode: code });
  }

  get lastRow(): number {
    return Number(this.build.exports.sqlite3_last_insert_rowid!(this.pointer));
  }

  get changes(): number {
    return this.build.exports.sqlite3_changes!(this.pointer);
  }

  private finalize(pointer: number): void {
    if (this.living.delete(pointer)) this.build.exports.sqlite3_finalize!(pointer);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const pointer of this.living) this.finalize(pointer);
    this.build.exports.sqlite3_close_v2!(this.pointer);
    this.pages.close();
  }
}

/** What a statement is given, in the build's memory; there until the next run. */
class Arena {
  private pointer = 0;
  private bytes = 0;

  constructor(private readonly build: Build) {}

  /** Room for all the texts and blobs of one run. */
  begin(values: readonly Value[]): number {
    let most = 0;
    for (const value of values) {
      if (typeof value === "string") most += value.length * 3;
      else if (value instanceof Uint8Array) most += value.length;
    }
    if (most > this.bytes || this.pointer === 0) {
      const { exports } = this.build;
      exports.sqlite3_free!(this.pointer);
      this.bytes = Math.max(ARENA_BYTES, most * 2);
      this.pointer = exports.sqlite3_malloc!(this.bytes);
      if (this.pointer === 0) {
        this.bytes = 0;
        throw Object.assign(new Error("out of memory"), { code: "ERR_SQLITE_ERROR", errcode: 7 });
      }
    }
    return this.pointer;
  }
}

const arenas = new WeakMap<Build, Arena>();
const arenaOf = (build: Build): Arena => {
  let arena = arenas.get(build);
  if (!arena) arenas.set(build, arena = new Arena(build));
  return arena;
};

class SealedStatement implements Prepared {
  private readonly columns: number;

  constructor(private readonly db: SealedDatabase, private readonly pointer: number) {
    this.columns = db.build.exports.sqlite3_column_count!(pointer);
  }

  /** They always are arrays. */
  setReturnArrays(): void {}

  run(...values: readonly Value[]): { readonly changes: number; readonly lastInsertRowid: number } {
    this.bind(values);
    try {
      while (this.step());
    } finally {
      this.reset();
    }
    return { changes: this.db.changes, lastInsertRowid: this.db.lastRow };
  }

  get(...values: readonly Value[]): readonly Value[] | undefined {
    this.bind(values);
    try {
      return this.step() ? this.row() : undefined;
    } finally {
      this.reset();
    }
  }

  all(...values: readonly Value[]): readonly (readonly Value[])[] {
    return [...this.iterate(...values)];
  }

  *iterate(...values: readonly Value[]): Iterable<readonly Value[]> {
    this.bind(values, true);
    try {
      while (this.step()) yield this.row();
    } finally {
      this.reset();
    }
  }

  /** `apart`: others may run before this is done. */
  private bind(values: readonly Value[], apart = false): void {
    const { build } = this.db;
    const { exports } = build;
    this.reset();
    let at = arenaOf(build).begin(values);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      let code: number;
      if (typeof value === "number") {
        code = exports.sqlite3_bind_double!(this.pointer, i + 1, value);
      } else if (typeof value === "string") {
        const { written } = utf8.encodeInto(value, build.bytes().subarray(at));
        code = exports.sqlite3_bind_text!(this.pointer, i + 1, at, written, apart ? TRANSIENT : STATIC);
        at += written;
      } else if (value === null) code = exports.sqlite3_bind_null!(this.pointer, i + 1);
      else {
        const bytes = value as Uint8Array;
        build.bytes().set(bytes, at);
        code = bytes.length === 0
          ? exports.sqlite3_bind_zeroblob!(this.pointer, i + 1, 0)
          : exports.sqlite3_bind_blob!(this.pointer, i + 1, at, bytes.length, apart ? TRANSIENT : STATIC);
        at += bytes.length;
      }
      if (code !== OK) throw this.db.fault(code);
    }
  }

  private step(): boolean {
    const code = this.db.build.exports.sqlite3_step!(this.pointer);
    if (code === ROW) return true;
    if (code === DONE) return false;
    throw this.db.fault(code);
  }

  private row(): readonly Value[] {
    const { build } = this.db;
    const { exports } = build;
    return Array.from({ length: this.columns }, (_, i): Value => {
      const type = exports.sqlite3_column_type!(this.pointer, i);
      if (type === INTEGER || type === FLOAT) return exports.sqlite3_column_double!(this.pointer, i);
      if (type !== TEXT && type !== BLOB) return null;
      const at = (type === TEXT ? exports.sqlite3_column_text : exports.sqlite3_column_blob)!(this.pointer, i);
      const bytes = build.bytes().subarray(at, at + exports.sqlite3_column_bytes!(this.pointer, i));
      return type === TEXT ? fromUtf8.decode(bytes) : bytes.slice();
    });
  }

  private reset(): void {
    this.db.build.exports.sqlite3_reset!(this.pointer);
  }
}

/** Whether SQLite may use bytes where they are, or copies them (https://sqlite.org/c3ref/c_static.html). */
const STATIC = 0, TRANSIENT = -1;
