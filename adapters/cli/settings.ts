/** What the configuration says, and which files and variables that points at. */
import { dirname, resolve } from "node:path";
import type { AlertRule } from "../../config/alerting.ts";
import type { Config } from "../../config/config.ts";
import type { Problem, StackFault, StackSettings } from "../../config/stack.ts";

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
