/**
 * Decides what is on record of one subject of threats, and what is done about it. Stream: `threats/{kind}:{id}`. Rules tell what they
 * have seen (`rules.ts`); people take a response back.
 */
import { z } from "zod";
import { type Millis, millis } from "../../events/event.ts";
import {
  sighting,
  subjectIn,
  THREAT_LIMITS,
  type ThreatFact,
  threatFacts,
  type ThreatResponse,
  threatResponse,
  type ThreatRule,
} from "../../events/threats.ts";
import {
  accept,
  type Actor,
  type Commands,
  type CommandSchemas,
  type Context,
  type Decision,
  reject,
} from "../types.ts";

/** What rules are called, as whoever asks. */
export const RULES_BY = "manager.threats.";

const DAY_MS = 86_400_000;
const SCORE_STEP = 10;
const STEPS_MAX = 30;
const ms = z.int().min(1).max(366 * DAY_MS);

const commands = {
  "threats.threat.detect": z.strictObject({
    ...sighting.shape,
    /** Of the first detection of its kind. */
    score: z.int().min(0).max(THREAT_LIMITS.score_max),
    /** What to do: for `first_ms`, twice as long each further time, up to `most_ms`. */
    response: z.strictObject({ is: threatResponse, first_ms: ms, most_ms: ms }).optional(),
  }),
  "threats.response.lift": z.strictObject({ response: threatResponse }),
} satisfies CommandSchemas;

export type ThreatCommand = Commands<typeof commands>;
type Detect = Extract<ThreatCommand, { type: "threats.threat.detect" }>["data"];

interface Taken {
  readonly at: Millis;
  readonly until: Millis;
  readonly step: number;
}

/** What is known of one subject. */
export interface Threat {
  readonly detections: Readonly<Partial<Record<ThreatRule, number>>>;
  readonly responses: Readonly<Partial<Record<ThreatResponse, Taken>>>;
}

export const threats: Actor<Threat, ThreatCommand, ThreatFact> = {
  domain: "threats",
  version: 1,
  commands,
  facts: Object.keys(threatFacts) as ThreatFact["type"][],
  initial: { detections: {}, responses: {} },

  decide(state, { type, data }, context): Decision<ThreatFact> {
    const subject = subjectIn(context.id);
    if (subject === undefined) {
      return reject("no_subject", "A subject is called account:, address:, name: or credential: and its id");
    }
    switch (type) {
      case "threats.threat.detect": {
        if (!context.by.startsWith(RULES_BY)) return reject("not_a_rule", "Only rules detect threats");
        const { score, response, ...seen } = data;
        const before = state.detections[seen.rule] ?? 0;
        const detected: ThreatFact = {
          type: "threats.threat.detected",
          data: { ...seen, subject, score: Math.min(THREAT_LIMITS.score_max, score + SCORE_STEP * before) },
        };
        const taken = response && answer(state, { ...data, response }, context);
        if (!taken) return accept(detected);
        const { is, until, step } = taken;
        const done: ThreatFact = {
          type: "threats.response.taken",
          data: { response: is, subject, rule: seen.rule, until: new Date(until).toISOString(), step },
        };
        return accept<ThreatFact>(detected, done);
      }
      case "threats.response.lift": {
        const taken = state.responses[data.response];
        if (taken === undefined || taken.until <= context.at) return accept();
        return accept({ type: "threats.response.lifted", data: { ...data, subject } });
      }
    }
  },

  evolve(state, fact): Threat {
    switch (fact.type) {
      case "threats.threat.detected": {
        const { rule } = fact.data;
        return { ...state, detections: { ...state.detections, [rule]: (state.detections[rule] ?? 0) + 1 } };
      }
      case "threats.response.taken": {
        const { response, until, step } = fact.data;
        const at = millis(until);
        return { ...state, responses: { ...state.responses, [response]: { at, until: at, step } } };
      }
      case "threats.response.lifted": {
        const { response } = fact.data;
        const taken = state.responses[response];
        return taken ? { ...state, responses: { ...state.responses, [response]: { ...taken, until: 0 } } } : state;
      }
    }
  },
};

/** From when the events say it happened: of what is long over nothing is done. None where one stands that lasts as long. */
const answer = (
  { responses }: Threat,
  { last, response: { is, first_ms, most_ms } }: Detect & { readonly response: NonNullable<Detect["response"]> },
  { at }: Context,
): { readonly is: ThreatResponse; readonly until: Millis; readonly step: number } | undefined => {
  const before = responses[is];
  const seen = Math.min(millis(last), at);
  const step = before && seen - before.at < DAY_MS ? Math.min(before.step + 1, STEPS_MAX) : 0;
  const until = seen + Math.min(most_ms, first_ms * 2 ** step);
  return until <= at || (before && before.until >= until) ? undefined : { is, until, step };
};
