/** Where things lie in a data folder. */
import { LogFault } from "../../events/log.ts";

/** Names of the files in a data folder. */
export const FILES = {
  log: "log.db",
  keys: "keys.db",
  root: "root.key",
  lock: "lock",
  socket: "control.sock",
  views: "views.db",
  restored: "restored.json",
  limits: "limits.json",
} as const;
/** The data folder that is none. */
export const MEMORY = ":memory:";

/** Throws `LogFault` where it cannot be made. */
export const makeFolder = async (data: string): Promise<void> => {
  try {
    await Deno.mkdir(data, { recursive: true, mode: 0o700 });
  } catch (error) {
    const why = error instanceof Deno.errors.AlreadyExists ? `${data} is no folder` : (error as Error).message;
    throw new LogFault("read_only", `cannot make the data folder: ${why}`);
  }
};

export const exists = async (path: string): Promise<boolean> => {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    // A file cannot hold it either.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
};

/** Path of the folder's log. Throws `LogFault`: `missing` when there is none, `foreign` where something else has its name. */
export const logIn = async (data: string): Promise<string> => {
  const path = `${data}/${FILES.log}`;
  if (!await exists(path)) throw new LogFault("missing", `there is no log in ${data}`);
  if (!(await Deno.stat(path)).isFile) throw new LogFault("foreign", `${path} is no file`);
  return path;
};
