/** Where the root key comes from, as the configuration says it. */
import { Usage } from "../cli/call.ts";
import type { Io } from "../cli/runtime.ts";
import { inFolderOf, type Settings } from "../cli/settings.ts";
import { KeysFault } from "../keys/fault.ts";
import { rootOfText, type RootSource } from "../keys/root.ts";
import { FILES } from "./files.ts";

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
  if ("file" in root) return { file: inFolderOf(file, root.file) };
  const text = io.env(root.env);
  if (!text) throw new Usage("the configuration points at a root key that is not there (keys.root)");
  const key = rootOfText(text);
  if (!key) {
    throw new KeysFault("invalid", `The variable ${root.env} holds no root key: 32 bytes in base64 or hexadecimal`);
  }
  return { key };
};
