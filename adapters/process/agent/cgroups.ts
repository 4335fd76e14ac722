/**
 * A control group (cgroups(7), version 2) for each start, where this process may make some: below the one it is in itself. What a start
 * takes is counted there with all that it has ever started, and whoever it has started is found there, wherever it has gone.
 */
import { readdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

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

const text = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** The folder of the group that this process is in; `undefined` where there is no version 2, or it is elsewhere. */
export const ownGroup = (proc = "/proc/self"): string | undefined => {
  const path = /^0::(\/.*)$/m.exec(text(`${proc}/cgroup`) ?? "")?.[1];
  if (path === undefined || path.includes("/..")) return undefined;
  for (const line of (text(`${proc}/mountinfo`) ?? "").split("\n")) {
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

const nameOf = (nonce: string): string => `daybook.${nonce}`;

/** Makes one below `own` and answers its folder; `undefined` where none can be made. */
export const makeGroup = async (nonce: string, own = ownGroup()): Promise<string | undefined> => {
  if (own === undefined) return undefined;
  const path = join(own, nameOf(nonce));
  try {
    await mkdir(path);
  } catch (error) {
    if ((error as { readonly code?: string }).code !== "EEXIST") return undefined;
  }
  if (text(join(path, "cgroup.procs")) !== undefined) return path;
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
export const sweepGroups = (own = ownGroup()): void => {
  if (own === undefined) return;
  try {
    for (const name of readdirSync(own)) {
      const path = join(own, name);
      if (name.startsWith(nameOf("")) && Date.now() - statSync(path).mtimeMs > NEW_MS) removeGroup(path, 1);
    }
  } catch {
    // they lie there and cost nothing
  }
};

export const pidsIn = (group: string): readonly number[] =>
  (text(join(group, "cgroup.procs")) ?? "").split("\n").filter((line) => line !== "").map(Number);

/** `undefined` where the group is not there, or nobody is in it. */
export const countedIn = (group: string): Counted | undefined => {
  const { length: processes } = pidsIn(group);
  const usage = /^usage_usec (\d+)$/m.exec(text(join(group, "cpu.stat")) ?? "")?.[1];
  if (processes === 0 || usage === undefined) return undefined;
  const cpu_ms = Math.round(Number(usage) / 1_000);
  const all = text(join(group, "memory.current"));
  if (all === undefined) return { cpu_ms, processes };
  // What could be let go of at once is not needed (as the kubelet's working set has it).
  const idle = /^inactive_file (\d+)$/m.exec(text(join(group, "memory.stat")) ?? "")?.[1] ?? "0";
  return { cpu_ms, processes, rss_bytes: Math.max(0, Number(all) - Number(idle)) };
};
