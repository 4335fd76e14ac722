/** Log files of CloudTrail in files and folders that were named, as its delivery lays them out. */
import { join } from "node:path";

export interface Found {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Files of CloudTrail's digests, which have no records. */
  readonly digests: number;
  /** Folders that lie too deep to be looked into. */
  readonly deeper: readonly string[];
}

/** Files of one import. */
const FILES_MAX = 1_000_000;
export const DEPTH_MAX = 32;

const LOG = /\.json(?:\.gz)?$/i;
const DIGEST = /(?:^|\/)CloudTrail-Digest\//;

/**
 * Files as named, whatever they are called; in folders `*.json` and `*.json.gz`, in the order of their names, which is that of time.
 * Links within folders are not followed. Throws what the disk says.
 */
export const filesIn = async (paths: readonly string[]): Promise<Found> => {
  const files: { path: string; bytes: number }[] = [];
  const deeper: string[] = [];
  let digests = 0;
  const folder = async (path: string, depth: number): Promise<void> => {
    const entries = await Array.fromAsync(Deno.readDir(path));
    for (const { name, isDirectory, isFile } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      const below = join(path, name);
      if (isDirectory && depth < DEPTH_MAX) await folder(below, depth + 1);
      else if (isDirectory) deeper.push(below);
      else if (!isFile || !LOG.test(name)) continue;
      else if (DIGEST.test(below)) digests++;
      else await file(below);
    }
  };
  const file = async (path: string): Promise<void> => {
    if (files.length >= FILES_MAX) throw new RangeError(`at most ${FILES_MAX} files at once`);
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new Deno.errors.IsADirectory(`${path} is neither a file nor a folder`);
    files.push({ path, bytes: size });
  };
  for (const path of paths) {
    if ((await Deno.stat(path)).isDirectory) await folder(path, 0);
    else await file(path);
  }
  return { files, digests, deeper };
};
