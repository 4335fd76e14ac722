/** The child that looks for what alerts are about, with the rules of a configuration. */
import type { Child } from "../../../actors/kernel/child.ts";
import { pause } from "../../../actors/kernel/world.ts";
import type { Settings } from "../../cli/settings.ts";
import { systemClock } from "../../system/world.ts";
import type { Opened } from "../opened.ts";
import { measured } from "./measures.ts";
import type { AlertWatch } from "./watch.ts";

/** Rules that come with the program, and what looks with them, are loaded when it begins: nobody who waits for a start waits for them. */
export const watchAlerts = (
  { daybook }: Pick<Opened, "daybook">,
  { config, alerting, stack }: Pick<Settings, "config" | "alerting" | "stack">,
  report: (line: string) => void,
): Child => {
  let watch: AlertWatch | undefined;
  measured(daybook, () => watch);
  const { defaults, every_ms, group_ms } = config.alerting;
  return {
    id: "alerts",
    restart: "temporary",
    grace: 10_000,
    async run(signal) {
      await pause(systemClock, every_ms, signal);
      if (signal.aborted) return;
      const [{ allRules }, { AlertWatch }, { digestOf }] = await Promise.all([
        import("./file.ts"),
        import("./watch.ts"),
        import("./digest.ts"),
      ]);
      const rules = (await allRules(defaults, alerting)).filter((rule) => {
        if (rule.is !== "view" || config.start.projections) return true;
        report(`alerts: the rule ${rule.name} is not looked at, because its view is not built`);
        return false;
      });
      watch = new AlertWatch({
        daybook,
        clock: systemClock,
        rules,
        everyMs: every_ms,
        groupMs: group_ms,
        digest: digestOf,
        ...(stack && rules.some(({ is }) => is === "metric") ? { series: await seriesOf(daybook) } : {}),
        report,
      });
      await watch.run(signal);
    },
  };
};

const seriesOf = async (daybook: Opened["daybook"]) => {
  const { serviceSamples } = await import("../stack/metrics_now.ts");
  return () => serviceSamples(daybook);
};
