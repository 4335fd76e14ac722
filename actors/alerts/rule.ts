/**
 * Decides about the alerts of one rule. Stream: `alerts/{rule}`.
 *
 * Who looks at the log says which cases hold (`WATCH`); whether one is an alert, and when channels are told, follows here. What must wait,
 * a condition that has to last, alerts that are told together, a silence, waits by a timer of the kernel's.
 */
import { z } from "zod";
import { about, ALERT_LIMITS, type AlertFact, alertFacts, alertId, severity } from "../../events/alerts.ts";
import { millis } from "../../events/event.ts";
import { time } from "../time.ts";
import {
  accept,
  type Actor,
  type Commands,
  type CommandSchemas,
  type Context,
  type Decision,
  reject,
  type Timer,
} from "../types.ts";
import { alertOf, type Alerts, ALL, evolve, newsOf, NONE, untold } from "./state.ts";

/** Opaque id of who looks at the log. */
export const WATCH = "alerts.watch";
/** Who asks when a timer comes. */
const KERNEL = "kernel";

const DAY_MS = 86_400_000;
const ms = z.int().nonnegative().max(31 * DAY_MS);
const one = { alert: alertId };
/** Without it, all of the rule. */
const some = { alert: alertId.optional() };
const note = alertFacts["alerts.silence.begun"].shape.why;

const commands = {
  /** Cases that hold from now on, and such that do not any more. `dropped`: because there is no such rule any more. */
  "alerts.rule.observe": z.strictObject({
    title: alertFacts["alerts.alert.raised"].shape.title,
    severity,
    /** A case that holds for so long is an alert. */
    for_ms: ms,
    /** Alerts that come within so long are told together. */
    wait_ms: ms,
    began: z.array(about).max(ALERT_LIMITS.standing_max + 1),
    ended: z.array(alertId).max(ALERT_LIMITS.standing_max),
    dropped: z.boolean().optional(),
  }),
  "alerts.condition.ripen": z.strictObject(one),
  "alerts.alert.acknowledge": z.strictObject({ ...some, note: note.optional() }),
  "alerts.alert.resolve": z.strictObject({ ...some, note: note.optional() }),
  "alerts.silence.begin": z.strictObject({ ...some, until: time, why: note }),
  "alerts.silence.end": z.strictObject(some),
  "alerts.silence.expire": z.strictObject(some),
  "alerts.group.notify": z.strictObject({ group: alertId }),
} satisfies CommandSchemas;

export type AlertCommand = Commands<typeof commands>;
type Data<T extends AlertCommand["type"]> = Extract<AlertCommand, { readonly type: T }>["data"];
type Decided = Decision<AlertFact>;

export const alerts: Actor<Alerts, AlertCommand, AlertFact> = {
  domain: "alerts",
  version: 1,
  commands,
  facts: Object.keys(alertFacts) as AlertFact["type"][],
  initial: NONE,
  evolve,
  decide(state, command, context) {
    const decision = decided(state, command, context);
    if (!decision.ok) return decision;
    const wait = command.type === "alerts.rule.observe" ? command.data.wait_ms : 0;
    const timers = [...decision.timers ?? [], ...tellings(state, decision.facts, context.at + wait)];
    return timers.length === 0 ? decision : { ...decision, timers };
  },
};

/** A group of which there is now something to tell is told of then; one that waits already waits no longer for it. */
const tellings = (before: Alerts, facts: readonly AlertFact[], at: number): readonly Timer[] => {
  const known = untold(before);
  return [...untold(facts.reduce(evolve, before))].filter((group) => !known.has(group)).map((group) => ({
    set: `notify:${group}`,
    at,
    command: { type: "alerts.group.notify", data: { group } },
  }));
};

const decided = (state: Alerts, { type, data }: AlertCommand, context: Context): Decided => {
  switch (type) {
    case "alerts.rule.observe":
      return context.by === WATCH
        ? observe(state, data, context)
        : reject("not_the_watch", "Only who looks at the log says what holds");
    case "alerts.condition.ripen":
      return ripen(state, data, context);
    case "alerts.alert.acknowledge": {
      const { note } = data;
      const news = standing(state, data.alert).filter((alert) => !alertOf(state, alert)!.acknowledged);
      if (news.length === 0) return known(state, data.alert);
      return accept(...news.map((alert): AlertFact => ({
        type: "alerts.alert.acknowledged",
        data: { alert, ...(note === undefined ? {} : { note }) },
      })));
    }
    case "alerts.alert.resolve": {
      const { note } = data;
      const open = standing(state, data.alert);
      if (open.length === 0) return known(state, data.alert);
      return accept(...open.map((alert): AlertFact => ({
        type: "alerts.alert.resolved",
        data: { alert, because: "asked", ...(note === undefined ? {} : { note }) },
      })));
    }
    case "alerts.silence.begin":
      return silence(state, data, context);
    case "alerts.silence.end":
      return Object.hasOwn(state.silences, data.alert ?? ALL)
        ? {
          ok: true,
          facts: [{ type: "alerts.silence.ended", data: { ...data, because: "asked" } }],
          timers: [{ cancel: `silence:${data.alert ?? ALL}` }],
        }
        : reject("not_silenced", "It is not silenced");
    case "alerts.silence.expire": {
      const until = Object.hasOwn(state.silences, data.alert ?? ALL) ? state.silences[data.alert ?? ALL] : undefined;
      if (until === undefined || isEarly(until, context)) return accept();
      return accept({ type: "alerts.silence.ended", data: { ...data, because: "over" } });
    }
    case "alerts.group.notify": {
      const news = newsOf(state, data.group, ALERT_LIMITS.told_max);
      return news ? accept({ type: "alerts.group.notified", data: news }) : accept();
    }
  }
};

/** This one, if it stands; without a name, all that stand. */
const standing = (state: Alerts, alert: string | undefined): readonly string[] =>
  (alert === undefined ? Object.keys(state.alerts) : [alert]).filter((id) => alertOf(state, id)?.is === "standing");

/** Of what is so already nothing is recorded. */
const known = (state: Alerts, alert: string | undefined): Decided =>
  alert !== undefined && alertOf(state, alert)?.is !== "pending" && alertOf(state, alert) !== undefined
    ? accept()
    : reject("no_such_alert", "No such alert stands");

const observe = (
  state: Alerts,
  { title, severity, for_ms, began, ended, dropped }: Data<"alerts.rule.observe">,
  { at }: Context,
): Decided => {
  const [facts, timers]: [AlertFact[], Timer[]] = [[], []];
  let now = state;
  const add = (fact: AlertFact) => {
    facts.push(fact);
    now = evolve(now, fact);
  };
  for (const alert of ended) {
    const before = alertOf(now, alert);
    if (!before?.holds) continue;
    if (before.is === "pending") timers.push({ cancel: `ripen:${alert}` });
    if (before.is !== "standing") add({ type: "alerts.condition.ended", data: { alert } });
    else add({ type: "alerts.alert.resolved", data: { alert, because: dropped ? "dropped" : "ended" } });
  }
  for (const each of began) {
    const before = alertOf(now, each.alert);
    if (before?.holds) continue;
    if (!before && Object.keys(now.alerts).length >= ALERT_LIMITS.standing_max) {
      const standing = ALERT_LIMITS.standing_max;
      if (!now.saturated) add({ type: "alerts.rule.saturated", data: { standing } });
      continue;
    }
    const due = Math.max(at, Math.min(millis(each.since), at) + for_ms);
    if (due <= at) add({ type: "alerts.alert.raised", data: { ...each, title, severity } });
    else {
      add({ type: "alerts.condition.begun", data: { ...each, title, severity, until: iso(due) } });
      const ripen = { type: "alerts.condition.ripen", data: { alert: each.alert } } as const;
      timers.push({ set: `ripen:${each.alert}`, at: due, command: ripen });
    }
  }
  return { ok: true, facts, ...(timers.length > 0 ? { timers } : {}) };
};

/** Whoever asks before its time. A timer that comes has waited as long as it was to, whatever the clock says that is set back since. */
const isEarly = (until: string, { at, by }: Pick<Context, "at" | "by">): boolean => by !== KERNEL && millis(until) > at;

const ripen = (state: Alerts, { alert }: Data<"alerts.condition.ripen">, context: Context): Decided => {
  const waiting = alertOf(state, alert);
  if (waiting?.is !== "pending" || waiting.until === undefined || isEarly(waiting.until, context)) return accept();
  const { group, labels, because, since, title, severity } = waiting;
  const data = { alert, group, labels, because, since, title, severity };
  return accept({ type: "alerts.alert.raised", data });
};

/** Silences of one rule. */
const SILENCES_MAX = ALERT_LIMITS.standing_max;

const silence = (
  state: Alerts,
  { alert, until, why }: Data<"alerts.silence.begin">,
  { at }: Context,
): Decided => {
  const left = millis(until) - at;
  if (left <= 0) return reject("silence_over", "A silence ends in the future");
  if (left > ALERT_LIMITS.silence_days_max * DAY_MS) {
    return reject("silence_too_long", `A silence ends within ${ALERT_LIMITS.silence_days_max} days`);
  }
  const name = alert ?? ALL;
  if (!Object.hasOwn(state.silences, name) && Object.keys(state.silences).length >= SILENCES_MAX) {
    return reject("too_many_silences", `A rule has at most ${SILENCES_MAX} silences`);
  }
  const one = alert === undefined ? {} : { alert };
  return {
    ok: true,
    facts: [{ type: "alerts.silence.begun", data: { ...one, until, why } }],
    timers: [{ set: `silence:${name}`, at: millis(until), command: { type: "alerts.silence.expire", data: one } }],
  };
};

const iso = (at: number): string => new Date(at).toISOString();
