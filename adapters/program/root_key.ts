/** Where the root key comes from, as the configuration says it. */
import { randomBytes } from "node:crypto";
import { Usage } from "../cli/call.ts";
import type { Io } from "../cli/io.ts";
import { inFolderOf, type Settings } from "../cli/settings.ts";
import { KeysFault } from "../keys/fault.ts";
import { freshKdf, type Kdf, keyOfPassphrase } from "../keys/passphrase.ts";
import { keepOwner, readRoot, ROOT_BYTES, rootOfText, type RootSource, writeRoot } from "../keys/root.ts";
import { exists, FILES } from "./files.ts";

/** Throws `Usage` where what the configuration points at is not there, `KeysFault` `invalid` where it holds no root key. */
export const rootSourceOf = async (
  { config, file }: Settings,
  data: string,
  io: Pick<Io, "env" | "readText">,
): Promise<RootSource> => {
  const { root, passphrase } = config.keys;
  if (passphrase !== null) {
    const text = "env" in passphrase
      ? io.env(passphrase.env)
      : await io.readText(inFolderOf(file, passphrase.file)).catch(() => undefined);
    const line = text?.split(/\r?\n/)[0];
    if (!line) throw new Usage("the configuration points at a passphrase that is not there (keys.passphrase)");
    return { passphrase: line };
  }
  if (root === null) return { file: `${data}/${FILES.root}` };
  if ("file" in root) {
    const path = inFolderOf(file, root.file);
    // Elsewhere none is made, for nothing may be written there. Keys that lost theirs tell so themselves.
    if (!path.startsWith(`${data}/`) && !await exists(path) && !await exists(`${data}/${FILES.keys}`)) {
      throw new Usage(`the configuration points at a root key that is not there (keys.root): ${path}`);
    }
    return { file: path };
  }
  const text = io.env(root.env);
  if (!text) throw new Usage("the configuration points at a root key that is not there (keys.root)");
  const key = rootOfText(text);
  if (!key) {
    throw new KeysFault("invalid", `The variable ${root.env} holds no root key: 32 bytes in base64 or hexadecimal`);
  }
  return { key };
};

/**
 * A root key to go over to: of a file, made with a fresh one if it is missing, for who has the folder `data`; of a variable; or out of the
 * passphrase on a file's first line. Throws as `rootSourceOf` does.
 */
export const rootKeyFrom = async (
  from: { readonly file: string } | { readonly env: string } | { readonly passphraseFile: string },
  { data, io }: { readonly data: string; readonly io: Pick<Io, "env" | "readText"> },
): Promise<{ readonly key: Uint8Array; readonly kdf?: Kdf }> => {
  if ("file" in from) return { key: readRoot(from) ?? newRoot(from.file, data) };
  if ("env" in from) {
    const text = io.env(from.env);
    const key = text === undefined ? undefined : rootOfText(text);
    if (key) return { key };
    throw new Usage(`the variable ${from.env} holds no root key: 32 bytes in base64 or hexadecimal`);
  }
  const [line] = (await io.readText(from.passphraseFile)).split(/\r?\n/);
  if (!line) throw new Usage(`${from.passphraseFile} has no passphrase on its first line`);
  const kdf = freshKdf(randomBytes);
  return { key: keyOfPassphrase(line, kdf), kdf };
};

const newRoot = (file: string, data: string): Uint8Array => {
  const key = writeRoot(file, randomBytes(ROOT_BYTES));
  try {
    keepOwner(data, file);
  } catch (error) {
    // Only root can give away what it made.
    if ((error as { code?: string }).code !== "EPERM") throw error;
  }
  return key;
};
