/**
 * The configuration where its file says nothing of its own, which needs no reader of YAML: every default, and what variables and
 * flags say as plain words. `parseConfig` (`config.ts`) takes the same steps with everything else, and tells of what is wrong.
 */
import type { z } from "zod";
import { type Config, PROFILES, schema } from "./schema.ts";

/** SHA-256 in hex of `daybook.yaml` as it is shipped, where every key has its default; a test holds the two together. */
export const SHIPPED = "cc7c84486cc5ae1f9a402d3ff7d7048610eb01523ff370715ecb508a4f69bf77";

/** One value from elsewhere than the file; `text` is written as in the file. */
export interface Override {
  /** As the user knows it: `--port`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly text: string;
}

const PREFIX = /^daybook__/i;
const WHOLE_NUMBER = /^(0|[1-9]\d{0,14})$/;
/** What YAML reads as a text wherever one may stand; and `null`, which it does not. */
const WORD = /^[a-z0-9][a-z0-9._/-]*$/i;
const NULL = /^null$/i;

/** The configuration of an empty file, or undefined where something else is said than plain words, or what does not hold. */
export const plainConfig = (
  env: Readonly<Record<string, string | undefined>>,
  flags: readonly Override[] = [],
): Config | undefined => {
  let whole: unknown = {};
  for (const override of [...fromEnvironment(env), ...flags]) {
    const { text } = override;
    if (!WORD.test(text) || NULL.test(text)) return undefined;
    whole = withOverride(whole, override, WHOLE_NUMBER.test(text) ? Number(text) : text);
  }
  const settled = settle(whole);
  return settled.ok ? settled.config : undefined;
};

export type Settled = { readonly ok: true; readonly config: Config } | {
  readonly ok: false;
  readonly issues: readonly z.core.$ZodIssue[];
};

/** Fills in defaults and what the profile says. */
export const settle = (whole: unknown): Settled => {
  // Parsed once or twice in a process: to compile it would take longer.
  const result = schema.safeParse(whole, { jitless: true });
  if (!result.success) return { ok: false, issues: result.error.issues };
  const { start, ...rest } = result.data;
  const parts = Object.entries(PROFILES[rest.profile]).map(([part, standard]) => {
    const said = start[part as keyof typeof start];
    return [part, said === "profile" ? standard : said];
  });
  return { ok: true, config: { ...rest, start: Object.fromEntries(parts) as Config["start"] } };
};

/** What variables say, in the order of their names. */
export const fromEnvironment = (env: Readonly<Record<string, string | undefined>>): readonly Override[] =>
  Object.entries(env).flatMap(([name, text]) =>
    PREFIX.test(name) && text !== undefined
      ? [{ name, text, path: name.replace(PREFIX, "").toLowerCase().split("__") }]
      : []
  ).sort((a, b) => a.name < b.name ? -1 : 1);

/** A copy of `whole` with the value in it. Where there is something else than a map on the way, it is left to be complained of. */
export const withOverride = (whole: unknown, { path }: Pick<Override, "path">, value: unknown): unknown => {
  const set = (node: unknown, depth: number): unknown => {
    if (depth === path.length) return value;
    if (node !== undefined && node !== null && (typeof node !== "object" || Array.isArray(node))) return node;
    const record = (node ?? {}) as Readonly<Record<string, unknown>>;
    const key = path[depth]!;
    return { ...record, [key]: set(Object.hasOwn(record, key) ? record[key] : undefined, depth + 1) };
  };
  return set(whole ?? {}, 0);
};
