/**
 * Rows of a table of the index where they lie on their page, as WebAssembly: whether they are whole numbers in order, whether the table's filter
 * lets each key through, and what their first two columns add up to (as `Sum` of `index_sums.ts` does).
 */
import { Buffer } from "node:buffer";
import {
  answer,
  type Assembled,
  type Code,
  compile,
  type Compiled,
  F64,
  f64,
  get,
  I32,
  i32,
  loop,
  number,
  set,
  when,
  type Written,
} from "../../events/wasm.ts";
import { type Secret, SECRET_WORDS } from "./index_sums.ts";
import { folded, mixed } from "./mix_code.ts";

/** What a page comes to. */
export const FOUND = { good: 0, notWhole: 1, disorder: 2, hidden: 3 } as const;

/** In one of which all bits of a key lie. */
export const FILTER_BLOCK_BYTES = 64;

/** Bytes of a page at most; no value of Deno KV has more. */
export const PAGE_BYTES_MAX = 65_536;
const DOUBLE = 8;

// Memory: key and second column of the row before, two lanes of a sum, the secret, the page; then the filter, and the one that the keys make.
const KEY = 0;
const SECOND = KEY + DOUBLE;
const LANES = SECOND + DOUBLE;
const SECRET = LANES + 8;
const PAGE = SECRET + SECRET_WORDS * 4;
const FILTER = PAGE + PAGE_BYTES_MAX;

/** Looks at so many bytes of rows, one row at least. */
const rows = (): Written => {
  const [BYTES, ROW_BYTES, WORDS, PROBES, SUMMED] = [0, 1, 2, 3, 4] as const;
  const [AT, END, LOW, HIGH, LOW2, HIGH2, MIX, BASE, LEFT, MISSING, BIT] = [
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
  ] as const;
  const PARTS = [16, 17, 18, 19, 20, 21] as const;
  const [KEY_BEFORE, SECOND_BEFORE, NOW, BESIDE] = [22, 23, 24, 25] as const;
  const secret = (i: number): Code => i32.load(number(0), SECRET + 4 * i);
  const isWhole = (value: number): Code =>
    i32.and(
      f64.equal(get(value), f64.trunc(get(value))),
      i32.isZero(f64.below(get(value), f64.number(0))),
      f64.below(get(value), f64.number(2 ** 53)),
    );
  const halves = (value: number, low: number, high: number): Code => [
    set(high, i32.of(f64.mul(get(value), f64.number(2 ** -32)))),
    set(low, i32.of(f64.sub(get(value), f64.mul(f64.of(get(high)), f64.number(2 ** 32))))),
  ];
  const added = (lane: number, factors: readonly number[], by: Code): Code => [
    mixed(MIX, i32.xor(i32.add(number(0), ...PARTS.map((part, i) => i32.mul(get(part), number(factors[i]!)))), by)),
    i32.store(number(0), LANES + 4 * lane, i32.add(i32.load(number(0), LANES + 4 * lane), get(MIX))),
  ];
  const filtered: Code = [
    set(
      BASE,
      i32.shl(i32.of(f64.mul(f64.mul(f64.of(get(LOW)), f64.number(2 ** -32)), f64.of(i32.shr(get(WORDS), 4)))), 6),
    ),
    set(MIX, i32.mul(i32.xor(get(LOW), get(HIGH)), number(0x9e3779b1))),
    set(LEFT, get(PROBES)),
    loop([
      set(MIX, i32.mul(folded(MIX, 15), number(0x85ebca6b))),
      set(AT, i32.add(get(BASE), i32.shl(i32.shr(get(MIX), 28), 2))),
      set(BIT, i32.bit(i32.and(i32.shr(get(MIX), 23), number(31)))),
      set(MISSING, i32.or(get(MISSING), i32.and(get(BIT), i32.xor(i32.load(get(AT), FILTER), number(-1))))),
      // Behind the filter lies the one that is made.
      set(AT, i32.add(get(AT), i32.shl(get(WORDS), 2))),
      i32.store(get(AT), FILTER, i32.or(i32.load(get(AT), FILTER), get(BIT))),
      set(LEFT, i32.sub(get(LEFT), number(1))),
    ], get(LEFT)),
    when(get(MISSING), answer(number(FOUND.hidden))),
  ];
  const summed: Code = [
    halves(BESIDE, LOW2, HIGH2),
    ...[get(LOW), get(HIGH), get(LOW2), get(HIGH2), number(0), number(0)].map((word, i) =>
      mixed(PARTS[i]!, i32.xor(word, secret(i)))
    ),
    added(0, [1, 3, 5, 7, 9, 11], secret(6)),
    added(1, [13, 11, 9, 7, 5, 1], secret(7)),
  ];
  const ROW = 26;
  return {
    parameters: 5,
    answers: true,
    locals: [[17, I32], [4, F64], [1, I32]],
    body: [
      // All numbers first: what is said of a page does not go by its rows.
      set(END, i32.add(number(PAGE), get(BYTES))),
      set(ROW, number(PAGE)),
      loop([
        set(NOW, f64.load(get(ROW), 0)),
        when(i32.isZero(isWhole(NOW)), answer(number(FOUND.notWhole))),
        set(ROW, i32.add(get(ROW), number(DOUBLE))),
      ], i32.below(get(ROW), get(END))),
      set(ROW, number(PAGE)),
      set(KEY_BEFORE, f64.load(number(0), KEY)),
      set(SECOND_BEFORE, f64.load(number(0), SECOND)),
      loop([
        set(NOW, f64.load(get(ROW), 0)),
        set(BESIDE, f64.load(get(ROW), DOUBLE)),
        when(
          i32.isZero(i32.or(
            f64.above(get(NOW), get(KEY_BEFORE)),
            i32.and(f64.equal(get(NOW), get(KEY_BEFORE)), f64.above(get(BESIDE), get(SECOND_BEFORE))),
          )),
          answer(number(FOUND.disorder)),
        ),
        halves(NOW, LOW, HIGH),
        when(get(WORDS), filtered),
        when(get(SUMMED), summed),
        set(KEY_BEFORE, get(NOW)),
        set(SECOND_BEFORE, get(BESIDE)),
        set(ROW, i32.add(get(ROW), get(ROW_BYTES))),
      ], i32.below(get(ROW), get(END))),
      f64.store(number(0), KEY, get(KEY_BEFORE)),
      f64.store(number(0), SECOND, get(SECOND_BEFORE)),
      answer(number(FOUND.good)),
    ],
  };
};

/** A filter of a table: its bytes, whole blocks of `FILTER_BLOCK_BYTES`, and how many bits a key sets. */
export interface FilterBytes {
  readonly bytes: Uint8Array;
  readonly probes: number;
}

let compiled: Compiled<"rows"> | undefined;

/** Reads the pages of one table; memory is a page and the filter, twice. */
export class TableScan {
  private readonly module: Assembled<"rows">;
  private readonly words: number;

  constructor(private readonly columns: number, secret: Secret, private readonly filter?: FilterBytes) {
    const bytes = filter?.bytes.length ?? 0;
    this.words = bytes / 4;
    const { memory } = this.module = (compiled ??= compile({ rows: rows() })).open(FILTER + 2 * bytes);
    if (filter) memory.set(filter.bytes, FILTER);
    const before = new Float64Array(memory.buffer, KEY, 2);
    before.fill(-1);
    new Int32Array(memory.buffer, SECRET, SECRET_WORDS).set(secret);
  }

  /**
   * Rows of a page, one at least, whole ones, `PAGE_BYTES_MAX` at most; `summed` where they have two columns and are to be added up. Answers
   * one of `FOUND`.
   */
  take(page: Uint8Array, summed: boolean): number {
    const { columns, words, filter, module: { memory, call } } = this;
    memory.set(page, PAGE);
    return call.rows(page.length, columns * DOUBLE, words, filter?.probes ?? 0, summed ? 1 : 0) as number;
  }

  /** The first number of the page that was taken last. */
  get first(): number {
    return new DataView(this.module.memory.buffer).getFloat64(PAGE, true);
  }

  /** What has been added up. */
  get lanes(): readonly [number, number] {
    const [a, b] = new Int32Array(this.module.memory.buffer, LANES, 2);
    return [a!, b!];
  }

  /** Whether the filter has no bit that no key has set. */
  get exact(): boolean {
    const { module: { memory }, filter } = this;
    const bytes = filter?.bytes.length ?? 0;
    const made = FILTER + bytes;
    return Buffer.compare(memory.subarray(FILTER, made), memory.subarray(made, made + bytes)) === 0;
  }
}
