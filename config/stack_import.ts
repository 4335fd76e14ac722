/**
 * Stacks written for others: process-compose (https://f1bonacc1.github.io/process-compose/) and compose files
 * (https://github.com/compose-spec/compose-spec), to ours, with everything named that has no place in ours. Nothing is read here.
 */
import { COMPOSE_ORIGINS, fromCompose } from "./stack_import_compose.ts";
import { type Check, fitted } from "./stack_import_fit.ts";
import { type Fields, isMap, merged, nameOf, Part, record, shown } from "./stack_import_parts.ts";
import { fromProcess, PROCESS_ORIGINS } from "./stack_import_process.ts";
import { type Problem, YamlText } from "./yaml_text.ts";

export interface Unmapped {
  /** Line in the file. */
  readonly line: number;
  /** Dotted. */
  readonly path: string;
  readonly because: string;
}

export type Imported =
  | {
    readonly ok: true;
    readonly kind: "process-compose" | "compose";
    /** Of a stack, as `parseStack` reads it. */
    readonly yaml: string;
    readonly services: number;
    readonly unmapped: readonly Unmapped[];
  }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Where in theirs something of ours stands: the nearest that is known, from the service on; of several places one that is there. */
const originOf = (
  path: readonly string[],
  origins: Readonly<Record<string, string>>,
  isThere: (path: readonly string[]) => boolean,
): readonly string[] => {
  for (let n = path.length; n > 0; n--) {
    const ours = path.slice(0, n).join(".");
    if (!Object.hasOwn(origins, ours)) continue;
    const places = origins[ours]!.split("|").map((place) => place.split("."));
    return [...places.find(isThere) ?? places.at(-1)!, ...path.slice(n)];
  }
  return [];
};

/** `file` is only a name for messages. `check`: as of `parseStack`. */
export const importStack = (text: string, file: string, check: Check = () => []): Imported => {
  const source = new YamlText(text, file);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const read = source.value();
  if (!read.ok) return { ok: false, problems: [read.problem] };
  const all = record(merged(read.value));
  const kind = isMap(all.processes) ? "process-compose" : isMap(all.services) ? "compose" : undefined;
  if (kind === undefined) {
    const expected = "processes, of process-compose, or services, of compose";
    return {
      ok: false,
      problems: [{ file, line: 1, column: 1, path: "", expected, found: Object.keys(all).join(", ") || "nothing" }],
    };
  }
  const unmapped: Unmapped[] = [];
  const say = (path: readonly string[], because: string) => {
    unmapped.push({ line: source.place(path, true).line ?? 1, path: path.join("."), because });
  };
  const [key, from, origins] = kind === "compose"
    ? ["services", fromCompose, COMPOSE_ORIGINS] as const
    : ["processes", fromProcess, PROCESS_ORIGINS] as const;
  const names = new Map<string, string>();
  const services: Record<string, Fields> = {};
  for (const [name, stated] of Object.entries(record(all[key]))) {
    const ours = nameOf(name);
    const twice = names.get(ours);
    if (twice !== undefined) {
      say([key, name], `is called ${ours} here, as ${twice} is`);
      continue;
    }
    names.set(ours, name);
    const service = from(new Part(record(stated), [key, name], say));
    if (service?.command === undefined) say([key, name], "has no command, so it is left out");
    else services[ours] = service;
  }
  for (const name of Object.keys(all)) {
    // What begins with `x-` is nothing by itself, in compose.
    if (![key, "version", "name"].includes(name) && !name.startsWith("x-")) say([name], "has no place here");
  }
  const { name } = all;
  if (name !== undefined && typeof name !== "string") say(["name"], `${shown(name)} is no name`);
  const stack = typeof name === "string" ? { stack: { name: nameOf(name) } } : {};
  const fit = fitted({ ...stack, services }, {
    check,
    said(service, path, because) {
      const of = [key, names.get(service) ?? service];
      say([...of, ...originOf(path, origins, (place) => source.has([...of, ...place]))], because);
    },
  });
  if (!fit.ok) {
    return { ok: false, problems: fit.problems.map((problem) => ({ ...problem, file, line: 1, column: 1 })) };
  }
  return { ok: true, kind, yaml: fit.yaml, services: fit.services, unmapped };
};
