/**
 * The configuration where its file says nothing of its own, which needs no reader of YAML: every default, and what variables and
 * flags say as plain words. `parseConfig` (`config.ts`) takes the same steps with everything else, and tells of what is wrong.
 */
import type { z } from "zod";
import { barred, fromEnvironment, type Override, withOverride } from "./overrides.ts";
import { type Config, PROFILES, schema } from "./schema.ts";

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
    if (!WORD.test(text) || NULL.test(text) || barred(whole, override)) return undefined;
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
