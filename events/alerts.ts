/**
 * Alerts: what somebody should look at, from the condition that begins to the word that it is over. Stream: `alerts/{rule}`, one for a
 * rule, because what is told together and silenced together lies in one.
 *
 * An alert is one case of its rule, named by a digest of what the case is about (`labels`); the same case is the same alert again. What
 * channels are to tell people is a fact of its own, so that it is told again after a crash, and only then.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas } from "./event.ts";

export const ALERT_LIMITS = {
  /** Alerts of one rule that are known at a time: waiting, standing, or over and not yet told of. */
  standing_max: 200,
  labels_max: 8,
  label_chars_max: 120,
  title_chars_max: 200,
  because_chars_max: 200,
  note_chars_max: 280,
  /** Alerts that one notification names of those raised and of those resolved, each; it counts the others. */
  told_max: 15,
  silence_days_max: 366,
} as const;

/** The most severe last. As the PagerDuty Events API v2 has them. */
export const SEVERITIES = ["info", "warning", "error", "critical"] as const;
export const severity = z.enum(SEVERITIES);
export type Severity = z.output<typeof severity>;

/** Digest of what the case is about; of all that is told together. */
export const alertId = z.string().regex(/^[0-9a-f]{12}$/);
const time = z.iso.datetime({ offset: true });
const count = z.int().nonnegative();
/** No control characters: each would be six in JSON. */
// deno-lint-ignore no-control-regex
const line = (max: number) => z.string().max(max).regex(/^[^\u0000-\u001f\u007f]*$/);
const note = line(ALERT_LIMITS.note_chars_max).min(1);
const text = line(ALERT_LIMITS.label_chars_max);
const labels = z.array(z.strictObject({ name: text, value: text })).max(ALERT_LIMITS.labels_max);

/** A case as its rule sees it. */
export const about = z.strictObject({
  alert: alertId,
  group: alertId,
  labels,
  because: line(ALERT_LIMITS.because_chars_max),
  /** Since when it is so. */
  since: time,
  /** Of the event that says so, where one does. */
  position: count.optional(),
});

const told = z.strictObject({
  alert: alertId,
  labels,
  because: line(ALERT_LIMITS.because_chars_max),
  since: time,
});

const title = line(ALERT_LIMITS.title_chars_max).min(1);

export const alertFacts = {
  /** It holds, and is an alert if it still does at `until`. */
  "alerts.condition.begun": z.strictObject({ ...about.shape, title, severity, until: time }),
  /** It held, and was no alert: not yet, or not any more because a person had resolved it. */
  "alerts.condition.ended": z.strictObject({ alert: alertId }),
  "alerts.alert.raised": z.strictObject({ ...about.shape, title, severity }),
  "alerts.alert.acknowledged": z.strictObject({ alert: alertId, note: note.optional() }),
  /** `ended`: it is not so any more. `asked`: a person said so. `dropped`: there is no such rule any more. */
  "alerts.alert.resolved": z.strictObject({
    alert: alertId,
    because: z.enum(["ended", "asked", "dropped"]),
    note: note.optional(),
  }),
  /** Nobody is told until then; without `alert`, of nothing of the rule. */
  "alerts.silence.begun": z.strictObject({ alert: alertId.optional(), until: time, why: note }),
  "alerts.silence.ended": z.strictObject({ alert: alertId.optional(), because: z.enum(["over", "asked"]) }),
  /** What channels tell. The same `group` of the same rule is the same matter, from `raised` to `resolved`. */
  "alerts.group.notified": z.strictObject({
    group: alertId,
    status: z.enum(["raised", "acknowledged", "resolved"]),
    title,
    severity,
    /** Of the group, not silenced. */
    standing: count,
    /** Since the last word on this group; `more` of both are not named. */
    raised: z.array(told).max(ALERT_LIMITS.told_max),
    resolved: z.array(told).max(ALERT_LIMITS.told_max),
    more: count,
  }),
  /** So many of its alerts are known that further ones are not looked at until some of them are over. */
  "alerts.rule.saturated": z.strictObject({ standing: count }),
} satisfies FactSchemas;

export type AlertFact = Facts<typeof alertFacts>;
export type About = z.output<typeof about>;
export type Labels = About["labels"];
export type Notification = Extract<AlertFact, { type: "alerts.group.notified" }>["data"];

const ABOUT: Readonly<Record<keyof typeof alertFacts, string>> = {
  "alerts.condition.begun": "Something holds that is an alert if it goes on.",
  "alerts.condition.ended": "It does not hold any more, and no alert is over by that.",
  "alerts.alert.raised": "Somebody should look at something.",
  "alerts.alert.acknowledged": "Somebody looks at it.",
  "alerts.alert.resolved": "An alert is over.",
  "alerts.silence.begun": "Nobody is told of an alert, or of a rule, for a while.",
  "alerts.silence.ended": "What is silenced is told again.",
  "alerts.group.notified": "What channels tell of alerts that belong together.",
  "alerts.rule.saturated": "A rule has as many alerts as it may have; further ones are not looked at.",
};

export const alerts: Domain = {
  name: "alerts",
  facts: Object.fromEntries(
    Object.entries(alertFacts).map(([type, schema]) => [
      type,
      { schema, kind: "decided" as const, about: ABOUT[type as keyof typeof alertFacts] },
    ]),
  ),
};
