/**
 * What became of the log and of months of it. A change of the log's key and a fork are not told here: the verifier holds them against the log
 * that they stand in, so tests of their own make true ones.
 */
import { LOG_STREAM } from "../../events/kernel_log.ts";
import type { NewEvent } from "../../events/log.ts";
import { PRIVACY_STREAM } from "../../events/privacy.ts";

/** Types that only a log they are true of may have. */
export const PROVEN: readonly string[] = ["kernel.log.key_rotated", "kernel.log.forked"];

type Told = (at: number) => NewEvent;

const HASH = `${"A".repeat(43)}=`;

const FACTS = [
  [LOG_STREAM, "kernel.log.restored", { size: 12, root: HASH, backup: "2026-03-01T02:03:04.000Z" }],
  [LOG_STREAM, "kernel.log.archived", { until: 512, kept: 489, link: HASH, root: HASH }],
  [PRIVACY_STREAM, "privacy.period.destroyed", { type: "commits.commit.recorded", period: "202512", after_days: 30 }],
] as const;

/** One step after the other. */
export const retentionStory = (): readonly (readonly Told[])[] =>
  FACTS.map(([stream, type, data], n): readonly Told[] => [(at) => ({
    type,
    data,
    stream,
    id: `retention-${n}`,
    source: "kernel",
    authtype: "user",
    authid: "operator",
    time: new Date(at).toISOString(),
    version: 1,
  })]);
