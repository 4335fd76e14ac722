/** Keyed hashes of entries where they lie, as `numberOf` of `index_sums.ts` defines them, and where the entries of an array lie. */
import {
  answer,
  type Code,
  f64,
  get,
  I32,
  i32,
  loop,
  number,
  set,
  V128,
  v128,
  when,
  type Written,
} from "../../events/wasm.ts";
import { SECRET as PARTS, STEP } from "./index_sums.ts";
import { mixed } from "./mix_code.ts";
import { add, ENTRIES_MAX, load, next, NUMBERS, SECRET, STARTS } from "./scan_layout.ts";

const FIRST_WORD: Code = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/** Of so many entries. */
export const numbers = (): Written => {
  const [COUNT, I, AT, END, LAST, A, B, C, D, LOW, HIGH] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const;
  const [LEFT, RIGHT, FIRST, SECOND] = [11, 12, 13, 14] as const;
  const part = (name: keyof typeof PARTS): Code => load(SECRET + 4 * PARTS[name]);
  const odd = (name: keyof typeof PARTS): Code => v128.splat(i32.or(part(name), number(1)));
  /** A lane for each word, with the next one. */
  const taken = (lanes: number, words: Code): Code => [
    ...set(lanes, v128.mul(v128.xor(get(lanes), words), get(LEFT))),
    ...set(lanes, v128.mul(v128.xor(get(lanes), v128.shr(get(lanes), 16)), get(RIGHT))),
  ];
  /** One lane after another. */
  const mixedIn = (local: number, start: Code, lanes: readonly number[]): Code => [
    set(local, start),
    lanes.map((lane) => mixed(local, i32.xor(get(local), get(lane)))),
  ];
  return {
    parameters: 1,
    locals: [[10, I32], [4, V128]],
    body: [
      ...set(LEFT, odd("left")),
      ...set(RIGHT, odd("right")),
      ...loop([
        ...set(AT, i32.load(i32.shl(get(I), 2), STARTS)),
        ...set(END, i32.sub(i32.load(i32.shl(get(I), 2), STARTS + 4), number(1))),
        ...set(LAST, i32.sub(get(END), number(STEP))),
        ...set(
          FIRST,
          v128.xor(
            v128.load(number(0), SECRET),
            v128.and(
              v128.splat(i32.mul(i32.sub(get(END), get(AT)), i32.or(part("left"), number(1)))),
              v128.bytes(FIRST_WORD),
            ),
          ),
        ),
        ...set(SECOND, v128.load(number(0), SECRET + STEP / 2)),
        ...loop([
          ...when(i32.above(get(AT), get(LAST)), set(AT, get(LAST))),
          ...taken(FIRST, v128.load(get(AT), 0)),
          ...taken(SECOND, v128.load(get(AT), STEP / 2)),
          ...next(AT, STEP),
        ], i32.below(get(AT), get(END))),
        ...taken(FIRST, get(SECOND)),
        ...[A, B, C, D].flatMap((local, lane) => set(local, v128.word(get(FIRST), lane))),
        ...mixedIn(LOW, part("low"), [D, C, B, A]),
        ...mixedIn(HIGH, part("high"), [A, B, C, D]),
        ...f64.store(
          i32.shl(get(I), 3),
          NUMBERS,
          f64.add(
            f64.mul(f64.of(i32.and(get(HIGH), number(0x1fffff))), f64.number(2 ** 32)),
            f64.of(get(LOW)),
          ),
        ),
        ...next(I),
      ], i32.differ(get(I), get(COUNT))),
    ],
  };
};

/**
 * Where the entries of an array begin, if there is none of `},{` within one: their number; one more than there is room for where there are more.
 */
export const items = (): Written => {
  const [FROM, END, AT, FOUND, COUNT] = [0, 1, 2, 3, 4] as const;
  const is = (text: string, offset: number): Code =>
    v128.equal8(v128.load(get(AT), offset), v128.splat(number(0x01010101 * text.charCodeAt(0))));
  const put = (at: Code): Code => i32.store(i32.shl(get(COUNT), 2), STARTS, at);
  return {
    parameters: 2,
    answers: true,
    locals: [[3, I32]],
    body: [
      ...set(AT, get(FROM)),
      ...put(add(get(FROM), number(1))),
      ...next(COUNT),
      ...loop([
        ...set(FOUND, v128.bits8(v128.and(is("}", 0), is(",", 1), is("{", 2)))),
        ...when(
          get(FOUND),
          loop([
            ...when(i32.above(get(COUNT), number(ENTRIES_MAX - 1)), answer(number(ENTRIES_MAX + 1))),
            ...put(add(get(AT), i32.zeros(get(FOUND)), number(2))),
            ...next(COUNT),
            ...set(FOUND, i32.and(get(FOUND), i32.sub(get(FOUND), number(1)))),
          ], get(FOUND)),
        ),
        ...next(AT, 16),
      ], i32.below(get(AT), get(END))),
      ...put(get(END)),
      ...answer(get(COUNT)),
    ],
  };
};
