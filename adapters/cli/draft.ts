/** Files that bear their names only once they are whole, and somebody says so: as `Draft`. */
import { Usage } from "./call.ts";
import type { Draft, Io } from "./io.ts";

const PARTIAL = ".partial";
export const draftOf = (path: string): string => `${path}${PARTIAL}`;
const utf8 = new TextEncoder();

/** What takes no more, as a file on a disk that is full; of what is open the platform does not say where it is. */
export class OutputFault extends Error {
  override readonly name = "OutputFault";
  readonly kind: "full" | "io";

  constructor(cause: unknown, output: string) {
    const { code, message } = cause as { readonly code?: string; readonly message: string };
    super(`Cannot write ${output}: ${message}`, { cause });
    // Of a quota the platform gives no code.
    this.kind = code === "ENOSPC" || message.includes("quota exceeded") ? "full" : "io";
  }
}

export const writeAll = (file: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void => {
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
};

const writingTo = (file: Deno.FsFile, path: string): Draft["write"] => (piece) => {
  try {
    writeAll(file, typeof piece === "string" ? utf8.encode(piece) : piece);
  } catch (error) {
    throw new OutputFault(error, path);
  }
};

const synced = (file: Deno.FsFile, path: string): Promise<void> =>
  file.sync().catch((error) => {
    throw new OutputFault(error, path);
  });

/** `orLink`: also in the place of a link. `many`: what is settled holds no file open until it is named. */
export const openDraft = async (path: string, { orLink = false, many = false } = {}): Promise<Draft> => {
  const there = await Deno.lstat(path).catch(missing);
  if (there && !there.isFile && !(orLink && there.isSymlink)) throw new Usage(`${path} is no file`);
  const partial = draftOf(path);
  // What another run left may be open to others or be a link; a fresh one is neither.
  await Deno.remove(partial).catch(missing);
  const file = await Deno.open(partial, { write: true, createNew: true, mode: 0o600 }).catch((error) => {
    // Of the name that it has meanwhile nobody knows.
    error.message = error.message.replace(partial, () => path);
    throw error;
  });
  let open = true;
  const close = () => {
    if (open) file.close();
    open = false;
  };
  return {
    write: writingTo(file, path),
    async settle() {
      try {
        await synced(file, path);
      } finally {
        if (many) close();
      }
    },
    async name() {
      try {
        await Deno.rename(partial, path);
        // With the file goes its name; the folder around it may not be open to us.
        if (open) return await synced(file, path);
        using named = await Deno.open(path);
        await synced(named, path);
      } finally {
        close();
      }
    },
    async drop() {
      close();
      await Deno.remove(partial).catch(missing);
    },
  };
};

/** As `Io.create`. */
export const openOutput = async (path: string, { asBefore = false } = {}): Promise<Draft> => {
  try {
    const draft = await openDraft(path);
    return asBefore ? inStead(draft, path) : draft;
  } catch (error) {
    if (!(error instanceof Usage) && !(asBefore && isOfPlace(error))) throw error;
  }
  // What is written may be content of the log, or passwords of services.
  const file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
  const done = () => Promise.resolve();
  const close = () => Promise.resolve(file.close());
  return { write: writingTo(file, path), settle: close, name: done, drop: close };
};

/** Nothing can be made beside it, as in a folder that may not be written; the file itself may be. */
const isOfPlace = (error: unknown): boolean =>
  error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotFound ||
  ["EROFS", "ENAMETOOLONG"].includes((error as { readonly code?: string }).code ?? "");

/** Keeps whose it is and who may read it; what cannot be replaced, as where it is mounted, is written over. */
const inStead = (draft: Draft, path: string): Draft => ({
  ...draft,
  async name() {
    try {
      await keepRights(path);
      await draft.name();
    } catch (error) {
      const { code } = error as { readonly code?: string };
      if (!(error instanceof Deno.errors.PermissionDenied) && code !== "EBUSY") throw error;
      await writeOver(path);
    } finally {
      await draft.drop();
    }
  },
});

const keepRights = async (path: string): Promise<void> => {
  const there = await Deno.lstat(path).catch(missing);
  if (!there?.isFile || there.mode === null) return;
  const partial = draftOf(path);
  const made = await Deno.stat(partial);
  if (there.uid !== made.uid || there.gid !== made.gid) await Deno.chown(partial, there.uid, there.gid);
  await Deno.chmod(partial, there.mode & 0o777);
};

const writeOver = async (path: string): Promise<void> => {
  const whole = await Deno.readFile(draftOf(path));
  using file = await Deno.open(path, { write: true, truncate: true });
  writingTo(file, path)(whole);
  await synced(file, path);
};

/** As `Io.expectPlace`. */
export const expectPlace = async (path: string): Promise<void> => {
  const there = await Deno.stat(path).catch(missing);
  if (there?.isDirectory) throw new Usage(`${path} is no file`);
  if (!there) await (await openDraft(path)).drop();
  // A pipe is not opened twice.
  else if (there.isFile) (await Deno.open(path, { write: true })).close();
};

/** The whole of one file, or what was there before; it stays whose it was. */
export const writeOutput = async (io: Pick<Io, "create">, path: string, text: string): Promise<void> => {
  const file = await io.create(path, { asBefore: true });
  try {
    file.write(text);
    await file.settle();
  } catch (error) {
    await file.drop();
    throw error;
  }
  await file.name();
};

/** As `Io.writePrivate`. */
export const writePrivate = async (texts: Readonly<Record<string, string>>): Promise<void> => {
  const drafts: Draft[] = [];
  try {
    for (const [path, text] of Object.entries(texts)) {
      const draft = await openDraft(path, { orLink: true });
      drafts.push(draft);
      draft.write(text);
      await draft.settle();
    }
    for (const draft of drafts) await draft.name();
  } catch (error) {
    for (const draft of drafts) await draft.drop();
    throw error;
  }
};

const missing = (error: unknown): undefined => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
};
