/**
 * From what was typed to a `Call`, or to help. Made from the table of commands; nothing is opened and nothing is printed.
 */
import { Command, CommanderError } from "commander";
import type { Call, OptionValue } from "./call.ts";
import { pathOf, Usage } from "./call.ts";
import type { CommandSpec } from "./table.ts";
import { COMMANDS } from "./table.ts";

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

const TASK = "deno task daybook";
const GROUPS: Readonly<Record<string, string>> = {
  import: "Bring in what happened elsewhere; may be repeated without duplicates",
  token: "Access tokens: create, list, revoke; beside a running server and without one",
};

/** Throws `Usage` with one line; it names the nearest command or option where there is one. */
export const parse = (args: readonly string[], place: Place): Parsed => {
  let printed = "";
  let parsed: Parsed | undefined;
  const program = build((text) => printed += text, (spec, given, options) => {
    parsed = { is: "call", spec, call: callOf(spec, { given, options, place }) };
  });
  program.version(place.version, "-V, --version", "print the version");
  if (args.length === 0) throw new Usage(`no command given; \`${TASK} --help\` lists them`);
  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { is: "text", text: printed };
    if (error.code === "commander.help") throw new Usage(groupUsage(args));
    throw new Usage(oneLine(error.message));
  }
  return parsed ?? { is: "text", text: printed };
};

const groupUsage = (args: readonly string[]): string => {
  const group = args.find((arg) => arg in GROUPS);
  const names = COMMANDS.filter(({ name }) => name.startsWith(`${group} `)).map(({ name }) => name.split(" ")[1]);
  return `${group} takes one of: ${names.join(", ")}`;
};

const oneLine = (message: string): string =>
  message.replace(/^error: /, "").trim().replace(/\s*\n\s*\(Did you mean ([^?]+)\?\)/, "; did you mean $1?").replaceAll(
    "\n",
    " ",
  );

const build = (
  print: (text: string) => void,
  found: (spec: CommandSpec, args: readonly string[], options: Record<string, OptionValue>) => void,
): Command => {
  const settle = (command: Command): Command =>
    command.exitOverride().configureOutput({
      writeOut: print,
      writeErr: () => {},
      getOutHasColors: () => false,
      getOutHelpWidth: () => 100,
    })
      .helpOption("-h, --help", "show this");
  const program = settle(new Command("daybook")).usage("<command> [options]")
    .description("One tamper-evident log of everything that happens, with actors and projections over it.");
  const groups = new Map<string, Command>();
  const groupOf = (name: string): Command => {
    const group = groups.get(name) ??
      settle(program.command(name).description(GROUPS[name] ?? "")).usage("<kind> [options]");
    groups.set(name, group);
    return group;
  };
  for (const spec of COMMANDS) {
    const words = spec.name.split(" ");
    const parent = words.length > 1 ? groupOf(words[0]!) : program;
    const command = settle(parent.command(words.at(-1)!)).description(spec.about).allowExcessArguments(false);
    for (const [name, about] of spec.args ?? []) command.argument(name, about);
    for (const { flags, about, collect } of spec.options ?? []) {
      if (collect) {
        command.option(
          flags,
          about,
          (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
        );
      } else command.option(flags, about);
    }
    command.option("--data <folder>", "the log's folder (else DAYBOOK_DATA, else .daybook)")
      .option("--json", "one JSON document on standard output");
    command.addHelpText("after", `\nExamples:\n${spec.examples.map((example) => `  ${TASK} ${example}`).join("\n")}`);
    command.action(() => found(spec, command.args, command.opts()));
  }
  program.addHelpText(
    "after",
    `\n${TASK} <command> --help shows examples. Exit codes: 0 done and fine, 1 done and found wanting, 2 wrong usage,\n` +
      "3 could not be done. With --json, standard output is one JSON document, also when something goes wrong.",
  );
  return program;
};

const callOf = (
  spec: CommandSpec,
  typed: { given: readonly string[]; options: Record<string, OptionValue>; place: Place },
): Call => {
  const { given, options: { data, json, ...options }, place } = typed;
  const named = typeof data === "string" ? data : place.env("DAYBOOK_DATA") || undefined;
  if (named === "") throw new Usage("--data takes the path of a folder");
  if (named === ":memory:" && !spec.memory) {
    throw new Usage(`${spec.name} needs a folder: nothing is left of --data :memory: for it`);
  }
  const where = named === undefined ? place.data : named === ":memory:" ? named : pathOf(place, named);
  return {
    command: spec.name,
    args: given,
    options,
    data: where,
    dataGiven: named !== undefined,
    json: json === true,
    cwd: place.cwd,
  };
};
