/** Attacks as rules saw them, and what was done. */
import type { NewEvent } from "../../events/log.ts";
import { type Subject, type ThreatFact, threatStream } from "../../events/threats.ts";

const instant = (at: number): string => new Date(at).toISOString();
const MINUTE = 60_000;
const ACCOUNT: Subject = { kind: "account", id: "u_golden-golden-golden" };
const ADDRESS: Subject = { kind: "address", id: "p_202601_abcdefghijklmnopqrstuv" };

const seen = (at: number, count: number) => ({
  evidence: [3, 4, 5],
  count,
  first: instant(at - MINUTE),
  last: instant(at),
});

const FACTS: readonly (readonly [Subject, (at: number) => ThreatFact])[] = [
  [ADDRESS, (at) => ({
    type: "threats.threat.detected",
    data: { rule: "guessing", subject: ADDRESS, score: 50, ...seen(at, 20) },
  })],
  [ADDRESS, (at) => ({
    type: "threats.response.taken",
    data: { response: "block", subject: ADDRESS, rule: "guessing", until: instant(at + 10 * MINUTE), step: 0 },
  })],
  [ADDRESS, () => ({ type: "threats.response.lifted", data: { response: "block", subject: ADDRESS } })],
  [ACCOUNT, (at) => ({
    type: "threats.threat.detected",
    data: { rule: "token_reuse", subject: ACCOUNT, score: 90, ...seen(at, 1) },
  })],
  [ACCOUNT, (at) => ({
    type: "threats.response.taken",
    data: { response: "step_up", subject: ACCOUNT, rule: "token_reuse", until: instant(at + 20 * MINUTE), step: 1 },
  })],
];

/** One step after the other. */
export const threatsStory = (): readonly (readonly ((at: number) => NewEvent)[])[] =>
  FACTS.map(([subject, fact], n) => [(at) => ({
    ...fact(at),
    id: `threats:golden-${n}/0`,
    source: threatStream(subject),
    stream: threatStream(subject),
    authtype: "system",
    authid: "manager.threats.guessing",
    time: instant(at),
    version: 1,
  })]);
