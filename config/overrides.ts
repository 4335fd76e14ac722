/** What variables and flags say beside the file of the configuration. */

/** One value from elsewhere than the file; `text` is written as in the file. */
export interface Override {
  /** As the user knows it: `--port`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly text: string;
}

const PREFIX = /^daybook__/i;

/** What variables say, in the order of their names. */
export const fromEnvironment = (env: Readonly<Record<string, string | undefined>>): readonly Override[] =>
  Object.entries(env).flatMap(([name, text]) =>
    PREFIX.test(name) && text !== undefined
      ? [{ name, text, path: name.replace(PREFIX, "").toLowerCase().split("__") }]
      : []
  ).sort((a, b) => a.name < b.name ? -1 : 1);

/** Variables of a configuration's keys as people write them; their names are listed nowhere while what they hold is no text. */
export const variableNames = (config: object, start = "DAYBOOK"): readonly string[] =>
  Object.entries(config).flatMap(([key, value]) => {
    const name = `${start}__${key.toUpperCase()}`;
    const below = typeof value === "object" && value !== null && !Array.isArray(value);
    return below ? [name, ...variableNames(value, name)] : [name];
  });

const isNoMap = (node: unknown): boolean =>
  node !== undefined && node !== null && (typeof node !== "object" || Array.isArray(node));

/** A copy of `whole` with the value in it. Where there is something else than a map on the way, that is left (`barred`). */
export const withOverride = (whole: unknown, { path }: Pick<Override, "path">, value: unknown): unknown => {
  const set = (node: unknown, depth: number): unknown => {
    if (depth === path.length) return value;
    if (isNoMap(node)) return node;
    const record = (node ?? {}) as Readonly<Record<string, unknown>>;
    const key = path[depth]!;
    return { ...record, [key]: set(Object.hasOwn(record, key) ? record[key] : undefined, depth + 1) };
  };
  return set(whole ?? {}, 0);
};

/** What lies on the way to it and is no map, so that it has no place: which it is, and what that is instead. */
export const barred = (
  whole: unknown,
  { path }: Pick<Override, "path">,
): { readonly path: readonly string[]; readonly found: "a list" | "a single value" } | undefined => {
  for (let depth = 0, node = whole; depth < path.length; node = (node as Record<string, unknown>)[path[depth++]!]) {
    if (isNoMap(node)) return { path: path.slice(0, depth), found: Array.isArray(node) ? "a list" : "a single value" };
    if (node === undefined || node === null || !Object.hasOwn(node, path[depth]!)) return undefined;
  }
  return undefined;
};
