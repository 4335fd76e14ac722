/** Small files read together, databases among them, at one moment of all: what becomes `keys.sealed`. */
import { Buffer } from "node:buffer";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { LogFault } from "../../events/log.ts";
import { faultOf } from "./folder.ts";
import type { Bundle } from "./sealed.ts";
import { snapshotJournaled } from "./snapshot.ts";

/** A root key takes some tenths of a second to be replaced. */
const ATTEMPTS = 5;

export interface BundleSource {
  /** In the bundle, and where it comes back. */
  readonly name: string;
  readonly path: string;
  /** True: a SQLite database with a rollback journal, which others may be writing. */
  readonly database: boolean;
}

/**
 * `scratch`: a folder only its owner can read, for a moment. A root key may be replaced meanwhile, and keys under one do not open with
 * another: whatever is not the same before and behind the databases is read again, and `sources` asked again which there are. Throws
 * `LogFault`; `locked` when it is never the same.
 */
export const bundleFiles = async (
  scratch: string,
  sources: () => readonly BundleSource[] | Promise<readonly BundleSource[]>,
): Promise<Bundle> => {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      const before = await plain(await sources());
      const copied = await databases(scratch, await sources());
      if (same(before, await plain(await sources()))) return { ...copied, ...before };
    } catch (error) {
      // Its name went to another between the list and the look.
      if (attempt === ATTEMPTS || !(error instanceof LogFault) || error.kind !== "io") throw error;
    }
  }
  throw new LogFault("locked", "Cannot copy the keys: the root key is replaced all the time");
};

const plain = async (sources: readonly BundleSource[]): Promise<Bundle> => {
  const files: Record<string, Uint8Array> = {};
  for (const { name, path, database } of sources) {
    if (!database) files[name] = await read(path, path);
  }
  return files;
};

const databases = async (scratch: string, sources: readonly BundleSource[]): Promise<Bundle> => {
  const files: Record<string, Uint8Array> = {};
  for (const { name, path, database } of sources) {
    if (!database) continue;
    const copy = join(scratch, `.${name}.copy`);
    try {
      await snapshotJournaled(path, copy);
      files[name] = await read(copy, path);
    } finally {
      await rm(copy, { force: true });
    }
  }
  return files;
};

const read = async (file: string, path: string): Promise<Uint8Array> => {
  try {
    return await readFile(file);
  } catch (error) {
    throw faultOf(`read ${path}`, error);
  }
};

const same = (one: Bundle, other: Bundle): boolean => {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length &&
    names.every((name) => other[name] !== undefined && Buffer.compare(one[name]!, other[name]) === 0);
};
