/**
 * The command line from the first argument to the exit code: parse, see whether this process may do it, else let one that
 * may, run.
 */
import { dirname } from "node:path";
import type { Override } from "../../config/config.ts";
import type { Call, Grants } from "./call.ts";
import { pathOf, text, Usage } from "./call.ts";
import type { House } from "./grants.ts";
import { files, grantsOf } from "./grants.ts";
import { parse } from "./parse.ts";
import type { Place } from "./parse.ts";
import { report, run } from "./run.ts";
import type { Runtime } from "./runtime.ts";
import { type ExitCode, type Io, OutputClosed } from "./io.ts";
import { type Pointed, pointedAt, type Settings } from "./settings.ts";
import { overridesOf } from "./overrides.ts";
import type { CommandSpec } from "./command.ts";

export interface World {
  readonly io: Io;
  readonly place: Omit<Place, "cwd" | "env">;
  readonly house: House;
  /**
   * Reads and checks the configuration: this file, which must be there, or else the default one, which need not. `stack`: the file that
   * says which services there are, instead. Throws `Usage`.
   */
  settings(file: string | undefined, overrides: readonly Override[], stack?: string): Promise<Settings>;
  readonly permissions: {
    granted(grants: Grants): boolean;
    /** This program again with these permissions and arguments; its exit code. Absent in the last process of a chain. */
    readonly again?: (grants: Grants, args: readonly string[]) => Promise<number>;
  };
  readonly scratch: {
    /** Folder in which copies may be made; it is not there. Absolute. */
    readonly path: string;
    /** Whether reading this data folder, which this process may, takes a copy. */
    wanted(data: string): Promise<boolean>;
  };
  /** Called only when there is something to run. */
  runtime(): Promise<Runtime>;
}

/** Never throws; says what is wrong in one line. */
export const commandLine = async (args: readonly string[], world: World): Promise<number> => {
  const { io, permissions } = world;
  // Before the arguments are understood, whether a document is wanted can only be looked for.
  const json = args.includes("--json");
  try {
    const parsed = parse(args, { ...world.place, cwd: io.cwd, env: io.env });
    if (parsed.is === "text") {
      io.out(parsed.text.endsWith("\n") ? parsed.text : `${parsed.text}\n`);
      return 0;
    }
    const { spec, call } = parsed;
    const { grants, settings } = await needed(spec, call, world);
    if (settings !== undefined && permissions.granted(grants)) {
      return await run(spec, { ...call, settings: settings || undefined }, await world.runtime());
    }
    if (permissions.again) return await permissions.again(grants, args);
    return report(
      {
        exit: 3,
        code: "not_permitted",
        message: `${call.command} may not do what it must; run it as a task, or with ${
          flags(grants).replaceAll(world.scratch.path, dirname(world.scratch.path))
        }`,
      },
      call.json,
      io,
    );
  } catch (error) {
    return failed(error, { json, io });
  }
};

/** What the call needs; `settings` is undefined when the configuration could not be looked at yet, and false when it does not matter. */
const needed = async (
  spec: CommandSpec,
  call: Call,
  world: World,
): Promise<{ readonly grants: Grants; readonly settings: Settings | false | undefined }> => {
  const { house, permissions } = world;
  const scratch = await scratchFor(spec, call, world);
  if (!spec.configured) {
    const root = await rootKeyOf(call, world);
    return { grants: grantsOf(spec, call, { house, scratch, root }), settings: false };
  }
  const overrides = overridesOf(call);
  const given = text(call, "config");
  const file = given === undefined ? undefined : pathOf(call, given);
  const [stack] = files(call, text(call, "stack"));
  const look: Grants = {
    read: [file ?? house.config, ...(stack ? [stack] : [])],
    write: [],
    net: [],
    run: [],
    env: [],
  };
  const granted = (read: readonly string[]) => permissions.granted({ ...look, read: [...read, ...house.own] });
  if (granted(look.read)) {
    const settings = await world.settings(file, overrides, stack);
    const grants = grantsOf(spec, call, { house, settings, scratch });
    // A file of services that is not enabled is looked at all the same.
    return { grants: { ...grants, read: [...new Set([...grants.read, ...look.read])] }, settings };
  }
  const [config, ...rest] = look.read;
  if (rest.length === 0 || !granted([config!])) {
    const read = [...new Set([...look.read, house.config, ...house.own])];
    return { grants: { ...look, read, again: true }, settings: undefined };
  }
  // Only the file of services cannot be looked at: what else is needed is known, and whoever may look at it needs no third process.
  const grants = grantsOf(spec, call, { house, settings: await world.settings(file, overrides), scratch });
  return { grants: { ...grants, read: [...grants.read, ...rest], again: true }, settings: undefined };
};

/** Where a copy is made of what was left open. A folder that only the next process may read might need it; a restored one is not there yet. */
const scratchFor = async (
  spec: CommandSpec,
  call: Call,
  { house, permissions, scratch }: World,
): Promise<string | undefined> => {
  const replaced = text(call, "replaces");
  const folder = replaced === undefined ? call.data : pathOf(call, replaced);
  if (!spec.reads || spec.needs(call).read?.includes(folder) !== true) return undefined;
  const look: Grants = { read: [folder, ...house.own], write: [], net: [], run: [], env: [] };
  const wanted = permissions.granted(look) ? await scratch.wanted(folder) : permissions.again !== undefined;
  return wanted ? scratch.path : undefined;
};

/** Where the configuration says that the root key and the archive are, if it does; a broken one is told of by whoever opens the folder. */
const rootKeyOf = async (call: Call, { house, permissions, settings }: World): Promise<Pointed | undefined> => {
  const look: Grants = { read: [house.config, ...house.own], write: [], net: [], run: [], env: [] };
  if (call.data === ":memory:" || !permissions.granted(look)) return undefined;
  try {
    return pointedAt(await settings(undefined, []), ({ keys, log }) => [keys, { file: log.archive }]);
  } catch {
    return undefined;
  }
};

/** The grants as flags, for whoever starts this program by hand. */
const flags = ({ read, write, net, run }: Grants): string =>
  [["read", read], ["write", write], ["net", net], ["run", run]].filter(([, values]) => values!.length > 0).map((
    [name, values],
  ) => `--allow-${name}=${values}`).join(" ");

const failed = (error: unknown, { json, io }: { json: boolean; io: Io }): ExitCode => {
  if (error instanceof OutputClosed) return 0;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Usage || (error instanceof Error && error.name === "Unsayable")) {
    return report({ exit: 2, code: "usage", message }, json, io);
  }
  return report({ exit: 3, code: "unexpected", message: message.split("\n")[0]! }, json, io);
};
