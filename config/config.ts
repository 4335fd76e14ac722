/**
 * From a YAML text to a configuration that holds, or to every reason why not: file, line, path, what was expected.
 *
 * Order, later wins: defaults, the file, environment variables, flags. A variable is `DAYBOOK__` and the path joined by
 * `__`, in any letter case, its value written as in the file: `DAYBOOK__SERVER__PORT=8080`,
 * `DAYBOOK__GITHUB__WEBHOOK_SECRET='{ file: secret.txt }'`. Nothing is read here, neither files nor the environment.
 */
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { type Expectation, expectedAt, foundText, nearest, shapeAt } from "./problems.ts";
import { fromEnvironment, type Override, settle, withOverride } from "./plain.ts";
import type { Config } from "./schema.ts";

export type { Override } from "./plain.ts";
export type { Config, SecretReference } from "./schema.ts";
export { PROFILES, schema } from "./schema.ts";

export interface Problem {
  /** The file, or the name of the variable or flag. */
  readonly file: string;
  /** From 1; variables and flags have none. */
  readonly line?: number;
  /** From 1, in UTF-16 code units; goes with the line. */
  readonly column?: number;
  /** Dotted; empty for the whole. */
  readonly path: string;
  readonly expected: string;
  /** Never the value of a secret. */
  readonly found: string;
  /** The known name that a misspelt one was probably meant to be. */
  readonly meant?: string;
}

export type Parsed = { readonly ok: true; readonly config: Config } | {
  readonly ok: false;
  readonly problems: readonly Problem[];
};

/** At most so many bytes of text are looked at; a configuration is a page or two. */
export const CONFIG_CHARS_MAX = 1_048_576;

/** How many values aliases may make in all, so that a small text stays a small configuration. */
export const ALIASES_MAX = 100;

const WHOLE: Expectation = { text: "a map of sections" };

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
  const source = new Source(text, file);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const overrides = [...fromEnvironment(env), ...flags];
  const stated = source.value();
  if (!stated.ok) return { ok: false, problems: [stated.problem] };
  const whole = overrides.reduce(
    (value, override) => withOverride(value, override, readOverride(override)),
    stated.value,
  );
  const settled = settle(whole);
  if (settled.ok) return settled;
  return { ok: false, problems: settled.issues.flatMap((issue) => problemsOf(issue, whole, source, overrides)) };
};

/**
 * One problem in one line: `daybook.yaml:4:9 server.port: expected a whole number from 0 to 65535, found "x"`, or, of a flag,
 * `--port (server.port): expected …`.
 */
export const problemText = ({ file, line, column, path, expected, found, meant }: Problem): string => {
  const place = line === undefined
    ? `${file}${path === "" ? "" : ` (${path})`}`
    : `${file}:${line}:${column}${path === "" ? "" : ` ${path}`}`;
  const guess = meant === undefined ? "" : `; did you mean ${JSON.stringify(meant)}?`;
  return `${place}: expected ${expected}, found ${found}${guess}`;
};

/** As YAML would read it, but a text stays one where a text is asked for: a host may look like a number. */
const readOverride = ({ path, text }: Override): unknown => {
  const document = parseDocument(text);
  const read: unknown = document.errors.length > 0 ? text : document.toJS();
  const takesText = shapeAt(path)?.some((shape) => shape.type === "string") ?? false;
  return takesText && read !== null && typeof read !== "object" ? text : read;
};

type Issue = z.core.$ZodIssue;

const problemsOf = (
  issue: Issue,
  whole: unknown,
  source: Source,
  overrides: readonly Override[],
): readonly Problem[] => {
  const path = issue.path.map(String);
  const at = (where: readonly string[], expected: Expectation, key = false): Problem => {
    // The last word counts: where a flag and the file speak of the same key, the flag is to blame.
    const override = overrides.findLast((o) => startsWith(where, o.path)) ??
      (source.has(where) ? undefined : overrides.findLast((o) => startsWith(o.path, where)));
    const place = override ? { file: override.name } : source.place(where, key);
    const found = key
      ? `"${where.at(-1)}"`
      : expected.secret
      ? "something else (not shown)"
      : foundText(valueAt(whole, where));
    return { ...place, path: where.join("."), expected: expected.text, found };
  };
  const expected = expectedAt(path);
  if (expected.secret) return [at(path, expected)];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const known = Object.keys(shapeAt(path)?.find((shape) => shape.properties)?.properties ?? {});
      const meant = nearest(key, known);
      if (meant === undefined) return at([...path, key], { text: `one of ${known.join(", ")}` }, true);
      return { ...at([...path, key], { text: "a known key" }, true), meant };
    });
  }
  if (issue.code === "invalid_key") return [at(path, { text: "the name of a projection, as commits.hotspots" }, true)];
  if (issue.code === "custom") return [at(path, { text: issue.message })];
  return [at(path, path.length === 0 ? WHOLE : expected)];
};

const startsWith = (path: readonly string[], start: readonly string[]): boolean =>
  start.every((step, i) => path[i] === step);

const valueAt = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (node, step) => typeof node === "object" && node !== null ? (node as Record<string, unknown>)[step] : undefined,
    value,
  );

/** The YAML text, parsed so that every value can be pointed at. */
class Source {
  private readonly lines = new LineCounter();
  private readonly document;
  readonly problems: readonly Problem[];

  constructor(text: string, private readonly file: string) {
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false, uniqueKeys: true });
    // A warning is something we did not understand either: an unknown tag, another version of YAML.
    this.problems = [...this.document.errors, ...this.document.warnings].map((error) => ({
      ...this.at(error.pos[0]),
      path: "",
      expected: "YAML 1.2",
      found: firstLine(error.message),
    }));
  }

  /** The plain value; refused where aliases are used to make a small text large, or name nothing. */
  value(): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: Problem } {
    const no = (offset: number, expected: string, found: string) =>
      ({ ok: false, problem: { ...this.at(offset), path: "", expected, found } }) as const;
    let lost: Problem | undefined;
    visit(this.document, {
      Alias: (_key, alias) => {
        if (alias.resolve(this.document) !== undefined) return undefined;
        lost = no(alias.range?.[0] ?? 0, "YAML 1.2", `no anchor for *${alias.source}`).problem;
        return visit.BREAK;
      },
    });
    if (lost) return { ok: false, problem: lost };
    try {
      return { ok: true, value: this.document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {} };
    } catch (error) {
      return no(0, `at most ${ALIASES_MAX} values through aliases`, firstLine((error as Error).message));
    }
  }

  /** Whether the text has something at the path. */
  has(path: readonly string[]): boolean {
    return this.document.hasIn(path);
  }

  /** Where the value at the path is written, or its key; the nearest that is written, if it is not. */
  place(path: readonly string[], key: boolean): Pick<Problem, "file" | "line" | "column"> {
    let node: unknown = this.document.contents;
    let offset = isNode(node) ? node.range?.[0] ?? 0 : 0;
    for (const [depth, step] of path.entries()) {
      if (isSeq(node)) node = node.items[Number(step)];
      else if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
        if (!pair) break;
        if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
        if (key && depth === path.length - 1) break;
        node = pair.value;
      } else break;
      if (isNode(node) && node.range) offset = node.range[0];
    }
    return this.at(offset);
  }

  private at(offset: number): Pick<Problem, "file" | "line" | "column"> {
    const { line, col } = this.lines.linePos(offset);
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

const firstLine = (text: string): string => text.split("\n", 1)[0]!;
