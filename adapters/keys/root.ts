/**
 * The root key: 32 random bytes that wrap every other key. It lies in a file of its own, so that a copy of the key
 * database alone opens nothing, and so that it can come from elsewhere: the caller may hand in the bytes (from a
 * secret in the environment, or derived from a passphrase) or name another file.
 */
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { KeysFault, keysFault } from "./fault.ts";

/** `key`: the 32 bytes themselves. `file`: where they lie, as `writeRoot` writes them; made on first start. */
export type RootSource = { readonly key: Uint8Array } | { readonly file: string };

export const ROOT_BYTES = 32;
const HEAD = "daybook-root-key-1 ";
const NAME = "the root key file";

/** The root key, or `undefined` when its file does not exist. */
export const readRoot = (source: RootSource): Uint8Array | undefined => {
  if ("key" in source) {
    if (source.key.length !== ROOT_BYTES) {
      throw new KeysFault("invalid", `A root key has ${ROOT_BYTES} bytes, this one ${source.key.length}`);
    }
    return source.key;
  }
  let text: string;
  try {
    text = readFileSync(source.file, "latin1");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw keysFault(`read ${NAME} ${source.file}`, error);
  }
  const key = text.startsWith(HEAD) ? Buffer.from(text.slice(HEAD.length).trim(), "base64url") : Buffer.alloc(0);
  if (key.length !== ROOT_BYTES) {
    throw new KeysFault("truncated", `Cannot use ${NAME} ${source.file}: it does not hold a root key`);
  }
  return key;
};

/**
 * Writes a new root key, durable before it returns, readable by its owner alone. Two processes that do so at once both
 * return the key of the first.
 */
export const writeRoot = (file: string, key: Uint8Array): Uint8Array => {
  const draft = `${file}-${randomBytes(4).toString("hex")}`;
  try {
    const handle = openSync(draft, "wx", 0o600);
    try {
      writeSync(handle, `${HEAD}${Buffer.from(key).toString("base64url")}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    try {
      linkSync(draft, file);
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    } finally {
      unlinkSync(draft);
    }
    syncFolder(dirname(file));
  } catch (error) {
    throw keysFault(`write ${NAME} ${file}`, error);
  }
  return readRoot({ file })!;
};

/** Makes new names in a folder durable. */
export const syncFolder = (folder: string): void => {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};

/** A line for people when others may read a secret file; `undefined` when all is well or the platform has no modes. */
export const tooOpen = (file: string): string | undefined => {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (!mode || (mode & 0o077) === 0) return undefined;
  return `${file} can be read by others (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${file}`;
};
