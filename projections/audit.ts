/**
 * The audit trail: every event one row, in order, with who, what, where and when. The event itself stays in the log, under
 * the row's position; a row holds what a list shows. Full text covers all text and numbers of the event that are not
 * sealed, without keeping them a second time.
 */
import { z } from "zod";
import { correlationOf, type Event } from "../events/event.ts";
import { isSealed } from "../events/personal.ts";
import type { Projection } from "./projection.ts";

const trailRow = z.strictObject({
  stream: z.string(),
  revision: z.int().nonnegative(),
  type: z.string(),
  id: z.string(),
  source: z.string(),
  subject: z.string().optional(),
  /** When it happened, as the source says. */
  time: z.string(),
  /** When it was recorded. Never decreases from row to row. */
  recordedat: z.string(),
  /** Kind and opaque id of who did it. */
  authtype: z.string(),
  actor: z.string(),
  /** Shared by all that belongs to one piece of work; the event's own id when the sender gave none. */
  correlation: z.string(),
  /** Id of the event or command that caused it. */
  cause: z.string().optional(),
});
type TrailRow = z.output<typeof trailRow>;

export const auditTrail: Projection<TrailRow> = {
  name: "audit.trail",
  version: 1,
  about: "Every event: who did what to which stream, and when. Key: the position.",
  hears: "*",
  row: trailRow,
  initial: {
    stream: "",
    revision: 0,
    type: "",
    id: "",
    source: "",
    time: "",
    recordedat: "",
    authtype: "",
    actor: "",
    correlation: "",
  },
  indexes: ["stream", "type", "actor", "correlation"],
  appendOnly: true,
  text: (row, _key, event) =>
    `${row.type} ${row.stream} ${row.source} ${row.id} ${row.subject ?? ""} ${row.actor}${textOf(event.data)}`,
  keys: (event) => [String(event.position)],
  apply: (_, event) => rowOf(event),
};

const rowOf = (event: Event): TrailRow => {
  const { stream, revision, type, id, source, subject, time, recordedat, authtype, authid, causationid } = event;
  // In the order of canonical JSON, which then need not sort.
  return {
    actor: authid,
    authtype,
    ...(causationid === undefined ? {} : { cause: causationid }),
    correlation: correlationOf(event),
    id,
    recordedat,
    revision,
    source,
    stream,
    ...(subject === undefined ? {} : { subject }),
    time,
    type,
  };
};

/** All text and numbers in a value, but for what is sealed, each with a space before it. */
const textOf = (value: unknown): string => {
  let text = "";
  // A stack of its own, so that depth costs no calls.
  const left: unknown[] = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (typeof next === "string") {
      if (!isSealed(next)) text += ` ${next}`;
    } else if (typeof next === "number") text += ` ${next}`;
    else if (Array.isArray(next)) { for (let i = next.length - 1; i >= 0; i--) left.push(next[i]); }
    else if (typeof next === "object" && next !== null) {
      for (const key in next) left.push((next as Record<string, unknown>)[key]);
    }
  }
  return text;
};
