/**
 * Opens the log's file so that no file is left in its folder, not even those SQLite keeps beside a database in WAL mode
 * (https://www.sqlite.org/wal.html#read_only_databases).
 *
 * | the file                           | what it means                       | how it is opened                             |
 * |------------------------------------|-------------------------------------|----------------------------------------------|
 * | not in WAL mode, nothing beside it | closed cleanly                      | as it is; nothing is written                 |
 * | `-wal` and `-shm` beside it        | a writer is at work                 | as it is, with the files that are there      |
 * | in WAL mode, no `-shm`             | cut off, then copied without it     | as a copy elsewhere, where SQLite repairs it |
 * | `-journal` beside it               | cut off while it was closed         | likewise                                     |
 *
 * Whether a writer that has left a `-shm` is still at work is not to be seen in the file. Who knows that it is not, hands over a
 * copy: reading in place would make the `-shm` anew.
 */
import { Buffer } from "node:buffer";
import { copyFile, lstat, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { LogFault } from "../../events/log.ts";

export interface LogFile {
  readonly db: DatabaseSync;
  /** Where it is read, from where others may read it too. */
  readonly path: string;
  /** A file that is shorter than it says itself; the end may have been unused. */
  readonly short?: { readonly pages: number; readonly page_bytes: number; readonly bytes: number };
  close(): Promise<void>;
}

/** Bytes of a file; `undefined` when there is none. */
const bytesOf = async (path: string): Promise<number | undefined> => {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw new LogFault("io", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
};

/** Then SQLite finds what it keeps beside a database where the link leads to, and whoever looks here does not. */
const isLink = async (path: string): Promise<boolean> => (await lstat(path)).isSymbolicLink();

// Byte 19 of the file is its read version; 2 is WAL (https://www.sqlite.org/fileformat.html section 1.3.3).
const inWalMode = async (path: string): Promise<boolean> => {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(20), 0, 20, 0);
    return bytesRead === 20 && buffer[19] === 2;
  } finally {
    await file.close();
  }
};

/**
 * What the header says of the length (section 1.3), where the file is shorter. SQLite takes what is missing for zeros, so nothing else may
 * tell. Only of a file with nothing beside it, whose header is whole and up to date.
 */
const shortOf = async (path: string): Promise<LogFile["short"]> => {
  const file = await open(path);
  try {
    const header = Buffer.alloc(100);
    const { bytesRead } = await file.read(header, 0, header.length, 0);
    if (bytesRead < header.length || header.readUInt32BE(24) !== header.readUInt32BE(92)) return undefined;
    const size = header.readUInt16BE(16);
    const page_bytes = size === 1 ? 65_536 : size;
    const pages = header.readUInt32BE(28);
    const bytes = (await file.stat()).size;
    return bytes < pages * page_bytes ? { pages, page_bytes, bytes } : undefined;
  } finally {
    await file.close();
  }
};

/** As SQLite does it by itself; `undefined` where it would have to write and may not. */
const openPlainly = (path: string): DatabaseSync | undefined => {
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
  if (await bytesOf(path) === undefined) throw new LogFault("io", `Cannot read ${path}: there is no such file`);
  const wal = await bytesOf(`${path}-wal`) !== undefined;
  const beside = wal ? ["-wal"] : [];
  if (await bytesOf(`${path}-journal`)) return await openCopy(path, [...beside, "-journal"], scratch);
  const shared = await bytesOf(`${path}-shm`) !== undefined;
  const linked = await isLink(path);
  const db = linked || shared || !await inWalMode(path) ? openPlainly(path) : undefined;
  if (!db && linked) {
    throw new LogFault(
      "io",
      `Cannot read ${path}: it is a link, and was cut off; start there once, or verify a backup`,
    );
  }
  if (!db) return await openCopy(path, beside, scratch);
  const short = wal || shared ? undefined : await shortOf(path);
  return { db, path, ...(short ? { short } : {}), close: () => Promise.resolve(db.close()) };
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
      path: copy,
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
