/**
 * The catalogue of controls: YAML files to controls that can be decided, or to every reason why not: file, line, path, what was
 * expected. What the words mean is in `docs/controls.md`, what becomes of them in `projections/controls/`.
 *
 * Nothing is read here; the files' texts are handed in.
 */
import { z } from "zod";
import { faultsOf, foundText, nearest, type Shape } from "./problems.ts";
import { field, list, LIST_MAX, many, said, selector, span, types, UNITS, where } from "./selectors.ts";
import { type Problem, valueAt, YamlText } from "./yaml_text.ts";

export { type Problem, problemsText, problemText } from "./yaml_text.ts";

export const CATALOGUE_LIMITS = {
  file_chars_max: 1_048_576,
  controls_max: 200,
  /** What one control comes to as canonical JSON, so that it fits an event. */
  control_chars_max: 20_000,
  title_chars_max: 200,
} as const;

/** As an auditor calls it, by its key in the file. */
export const FRAMEWORKS = {
  soc2: "SOC 2",
  pci_dss_4: "PCI DSS 4",
  nist_800_53: "NIST 800-53",
  gdpr: "GDPR",
  sox_itgc: "SOX ITGC",
  ccpa: "CCPA",
} as const;

/** `data.account` on both sides, or `{ this: data.key, that: data.by }`. */
const join = z.union([
  field.transform((name) => ({ this: name, that: name })),
  z.strictObject({ this: field, that: field }),
]);
const related = {
  type: types,
  where: where.optional(),
  same: z.array(join).max(LIST_MAX).default([]),
  by_other: z.boolean().optional(),
};
const after = z.strictObject({
  ...related,
  within: span,
  counted_from: field.optional(),
  already_unless: selector.optional(),
});
const before = z.strictObject({ ...related, within: span.optional(), unless_since: selector.optional() });
const oneOrMore = <T extends z.ZodType>(one: T) => z.union([one.transform((single) => [single]), list(one)]);

const KINDS = ["every", "of", "complete"] as const;
const OF_EVERY = ["satisfies", "followed_by", "preceded_by", "not_preceded_by"] as const;
const OF_OF = ["at_most", "gap_at_most", "kept_at_least"] as const;

const query = z.strictObject({
  every: selector.optional(),
  satisfies: oneOrMore(where).optional(),
  followed_by: oneOrMore(after).optional(),
  preceded_by: oneOrMore(before).optional(),
  not_preceded_by: oneOrMore(before).optional(),
  of: selector.optional(),
  at_most: many.optional(),
  per: list(field).optional(),
  within: span.optional(),
  reset_by: selector.optional(),
  gap_at_most: span.optional(),
  kept_at_least: span.optional(),
  complete: z.strictObject({ late: span, silent: span, source: z.string().min(1).max(1_024).optional() }).optional(),
}).superRefine((query, { addIssue }) => {
  const has = (key: keyof typeof query) => query[key] !== undefined;
  const wrong = (path: string[], message: string) => addIssue({ code: "custom", path, message });
  const kinds = KINDS.filter(has);
  if (kinds.length !== 1) return wrong([], `one of ${KINDS.join(", ")}`);
  const [kind] = kinds;
  const rules = [...OF_EVERY, ...OF_OF].filter(has);
  const mine: readonly string[] = kind === "every" ? OF_EVERY : kind === "of" ? OF_OF : [];
  for (const rule of rules) if (!mine.includes(rule)) wrong([rule], `nothing beside "${kind}"`);
  if (kind !== "complete" && !rules.some((rule) => mine.includes(rule))) {
    wrong([], `with "${kind}" one of ${mine.join(", ")}`);
  }
  if (kind === "of" && rules.length > 1) wrong([], `one of ${OF_OF.join(", ")}`);
  for (const key of ["per", "within", "reset_by"] as const) {
    if (has(key) && !has("at_most")) wrong([key], `nothing without "at_most"`);
  }
  if (has("reset_by") && has("within")) wrong(["reset_by"], `nothing beside "within": one or the other`);
});

const reference = z.string().min(1).max(60);
const frameworks = z.strictObject({
  soc2: list(reference).optional(),
  pci_dss_4: list(reference).optional(),
  nist_800_53: list(reference).optional(),
  gdpr: list(reference).optional(),
  sox_itgc: list(reference).optional(),
  ccpa: list(reference).optional(),
}).refine((named) => Object.keys(named).length > 0, `at least one of ${Object.keys(FRAMEWORKS).join(", ")}`)
  .transform((named) =>
    (Object.keys(FRAMEWORKS) as (keyof typeof FRAMEWORKS)[])
      .flatMap((key) => (named[key] ?? []).map((ref) => ({ name: FRAMEWORKS[key] as string, ref })))
  );

const guard = said(
  /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/,
  "a type of commands or events, or an operation such as token.create",
).max(200);

const control = z.strictObject({
  id: said(/^[a-z0-9]+(-[a-z0-9]+)*$/, "lower-case letters and digits with dashes within").max(80),
  title: z.string().min(1).max(CATALOGUE_LIMITS.title_chars_max),
  frameworks,
  mode: z.enum(["watch", "enforce"]).default("watch"),
  guards: z.array(guard).max(LIST_MAX).default([]),
  applies_when: selector.optional(),
  clock: z.enum(["recorded", "occurred"]).default("recorded"),
  query,
  evidence: selector.optional(),
  freshness: span,
  expectation: z.strictObject({
    violations_at_most: many.default(0),
    over: span.default(30 * UNITS.d),
  }).prefault({}),
}).superRefine(({ mode, guards }, { addIssue }) => {
  if (mode === "enforce" && guards.length === 0) {
    addIssue({
      code: "custom",
      path: ["guards"],
      message: `what is declined while it is red, for its mode is "enforce"`,
    });
  }
});

/** What is on record of a control may say nothing of its events; a catalogue may not, for then all of them would pass. */
const inFile = control.superRefine(({ query: { satisfies } }, { addIssue }) => {
  if (satisfies?.some((where) => Object.keys(where).length === 0)) {
    addIssue({
      code: "custom",
      path: ["query", "satisfies"],
      message: "what must be true of a field, such as { data.ok: true }",
    });
  }
});

const schema = z.strictObject({ controls: z.array(inFile).max(CATALOGUE_LIMITS.controls_max) });

/** A control of the catalogue. */
export type Control = z.output<typeof control>;

/** A control and what its file says of it, which is what is recorded. */
export interface Stated {
  readonly control: Control;
  readonly stated: unknown;
}

export type Catalogue = { readonly ok: true; readonly controls: readonly Stated[] } | {
  readonly ok: false;
  readonly problems: readonly Problem[];
};

let shape: Shape | undefined;
const shapeOfFile = (): Shape => shape ??= z.toJSONSchema(schema, { io: "input" }) as Shape;

/** What there is that can be declined. */
export interface Guardable {
  /** Commands, observed events, operations. */
  readonly names: readonly string[];
  /** Domains of which these are all; types of others may be guarded by any name. */
  readonly domains: readonly string[];
}

/**
 * Reads all files of a catalogue, in the order given; an id is a control's own among all of them. What a control guards is held to
 * what there is, where that is given: a misspelt guard would decline nothing.
 */
export const parseControls = (
  files: readonly { readonly file: string; readonly text: string }[],
  guardable?: Guardable,
): Catalogue => {
  const problems: Problem[] = [];
  const controls: Stated[] = [];
  const ids = new Map<string, string>();
  for (const { file, text } of files) {
    const read = readFile(text, file);
    if (!read.ok) {
      problems.push(...read.problems);
      continue;
    }
    for (const [index, one] of read.controls.entries()) {
      const { id } = one.control;
      const place = read.source.place(["controls", String(index), "id"], false);
      const there = ids.get(id);
      if (there !== undefined) {
        problems.push({
          ...place,
          path: ["controls", index, "id"].join("."),
          expected: `an id that no other control has, as one in ${there}`,
          found: foundText(id),
        });
      }
      ids.set(id, `${place.file}:${place.line}`);
      for (const [at, guard] of one.control.guards.entries()) {
        if (!guardable || guards(guardable, guard)) continue;
        const meant = nearest(guard, guardable.names);
        problems.push({
          ...read.source.place(["controls", String(index), "guards", String(at)], false),
          path: `controls.${index}.guards.${at}`,
          expected: "a command, an observed event or an operation that there is",
          found: foundText(guard),
          ...(meant === undefined ? {} : { meant }),
        });
      }
      const { length } = JSON.stringify(one.stated);
      if (length > CATALOGUE_LIMITS.control_chars_max) {
        const expected = `at most ${CATALOGUE_LIMITS.control_chars_max} characters for one control`;
        problems.push({ ...place, path: `controls.${index}`, expected, found: `${length}` });
      }
      controls.push(one);
    }
  }
  if (controls.length > CATALOGUE_LIMITS.controls_max) {
    const expected = `at most ${CATALOGUE_LIMITS.controls_max} controls in all files`;
    problems.push({ file: files.at(-1)!.file, line: 1, column: 1, path: "", expected, found: String(controls.length) });
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, controls };
};

const guards = ({ names, domains }: Guardable, name: string): boolean => {
  const [domain, ...rest] = name.split(".");
  return names.includes(name) || (rest.length > 1 && !domains.includes(domain!));
};

/** A control as it was recorded; `undefined` for what this version cannot read. */
export const parseControl = (stated: unknown): Control | undefined => {
  const parsed = control.safeParse(stated);
  return parsed.success ? parsed.data : undefined;
};

type Read =
  | { readonly ok: true; readonly controls: readonly Stated[]; readonly source: YamlText }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const WHOLE = "a map with controls, a list";

const readFile = (text: string, file: string): Read => {
  const top = { file, line: 1, column: 1, path: "" } as const;
  if (text.length > CATALOGUE_LIMITS.file_chars_max) {
    const expected = `at most ${CATALOGUE_LIMITS.file_chars_max} characters`;
    return { ok: false, problems: [{ ...top, expected, found: `${text.length} characters` }] };
  }
  const source = new YamlText(text, file);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const value = source.value();
  if (!value.ok) return { ok: false, problems: [value.problem] };
  const parsed = schema.safeParse(value.value);
  if (parsed.success) {
    const { controls } = value.value as { readonly controls: readonly unknown[] };
    return {
      ok: true,
      source,
      controls: parsed.data.controls.map((one, index) => ({ control: one, stated: controls[index] })),
    };
  }
  return {
    ok: false,
    problems: parsed.error.issues.flatMap((issue) => faultsOf(issue, shapeOfFile(), WHOLE)).map((
      { path, expected, key = false, meant },
    ) => ({
      ...source.place(path, key),
      path: path.join("."),
      expected,
      found: key ? `"${path.at(-1)}"` : foundText(valueAt(value.value, path)),
      ...(meant === undefined ? {} : { meant }),
    })),
  };
};
