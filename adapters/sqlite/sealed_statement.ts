/**
 * A statement of `sealed_database.ts`. Rows come back as arrays. Numbers are doubles, as with `node:sqlite`, until a column makes
 * whole ones of them.
 */
import type { Prepared, Value } from "./database.ts";
import { type Build, outOfMemory } from "./sealed_build.ts";

/** Result codes and types of values (https://sqlite.org/rescode.html, https://sqlite.org/c3ref/c_blob.html). */
const OK = 0, ROW = 100, DONE = 101;
const INTEGER = 1, FLOAT = 2, TEXT = 3, BLOB = 4;
/** Whether SQLite may use bytes where they are, or copies them (https://sqlite.org/c3ref/c_static.html). */
const STATIC = 0, TRANSIENT = -1;
/** Room for what a statement is given, at first. */
const ARENA_BYTES = 4_096;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

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
        throw outOfMemory();
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

/** What it is a statement of. */
interface Home {
  readonly build: Build;
  /** How many rows the last statement changed. */
  readonly changes: number;
  readonly lastRow: number;
  fault(code: number): Error;
}

export class SealedStatement implements Prepared {
  private readonly columns: number;

  constructor(private readonly db: Home, private readonly pointer: number) {
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
