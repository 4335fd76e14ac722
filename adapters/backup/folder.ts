/**
 * A folder that appears under its name only when it is complete: it is filled beside its place under another name,
 * made durable, and renamed. What is cut off leaves only the other name, and the next one for the same place clears
 * it away.
 */
import { randomBytes } from "node:crypto";
import { lstat, mkdir, open, readdir, rename, rm, writeFile as write } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { LogFault } from "../../events/log.ts";

const OWN = 0o700;
/** Held as long as somebody fills the folder; the system lets go of it when its holder dies. */
const LOCK = ".filling";
const FLUSHED_AT_ONCE = 16;

/** Turns what the file system says into the fault it means. */
export const faultOf = (action: string, error: unknown): LogFault => {
  if (error instanceof LogFault) return error;
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  const kind = /disk is full|No space left|ENOSPC|quota exceeded/i.test(message ?? "")
    ? "full"
    : code === "EROFS" || code === "EACCES" || code === "EPERM"
    ? "read_only"
    : "io";
  return new LogFault(kind, `Cannot ${action}: ${message ?? error}`, { cause: error });
};

/** All that is in a folder, and its names. */
const flushAll = async (folder: string): Promise<void> => {
  const entries = await readdir(folder, { withFileTypes: true });
  const [folders = [], files = []] = [true, false].map((wanted) =>
    entries.filter((entry) => entry.isDirectory() === wanted).map(({ name }) => join(folder, name))
  );
  for (const path of folders) await flushAll(path);
  // Side by side: the disk is told once for many.
  for (let at = 0; at < files.length; at += FLUSHED_AT_ONCE) {
    await Promise.all(files.slice(at, at + FLUSHED_AT_ONCE).map(flush));
  }
  await flush(folder);
};

/** Makes a file's bytes, or a folder's names, durable. */
const flush = async (path: string): Promise<void> => {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** Missing, or there with nothing in it. Throws `LogFault` `invalid` else. */
const expectFree = async (place: string): Promise<void> => {
  let names: readonly string[];
  try {
    names = await readdir(place);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") return;
    if (code !== "ENOTDIR") throw faultOf(`look into ${place}`, error);
    throw new LogFault("invalid", `Cannot put anything at ${place}: it is there and is no folder`, { cause: error });
  }
  if (names.length > 0) {
    throw new LogFault("invalid", `Cannot put anything at ${place}: there is something in it already`);
  }
};

/**
 * Fills a new folder and puts it in place, readable by its owner alone. Whatever `fill` throws, nothing is left
 * behind. Throws `LogFault`: `invalid` when the place is taken, `full`, `read_only`, `io`.
 */
export const fillFolder = async <T>(place: string, fill: (folder: string) => Promise<T>): Promise<T> => {
  const target = resolve(place);
  await expectFree(target);
  const parent = dirname(target);
  const name = `.${basename(target)}.partial-`;
  const folder = join(parent, name + randomBytes(6).toString("hex"));
  let lock: Deno.FsFile | undefined;
  try {
    await mkdir(parent, { recursive: true });
    await clearAway(parent, name);
    await mkdir(folder, { mode: OWN });
    lock = await Deno.open(join(folder, LOCK), { create: true, write: true });
    await lock.lock(true);
    const filled = await fill(folder);
    // Of very many files this takes long; without the lock it would be cleared away meanwhile.
    await flushAll(folder);
    await rm(join(folder, LOCK));
    await flush(folder);
    // Onto an empty folder the rename goes too; one that was filled meanwhile refuses it.
    await expectFree(target);
    await rename(folder, target);
    await flush(parent);
    return filled;
  } catch (error) {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
    // Who is told of the folder finds nothing there.
    if (error instanceof Error) error.message = error.message.replaceAll(folder, () => target);
    // What has no code of the system's is not about files: it is whatever the caller stopped with.
    throw isOfSystem(error) ? faultOf(`fill ${target}`, error) : error;
  } finally {
    lock?.close();
  }
};

/** Its codes are those of errno: `ENOSPC`, `EACCES`. */
const isOfSystem = (error: unknown): boolean => /^E[A-Z0-9]+$/.test((error as { code?: string }).code ?? "");

/** What earlier ones for the same place left when they were cut off; one that is at work still is let be. */
const clearAway = async (parent: string, name: string): Promise<void> => {
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(name)) continue;
    const folder = join(parent, entry);
    if (!(await lstat(folder)).isDirectory() || await isHeld(join(folder, LOCK))) continue;
    await rm(folder, { recursive: true, force: true });
  }
};

const isHeld = async (lock: string): Promise<boolean> => {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(lock, { write: true });
  } catch {
    return false;
  }
  try {
    return !await file.tryLock(true);
  } finally {
    file.close();
  }
};

/** A file of the folder that only its owner can read; it must not be there yet. */
export const writeFile = (path: string, bytes: Uint8Array): Promise<void> =>
  write(path, bytes, { flag: "wx", mode: 0o600 });
