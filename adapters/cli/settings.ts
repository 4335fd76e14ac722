/** What flags and the configuration say together, and which files and variables that points at. */
import { dirname, resolve } from "node:path";
import type { AlertRule } from "../../config/alerting.ts";
import type { Config, Override } from "../../config/config.ts";
import type { Problem, StackFault, StackSettings } from "../../config/stack.ts";
import type { Call } from "./call.ts";
import { pathOf, text, Usage } from "./call.ts";

/** Flags that say what the configuration also can; the flag wins. Paths are made absolute: they count from where they were typed. */
export const overridesOf = (call: Call): readonly Override[] => {
  const flags = ([
    ["host", "--host", ["server", "host"]],
    ["port", "--port", ["server", "port"]],
    ["behindProxy", "--behind-proxy", ["server", "behind_proxy"]],
    ["profile", "--profile", ["profile"]],
  ] as const).flatMap(([option, name, path]): Override[] => {
    const given = text(call, option);
    return given === undefined ? [] : [{ name, path, text: given }];
  });
  const [cert, key] = [text(call, "tlsCert"), text(call, "tlsKey")];
  if ((cert === undefined) !== (key === undefined)) throw new Usage("--tls-cert and --tls-key go together");
  if (cert === undefined || key === undefined) return flags;
  return [
    ...flags,
    { name: "--tls-cert", path: ["server", "tls", "certificate"], text: pathOf(call, cert) },
    { name: "--tls-key", path: ["server", "tls", "key"], text: JSON.stringify({ file: pathOf(call, key) }) },
  ];
};

/** The configuration of a process, with the file it came from: paths in it count from that file's folder. */
export interface Settings {
  readonly config: Config;
  /** Absolute. */
  readonly file: string;
  /** Where there are services to be run. */
  readonly stack?: StatedStack;
  /** Rules of its own, and names of those that are not to be looked at. */
  readonly alerting?: { readonly rules: readonly AlertRule[]; readonly off: readonly string[] };
}

export interface StatedStack {
  readonly settings: StackSettings;
  /** Absolute: relative paths in it count from its folder. */
  readonly file: string;
  /** With its place in the file. */
  readonly problemAt: (fault: StackFault) => Problem;
}

/** Files, absolute, and variables. */
export interface Pointed {
  readonly files: readonly string[];
  readonly variables: readonly string[];
}

/** Files and variables that a configuration points at, or a part of it. */
export const pointedAt = ({ config, file }: Settings, part: (config: Config) => unknown = whole): Pointed => {
  const files = new Set<string>(), variables = new Set<string>();
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { file: path, env } = value as { readonly file?: unknown; readonly env?: unknown };
    if (typeof path === "string") files.add(inFolderOf(file, path));
    if (typeof env === "string") variables.add(env);
    for (const part of Object.values(value)) look(part);
  };
  look(part(config));
  if (part === whole && config.server.tls.certificate !== null) {
    files.add(inFolderOf(file, config.server.tls.certificate));
  }
  if (part === whole && config.log.archive !== null) files.add(inFolderOf(file, config.log.archive));
  if (part === whole && config.access.folder !== null) files.add(inFolderOf(file, config.access.folder));
  if (part === whole && config.controls.folder !== null) files.add(inFolderOf(file, config.controls.folder));
  return { files: [...files], variables: [...variables] };
};

/** Secrets of services are for the agent alone; rules point at nothing. */
const whole = ({ services: _, alerting: __, ...config }: Config): unknown => config;

/** A path in a configuration, absolute. */
export const inFolderOf = (file: string, path: string): string => resolve(dirname(file), path);
