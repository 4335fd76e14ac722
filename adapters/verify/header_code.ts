/**
 * Headers of entries as functions over code: which members an entry has, what history and index ask of them, and a column for each.
 */
import {
  answer,
  call,
  type Code,
  F64,
  f64,
  forever,
  get,
  I32,
  i32,
  loop,
  number,
  set,
  when,
  type Written,
} from "../../events/wasm.ts";
import { DEPTH_MAX } from "./canonical_code.ts";
import { folded } from "./mix_code.ts";
import {
  add,
  BEFORE,
  CHANGED,
  CHANGES,
  CORRELATION,
  CORRELATIONS,
  F,
  HAS,
  ID,
  LANES,
  letter,
  load,
  NAMES,
  next,
  NO,
  NOWHERE,
  OTHER_LANES,
  POSITION,
  POSITIONS,
  QUOTE,
  RECORDED,
  RECORDED_BEFORE,
  RECORDED_SPANS,
  REVISION,
  REVISIONS,
  SOUND,
  SOURCE,
  STARTS,
  store,
  STREAM,
  STREAM_BEFORE,
  STREAMS,
  TYPE,
  TYPE_BEFORE,
  TYPE_SPANS,
  TYPES,
  UNUSUAL,
  word,
  YES,
} from "./scan_layout.ts";

/** Attributes that every recorded event has, and what correlates it; what is asked for later is a text of plain characters. */
const ATTRIBUTES: readonly {
  readonly name: string;
  readonly kind: "text" | "version" | { readonly span: number } | { readonly whole: number | undefined };
}[] = [
  { name: "authid", kind: "text" },
  { name: "authtype", kind: "text" },
  { name: "correlationid", kind: { span: CORRELATION } },
  { name: "id", kind: { span: ID } },
  { name: "position", kind: { whole: POSITION } },
  { name: "recordedat", kind: { span: RECORDED } },
  { name: "revision", kind: { whole: REVISION } },
  { name: "source", kind: { span: SOURCE } },
  { name: "specversion", kind: "version" },
  { name: "stream", kind: { span: STREAM } },
  { name: "time", kind: "text" },
  { name: "type", kind: { span: TYPE } },
  { name: "version", kind: { whole: undefined } },
];
const bitOf = (name: string): number =>
  name === "correlationid" ? 0 : 1 << ATTRIBUTES.findIndex((one) => one.name === name);
const HAS_ALL = ATTRIBUTES.reduce((bits, { name }) => bits | bitOf(name), 0);

/** Takes note of a member of an entry; 0 where its value is none of that attribute's. */
export const member = (): Written => {
  const [NAME, LENGTH, VALUE, END, ODD] = [0, 1, 2, 3, 4] as const;
  const isName = (name: string): Code => {
    if (name.length === 2) return i32.equal(i32.load16(get(NAME)), word(name));
    const parts = [...Array(Math.ceil(name.length / 4)).keys()].map((i) => Math.min(i * 4, name.length - 4));
    const [first, ...others] = parts.map((at) => i32.equal(i32.load(get(NAME), at), word(name.slice(at, at + 4))));
    return others.length > 0 ? i32.and(first!, ...others) : first!;
  };
  const isText: readonly Code[] = [
    when(i32.differ(i32.load8(get(VALUE)), QUOTE), NO),
    when(i32.below(i32.sub(get(END), get(VALUE)), number(3)), NO),
  ];
  const taken = ({ name, kind }: (typeof ATTRIBUTES)[number]): readonly Code[] => {
    const noted = store(HAS, i32.or(load(HAS), number(bitOf(name))));
    if (kind === "text") return [...isText, noted, YES];
    if (kind === "version") {
      return [
        when(i32.differ(i32.sub(get(END), get(VALUE)), number(5)), NO),
        when(i32.differ(i32.load(get(VALUE), 0), word('"1.0')), NO),
        noted,
        YES,
      ];
    }
    if ("span" in kind) {
      return [
        ...isText,
        when(get(ODD), NO),
        store(kind.span, add(get(VALUE), number(1))),
        store(kind.span + 4, i32.sub(get(END), number(1))),
        noted,
        YES,
      ];
    }
    return [noted, answer(call(F.whole, get(VALUE), get(END), number(kind.whole ?? NOWHERE)))];
  };
  const lengths = [...new Set(ATTRIBUTES.map(({ name }) => name.length))];
  return {
    parameters: 5,
    answers: true,
    locals: [],
    body: [
      ...lengths.flatMap((length) =>
        when(
          i32.equal(get(LENGTH), number(length)),
          ...ATTRIBUTES.filter(({ name }) => name.length === length).map((one) =>
            when(isName(one.name), ...taken(one))
          ),
          YES,
        )
      ),
      ...number(1),
    ],
  };
};
/** Digits of a number that is read here as a word; longer ones are read as doubles. */
const WORD_DIGITS = 9;

/** Reads a whole number that was found canonical into a double. */
export const whole = (): Written => {
  const [AT, END, TO, DIGIT, WORD, LONG_ONE, VALUE] = [0, 1, 2, 3, 4, 5, 6] as const;
  return {
    parameters: 3,
    answers: true,
    locals: [[3, I32], [1, F64]],
    body: [
      ...set(LONG_ONE, i32.above(i32.sub(get(END), get(AT)), number(WORD_DIGITS))),
      ...forever(
        when(
          i32.equal(get(AT), get(END)),
          when(i32.isZero(get(LONG_ONE)), set(VALUE, f64.of(get(WORD)))),
          f64.store(get(TO), 0, get(VALUE)),
          YES,
        ),
        set(DIGIT, i32.sub(i32.load8(get(AT)), letter("0"))),
        when(i32.above(get(DIGIT), number(9)), NO),
        set(WORD, add(i32.mul(get(WORD), number(10)), get(DIGIT))),
        when(get(LONG_ONE), set(VALUE, f64.add(f64.mul(get(VALUE), f64.number(10)), f64.of(get(DIGIT))))),
        next(AT),
      ),
    ],
  };
};

/** Whether two texts are the same. */
export const same = (): Written => {
  const [A, A_END, B, B_END] = [0, 1, 2, 3] as const;
  return {
    parameters: 4,
    answers: true,
    locals: [],
    body: [
      ...when(i32.differ(i32.sub(get(A_END), get(A)), i32.sub(get(B_END), get(B))), NO),
      ...forever(
        when(i32.equal(get(A), get(A_END)), YES),
        when(i32.differ(i32.load8(get(A)), i32.load8(get(B))), NO),
        next(A),
        next(B),
      ),
    ],
  };
};

/** Where a text has a letter; its end where it has none. */
export const find = (): Written => {
  const [AT, END, LETTER] = [0, 1, 2] as const;
  return {
    parameters: 3,
    answers: true,
    locals: [],
    body: forever(
      when(i32.equal(get(AT), get(END)), answer(get(END))),
      when(i32.equal(i32.load8(get(AT)), get(LETTER)), answer(get(AT))),
      next(AT),
    ),
  };
};

// `fingerprint.ts`, of plain text.
const begin = (kind: number, lanes = LANES): Code => [
  ...store(lanes, number(0x9e3779b9 ^ kind)),
  ...store(lanes + 4, number(0x85ebca6b ^ kind)),
];
const FACTORS = [0xcc9e2d51, 0x1b873593] as const;
const mixed = (lane: Code, unit: Code, factor: number): Code => i32.mul(i32.xor(lane, unit), number(factor));

/** Takes a text into lanes; `both`: into those of two fingerprints, which takes no longer. */
export const mix = (both: boolean): Written => {
  const [AT, END, BYTE] = [0, 1, 2] as const;
  const words = (both ? [LANES, LANES + 4, OTHER_LANES, OTHER_LANES + 4] : [LANES, LANES + 4])
    .map((at, i) => ({ at, local: 3 + i, factor: FACTORS[i % 2]! }));
  return {
    parameters: 2,
    locals: [[1 + words.length, I32]],
    body: [
      ...words.flatMap(({ at, local }) => set(local, load(at))),
      ...loop([
        ...set(BYTE, i32.load8(get(AT))),
        ...words.flatMap(({ local, factor }) => set(local, mixed(get(local), get(BYTE), factor))),
        ...next(AT),
      ], i32.differ(get(AT), get(END))),
      ...words.flatMap(({ at, local }) => store(at, get(local))),
    ],
  };
};

/** Writes what lanes have come to. */
export const fingerprint = (): Written => {
  const [LANES_AT, TO, A, B, LOW, HIGH] = [0, 1, 2, 3, 4, 5] as const;
  return {
    parameters: 2,
    locals: [[4, I32]],
    body: [
      ...set(A, i32.load(get(LANES_AT), 0)),
      ...set(B, i32.load(get(LANES_AT), 4)),
      ...set(LOW, i32.xor(i32.mul(folded(A, 16), number(0x85ebca6b)), i32.mul(folded(B, 13), number(0xc2b2ae35)))),
      ...set(HIGH, i32.xor(i32.mul(folded(B, 16), number(0x85ebca6b)), i32.mul(folded(LOW, 13), number(0xc2b2ae35)))),
      ...f64.store(
        get(TO),
        0,
        f64.add(
          f64.mul(f64.of(i32.and(get(HIGH), number(0x1fffff))), f64.number(2 ** 32)),
          f64.of(get(LOW)),
        ),
      ),
    ],
  };
};

const mixSpan = (span: number): Code => call(F.mix, load(span), load(span + 4));

/** All entries: whether each is sound, and its columns. */
export const scan = (): Written => {
  const [COUNT, I, FROM, END, SAME_STREAM, SAME_TYPE, FOUR, EIGHT, AT] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
  const isSame = (span: number, before: number): Code =>
    call(F.same, load(span), load(span + 4), load(before), load(before + 4));
  const put = (column: number, value: Code): Code => f64.store(get(EIGHT), column, value);
  const putSpan = (column: number, span: number): readonly Code[] => [
    i32.store(get(EIGHT), column, load(span)),
    i32.store(get(EIGHT), column + 4, load(span + 4)),
  ];
  const kept = (span: number, before: number): readonly Code[] => [
    store(before, load(span)),
    store(before + 4, load(span + 4)),
  ];
  const asBefore = (column: number): Code => put(column, f64.load(i32.sub(get(EIGHT), number(8)), column));
  const finished = (column: number, lanes = LANES): Code =>
    call(F.fingerprint, number(lanes), add(get(EIGHT), number(column)));
  return {
    parameters: 1,
    locals: [[8, I32]],
    body: loop([
      ...set(FOUR, i32.shl(get(I), 2)),
      ...set(EIGHT, i32.shl(get(I), 3)),
      ...set(FROM, i32.load(get(FOUR), STARTS)),
      ...i32.store8(get(I), SOUND, number(0)),
      ...store(HAS, number(0)),
      ...store(UNUSUAL, number(0)),
      ...store(CORRELATION, number(0)),
      ...set(END, number(0)),
      ...when(
        i32.equal(i32.load8(get(FROM)), letter("{")),
        set(END, call(F.membersEnd, add(get(FROM), number(1)), number(DEPTH_MAX), number(1))),
      ),
      ...when(
        i32.and(
          i32.equal(get(END), i32.sub(i32.load(get(FOUR), STARTS + 4), number(1))),
          i32.equal(load(HAS), number(HAS_ALL)),
        ),
        i32.store8(get(I), SOUND, number(1)),
        put(POSITIONS, f64.load(number(0), POSITION)),
        put(REVISIONS, f64.load(number(0), REVISION)),
        ...putSpan(TYPE_SPANS, TYPE),
        ...putSpan(RECORDED_SPANS, RECORDED),
        set(SAME_STREAM, isSame(STREAM, STREAM_BEFORE)),
        set(SAME_TYPE, isSame(TYPE, TYPE_BEFORE)),
        when(get(SAME_STREAM), asBefore(STREAMS)),
        when(get(SAME_TYPE), asBefore(TYPES)),
        when(i32.isZero(get(SAME_TYPE)), begin(1), mixSpan(TYPE), finished(TYPES)),
        when(
          i32.isZero(get(SAME_STREAM)),
          begin(0),
          mixSpan(STREAM),
          finished(STREAMS),
          set(AT, call(F.find, load(STREAM), load(STREAM + 4), letter("/"))),
          when(
            i32.or(i32.equal(get(AT), load(STREAM)), i32.equal(get(AT), load(STREAM + 4))),
            i32.store8(get(I), SOUND, number(0)),
          ),
        ),
        i32.store8(
          get(I),
          CHANGES,
          i32.xor(
            i32.or(
              get(SAME_STREAM),
              i32.shl(get(SAME_TYPE), 1),
              i32.shl(isSame(RECORDED, RECORDED_BEFORE), 2),
            ),
            number(CHANGED.stream | CHANGED.type | CHANGED.recordedat),
          ),
        ),
        begin(0),
        mixSpan(SOURCE),
        ...FACTORS.map((factor, i) => store(LANES + 4 * i, mixed(load(LANES + 4 * i), letter("\n"), factor))),
        begin(2, OTHER_LANES),
        // Without a correlation of its own, it is correlated by its id.
        when(
          i32.isZero(load(CORRELATION)),
          call(F.mixBoth, load(ID), load(ID + 4)),
          finished(NAMES),
          finished(CORRELATIONS, OTHER_LANES),
        ),
        when(
          load(CORRELATION),
          mixSpan(ID),
          finished(NAMES),
          begin(2),
          mixSpan(CORRELATION),
          finished(CORRELATIONS),
        ),
        ...kept(STREAM, STREAM_BEFORE),
        ...kept(TYPE, TYPE_BEFORE),
        ...kept(RECORDED, RECORDED_BEFORE),
      ),
      // What is not sound says nothing that the next one could say as well.
      ...when(
        i32.isZero(i32.load8(get(I), SOUND)),
        ...[0, 4, 8, 12, 16, 20].map((at) => store(BEFORE + at, number(0))),
      ),
      ...next(I),
    ], i32.differ(get(I), get(COUNT))),
  };
};
