/** The inbox of alerts: what somebody should look at, and what became of it; and what nobody is told of for a while. */
import { z } from "zod";
import { type AlertFact, severity } from "../events/alerts.ts";
import type { Event } from "../events/event.ts";
import type { Projection } from "./projection.ts";

const count = z.int().nonnegative();

const inboxRow = z.strictObject({
  rule: z.string(),
  alert: z.string(),
  /** `pending`: it holds, and is an alert if it goes on. */
  state: z.enum(["pending", "raised", "acknowledged", "resolved"]),
  severity,
  title: z.string(),
  /** What the case is about, as `name=value`. */
  about: z.string(),
  because: z.string(),
  /** Since when it is so; of one that is over, since when it is over. */
  since: z.string(),
  /** When it was raised last. */
  raised: z.string().optional(),
  times: count,
  /** Of the event that said so. */
  position: count.optional(),
  /** Who acknowledged or resolved it, where a person did. */
  by: z.string().optional(),
  note: z.string().optional(),
  /** How it was resolved. */
  resolved: z.enum(["ended", "asked", "dropped"]).optional(),
});
type InboxRow = z.output<typeof inboxRow>;

type Of<T extends AlertFact["type"]> = Event<Extract<AlertFact, { readonly type: T }>>;
type CaseEvent = Of<"alerts.condition.begun" | "alerts.condition.ended" | `alerts.alert.${string}` & AlertFact["type"]>;

const ruleOf = ({ stream }: { readonly stream: string }): string => stream.slice(stream.indexOf("/") + 1);

const aboutOf = (labels: readonly { readonly name: string; readonly value: string }[]): string =>
  labels.map(({ name, value }) => `${name}=${value}`).join(" ");

export const alertsInbox: Projection<InboxRow, AlertFact> = {
  name: "alerts.inbox",
  version: 1,
  about: "What somebody should look at, since when and why, and what became of it. Key: {rule}/{alert}.",
  hears: [
    "alerts.condition.begun",
    "alerts.condition.ended",
    "alerts.alert.raised",
    "alerts.alert.acknowledged",
    "alerts.alert.resolved",
  ],
  row: inboxRow,
  initial: {
    rule: "",
    alert: "",
    state: "pending",
    severity: "info",
    title: "",
    about: "",
    because: "",
    since: "",
    times: 0,
  },
  indexes: ["rule", "state", "severity", "since"],
  columns: ["severity", "state", "since", "title", "about", "because"],
  keys: (event) => [`${ruleOf(event)}/${(event as CaseEvent).data.alert}`],
  apply(row, event) {
    const { type, data, time, authid } = event as CaseEvent;
    const { by: _, note: __, resolved: ___, ...kept } = row;
    switch (type) {
      case "alerts.condition.begun":
      case "alerts.alert.raised": {
        const raised = type === "alerts.alert.raised";
        const { alert, title, severity, because, since, position } = data;
        const { position: ____, ...rest } = kept;
        return {
          ...rest,
          rule: ruleOf(event),
          alert,
          state: raised ? "raised" : "pending",
          severity,
          title,
          about: aboutOf(data.labels),
          because,
          since,
          ...(raised ? { raised: time } : {}),
          times: row.times + (raised ? 1 : 0),
          ...(position === undefined ? {} : { position }),
        };
      }
      case "alerts.condition.ended":
        if (row.state !== "pending") return row;
        return row.times === 0 ? undefined : { ...kept, state: "resolved", since: time };
      case "alerts.alert.acknowledged": {
        const { note } = data;
        return { ...kept, state: "acknowledged", by: authid, ...(note === undefined ? {} : { note }) };
      }
      case "alerts.alert.resolved": {
        const { because, note } = data;
        return {
          ...kept,
          state: "resolved",
          since: time,
          resolved: because,
          ...(because === "asked" ? { by: authid } : {}),
          ...(note === undefined ? {} : { note }),
        };
      }
    }
  },
};

const silenceRow = z.strictObject({
  rule: z.string(),
  /** Absent: of the whole rule. */
  alert: z.string().optional(),
  until: z.string(),
  why: z.string(),
  by: z.string(),
});

type SilenceEvent = Of<"alerts.silence.begun" | "alerts.silence.ended">;

export const alertsSilences: Projection<z.output<typeof silenceRow>, AlertFact> = {
  name: "alerts.silences",
  version: 1,
  about: "What nobody is told of for a while, until when, why and by whom. Key: {rule}, or {rule}/{alert}.",
  hears: ["alerts.silence.begun", "alerts.silence.ended"],
  row: silenceRow,
  initial: { rule: "", until: "", why: "", by: "" },
  indexes: ["rule", "until"],
  keys: (event) => {
    const { alert } = (event as SilenceEvent).data;
    return [alert === undefined ? ruleOf(event) : `${ruleOf(event)}/${alert}`];
  },
  apply(_, event) {
    const { type, data, authid } = event as SilenceEvent;
    if (type === "alerts.silence.ended") return undefined;
    const { alert, until, why } = data;
    return { rule: ruleOf(event), ...(alert === undefined ? {} : { alert }), until, why, by: authid };
  },
};

export const alertsViews = [alertsInbox, alertsSilences];
