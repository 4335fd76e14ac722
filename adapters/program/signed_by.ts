/** Whether the keys of a folder are those of its log: another log's would go on with it under another name, and nothing would say so. */
import type { Event } from "../../events/event.ts";
import { type Checkpoint, LogFault } from "../../events/log.ts";
import type { Store } from "../../events/store.ts";
import type { LogKey } from "../keys/log_key.ts";
import { toldEvents } from "../kv/archive.ts";
import type { FolderReader } from "../kv/folder_reader.ts";

const FORKED = "kernel.log.forked";

interface Fork {
  readonly from: { readonly origin: string; readonly key: string };
  readonly to: string;
}

export interface SignedLog {
  readonly log: Pick<FolderReader, "read">;
  /** The newest in the log; one that is damaged is for the verifier to name. */
  readonly newest: Checkpoint | undefined;
  /** A fork that is not recorded yet. */
  readonly fork?: { readonly origin: string; readonly key: string; readonly to: string } | undefined;
  /** Where the log lies, without its archive. */
  readonly lies?: Pick<Store, "get">;
}

/** Throws `LogFault` `foreign` where the newest checkpoint bears no signature of any of the keys, nor of the log that this one left. */
export const expectSignedBy = (
  { vkeys, next, signer }: Pick<LogKey, "vkeys" | "next" | "signer">,
  { log, newest, fork, lies }: SignedLog,
): void => {
  if (!newest) return;
  const signed = signersOf(newest.note);
  if (signed.size === 0) return;
  if ([...vkeys, ...(next ? [next.vkey] : [])].some((vkey) => signed.has(signerOf(vkey)))) return;
  const left = fork ? { from: fork, to: fork.to } : lastFork(log, lies);
  if (left?.to === signer.name && signed.has(signerOf(left.from.key))) return;
  throw new LogFault(
    "foreign",
    `the keys beside the log are not its own: they would sign as ${signer.name}, and its newest checkpoint is signed by ` +
      `${[...signed].map((one) => one.split(" ")[0]).join(", ")}; put its own keys back`,
  );
};

/** Name and id of a public key. */
const signerOf = (vkey: string): string => {
  const [name, id] = vkey.split("+");
  return `${name} ${id}`;
};

/** Of whoever signed a note, by what its lines say (https://c2sp.org/signed-note). */
const signersOf = (note: string): ReadonlySet<string> => {
  const lines = note.slice(note.lastIndexOf("\n\n") + 2).matchAll(/^— (\S+) ([A-Za-z0-9+/]{6})/gm);
  return new Set([...lines].map(([, name, head]) => `${name} ${idOf(head!)}`));
};

const idOf = (head: string): string =>
  [...atob(`${head}==`)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");

const lastFork = (log: SignedLog["log"], lies: SignedLog["lies"]): Fork | undefined => {
  try {
    for (const [event] of log.read({ types: [FORKED], backward: true, limit: 1 })) {
      return (event as Event | undefined)?.data as Fork | undefined;
    }
    return undefined;
  } catch (error) {
    if (!lies || !(error instanceof LogFault) || error.kind !== "archived") throw error;
    return toldEvents(lies).findLast(({ type }) => type === FORKED)?.data as Fork | undefined;
  }
};
