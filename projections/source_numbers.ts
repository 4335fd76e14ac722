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
  inexact: z.literal(true).optional(),
});
export type Count = z.output<typeof count>;

export const sourceState = z.strictObject({
  /** `none`: its events say no `sequence`. `unknown`: they do, and nobody said how to read it. */
  numbering: z.enum(["none", "integer", "declared", "unknown"]),
  count: count.optional(),
  /** Ended by a new declaration; oldest first. */
  earlier: z.array(count).max(SOURCE_BOUNDS.counts_max),
  /** The number its next event was declared to have. */
  begins: int.optional(),
  heartbeat_s: int.positive().optional(),
  /** When something of it was recorded last; only of sources that are counted or promised signs of life. */
  seen: place.optional(),
  /** Spans without a sign of life that were longer than promised; newest last. */
  silences: z.array(z.strictObject({ since: z.string(), until: z.string(), position: int })).max(
    SOURCE_BOUNDS.listed_max,
  ),
  silences_count: int.nonnegative(),
  /** Spans of time of which it has sent everything, as it says; `missing` when that was said. Newest last. */
  windows: z.array(z.strictObject({ from: z.string(), until: z.string(), position: int, missing: int.nonnegative() }))
    .max(SOURCE_BOUNDS.listed_max),
});
export type SourceState = z.output<typeof sourceState>;

export const UNSEEN: SourceState = {
  numbering: "none",
  earlier: [],
  silences: [],
  silences_count: 0,
  windows: [],
};

/** Facts of commands carry their own stream as the source, and the kernel's say `kernel`: both are ours, and in the log's own order. */
export const isSource = ({ source, stream }: Event): boolean => source !== stream && source !== "kernel";

/** The source after the event. The same object where nothing of it is kept, as of sources that neither count nor promise. */
export const trackSource = (state: SourceState, event: Event): SourceState => {
  const silent = state.count === undefined && state.heartbeat_s === undefined;
  if (silent && !("sequence" in event) && !event.type.startsWith("sources.")) return state;
  const fact = event as unknown as Event<SourceFact>;
  const at = placeOf(event);
  let next = declared(state, fact, at);
  const number = numberOf(next, event);
  if (number === "unknown") next = next.numbering === "unknown" ? next : { ...next, numbering: "unknown" };
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
  const begun: Count = { first, last: first - 1, from: at, to: at, gaps: [], missing: 0, repeated: 0 };
  return { ...rest, earlier, begins: first, count: begun };
};

const INTEGER = /^(?:0|-?[1-9]\d{0,9}|-?0\d{0,30}|\+?\d{1,31})$/;
const DIGITS = /^\d{1,31}$/;
const TURN = 2 ** 32;

/** The number that an event says it has; `unknown` where it says one that nobody can read. */
export const numberOf = (state: SourceState, event: Event): number | "unknown" | undefined => {
  const { sequence, sequencetype } = event as unknown as {
    readonly sequence?: unknown;
    readonly sequencetype?: unknown;
  };
  if (typeof sequence !== "string" && typeof sequence !== "number") return undefined;
  const text = String(sequence);
  const value = Number(text);
  if (sequencetype === "Integer") {
    if (!INTEGER.test(text) || value < -(2 ** 31) || value >= 2 ** 31) return "unknown";
    return unwrapped(state.count, value);
  }
  return state.numbering === "declared" && DIGITS.test(text) && Number.isSafeInteger(value) ? value : "unknown";
};

/** The number that is this one modulo 2^32 and nearest to what came last: the spec has them wrap around. */
const unwrapped = (count: Count | undefined, value: number): number =>
  count === undefined ? value : value + Math.round((count.last - value) / TURN) * TURN;

/** An event with this number came. */
const arrived = (state: SourceState, number: number, at: Place): SourceState => {
  const numbering = state.numbering === "declared" ? "declared" : "integer";
  const { count } = state;
  if (count === undefined) {
    return {
      ...state,
      numbering,
      count: { first: number, last: number, from: at, to: at, gaps: [], missing: 0, repeated: 0 },
    };
  }
  if (number > count.last) {
    if (number - count.last > SOURCE_BOUNDS.jump_max) return { ...state, numbering: "unknown" };
    const open = number === count.last + 1 ? count : opened(count, count.last + 1, number - 1, at);
    return { ...state, numbering, count: { ...open, last: number, to: at } };
  }
  if (number < count.first) {
    // It was on its way when the count began; nothing before the first is owed, but all since.
    if (count.first - number > SOURCE_BOUNDS.jump_max) return { ...state, numbering: "unknown" };
    const { from } = count;
    const between = count.first - number - 1;
    const gaps = between === 0 ? count.gaps : [
      { first: number + 1, last: count.first - 1, missing: between, after: at, before: from, noticed: at.recordedat },
      ...count.gaps,
    ];
    return {
      ...state,
      numbering,
      count: bounded({ ...count, first: number, from: at, gaps, missing: count.missing + between }),
    };
  }
  return { ...state, numbering, count: filled(count, number, at) };
};

/** The source says that it has sent all up to this number. */
const reached = (state: SourceState, said: number, at: Place): SourceState => {
  const { count } = state;
  if (count === undefined) return state;
  const last = state.numbering === "declared" ? said : unwrapped(count, said);
  if (last <= count.last || last - count.last > SOURCE_BOUNDS.jump_max) return state;
  return { ...state, count: { ...opened(count, count.last + 1, last, at), last, to: at } };
};

const closed = (
  state: SourceState,
  { from, until, last }: Extract<SourceFact, { type: "sources.window.closed" }>["data"],
  at: Place,
): SourceState => {
  const next = last === undefined ? state : reached(state, last, at);
  const window = { from, until, position: at.position, missing: next.count?.missing ?? 0 };
  return { ...next, windows: [...next.windows, window].slice(-SOURCE_BOUNDS.listed_max) };
};

const opened = (count: Count, first: number, last: number, before: Place): Count => {
  const missing = last - first + 1;
  const after = count.last < count.first ? {} : { after: count.to };
  return bounded({
    ...count,
    gaps: [...count.gaps, { first, last, missing, ...after, before, noticed: before.recordedat }],
    missing: count.missing + missing,
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
    missing: one!.missing + two!.missing,
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
