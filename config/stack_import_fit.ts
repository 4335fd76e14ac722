/** From what a file of others says to a stack that ours can be: what cannot be is taken out, and said. */
import { stringify } from "yaml";
import { parseStack, type StackFault, type StackSettings } from "./stack.ts";
import { type Fields, isMap } from "./stack_import_parts.ts";
import type { Problem } from "./yaml_text.ts";

const FIT = {
  /** Looks at the whole; each takes something out of every service that cannot be as it is. */
  looks_max: 500,
} as const;

export type Check = (stack: StackSettings) => readonly StackFault[];
type Mutable = Record<string, unknown>;

/** `said`: of a service of ours, what stood where and was taken out. */
export const fitted = (
  given: { readonly stack?: Fields; readonly services: Fields },
  { check, said }: {
    readonly check: Check;
    readonly said: (service: string, path: readonly string[], because: string) => void;
  },
): { readonly ok: true; readonly yaml: string; readonly services: number } | {
  readonly ok: false;
  readonly problems: readonly Problem[];
} => {
  const stack = structuredClone(given) as { services: Mutable };
  let problems: readonly Problem[] = [];
  for (let looks = 0; looks < FIT.looks_max; looks++) {
    const yaml = stringify(stack, { lineWidth: 0 });
    const parsed = parseStack(yaml, "", check);
    if (parsed.ok) return { ok: true, yaml, services: Object.keys(stack.services).length };
    problems = parsed.problems;
    const touched = new Set<string>();
    for (const problem of problems) {
      const steps = problem.path.split(".");
      const [top, service] = steps;
      if (top !== "services" || service === undefined || touched.has(service)) continue;
      touched.add(service);
      const path = takeOut(stack.services, steps.slice(1));
      const because = `expected ${problem.expected}, found ${problem.found}`;
      said(
        service,
        path.slice(1),
        path.length === 1 ? `is left out: ${steps.slice(2).join(".")}: ${because}` : because,
      );
    }
    if (touched.size === 0) break;
  }
  return { ok: false, problems };
};

/** Answers what was taken out: the thing itself, or what would say something else without it. */
const takeOut = (services: Mutable, steps: readonly string[]): readonly string[] => {
  const path = whole(found(services, steps));
  const parent = path.slice(0, -1).reduce<unknown>((at, step) => (at as Mutable)[step], services);
  delete (parent as Mutable)[path.at(-1)!];
  return path;
};

/** The longest path that is there; keys may have dots in them. Never into a list. */
const found = (at: unknown, steps: readonly string[]): readonly string[] => {
  if (!isMap(at)) return [];
  for (let n = steps.length; n > 0; n--) {
    const key = steps.slice(0, n).join(".");
    if (Object.hasOwn(at, key)) return [key, ...found(at[key], steps.slice(n))];
  }
  return [];
};

/** A command with less in it is another one, and a probe that asks something else says nothing. */
const whole = (path: readonly string[]): readonly string[] => {
  const [service, kind, name] = path as [string, string?, string?];
  if (kind === "command" || kind === "arguments") return [service];
  if (kind === "probes" && ["exec", "http", "tcp"].includes(path[3] ?? "")) return [service, kind, name!];
  if (kind === "hooks") return path.slice(0, 3);
  return path;
};
