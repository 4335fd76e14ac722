/** The formats in which events go out to other systems, one line each. */
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import { cefOf } from "./cef.ts";
import { CSV_HEAD, csvOf } from "./csv.ts";
import type { Emitter } from "./emitter.ts";
import { type OcsfEvent, ocsfOf } from "./ocsf.ts";
import { syslogOf, type SyslogOptions } from "./syslog.ts";

const FORMATS = ["ndjson", "ocsf", "syslog", "cef", "csv"] as const;
export type Format = typeof FORMATS[number];

/** What goes before the first event. */
export const headOf = (format: Format): string | undefined => format === "csv" ? CSV_HEAD : undefined;

/** The event, as it may be read, in one line without its end: sealed texts are opened, or `[sealed]`. */
export const lineOf = (event: Event, format: Format, emitter: Emitter): string => {
  if (format === "ndjson") return canonical(event);
  if (format === "csv") return csvOf(event);
  const ocsf = ocsfOf(event, emitter);
  if (format === "ocsf") return JSON.stringify(ocsf);
  if (format === "cef") return cefOf(event, ocsf, emitter);
  return framed(event, ocsf, canonical(event), { emitter });
};

/**
 * A syslog message (RFC 5424) of at most so many bytes, 480 or more, that carries the event in `format`. Where that is longer, the
 * event's data is left out, then the message, then all but what it is found by; how many bytes that were stands in the structured data.
 */
export const syslogLineOf = (
  event: Event,
  format: Format,
  { emitter, hostname, bytesMax }: { readonly emitter: Emitter; readonly hostname?: string; readonly bytesMax: number },
): string => {
  const ocsf = ocsfOf(event, emitter);
  const within = format === "syslog" ? "ndjson" : format;
  const fits = (line: string): boolean => bytesOf(line) <= bytesMax;
  const whole = framed(event, ocsf, lineOf(event, within, emitter), { emitter, hostname });
  if (fits(whole)) return whole;
  const { data, data_base64, ...header } = event;
  const cut = bytesOf(data === undefined ? data_base64 ?? "" : canonical(data));
  const headed = framed(event, ocsf, lineOf(header as Event, within, emitter), { emitter, hostname, cut });
  if (fits(headed)) return headed;
  const all = { emitter, hostname, cut: bytesOf(canonical(event)) };
  const named = framed(event, ocsf, undefined, all);
  return fits(named) ? named : framed(event, ocsf, undefined, { ...all, bare: true });
};

const utf8 = new TextEncoder();
const bytesOf = (text: string): number => utf8.encode(text).length;

const framed = (
  event: Event,
  ocsf: OcsfEvent,
  message: string | undefined,
  options: Omit<SyslogOptions, "severity" | "message">,
): string => syslogOf(event, { ...options, severity: ocsf.severity_id as number, message });
