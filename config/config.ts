/**
 * From a YAML text to a configuration that holds, or to every reason why not: file, line, path, what was expected.
 *
 * Order, later wins: defaults, the file, environment variables, flags. A variable is `DAYBOOK__` and the path joined by
 * `__`, in any letter case, its value written as in the file: `DAYBOOK__SERVER__PORT=8080`,
 * `DAYBOOK__GITHUB__WEBHOOK_SECRET='{ file: secret.txt }'`. Nothing is read here, neither files nor the environment.
 */
import type { z } from "zod";
import { faultsOf, foundAt, shapeAt, shapeOfConfig, shownPath } from "./problems.ts";
import { barred, fromEnvironment, type Override, withOverride } from "./overrides.ts";
import { settle } from "./plain.ts";
import type { Config } from "./schema.ts";
import { composed, type Problem, valueAt, YamlText } from "./yaml_text.ts";

export type { Override } from "./overrides.ts";
export { ALIASES_MAX, type Problem, problemsText, problemText } from "./yaml_text.ts";
export type { Config, RootReference, SecretReference } from "./schema.ts";
export { PROFILES, schema } from "./schema.ts";

export type Parsed = { readonly ok: true; readonly config: Config } | {
  readonly ok: false;
  readonly problems: readonly Problem[];
};

/** At most so many characters of text are looked at; a configuration is a page or two. */
export const CONFIG_CHARS_MAX = 1_048_576;

/** Reads a configuration. `file` is only a name for messages; `env` is what the process was given, or as much of it as one likes. */
export const parseConfig = (
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  flags: readonly Override[] = [],
): Parsed => {
  if (text.length > CONFIG_CHARS_MAX) {
    const found = `${text.length} characters`;
    return {
      ok: false,
      problems: [{ file, line: 1, column: 1, path: "", expected: `at most ${CONFIG_CHARS_MAX} characters`, found }],
    };
  }
  const source = new YamlText(text, file);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const overrides = [...fromEnvironment(env), ...flags];
  const stated = source.value();
  if (!stated.ok) return { ok: false, problems: [stated.problem] };
  const whole = overrides.reduce(
    (value, override) => withOverride(value, override, readOverride(override)),
    stated.value,
  );
  const settled = settle(whole);
  if (!settled.ok) {
    return { ok: false, problems: settled.issues.flatMap((issue) => problemsOf(issue, whole, source, overrides)) };
  }
  const without = overrides.flatMap((override) => placeless(override, whole));
  return without.length > 0 ? { ok: false, problems: without } : settled;
};

/** A list is given as a whole: nothing would come of a part of it, and nobody would know. */
const placeless = (override: Override, whole: unknown): readonly Problem[] => {
  const bar = barred(whole, override);
  if (!bar) return [];
  const expected = `a map, which could have "${override.path[bar.path.length]}"`;
  return [{ file: override.name, path: bar.path.join("."), expected, found: bar.found }];
};

/** As YAML would read it, but a text stays one where a text is asked for: a host may look like a number. */
const readOverride = ({ path, text }: Override): unknown => {
  const read = readText(text);
  const takesText = shapeAt(path)?.some((shape) => shape.type === "string") ?? false;
  return takesText && read !== null && typeof read !== "object" ? text : read;
};

const readText = (text: string): unknown => {
  try {
    const document = composed(text);
    return document.errors.length > 0 ? text : document.toJS();
  } catch {
    // Nested too deeply, or an alias of nothing.
    return text;
  }
};

const problemsOf = (
  issue: z.core.$ZodIssue,
  whole: unknown,
  source: YamlText,
  overrides: readonly Override[],
): readonly Problem[] =>
  faultsOf(issue, shapeOfConfig(), "a map of sections").map((fault) => {
    const { path, expected, key = false, meant } = fault;
    // The last word counts: where a flag and the file speak of the same key, the flag is to blame.
    const below = overrides.findLast((o) => startsWith(o.path, path));
    const override = overrides.findLast((o) => startsWith(path, o.path)) ??
      (below && source.has(path) ? undefined : below);
    const place = override ? { file: override.name } : source.place(path, key);
    const found = foundAt(valueAt(whole, path), fault);
    return { ...place, path: shownPath(fault).join("."), expected, found, ...(meant === undefined ? {} : { meant }) };
  });

const startsWith = (path: readonly string[], start: readonly string[]): boolean =>
  start.every((step, i) => path[i] === step);
