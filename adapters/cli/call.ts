/**
 * What was typed, after parsing: plain data, known before anything is opened, so that the permissions a command needs can
 * be worked out from it.
 */
import { isAbsolute, resolve } from "node:path";
import { isTime, type Millis } from "../../events/event.ts";
import type { Runtime } from "./runtime.ts";
import type { ExitCode } from "./io.ts";
import type { Settings } from "./settings.ts";

/** Wrong usage: one clear line for the person who typed it; exit code 2. */
export class Usage extends Error {
  override readonly name = "Usage";
}

export type OptionValue = string | boolean | readonly string[] | undefined;

export interface Call {
  /** As in the table of commands: `import git`. */
  readonly command: string;
  readonly args: readonly string[];
  /** By the option's long name in camelCase. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** Absolute path of the data folder, or `:memory:`. */
  readonly data: string;
  /** Whether the folder was named, here or in the environment; else it is the default. */
  readonly dataGiven: boolean;
  readonly json: boolean;
  /** Relative paths start here. */
  readonly cwd: string;
  /** Of commands whose needs depend on it. */
  readonly settings?: Settings;
}

/** What may be touched: exactly the arguments of Deno's `--allow-*` flags. */
export interface Grants {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly net: readonly string[];
  readonly run: readonly string[];
  /** Variables beyond those that are always granted. */
  readonly env: readonly string[];
  /** Opens the log as its writer, with threads that work behind the appends. */
  readonly threads?: true;
  /** May start this program once more, because what else it needs is not known yet. */
  readonly again?: true;
  /** May start the agent that runs services. */
  readonly agent?: true;
  /** Hashes so much that it is worth to let V8 make wide vectors. */
  readonly wide?: true;
}

export type Run = (call: Call, runtime: Runtime) => Promise<ExitCode>;

export const text = (call: Call, name: string): string | undefined => {
  const value = call.options[name];
  return typeof value === "string" ? value : undefined;
};

export const flag = (call: Call, name: string): boolean => call.options[name] === true;

export const list = (call: Call, name: string): readonly string[] => {
  const value = call.options[name];
  return Array.isArray(value) ? value : [];
};

/** The option as a whole number within bounds; `Usage` says what was expected. */
export const whole = (
  call: Call,
  name: string,
  bounds: { readonly min: number; readonly max: number },
): number | undefined => {
  const value = text(call, name);
  return value === undefined ? undefined : wholeFrom(value, `--${name}`, bounds);
};

export const wholeFrom = (
  value: string,
  what: string,
  { min, max }: { readonly min: number; readonly max: number },
): number => {
  const number = /^\d{1,16}$/.test(value) ? Number(value) : NaN;
  if (number >= min && number <= max) return number;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new Usage(`${what} takes a whole number ${range}, not ${JSON.stringify(value)}`);
};

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A span of time such as 45m, 12h or 30d, in ms; `undefined` for anything else. */
export const spanOf = (value: string): number | undefined => {
  const span = /^(\d{1,6})([mhd])$/.exec(value);
  return span ? Number(span[1]) * UNITS[span[2]!]! : undefined;
};

/** A path as the person meant it: relative to where they stood. */
export const pathOf = (call: Pick<Call, "cwd">, path: string): string =>
  isAbsolute(path) ? path : resolve(call.cwd, path);

/** Throws `Usage` for what lies in the data folder, where it could take the place of the log. */
export const expectElsewhere = (call: Call, ...paths: readonly (string | undefined)[]): void => {
  const inside = paths.find((path) =>
    path !== undefined && `${resolve(pathOf(call, path))}/`.startsWith(`${call.data}/`)
  );
  if (inside !== undefined) {
    throw new Usage(`${inside} lies in the data folder; give another place for what is written`);
  }
};

/** Folder of what was archived of the log, where it was given. */
export const archiveOf = (call: Call): string | undefined => {
  const folder = text(call, "archive");
  return folder === undefined ? undefined : pathOf(call, folder);
};

/**
 * A bound between events, as the number of events before it. A time is before all that was recorded at it or later; a
 * position behind the log's end is wrong usage.
 */
export const boundOf = (
  log: { readonly size: number; positionAt(time: string): number },
  moment: Moment,
  what: string,
): number => {
  if ("time" in moment) return log.positionAt(moment.time);
  if (moment.position <= log.size) return moment.position;
  throw new Usage(`${what} ${moment.position} lies behind the end of the log, which has ${log.size} events`);
};

/** An RFC 3339 time of which seconds and zone may be left out, or a day alone: UTC, on every machine. */
export const timeFrom = (value: string): Millis | undefined => {
  const [, day, time, zone = "Z"] =
    /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)([Zz]|[+-]\d\d:\d\d)?)?$/.exec(value) ?? [];
  // `Date.parse` takes the 30th of February for one of March.
  if (day === undefined || !isTime(`${day}T00:00:00Z`)) return undefined;
  const at = Date.parse(time === undefined ? day : `${day}T${time}${zone.toUpperCase()}`);
  return Number.isNaN(at) ? undefined : at;
};

/** A position, or an RFC 3339 time. */
export type Moment = { readonly position: number } | { readonly time: string };

export const moment = (value: string, what: string): Moment => {
  if (/^\d+$/.test(value)) return { position: wholeFrom(value, what, { min: 0, max: Number.MAX_SAFE_INTEGER }) };
  const time = timeFrom(value);
  if (time !== undefined) return { time: new Date(time).toISOString() };
  throw new Usage(
    `${what} takes a position or an RFC 3339 time such as 2026-11-20T09:00:00Z, not ${JSON.stringify(value)}`,
  );
};

/** Recorded times have whole milliseconds: what is at or before this time is what is before the next one. */
export const justAfter = (time: string): string => new Date(Date.parse(time) + 1).toISOString();
