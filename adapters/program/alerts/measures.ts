/** What `/metrics` tells of alerts. */
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import type { Measure } from "../../http/metrics.ts";
import type { AlertWatch } from "./watch.ts";

/** By the daybook they are looked for in. */
const watches = new WeakMap<Daybook, () => AlertWatch | undefined>();

export const measured = (daybook: Daybook, watch: () => AlertWatch | undefined): void =>
  void watches.set(daybook, watch);

/** Nothing until alerts are looked for. */
export const alertMeasures = (daybook: Daybook): readonly Measure[] => [{
  name: "daybook_alerts_standing",
  help: "Alerts that stand, acknowledged or not.",
  kind: "gauge",
  samples: () =>
    (watches.get(daybook)?.()?.known.standing ?? []).map(({ rule, severity, count }) => ({
      labels: { rule, severity },
      value: count,
    })),
}];
