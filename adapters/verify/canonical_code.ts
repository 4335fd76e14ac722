/**
 * Canonical JSON (RFC 8785, of I-JSON) as functions over code: each reads one thing, and takes it only where it could not be written
 * otherwise. Not taken, though canonical, are numbers with exponents, with more than 15 digits or very small, names beyond ASCII or with escapes,
 * and what lies deeper than `DEPTH_MAX`.
 */
import {
  again,
  answer,
  call,
  type Code,
  forever,
  get,
  I32,
  i32,
  number,
  set,
  V128,
  v128,
  VECTOR_BYTES,
  when,
  type Written,
} from "../../events/wasm.ts";
import {
  add,
  BACKSLASH,
  DIGITS,
  F,
  HIGHS,
  LENGTHS,
  letter,
  load,
  LONG,
  LOWS,
  next,
  NO,
  QUOTE,
  SEALED,
  SHORT,
  store,
  UNUSUAL,
  word,
  YES,
} from "./scan_layout.ts";

/** Objects and arrays in each other. */
export const DEPTH_MAX = 100;
/** Decimal digits that any double tells apart, so that no shorter text is the same number. */
const DIGITS_MAX = 15;

const sixteen = (byte: number): Code => v128.bytes(Array(VECTOR_BYTES).fill(byte));

/** Behind the quote that ends a string; `at` is behind the one that begins it. */
export const stringEnd = (): Written => {
  const [AT, BYTES, MARKS] = [0, 1, 2] as const;
  return {
    parameters: 1,
    answers: true,
    locals: [[1, V128], [1, I32]],
    body: forever(
      set(BYTES, v128.load(get(AT), 0)),
      // All that is not plain: what ends or escapes, control characters, what is not ASCII.
      set(
        MARKS,
        v128.bits8(
          v128.or(
            get(BYTES),
            v128.equal8(get(BYTES), sixteen(0x22)),
            v128.equal8(get(BYTES), sixteen(0x5c)),
            v128.below8(get(BYTES), sixteen(0x20)),
          ),
        ),
      ),
      when(i32.isZero(get(MARKS)), next(AT, VECTOR_BYTES), again(1)),
      set(AT, add(get(AT), i32.zeros(get(MARKS)))),
      when(i32.equal(i32.load8(get(AT)), QUOTE), answer(add(get(AT), number(1)))),
      store(UNUSUAL, add(load(UNUSUAL), number(1))),
      set(AT, call(F.characterEnd, get(AT))),
      when(i32.isZero(get(AT)), NO),
    ),
  };
};

/** Of an escape, or a character of several bytes. */
export const characterEnd = (): Written => {
  const [AT, BYTE, LENGTH, VALUE] = [0, 1, 2, 3] as const;
  const follows = (offset: number): Code =>
    when(i32.differ(i32.and(i32.load8(get(AT), offset), number(0xc0)), number(0x80)), NO);
  return {
    parameters: 1,
    answers: true,
    locals: [[3, I32]],
    body: [
      ...set(BYTE, i32.load8(get(AT))),
      ...when(
        i32.equal(get(BYTE), BACKSLASH),
        when(i32.load8(i32.load8(get(AT), 1), SHORT), answer(add(get(AT), number(2)))),
        // "u00", then what is below 0x20 and has no short escape.
        when(i32.differ(i32.and(i32.load(get(AT), 1), number(0xffffff)), number(0x303075)), NO),
        set(VALUE, i32.sub(i32.load8(get(AT), 4), letter("0"))),
        set(LENGTH, i32.load8(i32.load8(get(AT), 5), DIGITS)),
        when(i32.above(get(VALUE), number(1)), NO),
        when(i32.isZero(get(LENGTH)), NO),
        set(VALUE, add(i32.shl(get(VALUE), 4), i32.sub(get(LENGTH), number(1)))),
        when(i32.isZero(i32.load8(get(VALUE), LONG)), NO),
        answer(add(get(AT), number(6))),
      ),
      ...set(LENGTH, i32.load8(get(BYTE), LENGTHS)),
      ...when(i32.isZero(get(LENGTH)), NO),
      ...set(VALUE, i32.load8(get(AT), 1)),
      ...when(i32.below(get(VALUE), i32.load8(get(BYTE), LOWS)), NO),
      ...when(i32.above(get(VALUE), i32.load8(get(BYTE), HIGHS)), NO),
      ...when(i32.above(get(LENGTH), number(2)), follows(2)),
      ...when(i32.above(get(LENGTH), number(3)), follows(3)),
      ...add(get(AT), get(LENGTH)),
    ],
  };
};

export const digitsEnd = (): Written => ({
  parameters: 1,
  answers: true,
  locals: [],
  body: forever(
    when(i32.above(i32.sub(i32.load8(get(0)), letter("0")), number(9)), answer(get(0))),
    next(0),
  ),
});

/**
 * RFC 8785 section 3.2.2.3 takes numbers as ECMAScript writes them: of so few digits that is what stands here, if there is no zero too many
 * and it is not so small that it has an exponent.
 */
export const numberEnd = (): Written => {
  const [AT, WHOLE, END, BYTE, ZERO, LAST] = [0, 1, 2, 3, 4, 5] as const;
  const refuseExponent = (at: number): Code =>
    when(i32.equal(i32.or(i32.load8(get(at)), number(0x20)), letter("e")), NO);
  return {
    parameters: 1,
    answers: true,
    locals: [[5, I32]],
    body: [
      ...set(WHOLE, add(get(AT), i32.equal(i32.load8(get(AT)), letter("-")))),
      ...set(END, call(F.digitsEnd, get(WHOLE))),
      ...when(i32.equal(get(END), get(WHOLE)), NO),
      ...set(ZERO, i32.equal(i32.load8(get(WHOLE)), letter("0"))),
      ...when(i32.and(get(ZERO), i32.differ(i32.sub(get(END), get(WHOLE)), number(1))), NO),
      ...set(BYTE, i32.load8(get(END))),
      ...when(
        i32.differ(get(BYTE), letter(".")),
        refuseExponent(END),
        when(i32.above(i32.sub(get(END), get(WHOLE)), number(DIGITS_MAX)), NO),
        // -0
        when(i32.and(get(ZERO), i32.differ(get(WHOLE), get(AT))), NO),
        answer(get(END)),
      ),
      ...set(LAST, call(F.digitsEnd, add(get(END), number(1)))),
      ...when(i32.equal(get(LAST), add(get(END), number(1))), NO),
      ...refuseExponent(LAST),
      ...when(i32.above(i32.sub(get(LAST), get(WHOLE)), number(DIGITS_MAX + 1)), NO),
      ...when(i32.equal(i32.load8(i32.sub(get(LAST), number(1))), letter("0")), NO),
      ...when(i32.and(get(ZERO), i32.equal(i32.load(get(END), 1), number(0x30303030))), NO),
      ...get(LAST),
    ],
  };
};

export const valueEnd = (): Written => {
  const [AT, DEPTH, BYTE] = [0, 1, 2] as const;
  const inside = (index: number): Code =>
    answer(
      call(
        index,
        add(get(AT), number(1)),
        i32.sub(get(DEPTH), number(1)),
        ...index === F.membersEnd ? [number(0)] : [],
      ),
    );
  return {
    parameters: 2,
    answers: true,
    locals: [[1, I32]],
    body: [
      ...set(BYTE, i32.load8(get(AT))),
      ...when(
        i32.equal(get(BYTE), QUOTE),
        when(i32.equal(i32.load(get(AT), 1), word("seal")), store(SEALED, number(1))),
        answer(call(F.stringEnd, add(get(AT), number(1)))),
      ),
      ...when(i32.equal(get(BYTE), letter("{")), inside(F.membersEnd)),
      ...when(i32.equal(get(BYTE), letter("[")), inside(F.itemsEnd)),
      ...when(i32.equal(i32.load(get(AT), 0), word("true")), answer(add(get(AT), number(4)))),
      ...when(i32.equal(i32.load(get(AT), 0), word("null")), answer(add(get(AT), number(4)))),
      ...when(
        i32.and(i32.equal(get(BYTE), letter("f")), i32.equal(i32.load(get(AT), 1), word("alse"))),
        answer(add(get(AT), number(5))),
      ),
      ...call(F.numberEnd, get(AT)),
    ],
  };
};

/** Of an array; `at` is behind its bracket. */
export const itemsEnd = (): Written => {
  const [AT, DEPTH, BYTE] = [0, 1, 2] as const;
  return {
    parameters: 2,
    answers: true,
    locals: [[1, I32]],
    body: [
      ...when(i32.isZero(get(DEPTH)), NO),
      ...when(i32.equal(i32.load8(get(AT)), letter("]")), answer(add(get(AT), number(1)))),
      ...forever(
        set(AT, call(F.valueEnd, get(AT), get(DEPTH))),
        when(i32.isZero(get(AT)), NO),
        set(BYTE, i32.load8(get(AT))),
        next(AT),
        when(i32.equal(get(BYTE), letter("]")), answer(get(AT))),
        when(i32.differ(get(BYTE), letter(",")), NO),
      ),
    ],
  };
};

/** Of an object, whose members are in the order of their names (section 3.2.3); `at` is behind its brace. `entry`: it is one. */
export const membersEnd = (): Written => {
  const [AT, DEPTH, ENTRY, NAME, BEFORE, END, BYTE, KNOWN] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  return {
    parameters: 3,
    answers: true,
    locals: [[5, I32]],
    body: [
      ...when(i32.isZero(get(DEPTH)), NO),
      ...when(i32.equal(i32.load8(get(AT)), letter("}")), answer(add(get(AT), number(1)))),
      ...forever(
        when(i32.differ(i32.load8(get(AT)), QUOTE), NO),
        set(NAME, add(get(AT), number(1))),
        set(KNOWN, load(UNUSUAL)),
        set(END, call(F.stringEnd, get(NAME))),
        when(i32.isZero(get(END)), NO),
        when(i32.differ(load(UNUSUAL), get(KNOWN)), NO),
        when(i32.differ(i32.load8(get(END)), letter(":")), NO),
        when(get(BEFORE), when(i32.isZero(call(F.isBelow, get(BEFORE), get(NAME))), NO)),
        set(BEFORE, get(NAME)),
        set(AT, call(F.valueEnd, add(get(END), number(1)), get(DEPTH))),
        when(i32.isZero(get(AT)), NO),
        when(
          get(ENTRY),
          when(
            i32.isZero(
              call(
                F.member,
                get(NAME),
                i32.sub(get(END), get(NAME), number(1)),
                add(get(END), number(1)),
                get(AT),
                i32.differ(load(UNUSUAL), get(KNOWN)),
              ),
            ),
            NO,
          ),
        ),
        set(BYTE, i32.load8(get(AT))),
        next(AT),
        when(i32.equal(get(BYTE), letter("}")), answer(get(AT))),
        when(i32.differ(get(BYTE), letter(",")), NO),
      ),
    ],
  };
};

/** Whether a name comes before another; each ends with its quote. */
export const isBelow = (): Written => {
  const [A, B, BYTE_A, BYTE_B] = [0, 1, 2, 3] as const;
  return {
    parameters: 2,
    answers: true,
    locals: [[2, I32]],
    body: forever(
      set(BYTE_A, i32.load8(get(A))),
      set(BYTE_B, i32.load8(get(B))),
      when(i32.equal(get(BYTE_B), QUOTE), NO),
      when(i32.equal(get(BYTE_A), QUOTE), YES),
      when(i32.differ(get(BYTE_A), get(BYTE_B)), answer(i32.below(get(BYTE_A), get(BYTE_B)))),
      next(A),
      next(B),
    ),
  };
};

/** What the functions look up. */
export const fillTables = (memory: Uint8Array): void => {
  for (const one of '"\\bfnrt') memory[SHORT + one.charCodeAt(0)] = 1;
  for (let byte = 0; byte < 0x20; byte++) memory[LONG + byte] = [8, 9, 10, 12, 13].includes(byte) ? 0 : 1;
  for (const [digit, one] of [..."0123456789abcdef"].entries()) memory[DIGITS + one.charCodeAt(0)] = digit + 1;
  for (let first = 0xc2; first < 0xf5; first++) {
    memory[LENGTHS + first] = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    memory[LOWS + first] = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    memory[HIGHS + first] = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  }
};
