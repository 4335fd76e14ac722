/** `restore`, put together: a backup comes back, verified, and says so when it is next written. */
import { events } from "../../events/mod.ts";
import { LogFault } from "../../events/log.ts";
import { restoreLog } from "../backup/restore.ts";
import type { RestoreReport, Runtime } from "../cli/runtime.ts";
import type { Kept } from "../cli/reader.ts";
import type { OnProgress } from "../cli/io.ts";
import { sealingOf } from "../keys/at_rest.ts";
import { KeysFault } from "../keys/fault.ts";
import { type Keys, openKeys, type RootSource } from "../keys/keys.ts";
import { forgetBeyond } from "../keys/restored.ts";
import { FolderReader } from "../kv/folder_reader.ts";
import { systemClock } from "../system/world.ts";
import { verifyLog } from "../verify/verify.ts";
import { archiveIn } from "./archive_source.ts";
import { knownKey } from "./at_rest.ts";
import { openSystem } from "./daybook.ts";
import { exists, FILES } from "./files.ts";
import { proveInCopy } from "./identity/copied.ts";
import { erasedBy, type Erasures } from "./privacy/erasures.ts";
import { type Newest, oursOf } from "./replaced.ts";
import { markRestored } from "./restored.ts";
import { expectSignedBy } from "./signed_by.ts";

/** Where the root key of a folder's keys is. */
type RootOf = (data: string) => Promise<RootSource>;

/** With what was read in the folder that it replaces. */
type Restoring = Omit<Parameters<Runtime["restore"]>[2], "agreed"> & {
  /** What it knows to be destroyed. */
  readonly erased?: Erasures;
  /** The newest checkpoints that it knows, and the public keys of its log. */
  readonly newest?: Newest;
  /** Public keys of the logs whose accounts have agreed already. */
  readonly agreed: readonly string[];
};

export const restore = async (
  rootOf: RootOf,
  source: string,
  data: string,
  { passphrase, against, newOrigin, erased, newest, erasures = [], proof, agreed, archive, signal }: Restoring,
  progress: OnProgress,
): Promise<RestoreReport> => {
  const typed = systemClock.now();
  const kept: Kept[] = [...against];
  let origin: string | undefined;
  let readOnly = false;
  let again: number | undefined;
  let months: number | undefined;
  const { shorter_than, created: _, ...restored } = await restoreLog({
    source,
    data,
    name: FILES.log,
    async verify(path, options) {
      try {
        const key = await sealedUnder(folderOf(path), rootOf);
        return await verifyLog({ path, catalogue: events, sealedUnder: key, ...options });
      } catch (error) {
        if (!(error instanceof LogFault) || error.kind !== "sealed" || passphrase !== undefined) throw error;
        // The keys that are missing are in the backup.
        const needed =
          "its log is sealed at rest, and comes back with its keys alone: give --passphrase-file FILE or DAYBOOK_PASSPHRASE";
        throw new LogFault("sealed", `Cannot restore ${source}: ${needed}`, { cause: error });
      }
    },
    ...(passphrase === undefined ? {} : { passphrase }),
    async importKeys(folder, files) {
      for (const [name, bytes] of Object.entries(files)) {
        await Deno.writeFile(`${folder}/${name}`, bytes, { createNew: true, mode: 0o600 });
      }
      const ask = async (keys: Keys) => {
        // Somebody's own folder has other accounts, which have no say in this log.
        if (agreed.some((key) => keys.logKey.vkeys.includes(key))) return;
        await withLogIn(folder, { key: knownKey(keys), archive }, (log) => proveInCopy({ keys, log }, proof, typed));
      };
      await withKeysIn(folder, rootOf, { readOnly: true, ask });
    },
    async settleKeys(folder) {
      const key = await sealedUnder(folder, rootOf);
      await withLogIn(folder, { key }, async (log) => {
        const newest = await log.checkpoint();
        await withKeysIn(folder, rootOf, {
          readOnly: true,
          ask: ({ logKey }) => expectSignedBy(logKey, { log, newest }),
        });
        forgetBeyond(`${folder}/${FILES.keys}`, log.size);
      });
      if (erased === undefined && erasures.length === 0) return;
      again = await withKeysIn(folder, rootOf, {
        readOnly: false,
        ask(keys) {
          months = erased?.periods.filter((period) => keys.periods.destroy(period)).length;
          return keys.eraseAgain([...erased?.subjects ?? [], ...erasures.map((each) => erasedBy(keys, each))]);
        },
      });
    },
    async known(folder) {
      const ask = (keys: Keys) => newest ? oursOf(newest, keys) : [];
      if (newest) kept.push(...await withKeysIn(folder, rootOf, { readOnly: true, ask }));
      return kept.map(({ name, text }) => {
        const [origin, size, root] = text.split("\n");
        return { name, origin: origin ?? "", size: Number(size), root: root ?? "" };
      });
    },
    async finish(folder, { size, root, created, keys, shorter_than }) {
      const beyond = shorter_than && { name: shorter_than.name, size: shorter_than.size, root: shorter_than.root };
      const left = newOrigin === undefined ? undefined : await depart(folder, rootOf, newOrigin);
      await markRestored(folder, {
        size,
        root,
        backup: created,
        ...(beyond ? { beyond } : {}),
        ...(left ? { fork: { ...left, to: newOrigin! } } : {}),
      });
      if (left) {
        origin = newOrigin;
        await settle(folder, rootOf);
      } else if (shorter_than) {
        readOnly = true;
        if (keys) await remember(folder, rootOf, kept.find(({ name }) => name === shorter_than.name)!.text);
      }
    },
    progress,
    ...(signal ? { signal } : {}),
  });
  return {
    ...restored,
    ...(shorter_than ? { shorterThan: shorter_than } : {}),
    ...(readOnly ? { readOnly } : {}),
    ...(origin === undefined ? {} : { origin }),
    ...(again === undefined ? {} : { erased: again }),
    ...(months ? { months } : {}),
  };
};

const folderOf = (path: string): string => path.slice(0, -FILES.log.length - 1);

const withKeysIn = async <T>(
  folder: string,
  rootOf: RootOf,
  { readOnly, ask }: { readonly readOnly: boolean; readonly ask: (keys: Keys) => T | Promise<T> },
): Promise<T> => {
  const root = await rootOf(folder);
  const path = `${folder}/${FILES.keys}`;
  const keys = openKeys({ path, root, clock: systemClock, catalogue: events, existing: true, readOnly });
  try {
    return await ask(keys);
  } finally {
    keys.close();
  }
};

const withLogIn = async <T>(
  folder: string,
  { key, archive }: { readonly key: Uint8Array | undefined; readonly archive?: string },
  ask: (log: FolderReader) => T | Promise<T>,
): Promise<T> => {
  const log = new FolderReader(`${folder}/${FILES.log}`, {
    catalogue: events,
    sealing: key && sealingOf(key),
    archive: archiveIn(archive),
  });
  try {
    return await ask(log);
  } finally {
    await log.close();
  }
};

/** What a log that is being restored is sealed under, where its keys lie beside it. */
const sealedUnder = async (folder: string, rootOf: RootOf): Promise<Uint8Array | undefined> =>
  await exists(`${folder}/${FILES.keys}`)
    ? await withKeysIn(folder, rootOf, { readOnly: true, ask: knownKey })
    : undefined;

/** Its name and key from now on are others; answers what they were. */
const depart = async (
  folder: string,
  rootOf: RootOf,
  origin: string,
): Promise<{ readonly origin: string; readonly key: string }> => {
  if (!await exists(`${folder}/${FILES.keys}`)) {
    throw new LogFault("invalid", "Cannot go on under another name without the keys of the backup");
  }
  return await withKeysIn(folder, rootOf, { readOnly: false, ask: ({ logKey }) => logKey.depart(origin) });
};

/** Keeps what a witness knows with the keys, so that `verify` tells of it; what our key has not signed is no news of ours. */
const remember = (folder: string, rootOf: RootOf, note: string): Promise<void> =>
  withKeysIn(folder, rootOf, {
    readOnly: false,
    ask({ logKey }) {
      try {
        logKey.remember(note);
      } catch (error) {
        if (!(error instanceof KeysFault) || error.kind !== "invalid") throw error;
      }
    },
  });

/** Opens it once, so that its first event and its first checkpoint under the new name are there before it is in its place. */
const settle = async (folder: string, rootOf: RootOf): Promise<void> => {
  const opened = await openSystem({
    data: folder,
    root: await rootOf(folder),
    // Nobody is going to ask it anything.
    threads: new Promise(() => {}),
  });
  await opened.daybook.close();
};
