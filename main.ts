/**
 * Daybook: an event-sourced actor system over one tamper-evident log.
 *
 * This file is the library's entry, `openDaybook`, and the program's: run, it is the command line. It alone reads the environment
 * (the agent of services, a program of its own, has its own); `adapters/program/` puts the parts together.
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Grants, Usage } from "./adapters/cli/call.ts";
import { ENVIRONMENT } from "./adapters/cli/grants.ts";
import { commandLine } from "./adapters/cli/main.ts";
import type { Settings } from "./adapters/cli/settings.ts";
import { regularText, terminal } from "./adapters/cli/terminal.ts";
import { end, exporting } from "./adapters/process/end.ts";
import {
  argumentsOf,
  generationOf,
  GENERATIONS_MAX,
  granted,
  onOrphaned,
  type Permissions,
  reexecute,
} from "./adapters/process/reexec.ts";
import { NoText, variablesOf } from "./adapters/process/variables.ts";
import type { Daybook } from "./actors/kernel/daybook.ts";
import type { OpenOptions } from "./adapters/program/daybook.ts";
import { VERSION } from "./adapters/program/version.ts";
import { fromEnvironment, type Override, variableNames } from "./config/overrides.ts";

export type { Ask, Daybook, Incoming, Ingested, Outcome, Principal, Status } from "./actors/kernel/daybook.ts";
export { Declined } from "./actors/kernel/gate.ts";
export { type Perform, Undeliverable } from "./actors/kernel/perform.ts";
export {
  accept,
  type Actor,
  type Command,
  type Commands,
  type Context,
  type Decision,
  type Effect,
  type ProcessManager,
  reject,
} from "./actors/types.ts";
export { KeysFault } from "./adapters/keys/fault.ts";
export type { OpenOptions } from "./adapters/program/daybook.ts";
export type { Managed } from "./adapters/program/opened.ts";
export {
  canonicalize,
  type ConsistencyClaim,
  type InclusionClaim,
  leafHash,
  merkleRoot,
  NotProven,
  parseCheckpoint,
  type VerifiedNote,
  verifyConsistency,
  verifyInclusion,
  verifyNote,
} from "./adapters/verify/library.ts";
export type { Domain, FactSpec, Upcast } from "./events/catalogue.ts";
export type { Event, Fact, Facts } from "./events/event.ts";
export { type Append, type Appended, LogFault, type NewEvent, type Range } from "./events/log.ts";
export type { Projection, Read } from "./projections/projection.ts";
export { type Row, type ViewPage, type ViewQuery, ViewQuestion, ViewsFault } from "./projections/views.ts";
export { VERSION };

/**
 * Opens a data folder as its one writer and starts all that is supervised: actors, timers, process managers, projections.
 *
 * Throws `LogFault` when the folder cannot be had (`locked`, `read_only`, `full`, `foreign`, `newer`, `truncated`) and
 * `KeysFault` when its keys cannot; `TypeError` for parts that do not go together, of which two have one name. `close` must be
 * called; a process that dies without it loses nothing that was acknowledged.
 */
export const openDaybook = async (options: OpenOptions = {}): Promise<Daybook> => {
  // Most commands write nothing, and start without the writer.
  const { openSystem } = await import("./adapters/program/daybook.ts");
  return (await openSystem(options)).daybook;
};

/** A file of the program itself. */
const inHouse = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** SHA-256 in hex. */
const digestOf = async (text: string): Promise<string> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();

/** Reads and checks a configuration; a file that was named must be there, the default one need not. */
const settingsOf = async (
  named: string | undefined,
  overrides: readonly Override[],
  stackFile?: string,
): Promise<Settings> => {
  const file = named ?? inHouse("config/daybook.yaml");
  const text = await regularText(file).catch((error) => {
    if (named === undefined && error instanceof Deno.errors.NotFound) return "";
    throw new Usage(`cannot read the configuration: ${error.message}`);
  });
  const env = Deno.env.toObject();
  const { DEFAULTS, SHIPPED } = await import("./config/shipped.ts");
  // One that is no text is left out of them all; what it was to say would not be so, and nobody would know.
  for (const name of variableNames(DEFAULTS)) variable(name);
  if (stackFile === undefined && (text === "" || await digestOf(text) === SHIPPED)) {
    if (overrides.length + fromEnvironment(env).length === 0) return { config: DEFAULTS, file };
    const { plainConfig } = await import("./config/plain.ts");
    const plain = plainConfig(env, overrides);
    if (plain) return { config: plain, file };
  }
  const { parseConfig, problemsText } = await import("./config/config.ts");
  const parsed = parseConfig(text, file, env, overrides);
  if (parsed.ok) {
    const { config } = parsed;
    const alerting = Object.keys(config.alerting.rules).length === 0
      ? {}
      : { alerting: (await import("./adapters/program/alerts/file.ts")).rulesIn(config.alerting.rules, text, file) };
    if (stackFile === undefined && Object.keys(config.services).length === 0) return { config, file, ...alerting };
    const { stackIn, onlyStack } = await import("./adapters/program/stack/file.ts");
    const own = Object.keys(config.services).length === 0 ? undefined : await stackIn(file);
    const stack = onlyStack(own, stackFile === undefined ? undefined : await stackIn(stackFile));
    return { config, file, ...(stack ? { stack } : {}), ...alerting };
  }
  throw new Usage(problemsText(parsed.problems));
};

const variable = (name: string): string | undefined => {
  try {
    return variablesOf(Deno.env)(name);
  } catch (error) {
    throw error instanceof NoText ? new Usage(error.message) : error;
  }
};

/** A folder for copies that nobody can have made before us: TMPDIR says where (POSIX.1-2017, 8.3). */
const scratchPath = (): string => join(resolve(variable("TMPDIR") || "/tmp"), `daybook-${crypto.randomUUID()}`);

const main = async (): Promise<number> => {
  if (exporting()) (await import("./adapters/system/telemetry.ts")).withholdUrls();
  const io = terminal(variable);
  const { generation, scratch: handed, typed } = generationOf(Deno.args);
  let made = handed;
  const scratch = () => made ??= scratchPath();
  // Whoever started us for its own sake and died meant us to end, too.
  if (generation > 0) onOrphaned(() => io.stop() || Deno.exit(3));
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    io.err(
      `daybook: this should not have happened: ${
        event.reason instanceof Error ? event.reason.message : event.reason
      }\n`,
    );
    Deno.exit(3);
  });
  const permissionsOf = (grants: Grants): Permissions => ({ ...grants, env: [...ENVIRONMENT, ...grants.env] });
  const again = (grants: Grants, args: readonly string[]) =>
    reexecute(
      argumentsOf(import.meta.url, args, {
        permissions: permissionsOf(grants),
        generation: generation + 1,
        self: Deno.execPath(),
        scratch: scratch(),
      }),
    );
  return await commandLine(typed, {
    io,
    place: { data: resolve(".daybook"), version: VERSION },
    house: {
      config: inHouse("config"),
      own: ["actors", "adapters", "events", "projections"].map(inHouse),
    },
    settings: settingsOf,
    permissions: { granted, ...(generation < GENERATIONS_MAX ? { again } : {}) },
    scratch: {
      get path() {
        return scratch();
      },
      async wanted(data) {
        const { wantsScratch } = await import("./adapters/program/folder.ts");
        return await wantsScratch(data);
      },
    },
    async runtime() {
      const { runtimeOf } = await import("./adapters/program/runtime.ts");
      const { foldersOf } = await import("./adapters/program/folder.ts");
      const { rootSourceOf } = await import("./adapters/program/root_key.ts");
      const rootOf = async (data: string, settings?: Settings) =>
        await rootSourceOf(settings ?? await settingsOf(undefined, []), data, io);
      const { inFolderOf } = await import("./adapters/cli/settings.ts");
      const archived = async () => {
        const { config: { log }, file } = await settingsOf(undefined, []);
        return log.archive === null ? undefined : inFolderOf(file, log.archive);
      };
      const folders = foldersOf({ io, scratch: scratch(), rootOf, archived });
      return runtimeOf({ io, settingsOf, rootOf, version: VERSION, folders });
    },
  });
};

if (import.meta.main) end(await main());
