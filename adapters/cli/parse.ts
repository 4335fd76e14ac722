/**
 * From what was typed to a `Call`, or to help. Made from the table of commands; nothing is opened and nothing is printed.
 *
 * The platform's own parser does the splitting: it is there already, where a library costs more than all the rest of the
 * command line (docs/decisions/0051).
 */
import { parseArgs } from "node:util";
import type { Call, OptionValue } from "./call.ts";
import { pathOf, Usage } from "./call.ts";
import { groupHelp, groupNames, helpOf, topHelp } from "./help.ts";
import { nearest } from "./nearest.ts";
import type { CommandSpec } from "./command.ts";
import { COMMANDS, COMMON } from "./table.ts";

export interface Place {
  readonly cwd: string;
  /** Default of the data folder, absolute. */
  readonly data: string;
  readonly version: string;
  env(name: string): string | undefined;
}

export type Parsed =
  | { readonly is: "call"; readonly call: Call; readonly spec: CommandSpec }
  /** Help or version that was asked for. */
  | { readonly is: "text"; readonly text: string };

/** Throws `Usage` with one line; it names the nearest command or option where there is one. */
export const parse = (args: readonly string[], place: Place): Parsed => {
  const { words, rest } = split(args);
  const asked = rest.filter((arg, i) => ["--help", "-h"].includes(arg) && !rest.slice(0, i).includes("--")).length > 0;
  if (words[0] === "help") return { is: "text", text: help(words.slice(1)) };
  if (words.length === 0) {
    if (rest.some((arg) => arg === "--version" || arg === "-V")) return { is: "text", text: `${place.version}\n` };
    if (asked) return { is: "text", text: topHelp() };
    throw new Usage("no command given; `deno task daybook --help` lists them");
  }
  if (asked) return { is: "text", text: help(words) };
  const { spec, taken } = find(words);
  return { is: "call", spec, call: callOf(spec, [...words.slice(taken), ...rest], place) };
};

/** The words before the first option, those before the command's name passed over; and everything else as it is. */
const split = (args: readonly string[]): { readonly words: readonly string[]; readonly rest: readonly string[] } => {
  let at = 0;
  while (at < args.length && args[at]!.startsWith("-") && args[at] !== "-") at += args[at] === "--data" ? 2 : 1;
  const before = args.slice(0, at);
  const end = args.findIndex((arg, i) => i >= at && arg.startsWith("-") && arg !== "-");
  return { words: args.slice(at, end < 0 ? undefined : end), rest: [...before, ...(end < 0 ? [] : args.slice(end))] };
};

const find = (words: readonly string[]): { readonly spec: CommandSpec; readonly taken: number } => {
  const [first, second] = words as readonly [string, string | undefined];
  const one = COMMANDS.find(({ name }) => name === first);
  if (one) return { spec: one, taken: 1 };
  const kinds = COMMANDS.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) =>
    name.slice(first.length + 1)
  );
  if (kinds.length === 0) {
    throw unknown("command", first, [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0]!)), "help"]);
  }
  if (second === undefined) throw new Usage(`${first} takes one of: ${kinds.join(", ")}`);
  const two = COMMANDS.find(({ name }) => name === `${first} ${second}`);
  if (!two) throw unknown(`kind of ${first}`, second, kinds);
  return { spec: two, taken: 2 };
};

const unknown = (what: string, typed: string, known: readonly string[], more = ""): Usage => {
  const close = nearest(typed, known);
  return new Usage(
    `unknown ${what} ${JSON.stringify(typed)}${
      close ? `; did you mean ${close}?` : `; there are: ${known.join(", ")}`
    }${more}`,
  );
};

const help = (words: readonly string[]): string => {
  if (words.length === 0) return topHelp();
  if (words.length === 1 && groupNames().includes(words[0]!)) return groupHelp(words[0]!);
  return helpOf(find(words).spec);
};

const camel = (name: string): string => name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());

const callOf = (spec: CommandSpec, typed: readonly string[], place: Place): Call => {
  const args = inFull(spec, typed);
  const options = [...spec.options ?? [], ...COMMON].map((option) => {
    const [name, value] = option.flags.slice(2).split(" ") as [string, string | undefined];
    return {
      name,
      type: value === undefined ? "boolean" : "string",
      isPath: /^<(file|folder|path)(\|-)?>$/.test(value ?? ""),
      isStream: value?.endsWith("|->") ?? false,
      multiple: "collect" in option && option.collect === true,
    } as const;
  });
  const known = new Map(options.map((option) => [option.name, option]));
  refuseUnknown(spec, args, known);
  const parsed = parseArgs({
    args: [...args],
    options: Object.fromEntries(options.map(({ name, type, multiple }) => [name, { type, multiple }])),
    allowPositionals: true,
    strict: false,
  });
  countArgs(spec, parsed.positionals);
  for (const [i, one] of parsed.positionals.entries()) {
    const [arg, about] = spec.args!.at(i) ?? spec.args!.at(-1)!;
    if (PATHS.test(arg)) expectPath(`${spec.name}: ${arg}`, one, about.includes("standard input"));
  }
  for (const [name, value] of Object.entries(parsed.values)) {
    const { type, isPath, isStream } = known.get(name)!;
    for (const one of Array.isArray(value) ? value : [value]) {
      if (type === "string" && typeof one !== "string") throw new Usage(`${spec.name}: --${name} takes a value`);
      if (type === "boolean" && typeof one === "string") throw new Usage(`${spec.name}: --${name} takes no value`);
      if (isPath) expectPath(`${spec.name}: --${name}`, one as string, isStream);
    }
  }
  const values = Object.fromEntries(
    Object.entries(parsed.values).map(([name, value]) => [camel(name), value as OptionValue]),
  );
  return located(spec, { given: parsed.positionals, values, place });
};

/** Arguments that are paths. */
const PATHS = /^.(?:file|folder|path|repository)(?:\.\.\.)?.$/;

/** A variable that is not set would be the folder one stands in. */
const expectPath = (what: string, path: string, isStream: boolean): void => {
  if (path === "") throw new Usage(`${what} takes a path, and is empty`);
  if (path === "-" && !isStream) throw new Usage(`${what} takes a path, not a standard stream`);
};

/** With the names of options for the letters that stand for them. */
const inFull = ({ options = [] }: CommandSpec, args: readonly string[]): readonly string[] => {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  return args.map((arg, i) => {
    const option = i < end ? options.find(({ short }) => short !== undefined && arg === `-${short}`) : undefined;
    return option ? option.flags.split(" ")[0]! : arg;
  });
};

const refuseUnknown = (
  spec: CommandSpec,
  args: readonly string[],
  known: ReadonlyMap<string, { readonly type: string }>,
): void => {
  for (let i = 0; i < args.length && args[i] !== "--"; i++) {
    const arg = args[i]!;
    if (!arg.startsWith("-") || arg === "-") continue;
    const name = arg.replace(/^--?/, "").split("=")[0]!;
    const option = arg.startsWith("--") ? known.get(name) : undefined;
    if (!option) {
      const behind = spec.args && !arg.startsWith("--") ? `; what begins with "-" and is none stands behind "--"` : "";
      throw unknown("option", arg.split("=")[0]!, [...known.keys()].map((key) => `--${key}`), behind);
    }
    if (option.type !== "string" || arg.includes("=")) continue;
    const value = args[++i];
    // A value that looks like an option is more often a forgotten one; `--name=-x` says that it is meant.
    if (value === undefined || (value.startsWith("-") && value !== "-")) {
      throw new Usage(`${spec.name}: --${name} takes a value`);
    }
  }
};

const countArgs = ({ name, args = [] }: CommandSpec, given: readonly string[]): void => {
  const missing = args.find(([arg], i) => arg.startsWith("<") && given[i] === undefined);
  if (missing) throw new Usage(`${name}: ${missing[0]} is missing (${missing[1]})`);
  if (given.length > args.length && !/\.\.\.[>\]]$/.test(args.at(-1)?.[0] ?? "")) {
    throw new Usage(
      `${name} takes ${args.length === 0 ? "no arguments" : `${args.map(([arg]) => arg).join(" ")} and no more`}, not ${
        JSON.stringify(given[args.length])
      }`,
    );
  }
};

const located = (
  spec: CommandSpec,
  { given, values, place }: { given: readonly string[]; values: Record<string, OptionValue>; place: Place },
): Call => {
  const { data, json, ...options } = values;
  const named = typeof data === "string" ? data : place.env("DAYBOOK_DATA") || undefined;
  if (named === ":memory:" && !spec.memory) {
    throw new Usage(`${spec.name} needs a folder: nothing is left of --data :memory: for it`);
  }
  const where = named === undefined ? place.data : named === ":memory:" ? named : pathOf(place, named);
  return {
    command: spec.name,
    args: given,
    // What goes to standard output unless it is told to.
    options: options.out === "-" ? { ...options, out: undefined } : options,
    data: where,
    dataGiven: named !== undefined,
    json: json === true,
    cwd: place.cwd,
  };
};
