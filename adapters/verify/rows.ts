/**
 * The rows of the log's file by their keys. Deno KV's key encoding
 * (https://docs.deno.com/deploy/kv/manual/key_space): a string part is 0x02, its UTF-8 and 0x00; a number part is
 * 0x21 and a big-endian double with its sign bit turned.
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Opener } from "./sealed.ts";

/** How Deno KV marks a value that is bytes as they are. */
const BYTES = 3;
const NEVER = -1;
const NUMBER_PART = 9;
const PAGE_ROWS = 32;

const named = (name: string): Buffer => Buffer.concat([Buffer.from([0x02]), Buffer.from(name), Buffer.from([0x00])]);
/** Behind every key of this first part that goes on with a number. */
const behind = (prefix: Buffer): Buffer => Buffer.concat([prefix, Buffer.from([0x22])]);
/** Likewise, with a text. */
const behindTexts = (prefix: Buffer): Buffer => Buffer.concat([prefix, Buffer.from([0x03])]);

const numberPart = (number: number): Buffer => {
  const part = Buffer.alloc(NUMBER_PART);
  part.writeDoubleBE(number, 1);
  part[0] = 0x21;
  part[1]! |= 0x80;
  return part;
};

const numbered = (name: string, ...numbers: readonly number[]): Buffer =>
  Buffer.concat([named(name), ...numbers.map(numberPart)]);

/** The next possible key is one zero byte longer. */
const after = (key: Uint8Array): Buffer => Buffer.concat([key, Buffer.from([0x00])]);

/** Where the rows of the log's blocks begin, and what lies behind them. */
export const blocksBetween = (): readonly [Uint8Array, Uint8Array] => [named("log"), behind(named("log"))];

/** What a log of format 1 has: single rows, rows numbered from 0 on (tiles by level and index), and rows named by a text. In the order of their keys. */
const KNOWN = [
  ["archive", "numbered"],
  ["archived", "one"],
  ["blob", "named"],
  ["checkpoint", "one"],
  ["checkpoints", "numbered"],
  ["format", "one"],
  ["index", "numbered"],
  ["log", "numbered"],
  ["manifest", "one"],
  ["tile", "numbered"],
  ["tree", "one"],
] as const;

export interface NumberedRow {
  /** `undefined`: the key has no such number. */
  readonly number: number | undefined;
  readonly value: Uint8Array | string;
}

/** A row whose key goes on with a text and perhaps a number. */
export interface NamedRow {
  /** The whole key, in hexadecimal digits. */
  readonly key: string;
  readonly text: string | undefined;
  readonly number: number | undefined;
  /** Its key is none of these. */
  readonly strange: boolean;
  readonly value: Uint8Array | string;
}

/** A tile, by its key and how long it is. */
export interface TileRow {
  /** The whole key. */
  readonly key: Uint8Array;
  /** `undefined`: the key is none of a tile. */
  readonly level: number | undefined;
  readonly index: number | undefined;
  readonly bytes: number;
}

export class Rows {
  private readonly one: StatementSync;
  private readonly page: StatementSync;
  private readonly newest: StatementSync;
  private readonly start: StatementSync;
  /** Of those that list rows, the ones that nobody is reading from: one that is let go of holds its memory for long. */
  private readonly idle: StatementSync[] = [];

  /** `open`: for a log that is sealed at rest. */
  constructor(readonly db: DatabaseSync, private readonly open?: Opener) {
    this.one = db.prepare("select v, v_encoding, expiration_ms from kv where k = ?");
    this.page = db.prepare(
      `select k, v, v_encoding, expiration_ms from kv where k > ? and k < ? order by k limit ${PAGE_ROWS}`,
    );
    this.start = db.prepare("select k from kv where k >= ? and k < ? order by k limit 1");
    this.newest = db.prepare("select k from kv where k > ? and k < ? order by k desc limit 1");
  }

  /** Blocks that are listed and are no rows. */
  get made(): number {
    return 0;
  }

  /** Of all pages of the file. Asked by statements: a table may have the name of a function. */
  get bytes(): number {
    const [pages, size] = ["page_count", "page_size"].map((name) => this.db.prepare(`pragma ${name}`).get()![name]);
    return Number(pages) * Number(size);
  }

  /** The value of a row; a text says why it is none. */
  get(name: string, part?: number | string): Uint8Array | string | undefined {
    const key = part === undefined
      ? named(name)
      : typeof part === "number"
      ? numbered(name, part)
      : Buffer.concat([named(name), named(part)]);
    const row = this.one.get(key);
    return row && this.valueOf(key, row);
  }

  /** The hashes of a tile; a text says why it is none. */
  tile(level: number, index: number): Uint8Array | string | undefined {
    const row = this.one.get(numbered("tile", level, index));
    return row && valueOf(row);
  }

  /** Every tile there is, in the order of level and index, a few at a time. */
  *tiles(): Iterable<TileRow> {
    const prefix = named("tile");
    const end = behind(prefix);
    const page = this.db.prepare(`select k, length(v) as bytes from kv where k > ? and k < ? order by k limit 1000`);
    for (let after: Uint8Array = prefix;;) {
      const rows = page.all(after, end);
      for (const row of rows) {
        const key = row.k as Uint8Array;
        const level = numberOf(key.subarray(0, prefix.length + NUMBER_PART), prefix.length);
        const index = level === undefined ? undefined : numberOf(key, prefix.length + NUMBER_PART);
        yield { key, level, index, bytes: Number(row.bytes) };
      }
      if (rows.length === 0) return;
      after = lastOf(rows, after);
    }
  }

  /** Rows whose key goes on with a text, in the order of their keys, a few at a time. */
  *named(name: string): Iterable<NamedRow> {
    const prefix = named(name);
    const end = behindTexts(prefix);
    for (let after: Uint8Array = prefix;;) {
      const page = this.page.all(after, end);
      for (const row of page) {
        const key = Buffer.from(row.k as Uint8Array);
        // Names have no zero byte, so the first one ends the text.
        const until = key.indexOf(0x00, prefix.length);
        const text = key[prefix.length] === 0x02 && until > 0
          ? key.toString("utf8", prefix.length + 1, until)
          : undefined;
        const number = until > 0 ? numberOf(key, until + 1) : undefined;
        const strange = text === undefined || (number === undefined && key.length !== until + 1);
        yield { key: key.toString("hex"), text, number, strange, value: this.valueOf(key, row) };
      }
      if (page.length < PAGE_ROWS) return;
      after = lastOf(page, after);
    }
  }

  /**
   * Rows in the order of their keys, a few at a time: those numbered from `from` on and below `until`, and what lies between
   * them. Keys below the first number are no numbers; they come first, and show.
   */
  *list(name: string, from = 0, until?: number): Iterable<NumberedRow> {
    yield* this.listed(named(name), from, until);
  }

  /** Tiles of a level, likewise. */
  *tilesOf(level: number, from: number): Iterable<NumberedRow> {
    yield* this.listed(numbered("tile", level), from);
  }

  private *listed(prefix: Buffer, from: number, until?: number): Iterable<NumberedRow> {
    const end = until === undefined ? behind(prefix) : Buffer.concat([prefix, numberPart(until)]);
    const begin = from === 0 ? after(prefix) : Buffer.concat([prefix, numberPart(from)]);
    // To hold a row's key against a bound of the statement, SQLite reads all that the row has once more.
    const rows = this.idle.pop() ??
      this.db.prepare("select k, v, v_encoding, expiration_ms from kv where k >= ? order by k");
    try {
      let last: Uint8Array | undefined;
      for (const row of rows.iterate(begin)) {
        const key = row.k as Uint8Array;
        if (Buffer.compare(key, end) >= 0) return;
        last = key;
        yield { number: numberOf(key, prefix.length), value: this.valueOf(key, row) };
      }
      // Where a page cannot be read the platform ends the walk as if there were no more rows; who asks for the next one hears of it.
      if (rows.get(last ? after(last) : begin)) {
        throw new Error("there are rows behind the one that was read last");
      }
    } finally {
      this.idle.push(rows);
    }
  }

  private valueOf(key: Uint8Array, row: Record<string, unknown>): Uint8Array | string {
    const value = valueOf(row);
    return this.open && typeof value !== "string" && isSealed(key) ? this.open(key, value) : value;
  }

  /**
   * Number of the first row from `from` on; "none" where there is no row any more, `undefined` where its key is no number.
   */
  first(name: string, from: number): number | undefined | "none" {
    const prefix = named(name);
    const row = this.start.get(numbered(name, from), behind(prefix));
    return row === undefined ? "none" : numberOf(row.k as Uint8Array, prefix.length);
  }

  /** Number of the last row. */
  last(name: string): number | undefined {
    const prefix = named(name);
    const row = this.newest.get(prefix, behind(prefix));
    return row && numberOf(row.k as Uint8Array, prefix.length);
  }

  /** Keys that no log has, as hexadecimal digits; at most `most`. */
  foreign(most: number): readonly string[] {
    const found: string[] = [];
    const look = (where: string, ...bounds: readonly Uint8Array[]) => {
      const statement = this.db.prepare(`select hex(k) as k from kv where ${where} order by k limit ${most}`);
      for (const row of statement.all(...bounds)) if (found.length < most) found.push(String(row.k));
    };
    let from: Buffer | undefined;
    for (const [name, kind] of KNOWN) {
      const prefix = named(name);
      if (from === undefined) look("k < ?", prefix);
      else look("k >= ? and k < ?", from, prefix);
      // A single row is its prefix; the next possible key is one zero byte longer.
      from = kind === "one"
        ? Buffer.concat([prefix, Buffer.from([0])])
        : kind === "numbered"
        ? behind(prefix)
        : behindTexts(prefix);
      if (kind !== "one") look("k = ?", prefix);
    }
    look("k >= ?", from!);
    return found;
  }
}

/** Numbered rows by their numbers, at the least cost where they are asked for one after another: reading on is cheaper than finding. */
export class InOrder {
  private rows: Iterator<NumberedRow, undefined> | undefined;
  private number = NaN;

  constructor(
    private readonly from: (number: number) => Iterable<NumberedRow>,
    private readonly one: (number: number) => Uint8Array | string | undefined,
  ) {}

  /** A text says why it is none. */
  get(number: number): Uint8Array | string | undefined {
    const follows = number === this.number + 1;
    this.number = number;
    if (follows) {
      this.rows ??= this.from(number)[Symbol.iterator]() as Iterator<NumberedRow, undefined>;
      const row = this.rows.next().value;
      if (row?.number === number) return row.value;
      // What lies between rows that are numbered is for others to find.
    }
    this.rows?.return?.();
    this.rows = undefined;
    return this.one(number);
  }
}

/** The last key of a page of rows. In a file whose keys are out of order it may lie before the page, which would never end. */
const lastOf = (page: readonly Record<string, unknown>[], before: Uint8Array): Uint8Array => {
  const key = page[page.length - 1]!.k as Uint8Array;
  if (Buffer.compare(key, before) > 0) return key;
  throw new Error("keys that are out of order");
};

/** Blocks and pages of the index are numbered, and of a blob's rows those that are sealed; one row is by itself. */
const isSealed = (key: Uint8Array): boolean =>
  (key[key.length - NUMBER_PART] === 0x21 &&
    SEALED.some((name) => Buffer.compare(key.subarray(0, name.length), name) === 0)) ||
  Buffer.compare(key, SEALED_ALONE) === 0;
const SEALED = ["log", "index", "blob"].map(named);
const SEALED_ALONE = named("archived");

const valueOf = (row: Record<string, unknown>): Uint8Array | string => {
  const { v, v_encoding, expiration_ms } = row;
  if (!(v instanceof Uint8Array) || v_encoding !== BYTES) return `a value of encoding ${v_encoding}, not bytes`;
  if (expiration_ms !== NEVER) return `a value that expires at ${expiration_ms}`;
  return v;
};

/** A double, and its bytes, of which the last has the sign on any processor there is (Deno's are all little-endian). */
const double = new Float64Array(1);
const turned = new Uint8Array(double.buffer);
const DOUBLE_BYTES = 8;

const numberOf = (key: Uint8Array, prefix: number): number | undefined => {
  if (key.length !== prefix + NUMBER_PART || key[prefix] !== 0x21) return undefined;
  for (let i = 0; i < DOUBLE_BYTES; i++) turned[i] = key[prefix + DOUBLE_BYTES - i]!;
  turned[DOUBLE_BYTES - 1]! ^= 0x80;
  const number = double[0]!;
  return Number.isSafeInteger(number) && number >= 0 && !Object.is(number, -0) ? number : undefined;
};
