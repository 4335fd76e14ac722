/** Where secrets are read that a configuration points at: a variable, a file, or what is stored under a name in the key database. */
import type { SecretReference } from "../../config/config.ts";
import type { Io } from "../cli/io.ts";
import { inFolderOf, type Settings } from "../cli/settings.ts";
import { fileText } from "../cli/terminal.ts";
import type { Keys } from "../keys/keys.ts";

/** `undefined` where there is none; without keys nothing is stored. Throws `Usage` for one that is no text. */
export type Secrets = (reference: SecretReference) => Promise<string | undefined>;

export const secretsOf = (
  { file }: Pick<Settings, "file">,
  io: Pick<Io, "env">,
  keys?: Pick<Keys, "stored">,
): Secrets =>
async (reference) => {
  if ("env" in reference) return io.env(reference.env);
  if ("stored" in reference) return keys?.stored.read(reference.stored);
  try {
    return await fileText(inFolderOf(file, reference.file));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};
