/**
 * One database of `sealed_engine.ts`, with the calls of `node:sqlite` that views use and its errors.
 */
import type { Database, Prepared } from "./database.ts";
import { type Build, outOfMemory } from "./sealed_build.ts";
import { PAGE_BYTES, type SealedPages } from "./sealed_pages.ts";
import { SealedStatement } from "./sealed_statement.ts";

/** https://sqlite.org/rescode.html */
const OK = 0;
const OPEN_READWRITE = 2, OPEN_CREATE = 4;
const PREPARE_PERSISTENT = 1;
const RESERVE_BYTES = 38;
/** Begin and end every read, so they are prepared once. */
const TRANSACTIONS: ReadonlySet<string> = new Set(["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]);

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

const withText = <T>(build: Build, text: string, use: (pointer: number, bytes: number) => T): T => {
  const bytes = utf8.encode(text + "\0");
  const pointer = build.exports.sqlite3_malloc!(bytes.length);
  if (pointer === 0) throw outOfMemory();
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
  private readonly kept = new Map<string, Prepared>();
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
    // Else SQLite would write all pages back as they were, and the room that they had taken would stay taken.
    if (sql === "ROLLBACK") this.pages.undo();
    if (TRANSACTIONS.has(sql)) return void this.always(sql).run();
    const code = withText(this.build, sql, (sql) => this.build.exports.sqlite3_exec!(this.pointer, sql, 0, 0, 0));
    if (code !== OK) throw this.fault(code);
  }

  private always(sql: string): Prepared {
    let known = this.kept.get(sql);
    if (!known) this.kept.set(sql, known = this.prepare(sql));
    return known;
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
