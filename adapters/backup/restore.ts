/**
 * A verified return: nothing is put in place before the copy that will be used agrees with its manifest byte for byte
 * and with itself entry by entry.
 */
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { LogFault } from "../../events/log.ts";
import { type Against, type Copied, copiedOf, type Progress, type Verify, wrongLine } from "./backup.ts";
import { digestOf, type FileDigest } from "./digest.ts";
import { faultOf, fillFolder, writeFile } from "./folder.ts";
import { CHECKPOINT, KEYS, LOG, MANIFEST, type Manifest, MANIFEST_BYTES_MAX, readManifest } from "./manifest.ts";
import { type Bundle, openBundle } from "./sealed.ts";

/** A checkpoint of the log that is known here or at a witness. */
export interface Known {
  readonly name: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  readonly origin: string;
}

export interface RestoreOptions {
  /** Folder that a backup made. */
  readonly source: string;
  /** Data folder to make; missing or empty. */
  readonly data: string;
  /** Name of the log's file there. Default `log.db`. */
  readonly name?: string;
  readonly verify: Verify;
  /** Needed to take the keys back; without it they are left out. */
  readonly passphrase?: string;
  /** Writes the keys' files into the folder that is being filled, before the log is verified. Default: each under its own name, mode 0600. */
  readonly importKeys?: (folder: string, files: Bundle) => Promise<void>;
  /** Called with that folder when log and keys are there and the log is verified. */
  readonly settleKeys?: (folder: string) => Promise<void>;
  /** Or a function that tells them, called with the folder that is being filled when the keys are there. */
  readonly known?: readonly Known[] | ((folder: string) => Promise<readonly Known[]>);
  /** Called last, before the folder is in its place. */
  readonly finish?: (folder: string, restored: Restored) => Promise<void>;
  readonly progress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface Restored extends Copied {
  /**
   * The known checkpoint that covers most, when it covers more than was restored: the log must not be written on as
   * itself.
   */
  readonly shorter_than?: Known;
  readonly created: string;
}

/**
 * Throws `LogFault`: `invalid` when the data folder is not empty or the passphrase is wrong, `foreign` when the
 * source is no backup,
 * `newer`, `truncated` when a file is not what the manifest says or the log does not verify or contradicts a known
 * checkpoint,
 * `full`, `read_only`, `io`; or the signal's reason. Whatever it throws, nothing is left at or beside the data
 * folder.
 */
export const restoreLog = async (options: RestoreOptions): Promise<Restored> => {
  const { source, verify, progress, signal } = options;
  const manifest = await manifestOf(source);
  return await fillFolder(options.data, async (folder) => {
    const path = join(folder, options.name ?? LOG);
    await copyChecked(source, LOG, manifest, path, signal);
    // A log that is sealed at rest is verified with them.
    const keys = await restoreKeys(options, manifest, folder);
    const known = typeof options.known === "function" ? await options.known(folder) : options.known ?? [];
    // What another log says is for the verifier to name, however much it covers.
    const isOther = ({ origin }: Known) => manifest.origin !== undefined && origin !== manifest.origin;
    const against = [
      ...await checkpointOf(source, manifest),
      ...known.filter((one) => one.size <= manifest.size || isOther(one)).map(({ name, size, root, origin }) => ({
        name,
        text: `${origin}\n${size}\n${root}\n`,
        elsewhere: true,
      })),
    ];
    const verdict = await verify(path, { against, ...(progress ? { progress } : {}), ...(signal ? { signal } : {}) });
    if (!verdict.ok) throw new LogFault("truncated", `Cannot restore ${source}: ${wrongLine(verdict)}`);
    if (verdict.size !== manifest.size || verdict.root !== manifest.root) {
      throw new LogFault(
        "truncated",
        `Cannot restore ${source}: its manifest says ${manifest.size} events with root ${manifest.root}, ` +
          `the log has ${verdict.size} with root ${verdict.root}`,
      );
    }
    if (keys) await options.settleKeys?.(folder);
    signal?.throwIfAborted();
    const shorter_than = known.filter(({ size }) => size > manifest.size).sort((a, b) => b.size - a.size)[0];
    const restored: Restored = {
      ...copiedOf(verdict, manifest.files, keys),
      created: manifest.created,
      ...(shorter_than ? { shorter_than } : {}),
    };
    await options.finish?.(folder, restored);
    return restored;
  });
};

const manifestOf = async (source: string): Promise<Manifest> => {
  const path = join(source, MANIFEST);
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new LogFault("foreign", `Cannot read ${path}: it is no file`);
    const { size } = found;
    if (size > MANIFEST_BYTES_MAX) throw new LogFault("foreign", `Cannot read ${path}: ${size} bytes are no manifest`);
    return readManifest(await readFile(path));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT" || (error as { code?: string }).code === "ENOTDIR") {
      throw new LogFault("foreign", `Cannot restore ${source}: there is no ${MANIFEST}, so it is no finished backup`);
    }
    throw faultOf(`read ${path}`, error);
  }
};

/** What is verified is the copy, so nothing that changes the source meanwhile gets in. */
const copyChecked = async (
  source: string,
  name: keyof Manifest["files"],
  manifest: Manifest,
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const handle = await open(to, "wx", 0o600);
  try {
    const write = async (piece: Uint8Array) => {
      // A write may take less than it was given.
      for (let at = 0; at < piece.length;) at += (await handle.write(piece, at, piece.length - at)).bytesWritten;
    };
    expectDigest(name, manifest, await digestIn(source, name, signal, { write }));
  } finally {
    await handle.close();
  }
};

/** One that the manifest names is missed. */
const digestIn = async (source: string, name: string, ...more: Rest): Promise<FileDigest> => {
  try {
    return await digestOf(join(source, name), ...more);
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    throw new LogFault("truncated", `Cannot restore ${name}: it is in the manifest of ${source}, and is not there`);
  }
};
type Rest = Parameters<typeof digestOf> extends [string, ...infer R] ? R : never;

/** The newest of the backup, which its log must agree with. */
const checkpointOf = async (source: string, manifest: Manifest): Promise<readonly Against[]> => {
  if (!manifest.files[CHECKPOINT]) return [];
  expectDigest(CHECKPOINT, manifest, await digestIn(source, CHECKPOINT));
  return [{ text: await readFile(join(source, CHECKPOINT), "utf8"), name: CHECKPOINT, elsewhere: false }];
};

const expectDigest = (name: keyof Manifest["files"], manifest: Manifest, found: FileDigest): void => {
  const said = manifest.files[name]!;
  if (found.bytes === said.bytes && found.sha256 === said.sha256) return;
  throw new LogFault(
    "truncated",
    `Cannot restore ${name}: the manifest says ${said.bytes} bytes with SHA-256 ${said.sha256}, ` +
      `there are ${found.bytes} with ${found.sha256}`,
  );
};

const restoreKeys = async (options: RestoreOptions, manifest: Manifest, folder: string): Promise<boolean> => {
  const { source, passphrase, importKeys = writeBundle } = options;
  if (manifest.keys) expectDigest(KEYS, manifest, await digestIn(source, KEYS));
  if (passphrase === undefined) return false;
  if (!manifest.keys) throw new LogFault("invalid", `Cannot restore keys from ${source}: it was made without them`);
  await importKeys(folder, await openBundle(await readFile(join(source, KEYS)), passphrase));
  return true;
};

const writeBundle = async (folder: string, files: Bundle): Promise<void> => {
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
};
