/**
 * Rules for alerts: from YAML to rules that can be looked at, or to every reason why not: file, line, path, what was expected. What the
 * words mean is in `docs/alerts.md`. The same words are read from `alerting.rules` of a configuration and from `alerts.yaml`, the rules
 * that come with the program.
 *
 * Nothing is read here; the files' texts are handed in.
 */
import { z } from "zod";
import { faultsOf, foundText, type Shape } from "./problems.ts";
import { field, said, selector, span, UNITS, where } from "./selectors.ts";
import { SEVERITIES } from "./sinks.ts";
import { type Problem, valueAt, YamlText } from "./yaml_text.ts";

export { type Problem, problemsText, problemText } from "./yaml_text.ts";

export const ALERTING_LIMITS = {
  file_chars_max: 1_048_576,
  rules_max: 200,
  title_chars_max: 200,
  per_max: 8,
  /** How long anything may have to last. */
  for_ms_max: 30 * UNITS.d,
} as const;

const name = said(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/, "a name of at most 63 small letters, digits, - and _");
const rowField = said(/^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/, "a field of the view's rows").max(200);
const fields = (one: typeof field) => z.array(one).max(ALERTING_LIMITS.per_max);
const test = where.valueType;
const lasting = span.refine((ms) => ms <= ALERTING_LIMITS.for_ms_max, "a span of time of at most 30d");

const rule = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: "Whether it is looked at" }),
  title: z.string().min(1).max(ALERTING_LIMITS.title_chars_max).regex(/^\P{Cc}*$/u).meta({
    description: "What is the matter, in one line",
    expected: "a text of one line, of 1 to 200 characters",
  }),
  severity: z.enum(SEVERITIES).default("error").meta({ description: "How bad it is" }),
  when: selector.optional().meta({ description: "Events that say so: { type, where }" }),
  until: selector.optional().meta({ description: "Events that say that it is over" }),
  lasts: span.optional().meta({ description: "It is over so long after the last event that said so" }),
  at_least: z.int().min(1).max(10_000).optional().meta({ description: "So many of the events …" }),
  within: span.optional().meta({ description: "… within so long" }),
  absent_for: span.optional().meta({ description: "None of the events came for so long" }),
  per: fields(field).optional().meta({ description: "Fields that tell one case from another" }),
  view: said(/^[a-z_]+\.[a-z_]+$/, "the name of a view, such as services.board").optional().meta({
    description: "Rows of a view that say so, each a case",
  }),
  where: z.record(rowField, test).optional().meta({ description: "What must hold of a row" }),
  show: z.array(rowField).max(ALERTING_LIMITS.per_max - 1).optional().meta({
    description: "Fields of the row to tell",
  }),
  metric: said(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, "the name of a metric, such as jobs_waiting").max(200).optional().meta({
    description: "Series of a metric that services tell of themselves, each a case",
  }),
  service: name.optional().meta({ description: "Only of this service" }),
  labels: z.record(z.string().max(200), z.string().max(1_000)).optional().meta({
    description: "Only series with these labels",
  }),
  above: z.number().optional().meta({ description: "So when the value is larger" }),
  below: z.number().optional().meta({ description: "So when the value is smaller" }),
  tell: z.union([field, rowField]).optional().meta({ description: "Field whose text tells why" }),
  for: lasting.optional().meta({ description: "It is an alert when it has held for so long" }),
  group_by: fields(field).optional().meta({
    description: "Alerts alike in these of `per` are told together; none: all of the rule",
  }),
}).superRefine((rule, { addIssue }) => {
  const has = (key: keyof typeof rule) => rule[key] !== undefined;
  const wrong = (path: string[], message: string) => addIssue({ code: "custom", path, message });
  const about = (["when", "view", "metric"] as const).filter(has);
  if (about.length !== 1) return wrong([], "one of when, view and metric");
  const needs = (key: keyof typeof rule, other: keyof typeof rule) => {
    if (has(key) && !has(other)) wrong([key], `nothing without "${other}"`);
  };
  for (const key of ["service", "labels", "above", "below"] as const) needs(key, "metric");
  if (has("metric")) {
    for (const key of ["until", "lasts", "at_least", "within", "absent_for", "per", "tell"] as const) {
      needs(key, "when");
    }
    for (const key of ["where", "show"] as const) needs(key, "view");
    if (!has("above") && !has("below")) wrong(["metric"], "above or below, what the value must not be");
    return;
  }
  if (has("view")) {
    for (const key of ["until", "lasts", "at_least", "within", "absent_for", "per"] as const) needs(key, "when");
    if (!has("where")) wrong(["where"], "what must hold of a row, such as { state: failed }");
    return;
  }
  for (const key of ["where", "show"] as const) needs(key, "view");
  if (has("at_least") !== has("within")) wrong([has("within") ? "within" : "at_least"], "both at_least and within");
  const kinds = ["at_least", "absent_for"] as const;
  if (kinds.every(has)) wrong(["absent_for"], `nothing beside "at_least": one or the other`);
  for (const kind of kinds) {
    for (const key of ["until", "lasts"] as const) {
      if (has(kind) && has(key)) wrong([key], `nothing beside "${kind}", which is over when it is`);
    }
  }
  for (const [i, one] of (rule.group_by ?? []).entries()) {
    if (!rule.per?.includes(one)) wrong(["group_by", String(i)], "a field that is in per");
  }
  // Its own facts would feed it.
  for (const key of ["when", "until"] as const) {
    if (rule[key]?.type.some((type) => type.startsWith("alerts."))) wrong([key, "type"], "no type of alerts itself");
  }
});

const alertRules = z.record(name, rule);

type Stated = z.output<typeof rule>;
type Test = z.output<typeof test>;

interface Named {
  readonly name: string;
  readonly title: string;
  readonly severity: Stated["severity"];
  readonly for_ms: number;
  readonly tell?: string;
}

type Selector = NonNullable<Stated["when"]>;

/** A rule as it is looked at. */
export type AlertRule =
  & Named
  & ({
    readonly is: "view";
    readonly view: string;
    readonly where: Readonly<Record<string, Test>>;
    readonly show: readonly string[];
  } | {
    readonly is: "metric";
    readonly metric: string;
    readonly service?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly above?: number;
    readonly below?: number;
  } | {
    /** `event`: from `when` on, until one of `until` or for so long. */
    readonly is: "event" | "rate" | "absence";
    readonly when: Selector;
    readonly until?: Selector;
    readonly per: readonly string[];
    readonly group_by: readonly string[];
    readonly lasts?: number;
    readonly at_least?: number;
    readonly within?: number;
    readonly absent_for?: number;
  });

/** How long an event that nothing takes back is a reason to look at it. */
const LASTS_MS = UNITS.d;

const ruleOf = (name: string, stated: Stated): AlertRule => {
  const { title, severity, tell, for: for_ms = 0 } = stated;
  const named: Named = { name, title, severity, for_ms, ...(tell === undefined ? {} : { tell }) };
  const { view, where = {}, show = [], when, until, per = [], group_by = [] } = stated;
  if (view !== undefined) return { ...named, is: "view", view, where, show };
  const { metric, service, labels = {}, above, below } = stated;
  if (metric !== undefined) {
    return {
      ...named,
      is: "metric",
      metric,
      labels,
      ...(service === undefined ? {} : { service }),
      ...(above === undefined ? {} : { above }),
      ...(below === undefined ? {} : { below }),
    };
  }
  const { at_least, within, absent_for } = stated;
  const of = { ...named, when: when!, per, group_by };
  if (at_least !== undefined && within !== undefined) return { ...of, is: "rate", at_least, within };
  if (absent_for !== undefined) return { ...of, is: "absence", absent_for };
  const lasts = stated.lasts ?? (until === undefined ? LASTS_MS : undefined);
  return { ...of, is: "event", ...(until ? { until } : {}), ...(lasts === undefined ? {} : { lasts }) };
};

export type ParsedRules =
  | { readonly ok: true; readonly rules: readonly AlertRule[]; readonly off: readonly string[] }
  | {
    readonly ok: false;
    readonly problems: readonly Problem[];
  };

/** What only who knows all events and views can tell; `path` below the rules. */
export interface RuleFault {
  readonly path: readonly string[];
  readonly expected: string;
  readonly found: string;
}

let shape: Shape | undefined;
/** The rules by name, as JSON Schema. */
export const shapeOfRules = (): Shape => shape ??= z.toJSONSchema(alertRules, { io: "input" }) as Shape;

/** Reads the rules below `path` of a text. `off`: names of those that are not to be looked at. */
export const parseRules = (
  text: string,
  { file, path, value, check = () => [] }: {
    readonly file: string;
    readonly path: readonly string[];
    /** What stands there with all that was said elsewhere. Default: what the text says. */
    readonly value?: unknown;
    readonly check?: (rules: readonly AlertRule[]) => readonly RuleFault[];
  },
): ParsedRules => {
  const top = { file, line: 1, column: 1, path: path.join(".") } as const;
  const refused = (...problems: readonly Problem[]): ParsedRules => ({ ok: false, problems });
  if (text.length > ALERTING_LIMITS.file_chars_max) {
    const expected = `at most ${ALERTING_LIMITS.file_chars_max} characters`;
    return refused({ ...top, expected, found: `${text.length} characters` });
  }
  const source = new YamlText(text, file);
  if (source.problems.length > 0) return refused(...source.problems);
  const whole = source.value();
  if (!whole.ok) return refused(whole.problem);
  const found = value ?? valueAt(whole.value, path) ?? {};
  const parsed = alertRules.safeParse(offOnes(found));
  if (!parsed.success) {
    return refused(
      ...parsed.error.issues.flatMap((issue) => faultsOf(issue, shapeOfRules(), "a map of rules by name")).map((
        { path: inner, expected, key = false, meant },
      ) => ({
        ...source.place([...path, ...inner], key),
        path: [...path, ...inner].join("."),
        expected,
        found: key ? `"${inner.at(-1)}"` : foundText(valueAt(found, inner)),
        ...(meant === undefined ? {} : { meant }),
      })),
    );
  }
  const all = Object.entries(parsed.data);
  if (all.length > ALERTING_LIMITS.rules_max) {
    const expected = `at most ${ALERTING_LIMITS.rules_max} rules`;
    return refused({ ...source.place(path, false), path: path.join("."), expected, found: String(all.length) });
  }
  const rules = all.filter(([, { enabled }]) => enabled).map(([name, stated]) => ruleOf(name, stated));
  const faults = check(rules);
  if (faults.length > 0) {
    return refused(...faults.map(({ path: inner, expected, found }) => {
      const at = [...path, ...inner];
      return { ...source.place(at, false), path: at.join("."), expected, found };
    }));
  }
  return {
    ok: true,
    rules,
    off: all.filter(([, { enabled }]) => !enabled).map(([name]) => name),
  };
};

/** `{ enabled: false }` says enough of a rule that comes with the program. */
const offOnes = (found: unknown): unknown => {
  if (typeof found !== "object" || found === null || Array.isArray(found)) return found;
  const off = { title: "off", when: { type: "kernel.process.started" } };
  return Object.fromEntries(
    Object.entries(found as Readonly<Record<string, unknown>>).map(([name, stated]) => {
      const only = typeof stated === "object" && stated !== null && Object.keys(stated).join() === "enabled";
      return [
        name,
        only && (stated as { readonly enabled: unknown }).enabled === false ? { ...stated, ...off } : stated,
      ];
    }),
  );
};
