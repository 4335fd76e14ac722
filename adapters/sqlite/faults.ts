/**
 * What SQLite says of a file that cannot be used, and what only a look at the folder can tell: an open file that is deleted,
 * replaced or cut short goes on being read and written as if nothing had happened, until it is closed.
 */
import { changeOf, type FileSeen } from "../../actors/kernel/open_file.ts";
import { ViewsFault } from "../../projections/views.ts";

/** An open file is looked at in its folder at most this often, unless somebody says otherwise. */
const LOOK_MS = 1_000;

// Primary result codes (https://sqlite.org/rescode.html).
const [IOERR, CORRUPT, CANTOPEN, NOTADB] = [10, 11, 14, 26];
const [READONLY, FULL] = [8, 13];
// Of IOERR: the index of the write-ahead log could not grow, as on a full disk.
const IOERR_SHMSIZE = 4874;
/** While rows are walked, and when a file is opened, the runtime gives SQLite's message without its code. */
const MESSAGES: readonly (readonly [RegExp, number])[] = [
  [/^database disk image is malformed/, CORRUPT],
  [/^file is not a database/, NOTADB],
  [/^disk I\/O error/, IOERR],
  [/^unable to open database file/, CANTOPEN],
  [/^database or disk is full/, FULL],
  [/^attempt to write a readonly database/, READONLY],
  // Where a walk over rows met what ends a transaction, as a page for which there was no memory, only this is said of it.
  [/^cannot commit - no transaction is active/, IOERR],
  // It was there when the file was opened; any other SQLITE_ERROR is ours.
  [/^no such table/, CORRUPT],
];

const codeOf = (error: Error): number | undefined => {
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown };
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  if (errcode === IOERR_SHMSIZE) return FULL;
  const said = MESSAGES.find(([message]) => message.test(error.message))?.[1];
  // The upper bytes tell more of the same.
  return said ?? (typeof errcode === "number" ? errcode & 0xff : undefined);
};

/** The fault that an error of SQLite means for the file at `path`; any other error as it is. */
export const faultOf = (error: unknown, path: string): unknown => {
  if (!(error instanceof Error) || error instanceof ViewsFault) return error;
  const code = codeOf(error);
  const damaged = code === IOERR || code === CORRUPT || code === CANTOPEN || code === NOTADB;
  if (damaged) return new ViewsFault("damaged", `${nameOf(path)}: ${error.message}`, { cause: error });
  if (code !== FULL && code !== READONLY) return error;
  return new ViewsFault("unwritable", `${nameOf(path)}: ${error.message}`, { cause: error });
};

/** Paths name the data folder; causes are recorded and shown. */
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const seen = (path: string): FileSeen | undefined => {
  try {
    const { dev, ino, size } = Deno.statSync(path);
    return { dev, ino, size };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

/**
 * Whether a file, and its write-ahead log, are still those that were opened, and the file no shorter: SQLite never shortens
 * ours. To be made when the connection has read, for since then no other that closes takes the log away.
 */
export class Lookout {
  private readonly known = new Map<string, FileSeen | undefined>();
  private looked = performance.now();

  constructor(private readonly path: string, private readonly every = LOOK_MS) {
    for (const file of [path, `${path}-wal`]) this.known.set(file, seen(file));
  }

  /** Throws `ViewsFault` `damaged`. Costs nothing most of the time. */
  look(): void {
    const now = performance.now();
    if (now - this.looked < this.every) return;
    this.looked = now;
    for (const [file, before] of this.known) {
      const after = seen(file);
      const wrong = before && wrongWith(before, after, file === this.path);
      if (wrong) throw new ViewsFault("damaged", `${nameOf(file)}: ${wrong}`);
      this.known.set(file, after);
    }
  }
}

const wrongWith = (before: FileSeen, after: FileSeen | undefined, grows: boolean): string | undefined => {
  const change = changeOf(before, after);
  if (change === "gone") return "the file was deleted";
  if (change === "another") return "the file was replaced";
  return change && grows ? `the file was cut short from ${before.size} to ${after!.size} bytes` : undefined;
};
