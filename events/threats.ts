/**
 * Threats: what rules have seen in events that is no accident, and what was done about it. Stream: `threats/{kind}:{id}`, one for each
 * account, address, name or password that it is about; nothing in it tells of a person but ids and pseudonyms.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas, StreamId } from "./event.ts";

export const THREAT_LIMITS = {
  /** Positions that one detection names; the newest. */
  evidence_max: 50,
  score_max: 100,
} as const;

export const THREAT_RULES = [
  /** Many failures on one account, or on one name elsewhere. */
  "brute_force",
  /** Many failures from one address. */
  "guessing",
  /** Failures on many names from one address. */
  "spraying",
  /** Failures with one password on many accounts. */
  "stuffing",
  /** Two sign-ins too far apart for anybody to travel between them. */
  "impossible_travel",
  "token_reuse",
  "new_device",
  /** Who was just given a privileged role gives one to somebody else, or to themselves. */
  "privilege_chain",
] as const;
export type ThreatRule = typeof THREAT_RULES[number];

const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
export const threatRule = z.enum(THREAT_RULES);
/** `step_up`: sessions of the account show a second factor, or begin anew. */
export const threatResponse = z.enum(["step_up", "lockout", "block"]);
export type ThreatResponse = z.output<typeof threatResponse>;
export const subject = z.strictObject({
  kind: z.enum(["account", "address", "name", "credential"]),
  /** Of an account its id, of an address or name its pseudonym, of a password the digits that stand for it. */
  id: z.string().regex(/^[\w-]{1,80}$/),
});
export type Subject = z.output<typeof subject>;

const seen = {
  rule: threatRule,
  /** Positions of the events that led to it. */
  evidence: z.array(count).min(1).max(THREAT_LIMITS.evidence_max),
  /** How much the rule has counted: failures, names, accounts; kilometres of a journey. */
  count,
  /** When it began and ended, as the events say. */
  first: time,
  last: time,
};
export const sighting = z.strictObject(seen);

export const threatFacts = {
  "threats.threat.detected": z.strictObject({
    ...seen,
    subject,
    /** From 0, a curiosity, to 100; higher each time that the same is seen of the same subject. */
    score: z.int().min(0).max(THREAT_LIMITS.score_max),
  }),
  "threats.response.taken": z.strictObject({
    response: threatResponse,
    subject,
    rule: threatRule,
    until: time,
    /** How often it was taken before, within a day each; it lasts twice as long each time. */
    step: count,
  }),
  /** Before its time. One whose time is over ends without a fact. */
  "threats.response.lifted": z.strictObject({ response: threatResponse, subject }),
} satisfies FactSchemas;

export type ThreatFact = Facts<typeof threatFacts>;

export const threatStream = ({ kind, id }: Subject): StreamId => `threats/${kind}:${id}`;

/** The subject that a stream's id names, if it names one. */
export const subjectIn = (id: string): Subject | undefined => {
  const at = id.indexOf(":");
  const parsed = subject.safeParse({ kind: id.slice(0, Math.max(at, 0)), id: id.slice(at + 1) });
  return parsed.success ? parsed.data : undefined;
};

const about: Readonly<Record<keyof typeof threatFacts, string>> = {
  "threats.threat.detected": "A rule has seen an attack, or what looks like one; which events show it.",
  "threats.response.taken": "Something was done about a threat, for a while.",
  "threats.response.lifted": "What was done about a threat was taken back before its time.",
};

export const threats: Domain = {
  name: "threats",
  facts: Object.fromEntries(
    (Object.keys(threatFacts) as (keyof typeof threatFacts)[]).map((type) => [type, {
      schema: threatFacts[type],
      kind: "decided" as const,
      about: about[type],
    }]),
  ),
};
