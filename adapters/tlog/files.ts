/** Files of a tlog-tiles folder, each put in place as a whole. */
import { dirname, join, resolve } from "node:path";
import { LogFault } from "../../events/log.ts";

/** What the file system said, as the fault it means. */
const faultOf = (action: string, error: unknown): LogFault => {
  if (error instanceof LogFault) return error;
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  // Of a quota the platform gives no code.
  const kind = code === "ENOSPC" || message?.includes("quota exceeded")
    ? "full"
    : code === "EROFS" || code === "EACCES" || code === "EPERM"
    ? "read_only"
    : "io";
  return new LogFault(kind, `Cannot ${action}: ${message ?? error}`, { cause: error });
};

/**
 * Writes a file under another name and renames it. `path` has slashes; folders on the way are made, readable by their owner alone. Answers
 * how many bytes it has. Throws `LogFault`: `full`, `read_only`, `io`; then nothing is there under the name that was not before.
 */
export const putFile = (folder: string, path: string, pieces: Iterable<Uint8Array>, durable: boolean): number => {
  const target = join(folder, path);
  const parent = dirname(target);
  const meanwhile = `${target}.partial`;
  let bytes = 0;
  try {
    if (!isThere(parent)) makeFolders(folder, parent, durable);
    const file = Deno.openSync(meanwhile, { write: true, create: true, truncate: true, mode: 0o600 });
    try {
      for (const piece of pieces) {
        for (let at = 0; at < piece.length;) at += file.writeSync(piece.subarray(at));
        bytes += piece.length;
      }
      if (durable) file.syncSync();
    } finally {
      file.close();
    }
    Deno.renameSync(meanwhile, target);
    if (durable) flushFolder(parent);
    return bytes;
  } catch (error) {
    try {
      Deno.removeSync(meanwhile);
    } catch {
      // It was never there, or cannot be removed either; its name says what it is.
    }
    throw faultOf(`write ${target}`, error);
  }
};

const isThere = (path: string): boolean => {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};

/** From `folder` down to `path`, and what names them. */
const makeFolders = (folder: string, path: string, durable: boolean): void => {
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  if (!durable) return;
  const top = resolve(folder);
  for (let at = resolve(path); at.startsWith(top) && at !== dirname(at); at = dirname(at)) flushFolder(at);
};

const flushFolder = (folder: string): void => {
  const handle = Deno.openSync(folder, { read: true });
  try {
    handle.syncSync();
  } finally {
    handle.close();
  }
};
