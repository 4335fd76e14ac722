/** Threats as they stand: what was seen of whom and what is done about it, and how each rule fares. */
import { z } from "zod";
import type { Event } from "../events/event.ts";
import { type ThreatFact, threatRule, threatStream } from "../events/threats.ts";
import type { Projection } from "./projection.ts";

const count = z.int().nonnegative();
type ThreatEvent = Event<ThreatFact>;

const row = z.strictObject({
  rule: threatRule,
  /** `account`, `address`, `name` or `credential`, and which: an id or a pseudonym. */
  kind: z.string(),
  subject: z.string(),
  score: count,
  /** How often it was detected. */
  times: count,
  /** What was counted last, when it began, and the positions that show it. */
  count,
  first: z.string(),
  last: z.string(),
  evidence: z.array(count),
  response: z.enum(["step_up", "lockout", "block"]).optional(),
  until: z.string().optional(),
  /** It was taken back before its time. */
  lifted: z.boolean(),
  rules: z.array(z.string()).optional(),
});
type Row = z.output<typeof row>;

/** Working row: the rules that a subject has rows of, so that what is lifted finds them. */
const OF = "~of ";

export const identityThreats: Projection<Row, ThreatFact> = {
  name: "identity.threats",
  version: 1,
  about: "Threats: what was seen of whom, by which events, and what is done about it. Key: {rule} {kind}:{id}.",
  hears: ["threats.threat.detected", "threats.response.taken", "threats.response.lifted"],
  row,
  initial: {
    rule: "brute_force",
    kind: "",
    subject: "",
    score: 0,
    times: 0,
    count: 0,
    first: "",
    last: "",
    evidence: [],
    lifted: false,
  },
  indexes: ["rule", "kind", "subject", "score", "last", "response", "until"],
  columns: ["rule", "score", "kind", "subject", "count", "last", "response", "until"],
  keys(event, read) {
    const { data } = event;
    const name = threatStream(data.subject).slice("threats/".length);
    if (event.type !== "threats.response.lifted") return [`${event.data.rule} ${name}`, `${OF}${name}`];
    return (read(`${OF}${name}`)?.rules ?? []).map((rule) => `${rule} ${name}`);
  },
  apply(before, event, key): Row | undefined {
    if (key.startsWith(OF)) return ofSubject(before, event);
    switch (event.type) {
      case "threats.threat.detected": {
        const { rule, subject: { kind, id }, score, count, first, last, evidence } = event.data;
        return { ...before, rule, kind, subject: id, score, times: before.times + 1, count, first, last, evidence };
      }
      case "threats.response.taken": {
        const { response, until } = event.data;
        return { ...before, response, until, lifted: false };
      }
      case "threats.response.lifted":
        return before.response === event.data.response ? { ...before, lifted: true } : before;
    }
  },
};

const ofSubject = (before: Row, event: ThreatEvent): Row => {
  if (event.type === "threats.response.lifted") return before;
  const { rules = [] } = before;
  const { rule } = event.data;
  return rules.includes(rule) ? before : { ...before, rules: [...rules, rule] };
};

const healthRow = z.strictObject({
  rule: threatRule,
  detections: count,
  /** The highest so far. */
  score: count,
  first: z.string(),
  last: z.string(),
  /** Responses that followed. */
  responses: count,
});

export const healthThreats: Projection<z.output<typeof healthRow>, ThreatFact> = {
  name: "health.threats",
  version: 1,
  about: "What each rule has detected, when last, and what followed. Key: the rule.",
  hears: ["threats.threat.detected", "threats.response.taken"],
  row: healthRow,
  initial: { rule: "brute_force", detections: 0, score: 0, first: "", last: "", responses: 0 },
  indexes: ["detections", "score", "last"],
  keys: ({ data }) => "rule" in data ? [data.rule] : [],
  apply(before, event) {
    switch (event.type) {
      case "threats.threat.detected": {
        const { rule, score } = event.data;
        const first = before.first === "" ? event.time : before.first;
        const detections = before.detections + 1;
        return { ...before, rule, detections, score: Math.max(before.score, score), first, last: event.time };
      }
      case "threats.response.taken":
        return { ...before, rule: event.data.rule, responses: before.responses + 1 };
      default:
        return before;
    }
  },
};

export const threatsViews = [identityThreats, healthThreats] as const;
