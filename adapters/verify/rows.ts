/**
 * The rows of the log's file by their keys. Deno KV's key encoding
 * (https://docs.deno.com/deploy/kv/manual/key_space): a string part is 0x02, its UTF-8 and 0x00; a number part is
 * 0x21 and a big-endian double with its sign bit turned.
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync, StatementSync } from "node:sqlite";

/** How Deno KV marks a value that is bytes as they are. */
const BYTES = 3;
const NEVER = -1;
const NUMBER_PART = 9;
const PAGE_ROWS = 32;

const named = (name: string): Buffer => Buffer.concat([Buffer.from([0x02]), Buffer.from(name), Buffer.from([0x00])]);
/** Behind every key of this first part that goes on with a number. */
const behind = (prefix: Buffer): Buffer => Buffer.concat([prefix, Buffer.from([0x22])]);

const numbered = (name: string, number: number): Buffer => {
  const part = Buffer.alloc(NUMBER_PART);
  part.writeDoubleBE(number, 1);
  part[0] = 0x21;
  part[1]! |= 0x80;
  return Buffer.concat([named(name), part]);
};

/** What a log of format 1 has: single rows, and rows numbered from 0 on. In the order of their keys. */
const KNOWN = [
  ["checkpoint", false],
  ["checkpoints", true],
  ["format", false],
  ["index", true],
  ["log", true],
  ["manifest", false],
  ["tree", false],
] as const;

export interface NumberedRow {
  /** `undefined`: the key has no such number. */
  readonly number: number | undefined;
  readonly value: Uint8Array | string;
}

export class Rows {
  private readonly one: StatementSync;
  private readonly page: StatementSync;
  private readonly newest: StatementSync;

  constructor(private readonly db: DatabaseSync) {
    this.one = db.prepare("select v, v_encoding, expiration_ms from kv where k = ?");
    this.page = db.prepare(
      `select k, v, v_encoding, expiration_ms from kv where k > ? and k < ? order by k limit ${PAGE_ROWS}`,
    );
    this.newest = db.prepare("select k from kv where k > ? and k < ? order by k desc limit 1");
  }

  /** The value of a row; a text says why it is none. */
  get(name: string, number?: number): Uint8Array | string | undefined {
    const row = this.one.get(number === undefined ? named(name) : numbered(name, number));
    return row && valueOf(row);
  }

  /** Rows in the order of their keys, a few at a time. */
  *list(name: string, from = 0): Iterable<NumberedRow> {
    const prefix = named(name);
    const end = behind(prefix);
    // Keys below the first number are no numbers; they come first, and show.
    for (let after: Uint8Array = from === 0 ? prefix : numbered(name, from - 1);;) {
      const page = this.page.all(after, end);
      for (const row of page) yield { number: numberOf(row.k as Uint8Array, prefix.length), value: valueOf(row) };
      if (page.length < PAGE_ROWS) return;
      after = page[page.length - 1]!.k as Uint8Array;
    }
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
    for (const [name, many] of KNOWN) {
      const prefix = named(name);
      if (from === undefined) look("k < ?", prefix);
      else look("k >= ? and k < ?", from, prefix);
      // A single row is its prefix; the next possible key is one zero byte longer.
      from = many ? behind(prefix) : Buffer.concat([prefix, Buffer.from([0])]);
      if (many) look("k = ?", prefix);
    }
    look("k >= ?", from!);
    return found;
  }
}

const valueOf = (row: Record<string, unknown>): Uint8Array | string => {
  const { v, v_encoding, expiration_ms } = row;
  if (!(v instanceof Uint8Array) || v_encoding !== BYTES) return `a value of encoding ${v_encoding}, not bytes`;
  if (expiration_ms !== NEVER) return `a value that expires at ${expiration_ms}`;
  return v;
};

const numberOf = (key: Uint8Array, prefix: number): number | undefined => {
  if (key.length !== prefix + NUMBER_PART || key[prefix] !== 0x21) return undefined;
  const bytes = Buffer.from(key.subarray(prefix + 1));
  bytes[0]! ^= 0x80;
  const number = bytes.readDoubleBE();
  return Number.isSafeInteger(number) && number >= 0 && !Object.is(number, -0) ? number : undefined;
};
