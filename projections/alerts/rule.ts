/** Rules for alerts as they are looked at, and the cases they find. `config/alerting.ts` reads them from YAML. */
import type { Labels, Severity } from "../../events/alerts.ts";
import type { Millis } from "../../events/event.ts";
import type { Selector, Where } from "../controls/control.ts";

interface Named {
  readonly name: string;
  readonly title: string;
  readonly severity: Severity;
  /** So long a case must hold to be an alert. */
  readonly for_ms: Millis;
  /** Field whose text tells why. */
  readonly tell?: string;
}

/** Over events: from `when` until one of `until` or for so long; so many within a span; none for so long. */
export interface EventRule extends Named {
  readonly is: "event" | "rate" | "absence";
  readonly when: Selector;
  readonly until?: Selector;
  /** Fields that tell one case from another. */
  readonly per: readonly string[];
  /** Those of `per` by which cases are told together. */
  readonly group_by: readonly string[];
  readonly lasts?: Millis;
  readonly at_least?: number;
  readonly within?: Millis;
  readonly absent_for?: Millis;
}

/** Over the rows of a view, each a case. */
export interface ViewRule extends Named {
  readonly is: "view";
  readonly view: string;
  readonly where: Where;
  readonly show: readonly string[];
}

/** Over what services tell of themselves: each series of which the value is not as it may be. */
export interface MetricRule extends Named {
  readonly is: "metric";
  readonly metric: string;
  readonly service?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly above?: number;
  readonly below?: number;
}

/** A series as it was read last. */
export interface Series {
  readonly service: string;
  readonly replica: number;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export type Rule = EventRule | ViewRule | MetricRule;

/** Something that is as a rule says. */
export interface Case {
  readonly alert: string;
  readonly group: string;
  readonly labels: Labels;
  readonly because: string;
  readonly since: string;
  readonly position?: number;
}

/** Names a case, or what is told together, by what it is about: 12 digits of a hash. */
export type Digest = (text: string) => string;
