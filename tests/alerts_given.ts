/** Alerts as tests speak of them. */
import type { About, AlertFact, Severity } from "../events/alerts.ts";
import { WATCH } from "../actors/alerts/rule.ts";

export const NOON = Date.UTC(2026, 10, 20, 12);
export const at = (seconds: number): { readonly at: number; readonly by: string } => ({
  at: NOON + seconds * 1_000,
  by: WATCH,
});
export const timeOf = (seconds: number): string => new Date(NOON + seconds * 1_000).toISOString();

const GROUP = "0".repeat(12);
export const idOf = (n: number): string => n.toString(16).padStart(12, "0");

export const caseOf = (n: number, more: Partial<About> = {}): About => ({
  alert: idOf(n),
  group: GROUP,
  labels: [{ name: "service", value: `s${n}` }],
  because: "it is so",
  since: timeOf(0),
  ...more,
});

const RULE = { title: "Something is not as it should be", severity: "error" as Severity };

export const observe = (
  began: readonly About[],
  ended: readonly string[] = [],
  more: { readonly for_ms?: number; readonly wait_ms?: number; readonly dropped?: true } = {},
) => ({
  type: "alerts.rule.observe" as const,
  data: { ...RULE, for_ms: 0, wait_ms: 30_000, began: [...began], ended: [...ended], ...more },
});

export const raised = (n: number, more: Partial<About> = {}): AlertFact => ({
  type: "alerts.alert.raised",
  data: { ...caseOf(n, more), ...RULE },
});

export const resolved = (n: number, because: "ended" | "asked" | "dropped" = "ended"): AlertFact => ({
  type: "alerts.alert.resolved",
  data: { alert: idOf(n), because },
});

const told = (n: number) => {
  const { alert, labels, because, since } = caseOf(n);
  return { alert, labels, because, since };
};

export const notified = (
  status: "raised" | "acknowledged" | "resolved",
  more: { readonly raised?: readonly number[]; readonly resolved?: readonly number[]; readonly standing?: number },
): AlertFact => ({
  type: "alerts.group.notified",
  data: {
    ...RULE,
    group: GROUP,
    status,
    standing: more.standing ?? 0,
    raised: (more.raised ?? []).map(told),
    resolved: (more.resolved ?? []).map(told),
    more: 0,
  },
});

export const notify = { type: "alerts.group.notify", data: { group: GROUP } } as const;
export const notifyAt = (seconds: number) => ({
  set: `notify:${GROUP}`,
  at: NOON + seconds * 1_000,
  command: notify,
});
