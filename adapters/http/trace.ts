/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): an incoming trace goes on, an invalid one is restarted
 * (section 3.2.2.3: an invalid `traceparent` is as if there were none, and a new trace begins).
 */
import { parseTraceparent } from "../../actors/kernel/telemetry.ts";
import type { Random } from "../../actors/kernel/world.ts";

const hex = (random: Random, digits: number): string => {
  let text = "";
  while (text.length < digits) text += Math.floor(random.next() * 0x1_0000_0000).toString(16).padStart(8, "0");
  return /[1-9a-f]/.test(text) ? text : "1".padStart(digits, "0");
};

/**
 * The context of our own work on a request where nobody here traces: the trace of its `traceparent`, or a new one if that was
 * invalid; `undefined` when it sent none.
 */
export const continueTrace = (header: string | null, random: Random): string | undefined => {
  if (header === null) return undefined;
  const parent = parseTraceparent(header) ?? { trace: hex(random, 32), flags: "00" };
  return `00-${parent.trace}-${hex(random, 16)}-${parent.flags}`;
};
