/** When a repeat is the same event: one rule for every log. */
import { canonical } from "./canonical.ts";
import type { NewEvent } from "./log.ts";

/**
 * Whether a repeat says what the recorded event says: the sender's attributes and data. What is ours does not count, nor a
 * time or trace that the sender left to us. `equal` compares the data, bytes as `{ data_base64 }` where the other is text, as it is
 * when one of them was sealed whole; the default is by canonical letters.
 */
export const sameAsSent = (
  sent: NewEvent,
  recorded: Readonly<Record<string, unknown>>,
  equal: (sent: unknown, recorded: unknown, event: NewEvent) => boolean = sameJson,
): boolean => {
  if (sent.data_base64 === recorded.data_base64) {
    if (!equal(sent.data, recorded.data, sent)) return false;
  } else if (typeof (sent.data ?? recorded.data) !== "string" || !equal(wholeOf(sent), wholeOf(recorded), sent)) {
    return false;
  }
  if (sent.timeGiven !== false && sent.time !== recorded.time) return false;
  // What was recorded may be the request's: a repeat that names no trace says nothing against it.
  const traced = sent.traceGiven !== false && sent.traceparent !== undefined;
  if (traced && sent.traceparent !== recorded.traceparent) return false;
  const given: Record<string, unknown> = { ...sent.extensions, ...sent };
  for (const name of Object.keys(recorded)) if (!ELSEWHERE.has(name) && given[name] !== recorded[name]) return false;
  return Object.keys(given).every((name) =>
    ELSEWHERE.has(name) || given[name] === undefined || given[name] === recorded[name]
  );
};

const wholeOf = ({ data, data_base64 }: { readonly data?: unknown; readonly data_base64?: unknown }): unknown =>
  data_base64 === undefined ? data : { data_base64 };

/** Ours, or compared above. */
const ELSEWHERE = new Set([
  ..."authid authpolicies authtype position recordedat revision specversion stream version".split(" "),
  ..."data data_base64 extensions time timeGiven traceGiven traceparent".split(" "),
]);

export const sameJson = (a: unknown, b: unknown): boolean =>
  a === undefined || b === undefined ? a === b : canonical(a) === canonical(b);
