/**
 * Opens the log's file so that nothing in its folder is written, not even the files SQLite keeps beside a database in
 * WAL mode (https://www.sqlite.org/wal.html#read_only_databases).
 *
 * | beside the file   | what it means                      | how it is opened                                |
 * |-------------------|------------------------------------|-------------------------------------------------|
 * | nothing           | closed cleanly; nobody has it open | `immutable`: no locks, no files; watched        |
 * | `-wal` and `-shm` | a writer is at work, or was cut off | `readonly_shm`: its memory is read, not written |
 * | `-wal`, no `-shm` | cut off, then copied without it    | as a copy elsewhere, where SQLite recovers it   |
 * | `-journal`        | cut off while it was closed        | likewise                                        |
 *
 * The parameters are only understood in a URL, and Deno lets a URL through only where all reading is allowed. With
 * permission for the folder alone SQLite opens it as it likes: it may leave an empty `-wal` and a `-shm` there, and
 * where it cannot, the copy is left.
 */
import { copyFile, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { LogFault } from "../../events/log.ts";

export interface LogFile {
  readonly db: DatabaseSync;
  /** False: it was written to while it was read as if nobody could; what was read does not count. */
  unchanged(): Promise<boolean>;
  close(): Promise<void>;
}

const about = async (path: string): Promise<{ readonly bytes: number; readonly changed: number } | undefined> => {
  try {
    const { size, mtimeMs } = await stat(path);
    return { bytes: size, changed: mtimeMs };
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw new LogFault("io", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
};

/** `undefined`: a URL is not allowed here, where it would be taken for a path below the working folder. */
const connect = (path: string, parameter: string): DatabaseSync | undefined => {
  if (Deno.permissions.querySync({ name: "read" }).state !== "granted") return undefined;
  const url = pathToFileURL(path);
  url.searchParams.set(parameter, "1");
  return new DatabaseSync(url, { readOnly: true });
};

/** As SQLite does it by itself; `undefined` where it would have to write and may not. */
const connectPlainly = (path: string): DatabaseSync | undefined => {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: true });
    db.prepare("select count(*) from sqlite_master").get();
    return db;
  } catch (error) {
    db?.close();
    if (/readonly|unable to open/i.test((error as Error).message)) return undefined;
    throw error;
  }
};

/**
 * Throws `LogFault` `io` when there is no such file or it may not be read. What SQLite says of a damaged one comes as
 * its own error, here or with the first statement.
 */
export const openLogFile = async (path: string, scratch = tmpdir()): Promise<LogFile> => {
  const file = await about(path);
  if (!file) throw new LogFault("io", `Cannot read ${path}: there is no such file`);
  const wal = await about(`${path}-wal`);
  const shm = await about(`${path}-shm`);
  if ((await about(`${path}-journal`))?.bytes) return await openCopy(path, ["-journal"], scratch);
  if (!wal || (wal.bytes === 0 && !shm)) {
    const db = connect(path, "immutable");
    if (db) {
      const unchanged = async () => {
        const now = await about(path);
        return now?.bytes === file.bytes && now.changed === file.changed && !(await about(`${path}-wal`))?.bytes;
      };
      return { db, unchanged, close: () => Promise.resolve(db.close()) };
    }
  }
  const db = wal && !shm ? undefined : (shm && connect(path, "readonly_shm")) ?? connectPlainly(path);
  if (!db) return await openCopy(path, wal ? ["-wal"] : [], scratch);
  return { db, unchanged: () => Promise.resolve(true), close: () => Promise.resolve(db.close()) };
};

const openCopy = async (path: string, beside: readonly string[], scratch: string): Promise<LogFile> => {
  const dir = await mkdtemp(join(scratch, "daybook-verify-"));
  const clear = () => rm(dir, { recursive: true, force: true });
  try {
    const copy = join(dir, "log.db");
    await copyFile(path, copy);
    for (const suffix of beside) await copyFile(path + suffix, copy + suffix);
    // Not read-only, so that SQLite can put in order what was cut off.
    const db = new DatabaseSync(copy);
    return {
      db,
      unchanged: () => Promise.resolve(true),
      async close() {
        db.close();
        await clear();
      },
    };
  } catch (error) {
    await clear();
    throw error;
  }
};
