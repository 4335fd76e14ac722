/**
 * A copy of one moment of a SQLite database that others may be writing, without disturbing them and without writing
 * beside it.
 *
 * While somebody writes, SQLite's backup interface copies it in one step inside one read transaction
 * (https://www.sqlite.org/backup.html), which writers go on beside. Else the file and the `-wal` or `-journal` that was left
 * beside it are copied, together they are the database; SQLite does not open the original then, for it would make its `-shm`.
 */
import { chmod, constants, copyFile, lstat, open, rm, stat } from "node:fs/promises";
import { backup, DatabaseSync } from "node:sqlite";
import { faultOf } from "./folder.ts";
import { LogFault } from "../../events/log.ts";

const ATTEMPTS = 3;
const WAIT_MS_MAX = 5_000;
const OWN_FILE = 0o600;
/** Byte 19 of a database is its read version; 2 is WAL (https://www.sqlite.org/fileformat.html section 1.3.3). */
const READ_VERSION_AT = 19;
const WAL = 2;

/** What was written last lies beside what the link leads to, where whoever reads may not look. */
const linked = (path: string): LogFault =>
  new LogFault(
    "io",
    `Cannot copy ${path}: it is a link, and was not closed: start the server once, which puts it in order, or link the whole folder`,
  );

const isLink = async (path: string): Promise<boolean> => (await lstat(path)).isSymbolicLink();

const inWalMode = async (path: string): Promise<boolean> => {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(READ_VERSION_AT + 1));
    return bytesRead === buffer.length && buffer[READ_VERSION_AT] === WAL;
  } finally {
    await file.close();
  }
};

const statOf = async (path: string) => {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
};

/**
 * Writes the copy to `to`, which must not be there. The copy is one file, whatever its
 * journal was before. The copying itself does not yield; about 300 MB a second. Throws `LogFault`: `io`, `full`,
 * `foreign`, `truncated`.
 */
export const snapshot = async (
  from: string,
  to: string,
  writing: () => Promise<boolean> = async () => await statOf(`${from}-shm`) !== undefined,
): Promise<void> => {
  try {
    for (let attempt = 1; !await copied(from, to, writing); attempt++) {
      if (attempt === ATTEMPTS) {
        throw new LogFault("locked", `Cannot copy ${from}: it is opened and closed all the time`);
      }
      await clear(to);
    }
    oneFile(to);
    await chmod(to, OWN_FILE);
  } catch (error) {
    await clear(to);
    throw databaseFault(from, error);
  }
};

/**
 * The same for a database with a rollback journal, as the keys have: always through SQLite, which leaves nothing beside such
 * a file and waits for a writer that is at it. Throws as `snapshot` does, and `locked` when the writer takes too long.
 */
export const snapshotJournaled = async (from: string, to: string): Promise<void> => {
  try {
    const db = new DatabaseSync(from, { readOnly: true, timeout: WAIT_MS_MAX });
    try {
      await backup(db, to, { rate: -1 });
    } finally {
      db.close();
    }
    await chmod(to, OWN_FILE);
  } catch (error) {
    await clear(to);
    // A transaction was cut off, and whoever only reads cannot take it back; nobody is at it.
    if (/readonly database/i.test((error as Error).message)) {
      if (await isLink(from)) throw linked(from);
      return await snapshot(from, to, () => Promise.resolve(false));
    }
    throw databaseFault(from, error);
  }
};

const clear = async (to: string): Promise<void> => {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) await rm(to + suffix, { force: true });
};

/** False: it was at rest when looked at, and then was not. */
const copied = async (from: string, to: string, writing: () => Promise<boolean>): Promise<boolean> => {
  const before = await statOf(from);
  if (!before) throw new LogFault("io", `Cannot copy ${from}: there is no such file`);
  const [wal, journal] = [await statOf(`${from}-wal`), await statOf(`${from}-journal`)];
  if (await writing()) {
    const db = new DatabaseSync(from, { readOnly: true });
    try {
      await backup(db, to, { rate: -1 });
    } finally {
      db.close();
    }
    return true;
  }
  if (await isLink(from) && await inWalMode(from)) throw linked(from);
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  // A journal takes back what was half done when it was cut off. One that is gone by now was somebody's who closed the file.
  if (wal && !await copiedBeside(`${from}-wal`, `${to}-wal`)) return false;
  if (journal && !await copiedBeside(`${from}-journal`, `${to}-journal`)) return false;
  // They are still to be written, whatever the originals may be.
  for (const suffix of ["", "-wal", "-journal"]) if (await statOf(to + suffix)) await chmod(to + suffix, OWN_FILE);
  if (await writing()) return false;
  return unchanged(before, await statOf(from)) && unchanged(wal, await statOf(`${from}-wal`)) &&
    unchanged(journal, await statOf(`${from}-journal`));
};

/** False when it is not there any more. */
const copiedBeside = async (from: string, to: string): Promise<boolean> => {
  try {
    await copyFile(from, to);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return false;
    throw error;
  }
};

type Stats = Awaited<ReturnType<typeof statOf>>;
const unchanged = (before: Stats, after: Stats): boolean =>
  before?.size === after?.size && before?.mtimeMs === after?.mtimeMs && before?.ino === after?.ino;

/** Takes in a `-wal` and gives the journal up, so that the copy can be read where nothing can be written. */
const oneFile = (path: string): void => {
  const db = new DatabaseSync(path);
  try {
    db.exec("pragma journal_mode = delete");
  } finally {
    db.close();
  }
};

const databaseFault = (from: string, error: unknown): LogFault => {
  const said = error instanceof Error ? error.message : String(error);
  if (/not a database/i.test(said)) return new LogFault("foreign", `Cannot copy ${from}: ${said}`, { cause: error });
  if (/is locked/i.test(said)) return new LogFault("locked", `Cannot copy ${from}: ${said}`, { cause: error });
  if (/malformed/i.test(said)) return new LogFault("truncated", `Cannot copy ${from}: ${said}`, { cause: error });
  return faultOf(`copy ${from}`, error);
};
