/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): an incoming trace goes on, an invalid one is restarted
 * (section 3.2.2.3: an invalid `traceparent` is as if there were none, and a new trace begins).
 */
import { trace } from "@opentelemetry/api";
import type { Random } from "../../actors/kernel/world.ts";

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);

export interface Trace {
  readonly trace: string;
  readonly flags: string;
}

/** The trace a header names; `undefined` when it is not valid. Version ff is invalid, 00 has four fields, later ones may have more. */
export const parseTraceparent = (header: string): Trace | undefined => {
  const found = TRACEPARENT.exec(header);
  if (!found) return undefined;
  const [, version, trace, span, flags, more] = found;
  if (version === "ff" || trace === NO_TRACE || span === NO_SPAN || (version === "00" && more !== undefined)) {
    return undefined;
  }
  return { trace: trace!, flags: version === "00" ? flags! : (parseInt(flags!, 16) & 1) === 1 ? "01" : "00" };
};

const hex = (random: Random, digits: number): string => {
  let text = "";
  while (text.length < digits) text += Math.floor(random.next() * 0x1_0000_0000).toString(16).padStart(8, "0");
  return /[1-9a-f]/.test(text) ? text : "1".padStart(digits, "0");
};

/** The context of our own work on a request that sent a `traceparent`: the same trace, or a new one if it was invalid. */
export const continueTrace = (header: string, random: Random): string => {
  const parent = parseTraceparent(header) ?? { trace: hex(random, 32), flags: "00" };
  return `00-${parent.trace}-${hex(random, 16)}-${parent.flags}`;
};

/**
 * Our place in the caller's trace: the span of this request where telemetry is on (the platform has joined or restarted the
 * trace by then), else the header continued. `undefined` when nobody traces.
 */
export const ownTrace = (header: string | null, random: Random): string | undefined => {
  const span = trace.getActiveSpan()?.spanContext();
  if (span) return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, "0")}`;
  return header === null ? undefined : continueTrace(header, random);
};
