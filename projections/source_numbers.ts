/**
 * What can be vouched for of one source that numbers its events or promised signs of life: from where to where it is complete,
 * what is missing between, how long it was silent. A pure fold of the source's events, bounded.
 *
 * Numbers are those of CloudEvents' Sequence extension: with `sequencetype: Integer` 32-bit ones that wrap around (they are held
 * unwrapped), else decimal digits where the source has declared that it counts by one. Any other `sequence` says an order and nothing of what is missing.
 */
import { z } from "zod";
import { type Event, type Millis, millis } from "../events/event.ts";
import type { SourceFact } from "../events/sources.ts";

export const SOURCE_BOUNDS = {
  /** Gaps told apart; beyond, the two oldest neighbours are told as one, and the source is `inexact`. */
  gaps_max: 128,
  /** Silences and windows that are listed, the newest. */
  listed_max: 20,
  /** Counts that were ended by a new declaration, the newest. */
  counts_max: 10,
  /** A source's numbers jump at most so far, or it is not counting. */
  jump_max: 1_000_000_000,
} as const;

const int = z.int();
const place = z.strictObject({
  position: int.nonnegative(),
  /** When it happened, as the source says, and when it was recorded. */
  time: z.string(),
  recordedat: z.string(),
});
export type Place = z.output<typeof place>;

/** Numbers that are missing, and the events on both sides of them. */
const gap = z.strictObject({
  first: int,
  last: int,
  /** Fewer than `last - first + 1` where two gaps are told as one. */
  missing: int.positive(),
  /** Absent: nothing of the count came before. */
  after: place.optional(),
  before: place,
  /** When it was recorded that they are missing. */
  noticed: z.string(),
});
export type Gap = z.output<typeof gap>;

/** One count: from a first number on, each one more than the one before. */
const count = z.strictObject({
  first: int,
  /** The highest number that came, or that the source says it has sent. */
  last: int,
  from: place,
  to: place,
  gaps: z.array(gap).max(SOURCE_BOUNDS.gaps_max),
  missing: int.nonnegative(),
  /** Events whose number another one had. */
  repeated: int.nonnegative(),
  /** The source has said where it begins. */
  declared: z.literal(true).optional(),
  inexact: z.literal(true).optional(),
});
export type Count = z.output<typeof count>;

/** A span of time of which a source has sent everything, as it says. */
const window = z.strictObject({
  from: z.string(),
  until: z.string(),
  position: int,
  /** When that was said: of the numbers that it named, else of the whole count. */
  missing: int.nonnegative(),
  /** Events that happened in it, as they say, and came after that was said. */
  late: int.nonnegative(),
});

export const sourceState = z.strictObject({
  /** `none`: its events say no `sequence`. `unknown`: they do, and nobody said how to read it. */
  numbering: z.enum(["none", "integer", "declared", "unknown"]),
  count: count.optional(),
  /** Ended by a new declaration; oldest first. */
  earlier: z.array(count).max(SOURCE_BOUNDS.counts_max),
  /** Events of a source that counts whose own number cannot be: no number, out of bounds, or too far from the others. */
  unreadable: int.nonnegative(),
  heartbeat_s: int.positive().optional(),
  /** When something of it was recorded last; only of sources that are counted or promised signs of life. */
  seen: place.optional(),
  /** Spans without a sign of life that were longer than promised; newest last. */
  silences: z.array(z.strictObject({ since: z.string(), until: z.string(), position: int })).max(
    SOURCE_BOUNDS.listed_max,
  ),
  silences_count: int.nonnegative(),
  /** Newest last. */
  windows: z.array(window).max(SOURCE_BOUNDS.listed_max),
  /** Until when the last of them is. */
  closed_until: int.optional(),
});
export type SourceState = z.output<typeof sourceState>;

export const UNSEEN: SourceState = {
  numbering: "none",
  earlier: [],
  unreadable: 0,
  silences: [],
  silences_count: 0,
  windows: [],
};

/** Facts of commands carry their own stream as the source, and the kernel's say `kernel`: both are ours, and in the log's own order. */
export const isSource = ({ source, stream }: Event): boolean => source !== stream && source !== "kernel";

/** The source after the event. The same object where nothing of it is kept, as of sources that neither count nor promise. */
export const trackSource = (state: SourceState, event: Event): SourceState => {
  const silent = state.count === undefined && state.heartbeat_s === undefined && state.closed_until === undefined;
  const itself = event.type.startsWith("sources.");
  if (silent && !("sequence" in event) && !itself) return state;
  const fact = event as unknown as Event<SourceFact>;
  const at = placeOf(event);
  let next = declared(itself ? state : belated(state, at), fact, at);
  const number = numberOf(next, event);
  if (number === "unknown") next = unread(next);
  else if (number !== undefined) next = arrived(next, number, at);
  if (fact.type === "sources.heartbeat.sent" && fact.data.last !== undefined) next = reached(next, fact.data.last, at);
  if (fact.type === "sources.window.closed") next = closed(next, fact.data, at);
  return next.count === undefined && next.heartbeat_s === undefined && next === state ? state : signed(next, at);
};

const placeOf = ({ position, time, recordedat }: Event): Place => ({ position, time, recordedat });

const declared = (state: SourceState, fact: Event<SourceFact>, at: Place): SourceState => {
  if (fact.type !== "sources.source.declared") return state;
  const { first, numbered, heartbeat_s } = fact.data;
  const next: SourceState = {
    ...state,
    ...(numbered ? { numbering: "declared" } : {}),
    ...(heartbeat_s === undefined ? {} : { heartbeat_s }),
  };
  if (first === undefined) return next;
  const { count, ...rest } = next;
  const earlier = count ? [...next.earlier, count].slice(-SOURCE_BOUNDS.counts_max) : next.earlier;
  // The count begins with the declaration, so that a loss of its first events shows.
  return { ...rest, earlier, count: { ...countFrom(first, at), last: first - 1, declared: true } };
};

/** A count in which only this number came. */
const countFrom = (number: number, at: Place): Count => ({
  first: number,
  last: number,
  from: at,
  to: at,
  gaps: [],
  missing: 0,
  repeated: 0,
});

const nothingCame = ({ first, last, missing }: Count): boolean => missing === last - first + 1;

/** Its number says nothing. Of a source that counts it is an odd one out; else it does not count. */
const unread = (state: SourceState): SourceState => {
  const { count, ...rest } = state;
  if (count && !nothingCame(count)) return { ...state, unreadable: state.unreadable + 1 };
  const kept = count?.declared ? { count } : {};
  return state.numbering === "unknown" && count === kept.count ? state : { ...rest, ...kept, numbering: "unknown" };
};

/** Where an event happened in a window that was closed before it came. */
const belated = (state: SourceState, { time }: Place): SourceState => {
  if (state.closed_until === undefined) return state;
  const at = millis(time);
  if (at >= state.closed_until) return state;
  const inside = ({ from, until }: SourceState["windows"][number]) => millis(from) <= at && at < millis(until);
  if (!state.windows.some(inside)) return state;
  return {
    ...state,
    windows: state.windows.map((window) => inside(window) ? { ...window, late: window.late + 1 } : window),
  };
};

const INTEGER = /^(?:0|-?[1-9]\d{0,9}|-?0\d{0,30}|\+?\d{1,31})$/;
const DIGITS = /^\d{1,31}$/;
const TURN = 2 ** 32;
/** Whether it may be a number of 32 bits, as they wrap around. */
const isTurned = (value: number): boolean => value >= -(2 ** 31) && value < 2 ** 31;

/** The number that an event says it has; `unknown` where it says one that nobody can read. */
const numberOf = (state: SourceState, event: Event): number | "unknown" | undefined => {
  const { sequence, sequencetype } = event as unknown as {
    readonly sequence?: unknown;
    readonly sequencetype?: unknown;
  };
  if (sequence === undefined) return undefined;
  if (typeof sequence !== "string" && typeof sequence !== "number") return "unknown";
  const text = String(sequence);
  const value = Number(text);
  if (sequencetype === "Integer") {
    if (!INTEGER.test(text) || !isTurned(value)) return "unknown";
    return unwrapped(state.count, value) ?? "unknown";
  }
  return state.numbering === "declared" && DIGITS.test(text) && Number.isSafeInteger(value) ? value : "unknown";
};

/**
 * The number that is this one modulo 2^32 and nearest to what came last: the spec has them wrap around. `undefined` where that is beyond
 * what a number can say to the digit.
 */
const unwrapped = (count: Count | undefined, value: number): number | undefined => {
  const number = count === undefined ? value : value + Math.round((count.last - value) / TURN) * TURN;
  return Number.isSafeInteger(number) ? number : undefined;
};

/** Many numbers may be missing, but no more than can be said to the digit. */
const sumOf = (one: number, other: number): number => Math.min(Number.MAX_SAFE_INTEGER, one + other);

/** An event with this number came. */
const arrived = (state: SourceState, number: number, at: Place): SourceState => {
  const { count } = state;
  if (count === undefined) return counted(state, countFrom(number, at));
  if (Math.max(number - count.last, count.first - number) > SOURCE_BOUNDS.jump_max) return unread(state);
  if (number > count.last) {
    const open = number === count.last + 1 ? count : opened(count, count.last + 1, number - 1, at);
    return counted(state, { ...open, last: number, to: at });
  }
  if (number >= count.first) return counted(state, filled(count, number, at));
  // It was on its way when the count began.
  const index = state.earlier.findLastIndex(({ first, last }) => first <= number && number <= last);
  if (index >= 0) return { ...state, earlier: state.earlier.with(index, filled(state.earlier[index]!, number, at)) };
  // Nothing before the first is owed, but all since.
  const begun = number === count.first - 1 ? count : lowered(count, number + 1, { after: at, noticed: at.recordedat });
  return counted(state, { ...begun, first: number, from: at });
};

const counted = (state: SourceState, count: Count): SourceState => ({
  ...state,
  numbering: state.numbering === "declared" ? "declared" : "integer",
  count,
});

/** The source says that it has sent all up to this number. */
const reached = (state: SourceState, said: number, at: Place): SourceState => {
  const { count, numbering } = state;
  if (count === undefined) {
    // How it numbers is not known, or its numbers are others than it sends.
    if (numbering === "unknown" || (numbering !== "declared" && !isTurned(said))) return state;
    return { ...state, count: { ...countFrom(said + 1, at), last: said } };
  }
  const last = numbering === "declared" ? said : unwrapped(count, said);
  if (last === undefined || last <= count.last || last - count.last > SOURCE_BOUNDS.jump_max) return state;
  return { ...state, count: { ...opened(count, count.last + 1, last, at), last, to: at } };
};

/** The source says that it has sent all from this number on; where its count begins it may have said before. */
const begun = (state: SourceState, said: number, at: Place): SourceState => {
  const { count, numbering } = state;
  if (count === undefined || count.declared) return state;
  const first = numbering === "declared" ? said : unwrapped(count, said);
  if (first === undefined || first >= count.first || count.first - first > SOURCE_BOUNDS.jump_max) return state;
  return { ...state, count: { ...lowered(count, first, { noticed: at.recordedat }), first } };
};

const closed = (
  state: SourceState,
  { from, until, first, last }: Extract<SourceFact, { type: "sources.window.closed" }>["data"],
  at: Place,
): SourceState => {
  let next = last === undefined ? state : reached(state, last, at);
  if (first !== undefined) next = begun(next, first, at);
  const window = { from, until, position: at.position, missing: missingOf(next, { first, last }), late: 0 };
  return {
    ...next,
    windows: [...next.windows, window].slice(-SOURCE_BOUNDS.listed_max),
    closed_until: Math.max(next.closed_until ?? 0, millis(until)),
  };
};

/** How many of these numbers are missing. */
const missingOf = (
  { count, numbering }: SourceState,
  said: { readonly first?: number | undefined; readonly last?: number | undefined },
): number => {
  if (!count) return 0;
  const placed = (number: number) => numbering === "declared" ? number : unwrapped(count, number);
  const from = said.first === undefined ? -Infinity : placed(said.first) ?? -Infinity;
  const to = said.last === undefined ? Infinity : placed(said.last) ?? Infinity;
  return count.gaps.reduce((sum, { first, last, missing }) => {
    const shared = Math.min(last, to) - Math.max(first, from) + 1;
    return sum + Math.max(0, Math.min(missing, shared));
  }, 0);
};

/** The count with what is missing from `first` until it began. */
const lowered = (count: Count, first: number, side: Pick<Gap, "after" | "noticed">): Count => {
  const missing = count.first - first;
  const gap: Gap = { first, last: count.first - 1, missing, ...side, before: count.from };
  return bounded({ ...count, gaps: [gap, ...count.gaps], missing: sumOf(count.missing, missing) });
};

const opened = (count: Count, first: number, last: number, before: Place): Count => {
  const missing = last - first + 1;
  const after = count.last < count.first ? {} : { after: count.to };
  return bounded({
    ...count,
    gaps: [...count.gaps, { first, last, missing, ...after, before, noticed: before.recordedat }],
    missing: sumOf(count.missing, missing),
  });
};

/** One that was missing came after all; or one comes again under another id. */
const filled = (count: Count, number: number, at: Place): Count => {
  const index = count.gaps.findIndex(({ first, last }) => first <= number && number <= last);
  const gap = count.gaps[index];
  if (!gap) return { ...count, repeated: count.repeated + 1 };
  const width = gap.last - gap.first + 1;
  const parts: Gap[] = [];
  // Of two that are told as one nobody knows any more where it lies: only how many are left.
  if (gap.missing < width) { if (gap.missing > 1) parts.push({ ...gap, missing: gap.missing - 1 }); }
  else {
    if (number > gap.first) parts.push({ ...gap, last: number - 1, missing: number - gap.first, before: at });
    if (number < gap.last) parts.push({ ...gap, first: number + 1, missing: gap.last - number, after: at });
  }
  return bounded({ ...count, gaps: count.gaps.toSpliced(index, 1, ...parts), missing: count.missing - 1 });
};

const bounded = (count: Count): Count => {
  if (count.gaps.length <= SOURCE_BOUNDS.gaps_max) return count;
  const [one, two, ...rest] = count.gaps;
  const joined: Gap = {
    first: one!.first,
    last: two!.last,
    missing: sumOf(one!.missing, two!.missing),
    ...(one!.after ? { after: one!.after } : {}),
    before: two!.before,
    noticed: one!.noticed,
  };
  return { ...count, gaps: [joined, ...rest], inexact: true };
};

/** A sign of life. */
const signed = (state: SourceState, at: Place): SourceState => {
  const { seen, heartbeat_s } = state;
  const silent = seen !== undefined && heartbeat_s !== undefined &&
    millis(at.recordedat) - millis(seen.recordedat) > heartbeat_s * 1_000;
  if (!silent) return { ...state, seen: at };
  const silence = { since: seen.recordedat, until: at.recordedat, position: at.position };
  return {
    ...state,
    seen: at,
    silences: [...state.silences, silence].slice(-SOURCE_BOUNDS.listed_max),
    silences_count: state.silences_count + 1,
  };
};

/** Until when something of it must come, by its own word. */
export const signDue = ({ seen, heartbeat_s }: SourceState): Millis | undefined =>
  seen === undefined || heartbeat_s === undefined ? undefined : millis(seen.recordedat) + heartbeat_s * 1_000;

/** How many numbers are missing, in all its counts. */
export const missingIn = ({ count, earlier }: Pick<SourceState, "count" | "earlier">): number =>
  earlier.reduce((sum, { missing }) => sumOf(sum, missing), count?.missing ?? 0);
