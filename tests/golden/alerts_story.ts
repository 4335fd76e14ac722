/** Alerts of one rule: waiting, raised, told, silenced, and over in each way. */
import type { AlertFact } from "../../events/alerts.ts";
import type { NewEvent } from "../../events/log.ts";

type Told = (at: number) => NewEvent;

const instant = (at: number): string => new Date(at).toISOString();
const MINUTE = 60_000;
const GROUP = "0123456789ab";
const RULE = { title: "A service is not well", severity: "warning" } as const;

let facts = 0;
const fact = (of: (at: number) => AlertFact, by = "alerts.watch"): Told => {
  const id = `${by}:alerts-${facts++}/0`;
  return (at) => ({
    ...of(at),
    id,
    source: "alerts/service-unhealthy",
    stream: "alerts/service-unhealthy",
    time: instant(at),
    version: 1,
    authtype: by.startsWith("u_") ? "user" : "system",
    authid: by,
  });
};

const labels = (service: string) => [{ name: "data.service", value: service }, { name: "data.replica", value: "0" }];
const ids = { api: "aaaaaaaaaaaa", db: "bbbbbbbbbbbb", web: "cccccccccccc" } as const;
type Service = keyof typeof ids;

const about = (service: Service, at: number) => ({
  alert: ids[service],
  group: GROUP,
  labels: labels(service),
  because: "readiness: answered 500",
  since: instant(at - MINUTE),
  position: 7,
});
const begun = (service: Service): Told =>
  fact((at) => ({
    type: "alerts.condition.begun",
    data: { ...about(service, at), ...RULE, until: instant(at + 5 * MINUTE) },
  }));
const raised = (service: Service): Told =>
  fact((at) => ({ type: "alerts.alert.raised", data: { ...about(service, at), ...RULE } }));
const ended = (service: Service): Told =>
  fact(() => ({ type: "alerts.condition.ended", data: { alert: ids[service] } }));
const resolved = (service: Service, because: "ended" | "asked" | "dropped", note?: string): Told =>
  fact(() => ({
    type: "alerts.alert.resolved",
    data: { alert: ids[service], because, ...(note === undefined ? {} : { note }) },
  }), because === "asked" ? "u_golden" : "alerts.watch");
const notified = (
  status: "raised" | "acknowledged" | "resolved",
  { standing = 0, raised = [], resolved = [] }: {
    readonly standing?: number;
    readonly raised?: readonly Service[];
    readonly resolved?: readonly Service[];
  },
): Told =>
  fact((at) => {
    const named = (services: readonly Service[]) =>
      services.map((service) => {
        const { alert, labels, because, since } = about(service, at);
        return { alert, labels, because, since };
      });
    const lists = { raised: named(raised), resolved: named(resolved), more: 0 };
    return { type: "alerts.group.notified", data: { ...RULE, group: GROUP, status, standing, ...lists } };
  });

const STORY: readonly (readonly Told[])[] = [
  [begun("api"), begun("db")],
  [ended("db"), raised("api"), raised("web")],
  [notified("raised", { standing: 2, raised: ["api", "web"] })],
  [
    fact(() => ({ type: "alerts.alert.acknowledged", data: { alert: ids.api, note: "I look at it" } }), "u_golden"),
    resolved("web", "ended"),
  ],
  [notified("acknowledged", { standing: 1, resolved: ["web"] })],
  [
    fact((at) => ({
      type: "alerts.silence.begun",
      data: { until: instant(at + 60 * MINUTE), why: "It is being replaced" },
    }), "u_golden"),
    fact((at) => ({
      type: "alerts.silence.begun",
      data: { alert: ids.api, until: instant(at + 90 * MINUTE), why: "This one takes longer" },
    }), "u_golden"),
  ],
  [fact(() => ({ type: "alerts.silence.ended", data: { because: "over" } }))],
  [resolved("api", "asked", "It was a deployment"), raised("db")],
  [notified("raised", { standing: 1, resolved: ["api"], raised: ["db"] })],
  [ended("api"), fact(() => ({ type: "alerts.rule.saturated", data: { standing: 200 } }))],
  [resolved("db", "dropped")],
  [raised("web")],
];

/** One step each. */
export const alertsStory = (): readonly (readonly Told[])[] => STORY;
