/**
 * A line of a log as its writer puts it: `Nov 20 18:22:17 host sshd[15737]: …` (RFC 3164, `journalctl -o short` and its variants),
 * `2026-11-20T18:22:17.123+00:00 host sshd[15737]: …` (rsyslog's other form, `-o short-iso`), `<38>1 2026-11-20T18:22:17Z host sshd 15737 - - …`
 * (RFC 5424), or an entry of `journalctl -o json`.
 */
import { parseIJson } from "../../events/canonical.ts";
import { Calendar } from "./calendar.ts";

/** What OpenSSH's server told: when, on which machine, by which process. */
export interface Told {
  readonly is: "told";
  /** RFC 3339. */
  readonly time: string;
  /** The time as it was written: equal for the same line whatever year and zone are assumed. */
  readonly written: string;
  readonly host: string;
  readonly pid: string;
  readonly message: string;
}

export type Line =
  | Told
  /** Of another program. */
  | { readonly is: "other" }
  /** Nothing by itself: a blank line, or what is behind a line break of a message. */
  | { readonly is: "behind" }
  | { readonly is: "wrong"; readonly because: string };

export const LINE_CHARS_MAX = 65_536;

/** Where a machine is not named. */
const LOCAL = "localhost";

const OTHER: Line = { is: "other" };
const BEHIND: Line = { is: "behind" };
const wrong = (because: string): Line => ({ is: "wrong", because });
const NO_LOG = wrong("expected a line of syslog or of journalctl");

// Newer servers do their work in processes of other names.
const SERVER = /^sshd(?:-session|-auth)?$/;
/** Where syslog says them: `auth.info ` before the program (BusyBox), `<auth.info> ` before the host (FreeBSD), `[ID 800047 auth.info] ` behind both (Solaris). */
const PRIORITY = String.raw`[a-z]+[0-7]?\.(?:emerg|alert|crit|err|error|warn|warning|notice|info|debug)`;
const SHORT = new RegExp(
  String
    .raw`^(?:<\d{1,3}>)?([A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2})(\.\d{1,9})? (?:<${PRIORITY}> )?(\S+) (?:${PRIORITY} )?([^\s:[]+)(?:\[(\d+)\])?: ?(?:\[ID \d+ ${PRIORITY}\] )?(.*)$`,
  "s",
);
const ISO =
  /^(?:<\d{1,3}>)?(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})([.,]\d{1,9})?(Z|[+-]\d{2}:?\d{2}) (\S+) ([^\s:[]+)(?:\[(\d+)\])?: ?(.*)$/s;
/** RFC 5424 section 6: the version, a header of five words, data that is structured or `-`, the message and its byte order mark. */
const PROTOCOL =
  /^(?:<\d{1,3}>)?1 (?:-|(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})) (\S+) (\S+) (\S+) \S+ (?:-|(?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])+)(?: \ufeff?(.*))?$/s;
// Programs that say nothing behind their name's colon, or have none: `last message repeated 2 times`, the kernel's.
const HEAD =
  /^(?:<\d{1,3}>)?(?:1 )?(?:[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})[.,+\-:Z\d]* \S+/;

export const lineOf = (text: string, calendar: Calendar): Line => {
  if (text === "") return BEHIND;
  if (text.length > LINE_CHARS_MAX) return wrong(`a line has at most ${LINE_CHARS_MAX} characters`);
  const first = text.charCodeAt(0);
  if (first === 0x7b) return jsonOf(text);
  if (first === 0x20 || first === 0x09) return BEHIND;
  const protocol = PROTOCOL.exec(text);
  if (protocol) return protocolOf(protocol, calendar);
  // The marks of journalctl, which it also prints where it has no entries.
  if (text.startsWith("-- ")) return OTHER;
  if (!text.includes("sshd")) return HEAD.test(text) ? OTHER : NO_LOG;
  const short = SHORT.exec(text);
  if (short) {
    const [, day, fraction = "", host, program, pid = "", message] = short;
    if (!SERVER.test(program!)) return OTHER;
    const time = calendar.short(day!, fraction);
    if (time === undefined) return wrong("there is no such time");
    return { is: "told", time, written: day! + fraction, host: host!, pid, message: message! };
  }
  const iso = ISO.exec(text);
  if (!iso) return HEAD.test(text) ? OTHER : NO_LOG;
  const [, day, fraction = "", zone, host, program, pid = "", message] = iso;
  if (!SERVER.test(program!)) return OTHER;
  const time = calendar.iso(day!, fraction, zone!);
  if (time === undefined) return wrong("there is no such time");
  return { is: "told", time, written: day! + fraction + zone!, host: host!, pid, message: message! };
};

const NIL = "-";

const protocolOf = (
  [, day, fraction = "", zone, host, program, pid, message = ""]: RegExpExecArray,
  calendar: Calendar,
): Line => {
  if (!SERVER.test(program!)) return OTHER;
  const time = day === undefined ? undefined : calendar.iso(day, fraction, zone!);
  if (time === undefined) return wrong("there is no such time");
  return {
    is: "told",
    time,
    written: day! + fraction + zone!,
    host: host === NIL ? LOCAL : host!,
    pid: pid === NIL ? "" : pid!,
    message,
  };
};

const DEPTH_MAX = 4;

const jsonOf = (text: string): Line => {
  let entry: unknown;
  try {
    entry = parseIJson(text, DEPTH_MAX);
  } catch (error) {
    return wrong(`not an entry of journalctl -o json: ${error instanceof Error ? error.message : error}`);
  }
  return entryOf(entry as Entry);
};

/** Fields of the journal (systemd.journal-fields(7)); bytes that are no text are a list of numbers. */
export type Entry = Readonly<Record<string, unknown>>;

const textOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value;
  if (!Array.isArray(value) || !value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256)) {
    return undefined;
  }
  return new TextDecoder().decode(Uint8Array.from(value));
};

export const entryOf = (entry: Entry): Line => {
  const micros = textOf(entry.__REALTIME_TIMESTAMP);
  const when = micros !== undefined && /^\d{1,16}$/.test(micros)
    ? new Date(Math.floor(Number(micros) / 1_000))
    : undefined;
  if (when === undefined || Number.isNaN(when.getTime())) {
    return wrong("expected an entry of the journal with __REALTIME_TIMESTAMP");
  }
  const program = textOf(entry.SYSLOG_IDENTIFIER) ?? textOf(entry._COMM);
  const message = textOf(entry.MESSAGE);
  if (program === undefined || message === undefined || !SERVER.test(program)) return OTHER;
  const pid = textOf(entry.SYSLOG_PID) ?? textOf(entry._PID) ?? "";
  return {
    is: "told",
    time: when.toISOString(),
    written: micros!,
    host: textOf(entry._HOSTNAME) ?? LOCAL,
    pid,
    message,
  };
};
