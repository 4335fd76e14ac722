/** Rules for alerts as they lie on the disk: those of a configuration, and those that come with the program. */
import { fileURLToPath } from "node:url";
import {
  type AlertRule,
  type ParsedRules,
  parseRules,
  problemsText,
  type RuleFault,
} from "../../../config/alerting.ts";
import { events } from "../../../events/mod.ts";
import { projections } from "../../../projections/mod.ts";
import { Usage } from "../../cli/call.ts";
import type { Settings } from "../../cli/settings.ts";

type Alerting = NonNullable<Settings["alerting"]>;

const OWN = fileURLToPath(new URL("../../../config/alerts.yaml", import.meta.url));

/** Rules of a configuration; the text says where they stand. Throws `Usage` with every reason why they cannot be. */
export const rulesIn = (value: unknown, text: string, file: string): Alerting => heldTo(rulesOf(value, text, file));

/** The same, or every reason why they cannot be. */
export const rulesOf = (value: unknown, text: string, file: string): ParsedRules =>
  read(text, { file, path: ["alerting", "rules"], value });

/** All that are looked at: those of the program, with those of the configuration in their place. */
export const allRules = async (
  defaults: boolean,
  { rules, off }: Alerting = { rules: [], off: [] },
): Promise<readonly AlertRule[]> => {
  if (!defaults) return rules;
  const theirs = new Set([...rules.map(({ name }) => name), ...off]);
  const own = heldTo(read(await Deno.readTextFile(OWN), { file: OWN, path: ["rules"] })).rules;
  return [...own.filter(({ name }) => !theirs.has(name)), ...rules];
};

const read = (
  text: string,
  where: { readonly file: string; readonly path: readonly string[]; readonly value?: unknown },
): ParsedRules => parseRules(text, { ...where, check: (rules) => rules.flatMap(faultsOf) });

const heldTo = (parsed: ParsedRules): Alerting => {
  if (parsed.ok) return parsed;
  throw new Usage(problemsText(parsed.problems));
};

/** Types of domains that there are, and views with their fields, must be there; what nobody has declared may come from anywhere. */
const faultsOf = (rule: AlertRule): readonly RuleFault[] => {
  const faults: RuleFault[] = [];
  const say = (key: readonly string[], expected: string, found: string) =>
    faults.push({ path: [rule.name, ...key], expected, found: JSON.stringify(found) });
  if (rule.is === "view") {
    const view = projections.find(({ name }) => name === rule.view);
    if (!view) say(["view"], `one of ${projections.map(({ name }) => name).join(", ")}`, rule.view);
    else {
      const { shape = {} } = view.row as unknown as { readonly shape?: Readonly<Record<string, unknown>> };
      const known = (name: string) => Object.hasOwn(shape, name.split(".")[0]!);
      const expected = `a field of ${rule.view}: ${Object.keys(shape).join(", ")}`;
      for (const name of Object.keys(rule.where)) if (!known(name)) say(["where", name], expected, name);
      for (const [i, name] of rule.show.entries()) if (!known(name)) say(["show", String(i)], expected, name);
      if (rule.tell !== undefined && !known(rule.tell)) say(["tell"], expected, rule.tell);
    }
    return faults;
  }
  if (rule.is === "metric") return faults;
  const domains = new Set(events.domains.map(({ name }) => name));
  for (const [key, selector] of [["when", rule.when], ["until", rule.until]] as const) {
    for (const type of selector?.type ?? []) {
      if (!domains.has(type.split(".")[0]!) || events.spec(type)) continue;
      say([key, "type"], "a type of events that there is", type);
    }
  }
  return faults;
};
