/**
 * A verified copy of a log while it is written: one moment of its file, with index and checkpoints; the keys too if
 * asked, under a passphrase. It appears under its name only when it is whole, durable and verified.
 */
import { Buffer } from "node:buffer";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { LogFault } from "../../events/log.ts";
import { digestOf, type FileDigest } from "./digest.ts";
import { fillFolder, writeFile } from "./folder.ts";
import { CHECKPOINT, KEYS, LOG, MANIFEST, MANIFEST_FORMAT, writeManifest } from "./manifest.ts";
import { type Bundle, sealBundle } from "./sealed.ts";
import { snapshot } from "./snapshot.ts";

export interface Progress {
  readonly done: number;
  readonly total?: number;
  readonly unit: string;
}

/** A checkpoint to hold a copy against, as the verifier takes it. */
export interface Against {
  readonly text: string;
  readonly name: string;
  readonly elsewhere: boolean;
}

/** What the verifier says of a file. */
export interface Verdict {
  readonly ok: boolean;
  readonly size: number;
  readonly root: string;
  readonly origin?: string;
  readonly entry_bytes: number;
  readonly failures: readonly {
    readonly position: number;
    readonly kind: string;
    readonly expected: string;
    readonly found: string;
  }[];
}

export type Verify = (
  path: string,
  options: {
    readonly against: readonly Against[];
    readonly progress?: (progress: Progress) => void;
    readonly signal?: AbortSignal;
  },
) => Promise<Verdict>;

export interface BackupOptions {
  /** The log's file; may be in use. */
  readonly log: string;
  /** Folder to make; missing or empty. */
  readonly destination: string;
  readonly verify: Verify;
  /** RFC 3339, for the manifest. */
  readonly created: string;
  /** Newest checkpoint as a signed note, read before or, by a function, in the copy; kept beside the log, and the copy must contain it. */
  readonly checkpoint?: string | ((copy: string) => Promise<string | undefined>);
  /** Whether somebody writes the log and keeps the files beside it in order. Default: whether there is a `-shm`. */
  readonly writing?: () => Promise<boolean>;
  /**
   * Files of the keys, and the passphrase to put them under. `export` is called right after the log was copied, with a
   * folder where it may put things for a moment; `bundleFiles` does it.
   */
  readonly keys?: {
    readonly passphrase: string;
    readonly export: (scratch: string) => Promise<Bundle>;
    /** By whom the log is signed, as these keys have it now; where that changes between log and keys, both are copied again. */
    readonly signedBy?: () => Promise<string>;
  };
  readonly progress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** What is there now. */
export interface Copied {
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Of all files. */
  readonly bytes: number;
  readonly keys: boolean;
  readonly log_bytes: number;
  /** Of the log's file for each event: entry, chain, tree and index; absent for an empty log. */
  readonly bytes_per_event?: number;
  /** Of the entry alone. */
  readonly entry_bytes_per_event?: number;
}

/** The first thing that is wrong, as one line. */
export const wrongLine = ({ failures: [first] }: Verdict): string =>
  first
    ? `position ${first.position}: ${first.kind}: expected ${first.expected}, found ${first.found}`
    : "it is not sound";

export const copiedOf = (
  verdict: Verdict,
  files: Readonly<Record<string, FileDigest | undefined>>,
  keys: boolean,
): Copied => {
  const { size, root, entry_bytes } = verdict;
  const log_bytes = files[LOG]!.bytes;
  const per = (bytes: number) => Math.round((bytes / size) * 10) / 10;
  return {
    size,
    root,
    bytes: Object.values(files).reduce((sum, file) => sum + (file?.bytes ?? 0), 0),
    keys,
    log_bytes,
    ...(size > 0 ? { bytes_per_event: per(log_bytes), entry_bytes_per_event: per(entry_bytes) } : {}),
  };
};

/**
 * Copies, verifies, then puts in place. The writer goes on meanwhile.
 *
 * Throws `LogFault`: `invalid` when the destination is taken or the passphrase too short, `truncated` when the copy
 * does not verify,
 * `full`, `read_only`, `io`, `foreign`; or the signal's reason. Whatever it throws, nothing is left at or beside the
 * destination.
 */
export const backupLog = (options: BackupOptions): Promise<Copied> =>
  fillFolder(options.destination, async (folder) => {
    const { verify, progress, signal } = options;
    const files: Record<string, FileDigest> = {};
    const add = async (name: string, bytes: Uint8Array) => {
      await writeFile(join(folder, name), bytes);
      files[name] = await digestOf(join(folder, name));
    };
    const path = join(folder, LOG);
    const bundle = await copyBoth(options, folder, path);
    const checkpoint = typeof options.checkpoint === "function" ? await options.checkpoint(path) : options.checkpoint;
    const against = checkpoint === undefined
      ? []
      : [{ text: checkpoint, name: "the newest checkpoint", elsewhere: false }];
    const verdict = await verify(path, { against, ...(progress ? { progress } : {}), ...(signal ? { signal } : {}) });
    if (!verdict.ok) throw new LogFault("truncated", `Cannot back up ${options.log}: ${wrongLine(verdict)}`);
    files[LOG] = await digestOf(path, signal);
    if (checkpoint !== undefined) await add(CHECKPOINT, Buffer.from(checkpoint));
    if (options.keys && bundle) await add(KEYS, await sealBundle(bundle, options.keys.passphrase));
    signal?.throwIfAborted();
    const { size, root, origin } = verdict;
    const keys = options.keys !== undefined;
    const manifest = {
      format: MANIFEST_FORMAT as 1,
      ...(origin === undefined ? {} : { origin }),
      size,
      root,
      created: options.created,
      keys,
      files: {
        [LOG]: files[LOG],
        ...(files[CHECKPOINT] ? { [CHECKPOINT]: files[CHECKPOINT] } : {}),
        ...(files[KEYS] ? { [KEYS]: files[KEYS] } : {}),
      },
    };
    await add(MANIFEST, writeManifest(manifest));
    return copiedOf(verdict, files, keys);
  });

/** Log and keys are copied so often at most. */
export const COPIES_MAX = 5;

/**
 * The log, and the keys of right after: before it is verified, which takes as long as it is. Where its key was changed in between, the
 * copy would know nothing of it and the one that it knows be gone, so that nobody could go on with it.
 */
const copyBoth = async (
  { log, writing, keys, signal }: BackupOptions,
  folder: string,
  path: string,
): Promise<Bundle | undefined> => {
  for (let attempt = 1;; attempt++) {
    const before = await keys?.signedBy?.();
    await snapshot(log, path, writing);
    signal?.throwIfAborted();
    const bundle = await keys?.export(folder);
    signal?.throwIfAborted();
    if (await keys?.signedBy?.() === before) return bundle;
    if (attempt === COPIES_MAX) throw new LogFault("locked", `Cannot copy ${log}: its key is changed all the time`);
    await rm(path);
  }
};
