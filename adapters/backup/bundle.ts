/** Small files read together, a database among them at one moment of it: what becomes `keys.sealed`. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { faultOf } from "./folder.ts";
import type { Bundle } from "./sealed.ts";
import { snapshotJournaled } from "./snapshot.ts";

export interface BundleSource {
  /** In the bundle, and where it comes back. */
  readonly name: string;
  readonly path: string;
  /** True: a SQLite database with a rollback journal, which others may be writing. */
  readonly database: boolean;
}

/** `scratch`: a folder only its owner can read, for a moment. Throws `LogFault`. */
export const bundleFiles = async (scratch: string, sources: readonly BundleSource[]): Promise<Bundle> => {
  const files: Record<string, Uint8Array> = {};
  for (const { name, path, database } of sources) {
    const copy = join(scratch, `.${name}.copy`);
    try {
      if (database) await snapshotJournaled(path, copy);
      files[name] = await readFile(database ? copy : path);
    } catch (error) {
      throw faultOf(`read ${path}`, error);
    } finally {
      if (database) await rm(copy, { force: true });
    }
  }
  return files;
};
