/** What is sealed at rest, and under which key: log, views and notes of a folder together, or none of them. */
import { LogFault } from "../../events/log.ts";
import type { Store } from "../../events/store.ts";
import { sealingOf } from "../keys/at_rest.ts";
import { KeysFault } from "../keys/fault.ts";
import type { Keys } from "../keys/keys.ts";
import { decodeFormat, FORMAT_KEY } from "../kv/format.ts";
import { SealedStore } from "../kv/sealed_store.ts";
import type { Sealed } from "../sqlite/sealed_pages.ts";

/** Of the key in the key database. */
const SECRET = "at-rest";

type Secrets = Pick<Keys, "secret">;

/** The key of a folder that is sealed; `undefined` where there never was one. Throws `KeysFault`. */
export const knownKey = (keys: Secrets): Uint8Array | undefined => {
  try {
    return keys.secret(SECRET);
  } catch (error) {
    if (error instanceof KeysFault && error.kind === "missing") return undefined;
    throw error;
  }
};

/** What views and notes are opened with; loads what works on sealed pages. */
export const sealedBy = async (key: Uint8Array): Promise<Sealed> => {
  const { sealedEngine } = await import("../sqlite/sealed_engine.ts");
  return { sealing: sealingOf(key), engine: await sealedEngine() };
};

/**
 * The store of a log as it lies: one that is there says itself whether it is sealed, one that is to be made is as `wanted`, under a
 * key that is made with it. Closes the store when it throws.
 *
 * Throws `LogFault` `invalid` where the log was made clear and is wanted sealed: what was written before would stay as it is.
 */
export const asItLies = async (
  store: Store,
  { keys, wanted }: { readonly keys: Secrets; readonly wanted: boolean },
): Promise<{ readonly store: Store; readonly key: Uint8Array | undefined }> => {
  try {
    if (!isSealed(store, wanted)) return { store, key: undefined };
    const key = keys.secret(SECRET);
    return { store: new SealedStore(store, sealingOf(key)), key };
  } catch (error) {
    await store.close();
    throw error;
  }
};

const isSealed = (store: Store, wanted: boolean): boolean => {
  const format = store.get(FORMAT_KEY);
  if (!format) return wanted;
  const sealed = decodeFormat(format).seal !== undefined;
  if (wanted && !sealed) {
    throw new LogFault(
      "invalid",
      "log.sealed_at_rest is set, and this folder was made without it; a folder is sealed from its first event on, or never: " +
        "unset it to go on with this one",
    );
  }
  return sealed;
};
