/**
 * Sources that tell how complete they are. Stream: `sources/{source}`; who is meant is the event's own `source`.
 *
 * A source numbers its events by CloudEvents' Sequence extension (`sequence`, with `sequencetype: Integer`, or declared here), says
 * in heartbeats how far it has come, and closes windows of which it will send nothing more.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import { repositoryId } from "./commits.ts";
import type { Facts, FactSchemas } from "./event.ts";

export const SOURCE_LIMITS = {
  /** Between two signs of life; a month and a day. */
  heartbeat_s_max: 2_764_800,
  /** What decimal numbers count to, unless they are 32-bit. */
  number_max: 999_999_999_999_999,
} as const;

const number = z.int().min(-2_147_483_648).max(SOURCE_LIMITS.number_max);
const time = z.iso.datetime({ offset: true });

export const sourceFacts = {
  "sources.source.declared": z.strictObject({
    /** The number its next event has: a count begins, and with it what can be vouched for. */
    first: number.optional(),
    /** `sequence` is decimal digits, each event's number one more than that of the one before, though it says no `sequencetype`. */
    numbered: z.literal(true).optional(),
    /** Seconds within which something of it comes, a heartbeat if nothing else. */
    heartbeat_s: z.int().min(1).max(SOURCE_LIMITS.heartbeat_s_max).optional(),
  }),
  /** `last`: the highest number it has sent so far. */
  "sources.heartbeat.sent": z.strictObject({ last: number.optional() }),
  /** It will send nothing more that happened from `from` until `until`; its numbers there were `first` to `last`. */
  "sources.window.closed": z.strictObject({
    from: time,
    until: time,
    first: number.optional(),
    last: number.optional(),
  }),
} satisfies FactSchemas;

export type SourceFact = Facts<typeof sourceFacts>;

const about: Readonly<Record<keyof typeof sourceFacts, string>> = {
  "sources.source.declared": "A source said how it numbers its events, and how often it gives a sign of life.",
  "sources.heartbeat.sent": "A source gave a sign of life, and may have said how far it has come.",
  "sources.window.closed": "A source said that it has sent everything of a span of time.",
};

export const sources: Domain = {
  name: "sources",
  facts: Object.fromEntries(
    (Object.keys(sourceFacts) as (keyof typeof sourceFacts)[]).map((type) => [type, {
      schema: sourceFacts[type],
      kind: "observed",
      stream: ({ source }) => `sources/${repositoryId(source)}`,
      about: about[type],
    }]),
  ),
};
