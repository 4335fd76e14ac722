/**
 * From an event as handed in to its entry: everything that can be written before its place is known is written first, so that
 * placing it is putting a few texts together. Members of the entry stand in canonical order (RFC 8785 section 3.2.3).
 */
import { Buffer } from "node:buffer";
import { canonical, CanonicalError, canonicalText, inOrder, UNUSUAL } from "../../events/canonical.ts";
import {
  type Append,
  entryTooLarge,
  LIMITS,
  LogFault,
  type NewEvent,
  OPTIONAL_TEXTS,
  REQUIRED_TEXTS,
} from "../../events/log.ts";
import { fingerprintOfId } from "./fingerprint.ts";

/** An event whose entry is written but for position, time and revision, and which gets its place. */
export class Entry {
  /** Where it stands; -1 before it is placed. */
  position = -1;
  revision = -1;
  /** False where it is known that no segment of the index holds its source and id. */
  settled = true;

  constructor(
    readonly event: NewEvent,
    /** Fingerprint of source and id. */
    readonly fp: number,
    /** Before `position`, between it and `recordedat`, between that and `revision`, after it. */
    private readonly parts: Parts,
    /** UTF-8 bytes of the parts. */
    readonly partBytes: number,
  ) {}

  /** UTF-8 bytes of the whole. */
  get bytes(): number {
    return this.partBytes + OURS_BYTES + digits(this.position) + digits(this.revision);
  }

  /** Puts the whole, in pieces, at the end of a text. */
  write(text: string[], recordedat: string): void {
    const [head, second, third, tail] = this.parts;
    text.push(
      head,
      `"position":${this.position},${second}"recordedat":"${recordedat}",${third}"revision":${this.revision},`,
      tail,
    );
  }
}

/** Bytes our three members take: `"position":`, `"recordedat":"…"`, `"revision":` with their commas, less the digits. */
const OURS_BYTES = '"position":,'.length + '"recordedat":"2026-01-01T00:00:00.000Z",'.length + '"revision":,'.length;

/** Attributes that are ours or the envelope's; an extension may not take their names. */
const TAKEN = new Set([
  "authid authtype causationid correlationid data data_base64 datacontenttype dataschema id position recordedat revision source",
  "specversion stream subject time traceparent tracestate type version",
].flatMap((names) => names.split(" ")));

/** Checks an append's bounds and writes what can be written. Throws `LogFault` `too_large` or `invalid`. */
export const prepare = ({ events }: Append): Entry[] => {
  if (events.length === 0 || events.length > LIMITS.append_events_max) {
    throw new LogFault("too_large", `an append has 1 to ${LIMITS.append_events_max} events, this one ${events.length}`);
  }
  let total = 0;
  const entries = events.map((event) => {
    const entry = prepareEvent(event);
    total += entry.partBytes;
    return entry;
  });
  if (total > LIMITS.append_bytes_max) {
    throw new LogFault(
      "too_large",
      `the entries of an append have at most ${LIMITS.append_bytes_max} bytes together, these ${total}`,
    );
  }
  return entries;
};

const prepareEvent = (event: NewEvent): Entry => {
  try {
    const entry = event.extensions ? withExtensions(event, event.extensions) : plain(event);
    if (entry.partBytes + OURS_BYTES > LIMITS.entry_bytes_max) {
      throw new LogFault("too_large", entryTooLarge(event));
    }
    return entry;
  } catch (error) {
    if (error instanceof CanonicalError) {
      throw new LogFault("invalid", `${error.path || "/"}: ${error.message}`, { cause: error });
    }
    throw error;
  }
};

const checkAttributes = (event: NewEvent): void => {
  for (const name of REQUIRED_TEXTS) {
    if (!isText(event[name])) throw new LogFault("invalid", `/${name}: expected a text that is not empty`);
    checkText(name, event[name], name === "stream" ? LIMITS.stream_bytes_max : undefined);
  }
  if (!isStream(event.stream)) throw new LogFault("invalid", "/stream: expected a domain, a slash and an id");
  if (!isVersion(event.version)) throw new LogFault("invalid", "/version: expected a whole number from 1 on");
  for (const name of [...OPTIONAL_TEXTS, "data_base64"] as const) {
    const value = event[name];
    if (!isOptional(value)) throw new LogFault("invalid", `/${name}: expected a text`);
    if (value !== undefined && name !== "data_base64") checkText(name, value);
  }
};

const checkText = (name: string, value: string, bytes_max: number = LIMITS.attribute_bytes_max): void => {
  // Most are short; UTF-8 takes at most three bytes for a UTF-16 unit.
  if (value.length * 3 > bytes_max && Buffer.byteLength(value) > bytes_max) {
    throw new LogFault("too_large", `/${name}: at most ${bytes_max} bytes, this has more`);
  }
  if (!value.isWellFormed()) canonicalText(value, "/" + name); // says so
};

type Parts = readonly [string, string, string, string];

const plain = (event: NewEvent): Entry => {
  if (lacks(event)) checkAttributes(event);
  const [head, tail] = [headOf(event), tailOf(event)];
  const bytes = Buffer.byteLength(head) + Buffer.byteLength(tail);
  // What is short as a whole is short in each part. A lone surrogate, and little else, is written as `\ud…`.
  if (bytes > LIMITS.stream_bytes_max || head.includes("\\ud") || tail.includes("\\ud")) {
    checkAttributes(event);
  }
  return new Entry(event, fpOf(event), [head, "", "", tail], bytes);
};

const fpOf = ({ source, id }: NewEvent): number => fingerprintOfId(source, id);

/** Whoever embeds the log may hand in what the types forbid; written, it would be there for good, and nobody could read the block. */
const lacks = (event: NewEvent): boolean => {
  const { authid, authtype, id, source, stream, time, type, version } = event;
  const { causationid, correlationid, data_base64, datacontenttype, dataschema, subject, traceparent, tracestate } =
    event;
  return !(isText(authid) && isText(authtype) && isText(id) && isText(source) && isText(stream) && isStream(stream) &&
    isText(time) && isText(type) && isVersion(version) && isOptional(causationid) && isOptional(correlationid) &&
    isOptional(data_base64) && isOptional(datacontenttype) && isOptional(dataschema) && isOptional(subject) &&
    isOptional(traceparent) && isOptional(tracestate));
};

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
const isOptional = (value: unknown): boolean => value === undefined || typeof value === "string";
const isStream = (stream: string): boolean => stream.indexOf("/") > 0;
const isVersion = (version: unknown): boolean => Number.isSafeInteger(version) && (version as number) > 0;
const isScalar = (value: unknown): boolean => ["string", "number", "boolean"].includes(typeof value);

/** What of an entry stands before `position`. */
const headOf = (event: NewEvent): string => {
  const { data } = event;
  if (data === undefined) return firstMembers(event, data);
  const ordered = inOrder(data, LIMITS.data_depth_max);
  if (ordered !== UNUSUAL) return firstMembers(event, ordered);
  const written = canonical(data, LIMITS.data_depth_max);
  const { authid, authtype, causationid, correlationid } = event;
  const before = JSON.stringify({ authid, authtype, causationid, correlationid }).length - 1;
  const text = firstMembers(event, null);
  return `${text.slice(0, before)},"data":${written}${text.slice(before + ',"data":null'.length)}`;
};

// In canonical order; what the event has not, `JSON.stringify` leaves out. Names are written by themselves: one that was put together from
// parts and not copied yet makes V8 leave its fast way for all the members.

const firstMembers = (event: NewEvent, data: unknown): string => {
  const text = JSON.stringify({
    authid: event.authid,
    authtype: event.authtype,
    causationid: event.causationid,
    correlationid: event.correlationid,
    data,
    data_base64: event.data_base64,
    datacontenttype: event.datacontenttype,
    dataschema: event.dataschema,
  });
  return `${text.slice(0, -1)},"id":${JSON.stringify(event.id)},`;
};

/** What of an entry stands after `revision`. */
const tailOf = (event: NewEvent): string => {
  const text = JSON.stringify({
    subject: event.subject,
    time: event.time,
    traceparent: event.traceparent,
    tracestate: event.tracestate,
    type: event.type,
    version: event.version,
  });
  const [source, stream] = [JSON.stringify(event.source), JSON.stringify(event.stream)];
  return `"source":${source},"specversion":"1.0","stream":${stream},${text.slice(1)}`;
};

/** Extensions may stand anywhere in the order, so all members are sorted and then cut where ours belong. */
const withExtensions = (
  event: NewEvent,
  extensions: NonNullable<NewEvent["extensions"]>,
): Entry => {
  checkAttributes(event);
  const { data } = event;
  const members: [string, string][] = [["specversion", '"1.0"']];
  if (data !== undefined) members.push(["data", canonical(data, LIMITS.data_depth_max)]);
  for (const name of [...REQUIRED_TEXTS, ...OPTIONAL_TEXTS, "data_base64", "version"] as const) {
    const value = event[name];
    if (value !== undefined) members.push([name, canonical(value)]);
  }
  for (const [name, value] of Object.entries(extensions)) {
    if (TAKEN.has(name) || !/^[a-z0-9]{1,40}$/.test(name)) {
      throw new LogFault("invalid", `/${name}: is not a name an extension attribute may have`);
    }
    if (!isScalar(value)) throw new LogFault("invalid", `/${name}: expected a text, a number or a truth value`);
    if (typeof value === "string") checkText(name, value);
    members.push([name, canonical(value)]);
  }
  members.sort(([a], [b]) => a < b ? -1 : 1);
  const between = (after: string, before: string) =>
    members.filter(([name]) => name > after && name < before).map(([name, value]) => `"${name}":${value},`).join("");
  const last = members.filter(([name]) => name > "revision").map(([name, value]) => `"${name}":${value}`).join(",");
  const parts: Parts = [
    "{" + between("", "position"),
    between("position", "recordedat"),
    between("recordedat", "revision"),
    last + "}",
  ];
  return new Entry(event, fpOf(event), parts, Buffer.byteLength(parts.join("")));
};

const digits = (number: number): number => {
  let count = 1;
  for (let limit = 10; number >= limit; limit *= 10) count++;
  return count;
};
