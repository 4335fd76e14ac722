/**
 * Where what lies in the memory of `header_scan.ts`, the numbers of its functions, and how they are written. Every function that reads
 * answers where what it has read ends, 0 for what it does not take. Behind the last entry are `BEHIND` bytes of zero. No JSON has a zero, so
 * nothing steps over the first of them, and a vector that begins before it or at it ends within them: none reads what was there before.
 */
import { answer, type Code, get, i32, number, set, VECTOR_BYTES } from "../../events/wasm.ts";
import { SECRET_WORDS } from "./index_sums.ts";

/** Entries, and bytes of them, that are read at a time. */
export const ENTRIES_MAX = 512;
export const INPUT_BYTES_MAX = 65_536;

/** Hands out memory. */
let free = 0;
const place = (bytes: number): number => {
  const at = free;
  free += Math.ceil(bytes / 16) * 16;
  return at;
};

// Tables by byte: what may follow a backslash; UTF-8 (RFC 3629 section 4) by a character's first byte; hexadecimal digits, one more than they say.
export const SHORT = place(256), LENGTHS = place(256), LOWS = place(256), HIGHS = place(256), DIGITS = place(256);
/** Control characters that have no short escape (RFC 8785 section 3.2.2.2). */
export const LONG = place(32);
// What is known of the entry that is being read: how many characters beyond plain ones there were; a bit for each attribute.
export const UNUSUAL = place(4), HAS = place(4);
/** Not 0 once a text has begun as a sealed one does. */
export const SEALED = place(4);
// The two lanes of a fingerprint, and those of another.
export const LANES = place(8), OTHER_LANES = place(8);
/** Where a text lies, without its quotes: two words. */
const SPAN = 8;
export const ID = place(SPAN), SOURCE = place(SPAN), CORRELATION = place(SPAN);
export const STREAM = place(SPAN), TYPE = place(SPAN), RECORDED = place(SPAN);
/** Of the entry before: three of them. */
export const BEFORE = place(3 * SPAN);
export const STREAM_BEFORE = BEFORE, TYPE_BEFORE = BEFORE + SPAN, RECORDED_BEFORE = BEFORE + 2 * SPAN;
export const POSITION = place(8), REVISION = place(8);
/** For a number that is read only to see that it is one. */
export const NOWHERE = place(8);

/** Where each entry begins; it ends a byte before the next one begins. */
export const STARTS = place((ENTRIES_MAX + 1) * 4);
// Columns.
export const POSITIONS = place(ENTRIES_MAX * 8), REVISIONS = place(ENTRIES_MAX * 8);
export const STREAMS = place(ENTRIES_MAX * 8),
  TYPES = place(ENTRIES_MAX * 8),
  NAMES = place(ENTRIES_MAX * 8),
  CORRELATIONS = place(ENTRIES_MAX * 8);
export const TYPE_SPANS = place(ENTRIES_MAX * SPAN), RECORDED_SPANS = place(ENTRIES_MAX * SPAN);
export const SOUND = place(ENTRIES_MAX), CHANGES = place(ENTRIES_MAX);
/** Of keyed hashes: the secret, and a column. */
export const SECRET = place(SECRET_WORDS * 4), NUMBERS = place(ENTRIES_MAX * 8);
/** Zeros behind what is read, as many as a vector has. */
export const BEHIND = VECTOR_BYTES;
export const INPUT = place(INPUT_BYTES_MAX + 2 * VECTOR_BYTES);

/** How much memory all of it takes. */
export const MEMORY_BYTES = free;

/** Bits of `CHANGES`: what is another than in the entry before. */
export const CHANGED = { stream: 1, type: 2, recordedat: 4 } as const;

/** Functions in the order of their numbers. */
export const FUNCTIONS = [
  "stringEnd",
  "characterEnd",
  "digitsEnd",
  "numberEnd",
  "valueEnd",
  "itemsEnd",
  "membersEnd",
  "isBelow",
  "member",
  "whole",
  "same",
  "find",
  "mix",
  "mixBoth",
  "fingerprint",
  "scan",
  "numbers",
  "items",
] as const;
export type Name = (typeof FUNCTIONS)[number];
export const F = Object.fromEntries(FUNCTIONS.map((name, i) => [name, i])) as Readonly<Record<Name, number>>;

export const letter = (text: string): Code => number(text.charCodeAt(0));
export const QUOTE = letter('"'), BACKSLASH = letter("\\");
export const NO = answer(number(0));
export const YES = answer(number(1));

export const add = i32.add;
export const next = (local: number, by = 1): Code => set(local, add(get(local), number(by)));
export const load = (at: number): Code => i32.load(number(0), at);
export const store = (at: number, value: Code): Code => i32.store(number(0), at, value);

/** Four letters, or the last of them, as a word of memory. */
export const word = (text: string): Code =>
  number([...text].reduce((bits, one, i) => bits | one.charCodeAt(0) << 8 * i, 0));
