/** Help, made from the table of commands. */
import type { CommandSpec } from "./command.ts";
import { COMMANDS, COMMON } from "./table.ts";

const TASK = "deno task daybook";
const WIDTH = 100;

const GROUPS: Readonly<Record<string, string>> = {
  alerts: "What somebody should look at: list, acknowledge, resolve, silence, unsilence",
  config: "The configuration: schema for editors, check before a start",
  factors: "Second factors of who is signed in here: list, add, confirm",
  import: "Bring in what happened elsewhere; may be repeated without duplicates",
  cert: "Certificates of the folder's own authority: issue, renew, list, authority",
  hold: "Legal holds: place, lift, list; what is held is neither erased nor archived",
  keys: "Keys of the log and of what is sealed; beside a running server and without one",
  retention: "What is kept for a shorter time than the log: apply",
  stack:
    "Services before they are started: plan, graph, critical-path, import; and other ones while they run: update, suggest, metrics",
  token: "Access tokens: create, list, revoke; beside a running server and without one",
  secret: "Secrets that the configuration points at by name",
};
export const groupNames = (): readonly string[] => Object.keys(GROUPS);

export const topHelp = (): string => {
  const singles = COMMANDS.filter(({ name }) => !name.includes(" ")).map((spec) =>
    [usageOf(spec), spec.about] as const
  );
  const groups = Object.entries(GROUPS).map(([name, about]) => [`${name} <kind>`, about] as const);
  const names = [...new Set(COMMANDS.map(({ name }) => name.split(" ")[0]!))];
  const rows = names.map((name) => [...singles, ...groups].find(([usage]) => usage.split(" ")[0] === name)!);
  return page([
    `Usage: ${TASK} <command> [options]`,
    "",
    "One tamper-evident log of everything that happens, with actors and projections over it.",
    "",
    "Commands:",
    ...columns(rows),
    "",
    "Options of every command:",
    ...columns([...COMMON.map(({ flags, about }) => [flags, about] as const), [
      "-h, --help",
      "what it does, with examples",
    ]]),
    "",
    "Exit codes: 0 done and fine, 1 done and found wanting, 2 wrong usage, 3 could not be done.",
    "With --json, standard output is one JSON document, also when something goes wrong.",
  ]);
};

export const groupHelp = (group: string): string => {
  const specs = COMMANDS.filter(({ name }) => name.startsWith(`${group} `));
  return page([
    `Usage: ${TASK} ${group} <kind> [options]`,
    "",
    GROUPS[group]!,
    "",
    "Kinds:",
    ...columns(specs.map((spec) => [usageOf(spec).slice(group.length + 1), spec.about])),
    "",
    `${TASK} ${group} <kind> --help shows examples.`,
  ]);
};

export const helpOf = (spec: CommandSpec): string => {
  const options = [...spec.options ?? [], ...COMMON].map((option) => {
    const short = "short" in option && option.short !== undefined ? `-${option.short}, ` : "";
    return [`${short}${option.flags}`, option.about] as const;
  });
  return page([
    `Usage: ${TASK} ${usageOf(spec)} [options]`,
    "",
    spec.about,
    ...(spec.args ? ["", "Arguments:", ...columns(spec.args)] : []),
    "",
    "Options:",
    ...columns(options),
    "",
    "Examples:",
    ...spec.examples.map((example) => `  ${TASK} ${example}`),
  ]);
};

const usageOf = ({ name, args = [] }: CommandSpec): string => [name, ...args.map(([arg]) => arg)].join(" ");

const page = (lines: readonly string[]): string => `${lines.join("\n")}\n`;

/** Two columns; the second is broken between words. */
const columns = (rows: readonly (readonly [string, string])[]): readonly string[] => {
  const first = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.flatMap(([left, right]) =>
    wrapped(right, WIDTH - first - 2).map((line, i) => `  ${(i === 0 ? left : "").padEnd(first)}${line}`)
  );
};

const wrapped = (text: string, width: number): readonly string[] => {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
};
