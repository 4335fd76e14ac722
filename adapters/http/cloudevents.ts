/**
 * The CloudEvents 1.0.2 HTTP protocol binding, receiving side: structured, batched and binary content mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md), strict.
 */
import { CanonicalError, parseIJson } from "../../events/canonical.ts";
import { isTime } from "../../events/event.ts";
import { LIMITS } from "../../events/log.ts";
import type { Incoming, Issue } from "../../actors/kernel/daybook.ts";
import { textOf } from "./body.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { parseMedia } from "./media.ts";
import { Problem } from "./problem.ts";

export const STRUCTURED = "application/cloudevents+json";
export const BATCH = "application/cloudevents-batch+json";

/** What a request holds; `batch` says whether paths of problems begin with an event's place in the body. */
export interface Received {
  readonly events: readonly Incoming[];
  readonly batch: boolean;
}

/** The mode is told by the media type (section 3); binary mode is any other, with `ce-` headers. */
export const receive = (headers: Headers, bytes: Uint8Array<ArrayBuffer>): Received => {
  const content = headers.get("content-type");
  const media = content === null ? undefined : parseMedia(content);
  if (media?.essence === STRUCTURED || media?.essence === BATCH) {
    if (media.charset !== undefined && media.charset !== "utf-8") {
      throw unsupported("JSON is UTF-8 here (RFC 8259 section 8.1).");
    }
    const batch = media.essence === BATCH;
    const value = parseJson(textOf(bytes), HTTP_LIMITS.body_depth_max + (batch ? 1 : 0));
    if (!batch) return { events: [fromObject(value, "")], batch };
    if (!Array.isArray(value)) throw invalid([{ path: "", message: "a batch is an array of events" }]);
    if (value.length > LIMITS.append_events_max) {
      throw new Problem("too_large", `A request has at most ${LIMITS.append_events_max} events.`, {
        members: { limit: LIMITS.append_events_max },
      });
    }
    return { events: value.map((item, index) => fromObject(item, `/${index}`)), batch };
  }
  if (headers.get("ce-specversion") === null && headers.get("ce-id") === null) {
    throw unsupported(`Send ${STRUCTURED}, ${BATCH}, or binary mode with ce- headers.`);
  }
  if (content !== null && !media) throw unsupported("The Content-Type is not a media type.");
  if (media?.essence.startsWith("application/cloudevents")) {
    throw unsupported("Of the event formats only JSON is understood.");
  }
  return { events: [fromHeaders(headers, bytes)], batch: false };
};

const unsupported = (detail: string): Problem =>
  new Problem("unsupported_media_type", detail, { headers: { "accept-post": `${STRUCTURED}, ${BATCH}, */*` } });

const invalid = (errors: readonly Issue[]): Problem =>
  new Problem("invalid_event", "An attribute is missing, unknown or not as it should be.", { errors });

/** JSON from outside; what `parseIJson` refuses becomes a 400 with the path. */
export const parseJson = (text: string, depthMax: number): unknown => {
  try {
    return parseIJson(text, depthMax);
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error;
    const code = error.code === "malformed" || error.code === "not_json" ? "malformed_json" : error.code;
    throw new Problem(code, error.message, { errors: [{ path: error.path, message: error.message }] });
  }
};

// Attributes that are ours (`events/event.ts`); `commanddigest` marks facts of commands and would let a sender pose as one.
const OURS = new Set(["stream", "revision", "position", "version", "recordedat", "commanddigest"]);
const isOurs = (name: string): boolean => OURS.has(name) || name.startsWith("auth");

const NAME = /^[a-z0-9]+$/;
const PLAIN = /^[\x20-\x7e]*$/;
// CloudEvents section "Type System": no control characters, no noncharacters; lone surrogates are refused by the parser.
// deno-lint-ignore no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]/;
const URI = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/;
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:./;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const encoder = new TextEncoder();

/** What is wrong with an attribute's text, or `undefined`. */
const flaw = (name: string, text: string): string | undefined => {
  if (text === "") return "is empty";
  if (!PLAIN.test(text)) {
    if (FORBIDDEN.test(text)) return "holds a control character or noncharacter";
    if (!text.isWellFormed()) return "holds a lone surrogate";
    if (encoder.encode(text).length > LIMITS.attribute_bytes_max) {
      return `has more than ${LIMITS.attribute_bytes_max} bytes`;
    }
  } else if (text.length > LIMITS.attribute_bytes_max) return `has more than ${LIMITS.attribute_bytes_max} bytes`;
  switch (name) {
    case "specversion":
      return text === "1.0" ? undefined : 'expected "1.0"';
    case "source":
      return URI.test(text) ? undefined : "expected a URI reference";
    case "dataschema":
      return URI.test(text) && ABSOLUTE.test(text) ? undefined : "expected an absolute URI";
    case "time":
      return isTime(text) ? undefined : "expected an RFC 3339 time";
    case "datacontenttype":
      return parseMedia(text) ? undefined : "expected a media type";
    default:
      return undefined;
  }
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// Attributes with a place of their own; everything else is an extension.
const NAMED = new Set([
  ...["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"],
  ...["causationid", "correlationid", "traceparent", "tracestate"],
]);
const REQUIRED = ["specversion", "id", "source", "type"] as const;

/** Gathers one event attribute by attribute, and what was wrong with it. */
class Gathering {
  private readonly draft: Mutable<Partial<Incoming>> = {};
  /** There is but one, so no event keeps it. */
  private specversion: string | undefined;
  private extensions: Record<string, string | number | boolean> | undefined;
  private extensionCount = 0;
  private readonly issues: Issue[] = [];
  private ours: string | undefined;

  constructor(private readonly path: string) {}

  flag(name: string, message: string): void {
    this.issues.push({ path: `${this.path}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, message });
  }

  attribute(name: string, value: unknown): void {
    if (isOurs(name)) {
      this.ours ??= name;
      return this.flag(name, "is set by the server");
    }
    const named = NAMED.has(name);
    if (typeof value === "string") {
      const wrong = flaw(name, value);
      // Only an extension that has no place here may be an empty string: the others are left out instead.
      if (wrong !== undefined && (value !== "" || named)) return this.flag(name, wrong);
      if (named) {
        if (name === "specversion") this.specversion = value;
        else (this.draft as Record<string, unknown>)[name] = value;
        return;
      }
    } else if (named) return this.flag(name, "expected a string");
    else if (typeof value === "number" ? value !== (value | 0) : typeof value !== "boolean") {
      return this.flag(name, "expected a string, a boolean or a 32-bit integer");
    }
    if (name.length > HTTP_LIMITS.attribute_name_max || !NAME.test(name)) {
      return this.flag(
        name.slice(0, HTTP_LIMITS.attribute_name_max),
        "is no attribute name: expected lower-case letters and digits",
      );
    }
    if (++this.extensionCount > HTTP_LIMITS.extensions_max) {
      if (this.extensionCount === HTTP_LIMITS.extensions_max + 1) {
        this.flag(name, `an event has at most ${HTTP_LIMITS.extensions_max} extensions`);
      }
      return;
    }
    // A name such as "constructor" is a fine extension; only `__proto__` would not be kept, and it is no name.
    (this.extensions ??= {})[name] = value as string | number | boolean;
  }

  data(value: unknown): void {
    this.draft.data = value;
  }

  base64(value: string): void {
    this.draft.data_base64 = value;
  }

  done(): Incoming {
    const { draft, specversion } = this;
    for (const name of REQUIRED) {
      const value = name === "specversion" ? specversion : draft[name];
      if (value === undefined && !this.issues.some((issue) => issue.path === `${this.path}/${name}`)) {
        this.flag(name, "is missing");
      }
    }
    if (this.ours !== undefined) {
      throw new Problem("server_attribute", `The server sets ${this.ours}; leave it out.`, { errors: this.issues });
    }
    if (this.issues.length > 0) throw invalid(this.issues);
    if (this.extensions) draft.extensions = this.extensions;
    return draft as Incoming;
  }
}

/** One event in JSON format (json-format.md section 2.2 and 3.1): a member that is `null` is as if it were not there. */
const fromObject = (value: unknown, path: string): Incoming => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid([{ path, message: "an event is an object" }]);
  }
  const gathering = new Gathering(path);
  const record = value as Record<string, unknown>;
  for (const name of Object.keys(record)) {
    const member = record[name];
    if (name === "data") gathering.data(member);
    else if (member === null) continue;
    else if (name !== "data_base64") gathering.attribute(name, member);
    else if (typeof member !== "string" || !BASE64.test(member)) {
      gathering.flag(name, "expected base64 (RFC 4648 section 4)");
    } else if (record.data !== undefined && record.data !== null) {
      gathering.flag(name, "an event has data or data_base64, not both");
    } else gathering.base64(member);
  }
  return gathering.done();
};

/** One event in binary mode (section 3.1): attributes are `ce-` headers, the body is the data. */
const fromHeaders = (headers: Headers, bytes: Uint8Array<ArrayBuffer>): Incoming => {
  const gathering = new Gathering("");
  for (const [name, value] of headers) {
    if (!name.startsWith("ce-")) continue;
    const attribute = name.slice(3);
    if (attribute === "data" || attribute === "datacontenttype" || attribute === "data_base64") {
      gathering.flag(attribute, "is the body or its Content-Type in binary mode");
    } else {
      const text = headerText(value);
      if (text === undefined) gathering.flag(attribute, "is not percent-encoded UTF-8");
      else gathering.attribute(attribute, text);
    }
  }
  const content = headers.get("content-type");
  if (content !== null) gathering.attribute("datacontenttype", content);
  if (bytes.length > 0) {
    const media = content === null ? undefined : parseMedia(content);
    if (!media) throw unsupported("An event with data needs a Content-Type.");
    if (media.json) {
      if (media.charset !== undefined && media.charset !== "utf-8") {
        throw unsupported("JSON is UTF-8 here (RFC 8259 section 8.1).");
      }
      gathering.data(parseJson(textOf(bytes), HTTP_LIMITS.body_depth_max - 1));
    } else gathering.base64(bytes.toBase64());
  }
  return gathering.done();
};

const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Section 3.1.3.2, decoding: double-quoted strings are unescaped, then percent-decoded once as UTF-8.
 *
 * Widely used senders (the JavaScript SDK among them) escape nothing, so a percent sign that begins no escape stands for
 * itself, and bytes outside ASCII are taken as UTF-8 if they are that, else as Latin-1. `undefined`: the escapes are not UTF-8.
 */
const headerText = (value: string): string | undefined => {
  let text = /^".*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
  if (!PLAIN.test(text)) {
    try {
      text = utf8.decode(Uint8Array.from(text, (character) => character.charCodeAt(0)));
    } catch { /* Latin-1 it is, as it was read */ }
  }
  if (!text.includes("%")) return text;
  try {
    return text.replace(ESCAPES, (escapes) => decodeURIComponent(escapes));
  } catch {
    return undefined;
  }
};
