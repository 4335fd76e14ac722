/**
 * From an event as handed in to its entry: everything that can be written before its place is known is written first, so that
 * placing it is putting a few texts together. Members of the entry stand in canonical order (RFC 8785 section 3.2.3).
 */
import { Buffer } from "node:buffer";
import { canonical, CanonicalError, canonicalText } from "../../events/canonical.ts";
import { type Append, LIMITS, LogFault, type NewEvent } from "../../events/log.ts";
import { fingerprintOfId } from "./fingerprint.ts";

/** An event whose entry is written but for position, time and revision. */
export interface Prepared {
  readonly event: NewEvent;
  readonly fp: number;
  /** Before `position`, between it and `recordedat`, between that and `revision`, after it. */
  readonly parts: readonly [string, string, string, string];
  /** UTF-8 bytes of the parts. */
  readonly bytes: number;
}

/** Bytes our three members take: `"position":`, `"recordedat":"…"`, `"revision":` with their commas, less the digits. */
const OURS_BYTES = '"position":,'.length + '"recordedat":"2026-01-01T00:00:00.000Z",'.length + '"revision":,'.length;

/** Attributes that are ours or the envelope's; an extension may not take their names. */
const TAKEN = new Set([
  "authid authtype causationid correlationid data data_base64 datacontenttype dataschema id position recordedat revision source",
  "specversion stream subject time traceparent tracestate type version",
].flatMap((names) => names.split(" ")));

/** Checks an append's bounds and writes what can be written. Throws `LogFault` `too_large` or `invalid`. */
export const prepare = ({ events }: Append): Prepared[] => {
  if (events.length === 0 || events.length > LIMITS.append_events_max) {
    throw new LogFault("too_large", `an append has 1 to ${LIMITS.append_events_max} events, this one ${events.length}`);
  }
  let total = 0;
  const prepared = events.map((event) => {
    const ready = prepareEvent(event);
    total += ready.bytes;
    return ready;
  });
  if (total > LIMITS.append_bytes_max) {
    throw new LogFault(
      "too_large",
      `the entries of an append have at most ${LIMITS.append_bytes_max} bytes together, these ${total}`,
    );
  }
  return prepared;
};

const prepareEvent = (event: NewEvent): Prepared => {
  try {
    const parts = event.extensions ? withExtensions(event) : plain(event);
    const bytes = Buffer.byteLength(parts[0]) + parts[1].length + parts[2].length + Buffer.byteLength(parts[3]);
    if (bytes + OURS_BYTES > LIMITS.entry_bytes_max) {
      throw new LogFault(
        "too_large",
        `an entry has at most ${LIMITS.entry_bytes_max} bytes, "${event.type}" with id ${shown(event.id)} has more`,
      );
    }
    return { event, fp: fingerprintOfId(event.source, event.id), parts, bytes };
  } catch (error) {
    if (error instanceof CanonicalError) {
      throw new LogFault("invalid", `${error.path || "/"}: ${error.message}`, { cause: error });
    }
    throw error;
  }
};

const text = (name: string, value: string, bytes_max: number = LIMITS.attribute_bytes_max): string => {
  const written = canonicalText(value, "/" + name);
  // Most are short; UTF-8 takes at most three bytes for a UTF-16 unit.
  if (value.length * 3 > bytes_max && Buffer.byteLength(value) > bytes_max) {
    throw new LogFault("too_large", `/${name}: at most ${bytes_max} bytes, this has more`);
  }
  return `"${name}":${written}`;
};

const required = (name: string, value: string, bytes_max?: number): string => {
  if (value === "") throw new LogFault("invalid", `/${name}: must not be empty`);
  return text(name, value, bytes_max);
};

const plain = (event: NewEvent): Prepared["parts"] => {
  let head = `{${required("authid", event.authid)},${required("authtype", event.authtype)},`;
  if (event.causationid !== undefined) head += text("causationid", event.causationid) + ",";
  if (event.correlationid !== undefined) head += text("correlationid", event.correlationid) + ",";
  if (event.data !== undefined) head += `"data":${canonical(event.data, LIMITS.data_depth_max)},`;
  if (event.data_base64 !== undefined) head += `"data_base64":"${event.data_base64}",`;
  if (event.datacontenttype !== undefined) head += text("datacontenttype", event.datacontenttype) + ",";
  if (event.dataschema !== undefined) head += text("dataschema", event.dataschema) + ",";
  head += required("id", event.id) + ",";
  return [head, "", "", tail(event)];
};

const tail = (event: NewEvent): string => {
  let tail = `${required("source", event.source)},"specversion":"1.0",${
    required("stream", event.stream, LIMITS.stream_bytes_max)
  }`;
  if (event.subject !== undefined) tail += "," + text("subject", event.subject);
  tail += "," + text("time", event.time);
  if (event.traceparent !== undefined) tail += "," + text("traceparent", event.traceparent);
  if (event.tracestate !== undefined) tail += "," + text("tracestate", event.tracestate);
  return `${tail},${required("type", event.type)},"version":${event.version}}`;
};

/** Extensions may stand anywhere in the order, so all members are sorted and then cut where ours belong. */
const withExtensions = (event: NewEvent): Prepared["parts"] => {
  const { extensions = {}, timeGiven: _, traceGiven: _g, data, ...attributes } = event;
  const members: [string, string][] = [["specversion", '"1.0"']];
  if (data !== undefined) members.push(["data", canonical(data, LIMITS.data_depth_max)]);
  plain({ ...event, data: undefined }); // checks the attributes
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) members.push([name, canonical(value)]);
  }
  for (const [name, value] of Object.entries(extensions)) {
    if (TAKEN.has(name) || !/^[a-z0-9]{1,40}$/.test(name)) {
      throw new LogFault("invalid", `/${name}: is not a name an extension attribute may have`);
    }
    if (typeof value === "string") text(name, value);
    members.push([name, canonical(value)]);
  }
  members.sort(([a], [b]) => a < b ? -1 : 1);
  const between = (after: string, before: string) =>
    members.filter(([name]) => name > after && name < before).map(([name, value]) => `"${name}":${value},`).join("");
  const last = members.filter(([name]) => name > "revision").map(([name, value]) => `"${name}":${value}`).join(",");
  return [
    "{" + between("", "position"),
    between("position", "recordedat"),
    between("recordedat", "revision"),
    last + "}",
  ];
};

/** The whole entry. */
export const writeEntry = ({ parts }: Prepared, position: number, recordedat: string, revision: number): string =>
  `${parts[0]}"position":${position},${parts[1]}"recordedat":"${recordedat}",${parts[2]}"revision":${revision},${
    parts[3]
  }`;

/** Its UTF-8 bytes. */
export const entryBytes = (prepared: Prepared, position: number, revision: number): number =>
  prepared.bytes + OURS_BYTES + digits(position) + digits(revision);

const digits = (number: number): number => {
  let count = 1;
  for (let limit = 10; number >= limit; limit *= 10) count++;
  return count;
};

/** An id as an error may show it. */
const shown = (id: string): string => JSON.stringify(id.length > 40 ? id.slice(0, 40) + "…" : id);
