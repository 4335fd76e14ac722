/** Parts of files that were written for other programs: what is taken over of them, and what is said of the rest. */

export type Fields = Readonly<Record<string, unknown>>;
export const isMap = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
export const record = (value: unknown): Fields => isMap(value) ? value : {};

/** With the maps that `<<` names in place of it; what stands beside it, or is named first, wins (https://yaml.org/type/merge.html). */
export const merged = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(merged);
  if (!isMap(value)) return value;
  const { "<<": named, ...own } = value;
  const maps = (Array.isArray(named) ? named : [named]).map(merged);
  const known = named === undefined || maps.every(isMap);
  return Object.fromEntries([
    ...(known ? maps.toReversed().flatMap((map) => Object.entries(record(map))) : [["<<", named] as const]),
    ...Object.entries(own).map(([key, one]) => [key, merged(one)] as const),
  ]);
};

export const shown = (value: unknown): string => {
  const text = typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

export type Say = (path: readonly string[], because: string) => void;

/** What is taken over from a part, and what is left. */
export class Part {
  private readonly left: Set<string>;

  constructor(
    private readonly of: Fields,
    private readonly path: readonly string[],
    private readonly say: Say,
  ) {
    this.left = new Set(Object.keys(of));
  }

  take(key: string): unknown {
    this.left.delete(key);
    return Object.hasOwn(this.of, key) ? this.of[key] : undefined;
  }

  /** One that is there and no map is said to be none. */
  part(key: string): Part | undefined {
    const value = this.take(key);
    if (isMap(value)) return new Part(value, [...this.path, key], this.say);
    if (value !== undefined && value !== null) this.note([key], `${shown(value)} is no map`);
    return undefined;
  }

  /** It was understood, and there is nothing like it here. */
  no(key: string, because: string): void {
    if (this.take(key) !== undefined) this.say([...this.path, key], because);
  }

  /** Of what is taken over: in what it is not as it was. */
  note(path: readonly string[], because: string): void {
    this.say([...this.path, ...path], because);
  }

  done(): void {
    for (const key of this.left) this.say([...this.path, key], "has no place here");
  }
}

export const defined = (map: Fields): Fields =>
  Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));

/** A dollar sign is one in ours only when it is written twice; in theirs it may be so too. */
const literal = (text: string): string => text.replaceAll(/\$\$|\$/g, "$$$$");
const names = (text: string): boolean => /\$\{?[A-Za-z_]/.test(text.replaceAll("$$", ""));

/** A text that no shell reads: their variables stay in it as they are written. */
export const plain = (part: Part, path: readonly string[], text: string): string => {
  if (names(text)) part.note(path, `variables are not filled in here: ${shown(text)} stays as it is`);
  return literal(text);
};
export const shell = (command: string): Fields => ({ command: "/bin/sh", arguments: ["-c", literal(command)] });

/** As texts are here; what is none is left as it is, and is said to be none when all is looked at. */
export const textOf = (part: Part, key: string): unknown => {
  const value = part.take(key);
  return typeof value === "string" ? plain(part, [key], value) : value ?? undefined;
};

/** `["A=b"]` or `{ A: b }`; a name without a value is one of the environment. */
export const environmentOf = (part: Part): Fields | undefined => {
  const key = "environment";
  const value = part.take(key);
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) && !isMap(value)) {
    part.note([key], `${shown(value)} is neither a list nor a map`);
    return undefined;
  }
  const pairs = Array.isArray(value)
    ? value.map((pair, at): [string, unknown, string] => {
      const text = shown(pair);
      const equals = typeof pair === "string" ? pair.indexOf("=") : -1;
      return equals < 0
        ? [text, null, String(at)]
        : [text.slice(0, equals), (pair as string).slice(equals + 1), String(at)];
    })
    : Object.entries(value).map(([name, value]): [string, unknown, string] => [name, value, name]);
  return Object.fromEntries(pairs.map(([name, value, at]) => [
    name,
    value === null
      ? { env: name }
      : typeof value === "string"
      ? plain(part, [key, at], value)
      : typeof value === "number"
      ? String(value)
      : value,
  ]));
};

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
/** As ours are written. */
export const nameOf = (name: string): string => {
  const plain = name.toLowerCase().replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "").slice(0, 63);
  return NAME.test(plain) ? plain : `s-${plain}`.slice(0, 62) + "0";
};

export const needsOf = (part: Part, conditions: Readonly<Record<string, string>>): Fields | undefined => {
  const key = "depends_on";
  const value = part.take(key);
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) {
    return Object.fromEntries(value.map((name) => [nameOf(shown(name)), { condition: "started" }]));
  }
  const all = part.part(key);
  return all && Object.fromEntries(
    Object.keys(record(value)).map((name) => {
      const need = all.part(name);
      const condition = need?.take("condition") ?? undefined;
      const required = need?.take("required");
      const ours = typeof condition === "string" && Object.hasOwn(conditions, condition)
        ? conditions[condition]
        : undefined;
      if (condition !== undefined && ours === undefined) {
        all.note([name], `${shown(condition)} is not known here: started is enough`);
      }
      need?.done();
      const optional = typeof required === "boolean" ? (required ? undefined : false) : required ?? undefined;
      return [nameOf(name), defined({ condition: ours ?? "started", required: optional })];
    }),
  );
};

const SIGNALS: Readonly<Record<string, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  9: "SIGKILL",
  10: "SIGUSR1",
  12: "SIGUSR2",
  15: "SIGTERM",
};

/** By number or name, with or without `SIG`. */
export const signalOf = (part: Part | undefined, key: string): string | undefined => {
  const value = part?.take(key) ?? undefined;
  if (value === undefined) return undefined;
  const name = String(value).toUpperCase();
  const known = new Set(Object.values(SIGNALS));
  const ours = SIGNALS[name] ?? [name, `SIG${name}`].find((each) => known.has(each));
  if (ours === undefined) part!.note([key], `${shown(value)} is not sent here: SIGTERM is`);
  return ours;
};

/** How many; none at all is a service that is not to run. */
export const replicasOf = (value: unknown): Fields =>
  value === 0 ? { enabled: false } : defined({ replicas: value ?? undefined });
