/**
 * An event as a syslog message by RFC 5424: the header and what is searched by as structured data, the event itself as the message.
 *
 * The SD-ID `daybook@32473` carries the enterprise number that IANA keeps for examples (RFC 5612): Daybook has none of its own, and
 * taking somebody's would be a lie.
 */
import type { Event } from "../../events/event.ts";
import type { Emitter } from "./emitter.ts";

/** "log audit" (RFC 5424 section 6.2.1). */
const FACILITY = 13;
/** Severities of RFC 5424 by OCSF's, which is 1 to 4 here. */
const SEVERITIES: Readonly<Record<number, number>> = { 1: 6, 2: 5, 3: 4, 4: 3 };
const NIL = "-";
const MSGID_CHARS_MAX = 32;
/** Section 6.4: a message in UTF-8 begins with it. */
const BOM = "\ufeff";
const SD_ID = "daybook@32473";

export interface SyslogOptions {
  readonly emitter: Emitter;
  /** HOSTNAME; default none. */
  readonly hostname?: string;
  /** OCSF's. */
  readonly severity: number;
  /** What follows the structured data, if anything does. */
  readonly message: string | undefined;
  /** So many bytes are left out, because they were too many. */
  readonly cut?: number;
  /** In the structured data is only what the event is found by, all of it short. */
  readonly bare?: true;
}

/** The message without a frame and without a line end. */
export const syslogOf = (event: Event, { emitter, hostname, severity, message, cut, bare }: SyslogOptions): string => {
  const priority = FACILITY * 8 + (SEVERITIES[severity] ?? 6);
  const names = {
    type: event.type,
    stream: event.stream,
    revision: String(event.revision),
    id: event.id,
    source: event.source,
    recordedat: event.recordedat,
    authtype: event.authtype,
    authid: event.authid,
    ...(emitter.origin === undefined ? {} : { log: emitter.origin }),
  };
  const parameters = {
    position: String(event.position),
    ...(bare ? { recordedat: event.recordedat } : names),
    ...(cut === undefined ? {} : { cut: String(cut) }),
  };
  const { name, version } = emitter.product;
  const data = element("origin", { software: name, swVersion: version }) + element(SD_ID, parameters);
  const header = `<${priority}>1 ${timestamp(event.time)} ${printable(hostname, 255)} daybook ${NIL} ${
    printable(event.type, MSGID_CHARS_MAX)
  }`;
  return `${header} ${data}${message === undefined ? "" : ` ${BOM}${message}`}`;
};

const element = (id: string, parameters: Readonly<Record<string, string>>): string =>
  `[${id}${Object.entries(parameters).map(([name, value]) => ` ${name}="${escaped(value)}"`).join("")}]`;

/** Section 6.3.3. Controls are allowed there and break what reads lines, so they become the replacement character. */
const escaped = (value: string): string =>
  // deno-lint-ignore no-control-regex
  value.replace(/["\\\]]/g, "\\$&").replace(/[\u0000-\u001f\u007f]/g, "\ufffd").toWellFormed();

/** PRINTUSASCII, at least one character. */
const printable = (text: string | undefined, max: number): string =>
  (text ?? "").replace(/[^\x21-\x7e]/g, "_").slice(0, max) || NIL;

/** Section 6.2.3: capital T and Z, and at most six digits of a second. */
const timestamp = (time: string): string => time.toUpperCase().replace(/(\.\d{6})\d+/, "$1");
