/** The alerts of one rule as their history has made them, and what channels have been told of them. */
import { type AlertFact, type Labels, type Notification, SEVERITIES, type Severity } from "../../events/alerts.ts";

/** What channels know of an alert. */
type Told = "nothing" | "raised" | "acknowledged";

export interface Alert {
  /** `pending`: it holds, and is no alert yet. `over`: resolved, and channels are still to be told, or it holds all the same. */
  readonly is: "pending" | "standing" | "over";
  readonly holds: boolean;
  readonly group: string;
  readonly labels: Labels;
  readonly because: string;
  readonly since: string;
  readonly title: string;
  readonly severity: Severity;
  readonly acknowledged: boolean;
  readonly told: Told;
  /** Of one that is pending: when it is an alert. */
  readonly until?: string;
}

export interface Alerts {
  readonly alerts: Readonly<Record<string, Alert>>;
  /** Until when, by alert; `all` for the rule. */
  readonly silences: Readonly<Record<string, string>>;
  /** It was told that there are as many as there may be. */
  readonly saturated: boolean;
}

export const NONE: Alerts = { alerts: {}, silences: {}, saturated: false };

/** Of a silence over all of a rule. */
export const ALL = "all";

const isSilenced = ({ silences }: Alerts, alert: string): boolean =>
  Object.hasOwn(silences, ALL) || Object.hasOwn(silences, alert);

export const alertOf = ({ alerts }: Alerts, alert: string): Alert | undefined =>
  Object.hasOwn(alerts, alert) ? alerts[alert] : undefined;

/** What channels should know of it. One that is silenced stays with them as it was, until it is over. */
const meant = (state: Alerts, id: string, alert: Alert): Told => {
  if (alert.is !== "standing") return "nothing";
  if (isSilenced(state, id)) return alert.told;
  return alert.acknowledged ? "acknowledged" : "raised";
};

/** Groups of which channels are to be told something. */
export const untold = (state: Alerts): ReadonlySet<string> =>
  new Set(
    Object.entries(state.alerts).filter(([id, alert]) => meant(state, id, alert) !== alert.told).map((
      [, { group }],
    ) => group),
  );

type Named = readonly (readonly [string, Alert])[];

/** What is to be told of a group now; undefined where there is nothing. */
export const newsOf = (state: Alerts, group: string, toldMax: number): Notification | undefined => {
  const all: Named = Object.entries(state.alerts).filter(([, alert]) => alert.group === group).sort(oldestFirst);
  const news = all.filter(([id, alert]) => meant(state, id, alert) !== alert.told);
  if (news.length === 0) return undefined;
  const standing = all.filter(([id, alert]) => alert.is === "standing" && !isSilenced(state, id));
  const [raised, resolved] = [
    news.filter(([, alert]) => alert.is === "standing" && !alert.acknowledged),
    news.filter(([, alert]) => alert.is !== "standing"),
  ];
  // What is silenced has not gone away for those who were told of it before.
  const open = all.some(([id, alert]) => meant(state, id, alert) !== "nothing");
  const acknowledged = standing.length > 0 && standing.every(([, alert]) => alert.acknowledged);
  const spoken = standing.length > 0 ? standing : news;
  const { title } = spoken.at(-1)![1];
  return {
    group,
    status: !open ? "resolved" : acknowledged ? "acknowledged" : "raised",
    title,
    severity: mostSevere(spoken),
    standing: standing.length,
    raised: named(raised, toldMax),
    resolved: named(resolved, toldMax),
    more: Math.max(0, raised.length - toldMax) + Math.max(0, resolved.length - toldMax),
  };
};

const oldestFirst = ([a, { since }]: Named[number], [b, other]: Named[number]): number =>
  since === other.since ? (a < b ? -1 : 1) : since < other.since ? -1 : 1;

const mostSevere = (alerts: Named): Severity =>
  SEVERITIES.findLast((severity) => alerts.some(([, alert]) => alert.severity === severity))!;

const named = (alerts: Named, max: number): Notification["raised"] =>
  alerts.slice(0, max).map(([alert, { labels, because, since }]) => ({ alert, labels, because, since }));

export const evolve = (state: Alerts, { type, data }: AlertFact): Alerts => {
  switch (type) {
    case "alerts.condition.begun":
    case "alerts.alert.raised": {
      const { alert, position: _, ...about } = data;
      const kept = { holds: true, acknowledged: false, told: alertOf(state, alert)?.told ?? "nothing" } as const;
      return withAlert(state, alert, {
        ...about,
        ...kept,
        is: type === "alerts.alert.raised" ? "standing" : "pending",
      });
    }
    case "alerts.condition.ended":
      return changed(state, data.alert, (alert) => ({ ...alert, is: "over", holds: false }));
    case "alerts.alert.acknowledged":
      return changed(state, data.alert, (alert) => ({ ...alert, acknowledged: true }));
    case "alerts.alert.resolved":
      return changed(state, data.alert, (alert) => ({
        ...alert,
        is: "over",
        holds: alert.holds && data.because === "asked",
      }));
    case "alerts.silence.begun":
      return { ...state, silences: { ...state.silences, [data.alert ?? ALL]: data.until } };
    case "alerts.silence.ended": {
      const { [data.alert ?? ALL]: _, ...silences } = state.silences;
      return { ...state, silences };
    }
    case "alerts.group.notified":
      return told(state, data.group);
    case "alerts.rule.saturated":
      return { ...state, saturated: true };
  }
};

const told = (state: Alerts, group: string): Alerts =>
  Object.entries(state.alerts).reduce(
    (after, [id, alert]) =>
      alert.group === group ? withAlert(after, id, { ...alert, told: meant(state, id, alert) }) : after,
    state,
  );

const changed = (state: Alerts, id: string, change: (alert: Alert) => Alert): Alerts => {
  const alert = alertOf(state, id);
  return alert ? withAlert(state, id, change(alert)) : state;
};

/** One that is over, of which channels know nothing and that does not hold, is forgotten. */
const withAlert = (state: Alerts, id: string, alert: Alert): Alerts => {
  if (alert.is !== "over" || alert.holds || alert.told !== "nothing") {
    return { ...state, alerts: { ...state.alerts, [id]: alert } };
  }
  const { [id]: _, ...alerts } = state.alerts;
  return { ...state, alerts, saturated: false };
};
