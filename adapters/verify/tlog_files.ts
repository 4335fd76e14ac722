/**
 * The files of a tlog-tiles folder (https://c2sp.org/tlog-tiles), by the specification and by nothing of the writer's: which of them a log
 * of a size has, and how an entry bundle reads. Nothing is followed that leads out of the folder.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LogFault } from "../../events/log.ts";
import type { Entries } from "./entries.ts";

export const WIDTH = 256;

/** The index in groups of three digits, all but the last with an `x` before; a partial tile's width behind it. */
const named = (index: number, width: number): string => {
  const last = String(index % 1000).padStart(3, "0");
  const groups: string[] = [last];
  for (let left = Math.floor(index / 1000); left > 0; left = Math.floor(left / 1000)) {
    groups.unshift(`x${String(left % 1000).padStart(3, "0")}`);
  }
  return groups.join("/") + (width < WIDTH ? `.p/${width}` : "");
};

export const bundlePath = (index: number, width: number): string => `tile/entries/${named(index, width)}`;
export const tilePath = (level: number, index: number, width: number): string => `tile/${level}/${named(index, width)}`;

/** Every path below `tile/` that the folder of a log of this size has and that concerns entries before `until`, with the first of them. */
export const pathsOf = (size: number, until = size): Map<string, number> => {
  const paths = new Map<string, number>();
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / WIDTH)) {
    for (let index = 0; index * WIDTH < hashes && index * WIDTH ** (level + 1) < until; index++) {
      const width = Math.min(WIDTH, hashes - index * WIDTH);
      paths.set(tilePath(level, index, width), index * WIDTH ** (level + 1));
      if (level === 0) paths.set(bundlePath(index, width), index * WIDTH);
    }
  }
  return paths;
};

export const MISSING = "none";

/** The bytes of a regular file; a word for why there are none to be had. Throws `LogFault` `io` where the system does not say. */
export const fileIn = (folder: string, path: string, bytes_max: number): Uint8Array | string => {
  const full = join(folder, path);
  try {
    const found = lstatSync(full);
    if (!found.isFile()) return "what is no file";
    if (found.size > bytes_max) return `${found.size} bytes`;
    return readFileSync(full);
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return MISSING;
    throw new LogFault("io", `Cannot read ${full}: ${message}`, { cause: error });
  }
};

/** Paths of everything in a folder that is no folder itself, in order. Throws `LogFault` `io`. */
export function* pathsIn(folder: string, below = ""): Generator<string> {
  let entries;
  try {
    entries = readdirSync(join(folder, below), { withFileTypes: true });
  } catch (error) {
    throw new LogFault("io", `Cannot read ${join(folder, below)}: ${(error as Error).message}`, { cause: error });
  }
  for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* pathsIn(folder, path);
    else yield path;
  }
}

/** A bundle in the form of a block: one JSON array of its entries. */
export interface Bundle extends Entries {
  readonly bytes: Uint8Array;
}

/** `undefined` unless the lengths add up to `count` entries. */
export const readBundle = (stored: Uint8Array, first: number, count: number): Bundle | undefined => {
  let end = 0;
  for (let i = 0; i < count; i++) {
    if (end + 2 > stored.length) return undefined;
    end += 2 + lengthAt(stored, end);
  }
  if (end !== stored.length) return undefined;
  const bytes = new Uint8Array(end - count + 1);
  const starts = new Uint32Array(count + 1);
  let [from, to] = [0, 1];
  for (let i = 0; i < count; i++) {
    const until = from + 2 + lengthAt(stored, from);
    bytes.set(stored.subarray(from + 2, until), to);
    bytes[to - 1] = i === 0 ? OPEN : COMMA;
    starts[i] = to;
    to += until - from - 1;
    from = until;
  }
  bytes[to - 1] = CLOSE;
  starts[count] = to;
  return { first, count, starts, bytes, entry: (i) => bytes.subarray(starts[i]!, starts[i + 1]! - 1) };
};

const lengthAt = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!;

const OPEN = 0x5b;
const COMMA = 0x2c;
const CLOSE = 0x5d;
