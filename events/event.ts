/**
 * What a fact is, and what it becomes when it is recorded: a CloudEvents 1.0 event whose extension attributes are
 * our header (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md).
 *
 * An event in memory is its entry parsed and nothing else: times stay the RFC 3339 text that was recorded, so that
 * reading converts nothing and an offset the source wrote is not lost. `millis` turns one into a number.
 */
import type { z } from "zod";

/** Milliseconds, of a duration or since 1970-01-01T00:00:00Z. */
export type Millis = number;

/** `domain/id`, e.g. `commits/linux`. One stream is one consistency boundary. At most 512 UTF-8 bytes, printable. */
export type StreamId = `${string}/${string}`;

/** Dotted `domain.noun.verb`, verb in the past tense. */
export type FactType = `${string}.${string}.${string}`;

/** What I-JSON (RFC 7493) can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What was decided or observed, before it has a place in history. */
export interface Fact<T extends FactType = FactType, D = unknown> {
  readonly type: T;
  readonly data: D;
}

/** What the sender of an event says about it; the log adds the rest. Absent attributes are left out, never `null`. */
export interface Attributes {
  /** With `source` it names the event for ever: the same pair again is the same event. 1 to 1,024 bytes. */
  readonly id: string;
  /** URI reference of who tells it. 1 to 1,024 bytes. */
  readonly source: string;
  /** RFC 3339. When it happened, as the source says; often out of order. */
  readonly time: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  /** The `id` of the event or command that caused this one. */
  readonly causationid?: string;
  /** Shared by all that belongs to one piece of work. Absent: the event's own `id` stands for it. */
  readonly correlationid?: string;
  /** W3C Trace Context. */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** Where, when and by whom: stamped once, when the fact enters the log. */
export interface Header extends Attributes {
  readonly specversion: "1.0";
  readonly stream: StreamId;
  /** Place within the stream, from 0. */
  readonly revision: number;
  /** Place within the log, from 0, without gaps; the leaf index in the tree. */
  readonly position: number;
  /** Of the shape of `data`, from 1. */
  readonly version: number;
  /** RFC 3339, UTC, milliseconds. Ours; never decreases. */
  readonly recordedat: string;
  /** Kind of principal (CloudEvents authcontext extension): `user`, `api_key`, `system`. */
  readonly authtype: string;
  /** Opaque id of the principal. */
  readonly authid: string;
}

/** A fact as recorded. Flat, so that `switch (event.type)` narrows `event.data`. */
export type Event<F extends Fact = Fact> = F & Header & { readonly data_base64?: string };

/** A domain's facts: dotted type to the schema of its data; personal fields are marked in the schema (`personal.ts`). */
export type FactSchemas = Readonly<Record<FactType, z.ZodType>>;

/** The union of a domain's facts, from its schemas. */
export type Facts<S extends FactSchemas> = { [T in keyof S & FactType]: Fact<T, z.output<S[T]>> }[keyof S & FactType];

/** A recorded time as a number. */
export const millis = (time: string): Millis => Date.parse(time);

const RFC3339 =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** RFC 3339 section 5.6 and a day that its month has; `Date.parse` takes the 30th of February. A leap second is refused: no clock of ours can say it. */
export const isTime = (text: string): boolean => {
  const found = RFC3339.exec(text);
  if (!found) return false;
  const day = Number(found[3]);
  if (day <= 28) return true;
  const [year, month] = [Number(found[1]), Number(found[2])];
  if (day > DAYS[month - 1]!) return false;
  return month !== 2 || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
};

/** What belongs together: the correlation the sender gave, else the event's own id. */
export const correlationOf = (event: Header): string => event.correlationid ?? event.id;
