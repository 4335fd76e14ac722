/** Log files of CloudTrail in files and folders that were named, as its delivery lays them out. */
import { join } from "node:path";

export interface Found {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Files of CloudTrail's digests, which have no records. */
  readonly digests: number;
  /** What may hold log files and was not looked into. */
  readonly passedOver: readonly { readonly path: string; readonly why: string }[];
}

/** Files of one import. */
const FILES_MAX = 1_000_000;
const DEPTH_MAX = 32;

const LOG = /\.json(?:\.gz)?$/i;
const DIGEST = /(?:^|\/)CloudTrail-Digest\//;

/**
 * Files as named, whatever they are called; in folders `*.json` and `*.json.gz`, in the order of their names, which is that of time.
 * Links within folders are not followed: they may lead around in circles, and to where nobody was allowed to read. Throws what the disk says.
 */
export const filesIn = async (paths: readonly string[], filesMax = FILES_MAX): Promise<Found> => {
  const files: { path: string; bytes: number }[] = [];
  const passedOver: { path: string; why: string }[] = [];
  let digests = 0;
  let full = false;
  const folder = async (path: string, depth: number): Promise<void> => {
    const entries = await Array.fromAsync(Deno.readDir(path));
    for (const { name, isDirectory, isFile, isSymlink } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      const below = join(path, name);
      const pass = (why: string) => void passedOver.push({ path: below, why });
      if (isSymlink && await mayLeadToLogs(below)) pass("not followed, for it is a link; name what it leads to");
      else if (isDirectory && depth < DEPTH_MAX) await folder(below, depth + 1);
      else if (isDirectory) pass(`not looked into, below ${DEPTH_MAX} other folders`);
      else if (!isFile || !LOG.test(name)) continue;
      else if (DIGEST.test(below)) digests++;
      else await file(below);
    }
  };
  const file = async (path: string): Promise<void> => {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new Deno.errors.IsADirectory(`${path} is neither a file nor a folder`);
    if (files.length < filesMax) return void files.push({ path, bytes: size });
    if (!full) {
      passedOver.push({ path, why: `neither it nor what follows was read: at most ${filesMax} files at once` });
    }
    full = true;
  };
  for (const path of paths) {
    if ((await Deno.stat(path)).isDirectory) await folder(path, 0);
    else await file(path);
  }
  return { files, digests, passedOver };
};

/** Of one that leads to where nothing may be read nobody knows what is there. */
const mayLeadToLogs = async (link: string): Promise<boolean> =>
  LOG.test(link) ||
  await Deno.stat(link).then(({ isDirectory }) => isDirectory, (error) => !(error instanceof Deno.errors.NotFound));
