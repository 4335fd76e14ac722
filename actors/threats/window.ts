/** What a rule remembers of one subject: what it has counted lately, in a window that slides with the events' own time. */
import type { Millis } from "../../events/event.ts";
import { THREAT_LIMITS } from "../../events/threats.ts";

/** When, where in the log, how much, and of what; equal ones of the last are one where a rule counts different ones. */
export type Hit = readonly [at: Millis, position: number, weight: number, what: string];

/** More than any rule waits for; beyond it the oldest go. */
const HITS_MAX = 1_000;

/** The hits within the window that ends with the newest, however late some come. */
export const slid = (hits: readonly Hit[], hit: Hit, within_ms: Millis): readonly Hit[] => {
  const all = [...hits, hit];
  const newest = all.reduce((most, [at]) => Math.max(most, at), 0);
  return all.filter(([at]) => at > newest - within_ms).slice(-HITS_MAX);
};

export const weighed = (hits: readonly Hit[]): number => hits.reduce((sum, [, , weight]) => sum + weight, 0);
export const different = (hits: readonly Hit[]): number => new Set(hits.map(([, , , what]) => what)).size;

const iso = (at: Millis): string => new Date(at).toISOString();

/** As a detection tells of them. */
export const seenIn = (hits: readonly Hit[], count: number) => {
  const times = hits.map(([at]) => at);
  return {
    evidence: hits.map(([, position]) => position).slice(-THREAT_LIMITS.evidence_max),
    count,
    first: iso(Math.min(...times)),
    last: iso(Math.max(...times)),
  };
};
