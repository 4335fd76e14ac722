/** What can be vouched for of each source: complete from where to where, what is missing between, since when it is silent. */
import { z } from "zod";
import { type Millis, millis } from "../events/event.ts";
import type { Projection } from "./projection.ts";
import {
  type Count,
  isSource,
  missingIn,
  type Place,
  signDue,
  SOURCE_BOUNDS,
  sourceState,
  trackSource,
  UNSEEN,
} from "./source_numbers.ts";

/** Sources told apart; of more there is one row for all, which says that nothing can be said. */
export const SOURCES_MAX = 10_000;
/** The row for those, and the working row that counts the others. */
const OTHERS = "(others)";
const HELD = "~held";

const row = z.strictObject({
  ...sourceState.shape,
  /** Numbers that did not come, in all counts. */
  missing: z.int().nonnegative(),
  /** Working row: how many sources have a row. */
  held: z.int().nonnegative().optional(),
});
export type SourceRow = z.output<typeof row>;

const INITIAL: SourceRow = { ...UNSEEN, missing: 0 };

/** Keys that begin with a tilde are working rows. */
const keyOf = (source: string): string => source.startsWith("~") ? `%7E${source.slice(1)}` : source;

export const auditSources: Projection<SourceRow> = {
  name: "audit.sources",
  version: 2,
  about:
    "What each source can be vouched for: complete from where to where, what is missing, how long it was silent. Key: the source.",
  hears: "*",
  row,
  initial: INITIAL,
  indexes: ["numbering", "missing"],
  columns: ["numbering", "missing", "count", "silences_count"],
  keys(event, read) {
    if (!isSource(event)) return NONE;
    const key = keyOf(event.source);
    const known = read(key);
    // Most sources neither count nor promise anything: their row is made once.
    if (known) return trackSource(known, event) === known ? NONE : [key];
    const held = read(HELD)?.held ?? 0;
    if (held < SOURCES_MAX) return [key, HELD];
    return read(OTHERS) ? NONE : [OTHERS];
  },
  apply(row, event, key) {
    if (key === HELD) return { ...row, held: (row.held ?? 0) + 1 };
    if (key === OTHERS) return row === INITIAL ? { ...row, numbering: "unknown" } : row;
    const tracked = trackSource(row, event) as SourceRow;
    // A row that says nothing yet is a row all the same.
    return tracked === row ? { ...row } : { ...tracked, missing: missingIn(tracked) };
  },
};

const NONE: readonly string[] = [];

export interface Vouched {
  readonly is: "complete" | "gap" | "repeated" | "unreadable" | "silent" | "was_silent" | "window" | "nothing";
  /** A sentence. */
  readonly text: string;
  /** Where to look: an event beside what is missing. */
  readonly position?: number;
}

const GAPS_TOLD_MAX = 20;

/** What an auditor is told of a source, as of a time: first what is there, then what is missing. */
export const vouchedFor = (state: Omit<SourceRow, "held">, at: Millis): readonly Vouched[] => {
  const told: Vouched[] = [];
  for (const count of [...state.earlier, ...(state.count ? [state.count] : [])]) {
    told.push(...countTold(count));
  }
  if (state.unreadable > 0) {
    const text = `${
      said(state.unreadable, "event has a number", "events have numbers")
    } that cannot be read as one of its count`;
    told.push({ is: "unreadable", text });
  }
  if (state.numbering === "unknown") {
    told.push({ is: "nothing", text: "numbered in a way that nobody has declared: nothing can be said" });
  } else if (state.count === undefined && state.earlier.length === 0) {
    told.push({ is: "nothing", text: "not numbered: nothing can be said" });
  }
  for (const window of state.windows) told.push(windowTold(window, state.count !== undefined));
  for (const { since, until, position } of state.silences) {
    told.push({ is: "was_silent", text: `silent from ${since} to ${until}`, position });
  }
  if (state.silences_count > state.silences.length) {
    told.push({ is: "was_silent", text: `${state.silences_count - state.silences.length} silences before these` });
  }
  const due = signDue(state);
  if (due !== undefined && at > due) {
    told.push({ is: "silent", text: `silent since ${state.seen!.recordedat}`, position: state.seen!.position });
  }
  return told;
};

/** One event, two events. */
const said = (many: number, one: string, more: string): string => `${many} ${many === 1 ? one : more}`;

const windowTold = (
  { from, until, missing, late, position }: SourceRow["windows"][number],
  counts: boolean,
): Vouched => {
  if (millis(until) <= millis(from)) {
    return {
      is: "nothing",
      text: `a window was closed that ends before it begins, from ${from} to ${until}`,
      position,
    };
  }
  const how = missing > 0 ? `, with ${missing} missing then` : counts ? "" : ", as it says";
  const after = late > 0 ? `; ${said(late, "event", "events")} of it came after that` : "";
  return { is: "window", text: `window closed from ${from} to ${until}${how}${after}`, position };
};

const countTold = (count: Count): readonly Vouched[] => {
  const { first, last, from, to, gaps, missing, repeated, declared, inexact } = count;
  if (last < first) {
    return declared
      ? [{ is: "complete", text: `a count from ${first} was declared at ${from.time}; nothing came yet` }]
      : [{ is: "gap", text: `its numbers had come to ${last} at ${from.time}, as it says; none was recorded` }];
  }
  const told: Vouched[] = [];
  const span = `${missing === 0 ? "complete" : "numbered"} from ${first} (${from.time}) to ${last} (${to.time})`;
  told.push({
    is: "complete",
    text: missing === 0 ? span : `${span}, ${missing} of ${last - first + 1} missing`,
    position: to.position,
  });
  if (!declared && first !== 1) {
    told.push({ is: "nothing", text: `no count from before ${first} was declared: nothing can be said of it` });
  }
  for (const gap of gaps.slice(0, GAPS_TOLD_MAX)) {
    const which = gap.first === gap.last ? `${gap.first}` : `${gap.first} to ${gap.last}`;
    const of = gap.missing < gap.last - gap.first + 1 ? `${gap.missing} of ` : "";
    told.push({
      is: "gap",
      text: `missing: ${of}${which}, between ${timeOf(gap.after)} and ${gap.before.time}`,
      position: gap.before.position,
    });
  }
  if (gaps.length > GAPS_TOLD_MAX) told.push({ is: "gap", text: `and ${gaps.length - GAPS_TOLD_MAX} more gaps` });
  if (repeated > 0) {
    told.push({ is: "repeated", text: `${said(repeated, "event has", "events have")} a number that another one has` });
  }
  if (inexact) told.push({ is: "gap", text: `more than ${SOURCE_BOUNDS.gaps_max} gaps: the oldest are told together` });
  return told;
};

const timeOf = (place: Place | undefined): string => place?.time ?? "the beginning of the count";
