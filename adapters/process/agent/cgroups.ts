/**
 * A control group (cgroups(7), version 2) for each start, where this process may make some: below the one it is in itself, or beside
 * that where it is called `daybook`, for a group that has processes cannot hold those below it to anything. What a start takes is counted there with all that it has ever started, and whoever it has started is found there, wherever it has gone.
 */
import { accessSync, constants, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileText } from "./file_text.ts";

/** Empty groups go at once; one whose processes are about to end, a little later. */
const AGAIN_MS = 100;
const TRIES = 20;
const NEW_MS = 60_000;

export interface Counted {
  readonly cpu_ms: number;
  /** Absent where nobody counts it: the memory controller is not on. */
  readonly rss_bytes?: number;
  readonly processes: number;
}

/** The folder of the group that this process is in; `undefined` where there is no version 2, or it is elsewhere. */
export const ownGroup = (proc = "/proc/self"): string | undefined => {
  const path = /^0::(\/.*)$/m.exec(fileText(`${proc}/cgroup`) ?? "")?.[1];
  if (path === undefined || path.includes("/..")) return undefined;
  for (const line of (fileText(`${proc}/mountinfo`) ?? "").split("\n")) {
    const [fields = "", kind = ""] = line.split(" - ");
    const [, , , root, mount] = fields.split(" ");
    if (!kind.startsWith("cgroup2 ") || root === undefined || mount === undefined) continue;
    const below = root === "/"
      ? path
      : path === root
      ? "/"
      : path.startsWith(`${root}/`)
      ? path.slice(root.length)
      : "";
    if (below !== "") return resolve(mount, `.${below}`);
  }
  return undefined;
};

/** systemd makes it with `DelegateSubgroup=daybook`. */
const LEAF = "daybook";

/** Below which groups are made. */
export const baseGroup = (own = ownGroup()): string | undefined =>
  own !== undefined && basename(own) === LEAF ? dirname(own) : own;

const nameOf = (nonce: string): string => `daybook.${nonce}`;

/** Makes one below `base` and answers its folder; `undefined` where none can be made. */
export const makeGroup = async (nonce: string, base = baseGroup()): Promise<string | undefined> => {
  if (base === undefined) return undefined;
  const path = join(base, nameOf(nonce));
  try {
    await mkdir(path);
  } catch (error) {
    if ((error as { readonly code?: string }).code !== "EEXIST") return undefined;
  }
  if (fileText(join(path, "cgroup.procs")) !== undefined) return path;
  removeGroup(path);
  return undefined;
};

/** Moves a process into it, which takes the kernel some 20 ms. */
export const joinGroup = async (group: string, pid: number): Promise<void> => {
  try {
    await writeFile(join(group, "cgroup.procs"), String(pid));
  } catch {
    // it has ended, or may not be moved
  }
};

/** The group that was made for the nonce, where the process is in it. */
export const groupOf = (pid: number, nonce: string): string | undefined => {
  const group = ownGroup(`/proc/${pid}`);
  return group !== undefined && basename(group) === nameOf(nonce) ? group : undefined;
};

export const removeGroup = (path: string, tries = TRIES): void => {
  try {
    rmdirSync(path);
  } catch (error) {
    if ((error as { readonly code?: string }).code !== "EBUSY" || tries <= 1) return;
    setTimeout(() => removeGroup(path, tries - 1), AGAIN_MS).unref();
  }
};

/** Takes away empty ones of starts that nobody knows of any more, whoever made them; one that is new is about to be used. */
export const sweepGroups = (): void => {
  const base = baseGroup();
  if (base === undefined) return;
  try {
    for (const name of readdirSync(base)) {
      const path = join(base, name);
      if (name.startsWith(nameOf("")) && Date.now() - statSync(path).mtimeMs > NEW_MS) removeGroup(path, 1);
    }
  } catch {
    // they lie there and cost nothing
  }
};

export const pidsIn = (group: string): readonly number[] =>
  (fileText(join(group, "cgroup.procs")) ?? "").split("\n").filter((line) => line !== "").map(Number);

/** `undefined` where the group is not there, or nobody is in it. */
export const countedIn = (group: string): Counted | undefined => {
  const { length: processes } = pidsIn(group);
  const usage = /^usage_usec (\d+)$/m.exec(fileText(join(group, "cpu.stat")) ?? "")?.[1];
  if (processes === 0 || usage === undefined) return undefined;
  const cpu_ms = Math.round(Number(usage) / 1_000);
  const all = fileText(join(group, "memory.current"));
  if (all === undefined) return { cpu_ms, processes };
  // What could be let go of at once is not needed (as the kubelet's working set has it).
  const idle = /^inactive_file (\d+)$/m.exec(fileText(join(group, "memory.stat")) ?? "")?.[1] ?? "0";
  return { cpu_ms, processes, rss_bytes: Math.max(0, Number(all) - Number(idle)) };
};

/** What only a group can hold a start to. */
export interface Held {
  /** Cores. */
  readonly cpus?: number;
  /** Memory of all its processes that is in use. */
  readonly resident_bytes?: number;
}

type Controller = "cpu" | "memory";

const controllersFor = ({ cpus, resident_bytes }: Held): readonly Controller[] => [
  ...(cpus === undefined ? [] : ["cpu" as const]),
  ...(resident_bytes === undefined ? [] : ["memory" as const]),
];

const holdsAnything = (held: Held): boolean => controllersFor(held).length > 0;

/** Why a start cannot be held to it here; `undefined` where it can. Turns controllers on that are there. */
export const unheldOf = (held: Held, base = baseGroup()): string | undefined => {
  const controllers = controllersFor(held);
  if (controllers.length === 0) return undefined;
  if (base === undefined) return "there are no control groups of version 2";
  // Only the topmost, which has no type, may have both: below another one with processes none could be joined.
  if (fileText(join(base, "cgroup.type")) !== undefined && pidsIn(base).length > 0) {
    return "there are processes in the control group itself: have Daybook run in one below it that is called daybook";
  }
  for (const controller of controllers) {
    const has = (file: string) => (fileText(join(base, file)) ?? "").trim().split(" ").includes(controller);
    if (!has("cgroup.controllers")) return `the controller "${controller}" of control groups is not there`;
    if (has("cgroup.subtree_control")) continue;
    try {
      writeFileSync(join(base, "cgroup.subtree_control"), `+${controller}`);
    } catch {
      return "the control group may not be changed";
    }
  }
  try {
    accessSync(base, constants.W_OK);
  } catch {
    return "no control group may be made";
  }
  return undefined;
};

/** Length of the kernel's own period, and the shortest share of it (Documentation/admin-guide/cgroup-v2.rst, cpu.max). */
const PERIOD_US = 100_000;
const SHARE_US_MIN = 1_000;

/** Makes the group of a start, which is held to it before it is in there; `undefined` where it cannot be. */
export const makeHeldGroup = async (
  nonce: string,
  held: Held,
  base = baseGroup(),
): Promise<string | undefined> => {
  if (!holdsAnything(held) || unheldOf(held, base) !== undefined) return undefined;
  const group = await makeGroup(nonce, base);
  if (group === undefined) return undefined;
  const { cpus, resident_bytes } = held;
  const share = Math.max(SHARE_US_MIN, Math.round((cpus ?? 0) * PERIOD_US));
  try {
    if (cpus !== undefined) writeFileSync(join(group, "cpu.max"), `${share} ${PERIOD_US}`);
    if (resident_bytes !== undefined) {
      writeFileSync(join(group, "memory.max"), String(resident_bytes));
      // Whoever takes too much ends whole, not in the one process that was the largest.
      writeFileSync(join(group, "memory.oom.group"), "1");
    }
    return group;
  } catch {
    removeGroup(group);
    return undefined;
  }
};
