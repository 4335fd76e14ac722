/**
 * What the kernel tells of its work while somebody traces it: spans, and what cannot be read off afterwards. Where nobody listens
 * there is no `Telemetry` at all, so that the way of an event costs nothing but that look.
 *
 * Names and attributes say which part, which type and how it ended: nothing personal, no secret, no id of anybody's choosing.
 */
import type { Millis } from "../../events/event.ts";
import type { Appended, NewEvent } from "../../events/log.ts";

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work on its way. */
export interface Span {
  /** Its own W3C `traceparent`: what comes of this work belongs under it. */
  readonly traceparent: string;
  /** `error`: what kind of failure it was, of a bounded number of kinds; absent when it went well. */
  end(attributes?: Attributes, error?: string): void;
}

export interface Telemetry {
  /** Begins a piece of work under the one that `traceparent` names, or a trace of its own when that is missing or invalid. */
  span(name: string, traceparent?: string, attributes?: Attributes): Span;
  /** Whoever appended has waited so long. */
  appended(ms: Millis): void;
  /** A commit of the log took so long and holds so many events. */
  committed(events: number, ms: Millis): void;
  /**
   * The platform's own span of the request that is answered now, if there is one, is named after its route, or after the method
   * alone where there is none (yet). The answer is its `traceparent`.
   */
  request(method: string, route?: string): string | undefined;
}

/** An event that was recorded longer ago is folded without a span: nobody waits for its trace any more. */
export const TRACED_MS_MAX = 60_000;

/** Spans of one append or one transaction, of as many traces; the work of others is told without a span. */
export const SPANS_MAX = 32;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);
const SAMPLED = 0b01;
/** Sampled, and a random trace id; what has no meaning yet is not passed on (section 3.2.2.5). */
const FLAGS = 0b11;

export interface Trace {
  readonly trace: string;
  readonly span: string;
  readonly flags: string;
}

/**
 * What a `traceparent` names (https://www.w3.org/TR/trace-context/ section 3.2); `undefined` when it is not valid. Version ff is
 * invalid, 00 has four fields, later ones may have more.
 */
export const parseTraceparent = (text: string): Trace | undefined => {
  const found = TRACEPARENT.exec(text);
  if (!found) return undefined;
  const [, version, trace, span, flags, more] = found;
  if (version === "ff" || trace === NO_TRACE || span === NO_SPAN || (version === "00" && more !== undefined)) {
    return undefined;
  }
  return {
    trace: trace!,
    span: span!,
    flags: `0${parseInt(flags!, 16) & (version === "00" ? FLAGS : SAMPLED)}`,
  };
};

/** The kind of a failure: the name of what was thrown, never its message. */
export const errorOf = (error: unknown): string => {
  const { name, kind } = error as { readonly name?: unknown; readonly kind?: unknown };
  return typeof kind === "string" ? kind : typeof name === "string" ? name : "unknown";
};

/** Work under a span: `told` says what its result is, with `error` when that is a failure. */
export const during = async <T>(
  span: Span,
  work: () => Promise<T>,
  told: (result: T) => { readonly attributes: Attributes; readonly error?: string },
): Promise<T> => {
  try {
    const result = await work();
    const { attributes, error } = told(result);
    span.end(attributes, error);
    return result;
  } catch (error) {
    span.end({}, errorOf(error));
    throw error;
  }
};

/** What became of an append, as a span tells it. */
export const appendTold = (result: Appended): { readonly attributes: Attributes; readonly error?: string } =>
  result.ok
    ? { attributes: { "daybook.accepted": result.accepted, "daybook.duplicates": result.duplicates } }
    : { attributes: {}, error: result.conflict };

/** An append of what several traces have brought forth: a span in each. */
export const appending = async (
  { telemetry, monotonic }: { readonly telemetry: Telemetry; readonly monotonic: () => Millis },
  events: readonly NewEvent[],
  append: () => Promise<Appended>,
): Promise<Appended> => {
  const counts = new Map<string | undefined, number>();
  for (const { traceparent } of events) {
    const count = counts.get(traceparent);
    if (count !== undefined || counts.size < SPANS_MAX) counts.set(traceparent, (count ?? 0) + 1);
  }
  const spans = [...counts].map(([traceparent, count]) =>
    telemetry.span("append", traceparent, { "daybook.events": count })
  );
  const end = (attributes: Attributes, error?: string) => {
    for (const span of spans) span.end(attributes, error);
  };
  const began = monotonic();
  try {
    const result = await append();
    telemetry.appended(monotonic() - began);
    end({}, appendTold(result).error);
    return result;
  } catch (error) {
    end({}, errorOf(error));
    throw error;
  }
};
