/**
 * The front door for what happened elsewhere: what a program hands in is checked against the catalogue and becomes an event
 * that can be sealed and appended. Nothing here waits and nothing is written.
 */
import type { Catalogue } from "../../events/catalogue.ts";
import { isTime, type Millis, type StreamId } from "../../events/event.ts";
import { LIMITS, type NewEvent } from "../../events/log.ts";
import type { Incoming, Ingested, Issue, Principal } from "./daybook.ts";
import type { Hash } from "./world.ts";

export interface AdmissionOptions {
  readonly catalogue: Catalogue;
  readonly hash: Hash;
  /** What becomes of a type the catalogue does not know. Default `inbox`: kept as sent in `inbox/{source}`. */
  readonly unknown?: "inbox" | "reject";
  /** Domains that have entities. */
  readonly deciding?: ReadonlySet<string>;
}

export interface AdmissionContext {
  readonly at: Millis;
  readonly by: Principal;
  /** Ours; for events that bring none. */
  readonly traceparent?: string;
  readonly may?: (source: string, stream: StreamId) => boolean;
}

type Invalid = Extract<Ingested, { readonly conflict: "invalid" }>;
export type Admitted = { readonly ok: true; readonly events: readonly NewEvent[] } | Invalid;

/** Admits all events or none; the first that is not acceptable is named. */
export const admit = (events: readonly Incoming[], options: AdmissionOptions, context: AdmissionContext): Admitted => {
  let made: string | undefined;
  // Once for all who bring none; most do.
  const now = () => made ??= new Date(context.at).toISOString();
  const admitted: NewEvent[] = [];
  for (let index = 0; index < events.length; index++) {
    const one = admitOne(events[index]!, options, context, now);
    if ("code" in one) return { ok: false, conflict: "invalid", index, ...one };
    if (context.may && !context.may(one.source, one.stream)) {
      const issues = [issue("/source", `${one.source} to ${one.stream} is not permitted`)];
      return { ok: false, conflict: "invalid", index, code: "not_permitted", issues };
    }
    admitted.push(one);
  }
  return { ok: true, events: admitted };
};

type Refusal = Pick<Invalid, "code" | "issues">;

const admitOne = (
  event: Incoming,
  options: AdmissionOptions,
  context: AdmissionContext,
  now: () => string,
): NewEvent | Refusal => {
  const wrong = attributeIssue(event);
  if (wrong) return { code: "invalid_attribute", issues: [wrong] };
  if (isOurs(event, options.deciding)) {
    return {
      code: "invalid_attribute",
      issues: [issue("/id", "is given here and nowhere else with this source; another id or source is expected")],
    };
  }
  const spec = options.catalogue.spec(event.type);
  if (!spec) {
    if (options.unknown === "reject") {
      return { code: "unknown_type", issues: [issue("/type", `is not a type this log knows`)] };
    }
    return stamped(event, context, now, { data: event.data, stream: inboxOf(event.source, options.hash), version: 1 });
  }
  if (spec.kind === "decided") {
    return { code: "decided_type", issues: [issue("/type", "is decided by its own actor; send it a command")] };
  }
  const parsed = spec.schema.safeParse(event.data);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => issue(pointer(path), message));
    return { code: "invalid_data", issues };
  }
  const data = parsed.data;
  const stream = spec.stream!({
    source: event.source,
    ...(event.subject === undefined ? {} : { subject: event.subject }),
    data,
  });
  return stamped(event, context, now, { data, stream, version: spec.version ?? 1 });
};

/** As `Draft` names facts: whose command, its id, which of its facts. Nobody is called as URLs begin. */
const FACT_ID = /^(?!https?:)[^]*:[^]*\/\d+$/;

/** Whoever had such a name recorded first would have the command, or what the kernel tells, refused as another's. */
const isOurs = ({ id, source }: Incoming, deciding: ReadonlySet<string> = NONE): boolean => {
  if (source === "kernel") return true;
  const slash = source.indexOf("/");
  return slash > 0 && deciding.has(source.slice(0, slash)) && FACT_ID.test(id);
};
const NONE: ReadonlySet<string> = new Set();

/** With what is ours: one copy, as this is on the way of every event. */
const stamped = (
  event: Incoming,
  { by, traceparent }: AdmissionContext,
  now: () => string,
  { data, stream, version }: Pick<NewEvent, "data" | "stream" | "version">,
): NewEvent => {
  const { authtype, authid } = by;
  const admitted: Writable<NewEvent> = {
    ...event,
    authtype,
    authid,
    time: event.time ?? now(),
    data,
    stream,
    version,
  };
  if (event.time === undefined) admitted.timeGiven = false;
  if (event.traceparent === undefined && traceparent !== undefined) {
    admitted.traceparent = traceparent;
    admitted.traceGiven = false;
  }
  return admitted;
};

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const issue = (path: string, message: string): Issue => ({ path, message });

const pointer = (path: readonly PropertyKey[]): string =>
  path.map((step) => "/" + String(step).replaceAll("~", "~0").replaceAll("/", "~1")).join("");

// ASCII without spaces and control characters: nearly every source, found several times faster.
const PRINTED = /^[\x21-\x7e]*$/;

const attributeIssue = (event: Incoming): Issue | undefined => {
  for (const name of ["id", "source", "type"] as const) {
    if (typeof event[name] !== "string" || event[name] === "") {
      return issue(`/${name}`, "must be a text that is not empty");
    }
  }
  // In RFC 3986 a reference has no spaces or control characters; everything else is the sender's to choose.
  if (!PRINTED.test(event.source) && /[\s\p{Cc}]/u.test(event.source)) {
    return issue("/source", "must be a URI reference (RFC 3986), without spaces");
  }
  if (event.time !== undefined && !isTime(event.time)) return issue("/time", "must be an RFC 3339 date and time");
  if (event.data !== undefined && event.data_base64 !== undefined) {
    return issue("/data_base64", "an event has data or data_base64, not both");
  }
  return undefined;
};

/** Readable where it can be, and never longer than a stream's name may be. */
const INBOX_CHARS_MAX = 400;

/** The stream that keeps unknown types of a source. */
const inboxOf = (source: string, hash: Hash): StreamId => {
  const name = source.toWellFormed().replace(/[^A-Za-z0-9._~@:+/-]/gu, encodeURIComponent);
  const short = name.length <= INBOX_CHARS_MAX && name.length + 6 <= LIMITS.stream_bytes_max;
  return `inbox/${short ? name : `${name.slice(0, INBOX_CHARS_MAX - 64)}~${hash.sha256(source)}`}`;
};
