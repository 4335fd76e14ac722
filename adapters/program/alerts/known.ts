/** The alerts of every rule as they are on record. */
import { alerts } from "../../../actors/alerts/rule.ts";
import { type Alerts, NONE } from "../../../actors/alerts/state.ts";
import type { AlertFact } from "../../../events/alerts.ts";
import type { Event } from "../../../events/event.ts";

const DOMAIN = "alerts/";

export class Known {
  readonly types = alerts.facts;
  private readonly byRule = new Map<string, Alerts>();

  apply(event: Event): void {
    if (!event.stream.startsWith(DOMAIN)) return;
    const rule = event.stream.slice(DOMAIN.length);
    const state = alerts.evolve(this.of(rule), event as Event<AlertFact>);
    if (Object.keys(state.alerts).length === 0) this.byRule.delete(rule);
    else this.byRule.set(rule, state);
  }

  get rules(): readonly string[] {
    return [...this.byRule.keys()];
  }

  /** Those that hold, as far as was recorded. */
  holding(rule: string): ReadonlySet<string> {
    return new Set(Object.entries(this.of(rule).alerts).filter(([, { holds }]) => holds).map(([alert]) => alert));
  }

  count(rule: string): number {
    return Object.keys(this.of(rule).alerts).length;
  }

  /** How many stand, by rule and severity. */
  get standing(): readonly { readonly rule: string; readonly severity: string; readonly count: number }[] {
    return [...this.byRule].flatMap(([rule, { alerts }]) => {
      const counts = new Map<string, number>();
      for (const { is, severity } of Object.values(alerts)) {
        if (is === "standing") counts.set(severity, (counts.get(severity) ?? 0) + 1);
      }
      return [...counts].map(([severity, count]) => ({ rule, severity, count }));
    });
  }

  private of(rule: string): Alerts {
    return this.byRule.get(rule) ?? NONE;
  }
}
