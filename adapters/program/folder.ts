/** A data folder as commands that read open it: whatever state it was left in, nothing is written there. */
import { LogFault } from "../../events/log.ts";
import { events } from "../../events/mod.ts";
import { bytes } from "../cli/print.ts";
import type { Io } from "../cli/io.ts";
import { sealingOf } from "../keys/at_rest.ts";
import { type Keys, openKeys, type RootSource } from "../keys/keys.ts";
import { FolderReader } from "../kv/folder_reader.ts";
import { FolderLock } from "../kv/lock.ts";
import { NeedsKey } from "../sqlite/connection.ts";
import { changeMark, isLeftOpen, Scratch } from "../sqlite/scratch.ts";
import { systemClock } from "../system/world.ts";
import { archiveIn } from "./archive_source.ts";
import { knownKey } from "./at_rest.ts";
import { exists, FILES, logIn, MEMORY } from "./files.ts";

/** A copy of so many bytes takes a while, so a person is told. */
const TOLD_BYTES = 100_000_000;
/** The databases that reading commands open. */
const READ = [FILES.log, FILES.views, FILES.keys] as const;

export interface Folders {
  /** Calls `use` with where a database of the folder can be opened; the file need not stay there after that. */
  open<T>(data: string, name: typeof READ[number], use: (path: string) => T | Promise<T>): Promise<T>;
  /** `archive`: where what was archived can be read; default what the configuration says. Throws `LogFault`, as `FolderReader` does. */
  log(data: string, archive?: string): Promise<FolderReader>;
  /** For reading; undefined where there are none. */
  keys(data: string): Promise<Keys | undefined>;
  /**
   * Calls `use` without a key, and where what it opens turns out to be sealed at rest, once more with the folder's. Throws what
   * `use` throws, so where there is no key, that it is sealed.
   */
  atRest<T>(data: string, use: (key: Uint8Array | undefined) => Promise<T>): Promise<T>;
}

/** Asks the log of a folder something; `archive`: as `Folders.log`. */
export const withLog = async <T>(
  folders: Pick<Folders, "log">,
  data: string,
  ask: (log: FolderReader) => T | Promise<T>,
  archive?: string,
): Promise<T> => {
  const log = await folders.log(data, archive);
  try {
    return await ask(log);
  } finally {
    await log.close();
  }
};

/** Asks the keys of a folder something, without writing them; undefined where there are none. */
export const withKeys = async <T>(
  folders: Pick<Folders, "keys">,
  data: string,
  ask: (keys: Keys) => T,
): Promise<T | undefined> => {
  const keys = await folders.keys(data);
  if (!keys) return undefined;
  try {
    return ask(keys);
  } finally {
    keys.close();
  }
};

/** Whether a process has the folder as its writer, with or without answering on its socket. */
export const isWriting = (data: string): Promise<boolean> => FolderLock.isHeld(`${data}/${FILES.lock}`);

/** Whether reading the folder takes a copy of one of its databases. */
export const wantsScratch = async (data: string): Promise<boolean> => {
  if (data === MEMORY) return false;
  try {
    if (await isWriting(data)) return false;
    for (const name of READ) if (await isLeftOpen(`${data}/${name}`)) return true;
    return false;
  } catch {
    return false; // whoever opens it says what is wrong with it
  }
};

export interface FoldersParts {
  readonly io: Io;
  /** Folder for copies, which is not there. */
  readonly scratch: string;
  /** Where the root key of a folder's keys is. */
  readonly rootOf: (data: string) => Promise<RootSource>;
  /** Where the configuration says that the archive is, absolute. */
  readonly archived: () => Promise<string | undefined>;
}

export const foldersOf = ({ io, scratch, rootOf, archived }: FoldersParts): Folders => {
  const copies = new Scratch({
    folder: scratch,
    onStop: (call) => io.onStop(call),
    quit: () => Deno.exit(3),
    onCopy(path, size) {
      if (io.terminal.err && size >= TOLD_BYTES) {
        io.err(`daybook: ${path} was not closed; reading a copy of it (${bytes(size)})\n`);
      }
    },
  });
  const mayWrite = (path: string) => Deno.permissions.querySync({ name: "write", path }).state === "granted";
  const open: Folders["open"] = async (data, name, use) => {
    const path = `${data}/${name}`;
    // Who writes the folder may read it there, and asks for no place for copies.
    if (!mayWrite(scratch) && mayWrite(data)) return await use(path);
    return await copies.open(path, () => isWriting(data), use);
  };
  const keys: Folders["keys"] = async (data) => {
    if (!await exists(`${data}/${FILES.keys}`)) return undefined;
    const root = await rootOf(data);
    return await open(
      data,
      FILES.keys,
      (path) => openKeys({ path, root, clock: systemClock, catalogue: events, readOnly: true }),
    );
  };
  const known = new Map<string, Uint8Array>();
  const atRest: Folders["atRest"] = async (data, use) => {
    try {
      return await use(known.get(data));
    } catch (error) {
      if (known.has(data) || !isForKey(error)) throw error;
      const opened = await keys(data);
      const key = opened && knownKey(opened);
      opened?.close();
      if (!key) throw error;
      known.set(data, key);
      return await use(key);
    }
  };
  return {
    open,
    keys,
    atRest,
    async log(data, archive) {
      const path = await logIn(data);
      let mark = await changeMark(path);
      let copied = false;
      const renew = async (reader: FolderReader) => {
        const now = copied ? await changeMark(path) : mark;
        if (now === mark) return;
        try {
          await open(data, FILES.log, (at) => {
            reader.goOnIn(at);
            copied = at !== path;
          });
          mark = now;
        } catch (error) {
          // Somebody is opening it at this moment: there is another look.
          if (!(error instanceof LogFault) || error.kind !== "locked") throw error;
        }
      };
      const reading = (from: string | undefined) =>
        atRest(data, (key) =>
          open(data, FILES.log, (at) => {
            copied = at !== path;
            return new FolderReader(at, {
              catalogue: events,
              renew,
              sealing: key && sealingOf(key),
              archive: archiveIn(from),
            });
          }));
      const reader = await reading(archive);
      if (archive !== undefined || !reader.archived) return reader;
      const configured = await archived();
      if (configured === undefined) return reader;
      await reader.close();
      return await reading(configured);
    },
  };
};

const isForKey = (error: unknown): boolean =>
  error instanceof NeedsKey || (error instanceof LogFault && error.kind === "sealed");
