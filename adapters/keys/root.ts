/**
 * The root key: 32 random bytes that wrap the keys of tenants and those of parts of the program. It lies in a file of its own,
 * so that a copy of the key database alone opens nothing, or comes from elsewhere: as bytes (a secret in the environment), or
 * out of a passphrase.
 */
import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { KeysFault, keysFault } from "./fault.ts";
import { type Kdf, keyOfPassphrase } from "./passphrase.ts";

/**
 * `key`: the 32 bytes themselves. `file`: where they lie, as `writeRoot` writes them; made on first start. `passphrase`: what they
 * are made of.
 */
export type RootSource =
  | { readonly key: Uint8Array }
  | { readonly file: string }
  | { readonly passphrase: string };

export const ROOT_BYTES = 32;
const HEAD = "daybook-root-key-1 ";
const NAME = "the root key file";

/** The file in which a new root key waits until the database is wrapped under it. */
export const nextOf = (file: string): string => `${file}.next`;

/**
 * A root key as people keep it: as a root key file has it, or its 32 bytes in base64, base64url or hexadecimal. `undefined` for
 * any other text.
 */
export const rootOfText = (text: string): Uint8Array | undefined => {
  const bare = (text.startsWith(HEAD) ? text.slice(HEAD.length) : text).trim();
  if (/^[0-9a-f]{64}$/i.test(bare)) return Buffer.from(bare, "hex");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(bare)) return undefined;
  return Buffer.from(bare, "base64");
};

/** The root key, or `undefined` when its file does not exist. `kdf`: of the passphrase, which is of no use without. */
export const readRoot = (source: RootSource, kdf?: Kdf): Uint8Array | undefined => {
  if ("passphrase" in source) {
    if (kdf) return keyOfPassphrase(source.passphrase, kdf);
    throw new KeysFault("root_wrong", "This key database has a root key of its own, and not one out of a passphrase");
  }
  if ("key" in source) {
    if (source.key.length !== ROOT_BYTES) {
      throw new KeysFault("invalid", `A root key has ${ROOT_BYTES} bytes, this one ${source.key.length}`);
    }
    return source.key;
  }
  let text: string;
  try {
    if (!statSync(source.file).isFile()) {
      throw new KeysFault("foreign", `Cannot read ${NAME} ${source.file}: it is no file`);
    }
    text = readFileSync(source.file, "latin1");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw keysFault(`read ${NAME} ${source.file}`, error);
  }
  const key = rootOfText(text);
  if (!key) throw new KeysFault("truncated", `Cannot use ${NAME} ${source.file}: it does not hold a root key`);
  return key;
};

/**
 * Writes a new root key, durable before it returns, readable by its owner alone. Two processes that do so at once both
 * return the key of the first.
 */
export const writeRoot = (file: string, key: Uint8Array): Uint8Array => {
  const draft = `${file}-${randomBytes(4).toString("hex")}`;
  try {
    try {
      writeKey(draft, key, "wx");
      linkSync(draft, file);
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    syncFolder(dirname(file));
  } catch (error) {
    throw keysFault(`write ${NAME} ${file}`, error);
  }
  return readRoot({ file })!;
};

const writeKey = (file: string, key: Uint8Array, flags: "w" | "wx"): void => {
  const handle = openSync(file, flags, 0o600);
  try {
    writeSync(handle, `${HEAD}${Buffer.from(key).toString("base64url")}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};

/** What root does for somebody, who has `file`, is theirs: their server is to read it. */
export const keepOwner = (file: string, next: string): void => {
  const owner = statSync(file, { throwIfNoEntry: false });
  if (owner && owner.uid !== statSync(next).uid) chownSync(next, owner.uid, owner.gid);
};

/** Keeps the key that is to come next beside the one that is in use, durable before it returns. */
export const writeNextRoot = (file: string, key: Uint8Array): void => {
  try {
    writeKey(nextOf(file), key, "w");
    keepOwner(file, nextOf(file));
    syncFolder(dirname(file));
  } catch (error) {
    throw keysFault(`write ${NAME} ${nextOf(file)}`, error);
  }
};

/** Puts the key that came next in the place of the old one, whose bytes are overwritten. May be repeated. */
export const replaceRoot = (file: string): void => {
  try {
    const length = statSync(file, { throwIfNoEntry: false })?.size;
    if (length !== undefined) {
      const handle = openSync(file, "r+");
      try {
        writeSync(handle, Buffer.alloc(length), 0, length, 0);
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
    }
    renameSync(nextOf(file), file);
    syncFolder(dirname(file));
  } catch (error) {
    throw keysFault(`replace ${NAME} ${file}`, error);
  }
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
