/**
 * SQLite files that were not closed, read without a byte written where they lie.
 *
 * Whoever reads a database in WAL mode which nobody else has open makes its `-shm` anew, and whoever finds a `-journal` of a
 * transaction that was cut off has to roll back (https://www.sqlite.org/wal.html#read_only_databases,
 * https://www.sqlite.org/lockingv3.html section 4). So what a process that was killed has left is copied, with the files beside
 * it, into a folder of the reader's own; there SQLite puts it in order. A running writer's files are read where they lie.
 */
import { basename } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** A copy that changed while it was made is made again; after so many the file is somebody's who is at work. */
const ATTEMPTS = 3;
const BESIDE = ["-wal", "-journal"] as const;
/** Byte 18 and 19 of a database are its write and read version; 2 is WAL (https://www.sqlite.org/fileformat.html section 1.3.3). */
const READ_VERSION_AT = 19;
const WAL = 2;

/** What was written last lies beside what the link leads to, where whoever reads may not look; a copy without it would be another log. */
const LINKED = "is a link, and was not closed: start the server once, which puts it in order, or link the whole folder";

/** `no_room`: the copy does not fit. `io`: it could not be made for another reason. Either way nothing is left of it. */
export class ScratchFault extends Error {
  override readonly name = "ScratchFault";
  constructor(readonly kind: "no_room" | "io", message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

export interface ScratchOptions {
  /** Folder of a copy. It must not be there: it is made for each, owner-only, and removed again. */
  readonly folder: string;
  /** Listens for the process being told to end; the answer stops listening. */
  onStop(call: () => void): () => void;
  /** Ends the process. */
  quit(): void;
  /** Told before so many bytes of a file are copied. */
  onCopy?(path: string, bytes: number): void;
}

/** Whether it was not closed: in WAL mode, or with the files of a transaction beside it. False when there is no such file. */
export const isLeftOpen = async (path: string): Promise<boolean> => {
  const [file, wal, journal] = await markOf(path);
  if (!file) return false;
  return wal !== undefined || (journal?.size ?? 0) > 0 || await inWalMode(path);
};

/** Changes whenever somebody writes the file or those beside it. */
export const changeMark = async (path: string): Promise<string> => JSON.stringify(await markOf(path));

export class Scratch {
  /** One copy at a time, as they share a folder. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: ScratchOptions) {}

  /**
   * Calls `use` with where the file can be opened: its own place, or that of a copy of one moment, which is removed when
   * `use` is done. A connection that was opened goes on reading what was removed, so `use` need do no more than open.
   *
   * `writing` says whether somebody has the file who keeps it in order. Throws `ScratchFault`, and whatever `use` throws.
   */
  open<T>(path: string, writing: () => Promise<boolean>, use: (path: string) => T | Promise<T>): Promise<T> {
    const opened = this.last.then(() => this.inTurn(path, writing, use));
    this.last = opened.catch(() => {});
    return opened;
  }

  private async inTurn<T>(
    path: string,
    writing: () => Promise<boolean>,
    use: (path: string) => T | Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (!await isLeftOpen(path) || await writing()) break;
      const used = await this.copied(path, writing, use);
      if (used) return used.answer;
    }
    return await use(path);
  }

  /** Undefined when somebody wrote meanwhile, so that it is not the copy of one moment. */
  private async copied<T>(
    path: string,
    writing: () => Promise<boolean>,
    use: (path: string) => T | Promise<T>,
  ): Promise<{ readonly answer: T } | undefined> {
    const { folder, onCopy } = this.options;
    if ((await Deno.lstat(path)).isSymlink) throw new ScratchFault("io", `${path} ${LINKED}`);
    const to = `${folder}/${basename(path)}`;
    const before = await markOf(path);
    onCopy?.(path, before.reduce((sum, file) => sum + (file?.size ?? 0), 0));
    const forget = this.makeFolder(path);
    try {
      try {
        await copyFile(path, to);
        for (const [i, suffix] of BESIDE.entries()) if (before[i + 1]) await copyFile(path + suffix, to + suffix);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw this.fault(path, error);
      }
      if (await writing() || JSON.stringify(await markOf(path)) !== JSON.stringify(before)) return undefined;
      this.settle(path, to);
      return { answer: await use(to) };
    } catch (error) {
      // Who is told of the copy finds nothing there.
      if (error instanceof Error) error.message = error.message.replaceAll(to, path);
      throw error;
    } finally {
      remove(folder);
      forget();
    }
  }

  private makeFolder(path: string): () => void {
    const { folder, onStop, quit } = this.options;
    let made = false;
    // Listened for first: whoever sees the folder may tell us to end at once.
    const forget = onStop(() => {
      if (made) remove(folder);
      quit();
    });
    try {
      Deno.mkdirSync(folder, { mode: 0o700 });
      made = true;
      return forget;
    } catch (error) {
      forget();
      const said = (error as Error).message;
      // Where nobody is let in who has not all permissions, trying again does not help.
      if (error instanceof Deno.errors.NotCapable && !said.startsWith("Requires all access")) {
        const message = `the process that wrote ${path} has just died, and reading it takes a copy now: try again`;
        throw new ScratchFault("io", message, { cause: error });
      }
      const kind = isFull(said) ? "no_room" : "io";
      throw new ScratchFault(kind, `cannot make ${folder} for a copy (TMPDIR says where): ${said}`, { cause: error });
    }
  }

  /** One file, as if it had been closed. What is damaged stays as it is: whoever opens it says so better. */
  private settle(path: string, to: string): void {
    try {
      const db = new DatabaseSync(to);
      try {
        db.exec("pragma journal_mode = delete");
      } finally {
        db.close();
      }
    } catch (error) {
      if (isFull((error as Error).message)) throw this.fault(path, error);
    }
  }

  private fault(path: string, error: unknown): ScratchFault {
    // Where the copy was to be helps nobody.
    const said = (error instanceof Error ? error.message : String(error)).replace(/ -> '[^']*'$/, "");
    if (!isFull(said)) return new ScratchFault("io", `cannot copy ${path} to read it: ${said}`, { cause: error });
    return new ScratchFault(
      "no_room",
      `there is no room for a copy of ${path} in ${this.options.folder}; set TMPDIR to a folder with room`,
      { cause: error },
    );
  }
}

/** What tells of a change: of the file and of each of `BESIDE`, where it is there. */
const markOf = (path: string) => Promise.all(["", ...BESIDE].map((suffix) => markOfOne(path + suffix)));

const markOfOne = async (
  path: string,
): Promise<{ readonly size: number; readonly changed: readonly (number | null)[] } | undefined> => {
  try {
    const { size, mtime, ctime, ino, isFile } = await Deno.stat(path);
    // What is no file, such as a pipe, has nothing to copy; whoever opens it says so.
    if (!isFile) return undefined;
    return { size, changed: [mtime?.getTime() ?? null, ctime?.getTime() ?? null, ino] };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

const inWalMode = async (path: string): Promise<boolean> => {
  const file = await Deno.open(path, { read: true });
  try {
    const header = new Uint8Array(READ_VERSION_AT + 1);
    return await file.read(header) === header.length && header[READ_VERSION_AT] === WAL;
  } finally {
    file.close();
  }
};

/** Copying goes on in a thread of its own, which may make one more file while a folder is emptied. */
const REMOVALS = 3;

const remove = (folder: string): void => {
  for (let left = REMOVALS; left > 0; left--) {
    try {
      return Deno.removeSync(folder, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (left === 1) throw error;
    }
  }
};

const copyFile = async (from: string, to: string): Promise<void> => {
  await Deno.copyFile(from, to);
  // A copy of what may only be read could only be read.
  await Deno.chmod(to, 0o600);
};

const isFull = (said: string): boolean => /disk is full|ENOSPC|No space left|os error 28\b|EDQUOT|quota/i.test(said);
