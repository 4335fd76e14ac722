/** What the kernel says of processes (proc(5)). Whoever reads it needs all permissions. */
import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { pidsIn } from "./cgroups.ts";
import { fileText } from "./file_text.ts";
import { NONCE, type ProcessOf } from "./protocol.ts";

/** Clock ticks a second; 100 on every Linux that Deno runs on (`getconf CLK_TCK`). */
const TICKS = 100;

/** AT_PAGESZ in what the kernel tells a program of itself (getauxval(3)): pairs of 64 bits. */
const AT_PAGESZ = 6n;
export const pageBytesIn = (auxv: Uint8Array): number => {
  const pairs = new DataView(auxv.buffer, auxv.byteOffset, auxv.byteLength);
  for (let at = 0; at + 16 <= auxv.byteLength; at += 16) {
    if (pairs.getBigUint64(at, true) === AT_PAGESZ) return Number(pairs.getBigUint64(at + 8, true));
  }
  return 4_096;
};
let known: number | undefined;
const pageBytes = (): number => known ??= pageBytesIn(readFileSync("/proc/self/auxv"));

export interface Stat {
  readonly pid: number;
  /** `Z`: it has ended and nobody has asked how. */
  readonly state: string;
  readonly session: number;
  /** When it was started, in clock ticks since boot. */
  readonly ticks: number;
  readonly cpu_ms: number;
  readonly rss_bytes: number;
  /** Address space; what `ulimit -v` is a limit of. */
  readonly space_bytes: number;
}

/** Of the machine's present run. */
export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** `undefined`: there is no such process. */
export const statOf = (pid: number): Stat | undefined => {
  const line = fileText(`/proc/${pid}/stat`);
  if (line === undefined) return undefined;
  // The program's name is in brackets and may hold brackets and spaces itself.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const number = (field: number) => Number(fields[field - 3]);
  return {
    pid,
    state: fields[0]!,
    session: number(6),
    ticks: number(22),
    cpu_ms: (number(14) + number(15)) * 1_000 / TICKS,
    rss_bytes: number(24) * pageBytes(),
    space_bytes: number(23),
  };
};

/** A folder that is not there yet would be where the nearest above it is. */
const roomIn = (folder: string): { readonly bavail: number; readonly bsize: number } => {
  for (let at = folder;; at = dirname(at)) {
    try {
      return statfsSync(at);
    } catch (error) {
      if (at === dirname(at)) throw error;
    }
  }
};

/** Of the machine: memory that could be had without swapping (`MemAvailable`, proc(5)), cores, room in a folder's file system. */
export const freeIn = (folder: string): { memory_bytes: number; cpus: number; disk_bytes: number } => {
  const memory = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))!;
  const { bavail, bsize } = roomIn(folder);
  return {
    memory_bytes: Number(memory[1]) * 1_024,
    cpus: navigator.hardwareConcurrency,
    disk_bytes: Number(bavail) * Number(bsize),
  };
};

export const pids = (): readonly number[] => readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);

/** `NAME=value` each. A program may write over what it was given. */
export const environOf = (pid: number): readonly string[] | undefined => fileText(`/proc/${pid}/environ`)?.split("\0");

/** Whether the process was started under the nonce, or comes from one that was. */
export const hasNonce = (pid: number, nonce: string): boolean => environOf(pid)?.includes(`${NONCE}=${nonce}`) ?? false;

/** Whether this very process is there and has not ended. */
export const isThere = ({ pid, boot, ticks }: ProcessOf, now: string): boolean => {
  if (boot !== now) return false;
  const stat = statOf(pid);
  return stat !== undefined && stat.ticks === ticks && stat.state !== "Z" && stat.state !== "X";
};

/** A process that has not ended. */
export interface Present {
  readonly stat: Stat;
  /** As `hasNonce`; its environment is read once, however many nonces are asked for. */
  has(nonce: string): boolean;
}

/** All that are there. Who asks about many of them looks once: each look reads all that the kernel says of all. */
export const present = (): readonly Present[] =>
  pids().flatMap((pid) => {
    const stat = statOf(pid);
    if (!stat || stat.state === "Z" || stat.state === "X") return [];
    let nonces: readonly string[] | undefined;
    const has = (nonce: string) => {
      nonces ??= environOf(pid)?.filter((line) => line.startsWith(`${NONCE}=`)) ?? [];
      return nonces.includes(`${NONCE}=${nonce}`);
    };
    return [{ stat, has }];
  });

/**
 * Whatever runs on of a process: all of the control group that was made for it, all that have its nonce, wherever they have gone, and
 * all of its session where that is `known` to be its own still. Its number is given to no other as long as one of its session is there,
 * but afterwards to anybody, who may lead a session under it.
 */
export const remainsOf = (
  { pid, nonce }: Pick<ProcessOf, "pid" | "nonce">,
  { known, group, among = present() }: {
    readonly known: boolean;
    readonly group: string | undefined;
    /** Default: all that are there now. */
    readonly among?: readonly Present[];
  },
): readonly Stat[] => {
  const grouped = new Set(group === undefined ? [] : pidsIn(group));
  return among.flatMap(({ stat, has }) => {
    if (stat.pid === pid) return [];
    return known && stat.session === pid || grouped.has(stat.pid) || has(nonce) ? [stat] : [];
  });
};

/** When a process was started, ms since 1970. */
export const startedAt = ({ ticks }: Pick<Stat, "ticks">): number => {
  const boot = /^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))!;
  return Number(boot[1]) * 1_000 + ticks * 1_000 / TICKS;
};
