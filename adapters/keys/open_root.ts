/** Finds the root key that opens a database, whatever a replacement of it was cut off at. */
import { timingSafeEqual } from "node:crypto";
import { KeysFault } from "./fault.ts";
import type { KnownRoot } from "./hierarchy.ts";
import { freshKdf, type Kdf, keyOfPassphrase } from "./passphrase.ts";
import { nextOf, readRoot, replaceRoot, ROOT_BYTES, type RootSource, writeRoot } from "./root.ts";
import { rootCheck } from "./wrapping.ts";

export interface Found {
  readonly key: Uint8Array;
  /** 0: a database of the first format. */
  readonly version: number;
  /** It still waits beside its file, which holds the one before. */
  readonly waiting?: true;
}

/** The root key of a new database; of a file that is not there yet, durable in it. Without a source, random bytes. */
export const firstRoot = (
  source: RootSource | undefined,
  random: (bytes: number) => Uint8Array,
): { readonly key: Uint8Array; readonly kdf?: Kdf } => {
  const draft = random(ROOT_BYTES);
  if (source === undefined) return { key: draft };
  if ("passphrase" in source) {
    const kdf = freshKdf(random);
    return { key: keyOfPassphrase(source.passphrase, kdf), kdf };
  }
  return { key: readRoot(source) ?? writeRoot((source as { file: string }).file, draft) };
};

/**
 * The key of `source` that is the newest of `roots`. The database may be wrapped under a key that still waits beside its file:
 * then that one is it.
 *
 * Throws `KeysFault`: `root_missing` when its file is not there; `root_wrong` when it is another one, or one that was replaced.
 */
export const findRoot = (
  path: string,
  source: RootSource,
  roots: readonly KnownRoot[],
): Found => {
  const current = roots.at(-1);
  if (!current) {
    throw new KeysFault(
      "truncated",
      `Cannot open ${path}: it does not say which root key it needs; restore it from a backup`,
    );
  }
  if (!("file" in source) && !("key" in source) && !current.kdf) throw notPassphrase(path);
  const read = attempt(() => readRoot(source, current.kdf));
  if (read.key && isRoot(read.key, current)) return { key: read.key, version: current.version };
  if ("file" in source) {
    const next = attempt(() => readRoot({ file: nextOf(source.file) })).key;
    if (next && isRoot(next, current)) {
      return { key: next, version: current.version, waiting: true };
    }
  }
  if (read.fault) throw read.fault;
  const { key } = read;
  if (!key) {
    throw new KeysFault(
      "root_missing",
      `Cannot open ${path}: its root key ${(source as { file: string }).file} is missing; restore it from a backup`,
    );
  }
  const older = roots.find((root) => isRoot(key, root));
  throw new KeysFault(
    "root_wrong",
    older
      ? `Cannot open ${path}: this root key, version ${older.version}, was replaced at ${older.retired} by version ${current.version}`
      : "passphrase" in source
      ? `Cannot open ${path}: the passphrase is not the one it was made with`
      : `Cannot open ${path}: this root key is not the one it was made with`,
  );
};

/**
 * Puts a key that waits in its place; nothing where it has been put already. For one process at a time: within a transaction of the
 * database.
 */
export const settleRoot = (file: string, current: KnownRoot): void => {
  const { key } = attempt(() => readRoot({ file }));
  if (key && isRoot(key, current)) return;
  const next = attempt(() => readRoot({ file: nextOf(file) })).key;
  if (next && isRoot(next, current)) replaceRoot(file);
};

const notPassphrase = (path: string): KeysFault =>
  new KeysFault("root_wrong", `Cannot open ${path}: its root key is not made of a passphrase`);

const attempt = (read: () => Uint8Array | undefined): { readonly key?: Uint8Array; readonly fault?: unknown } => {
  try {
    const key = read();
    return key ? { key } : {};
  } catch (fault) {
    return { fault };
  }
};

const isRoot = (key: Uint8Array, { mark }: KnownRoot): boolean =>
  mark.length === ROOT_BYTES && timingSafeEqual(mark, rootCheck(key));
