/** What a folder whose place a backup takes knows of the log's newest checkpoint: a backup that ends before it is an older copy. */
import type { Kept } from "../cli/reader.ts";
import type { Keys } from "../keys/keys.ts";
import { noteVerifier, openNote } from "../keys/note.ts";
import { type Folders, withKeys, withLog } from "./folder.ts";

export interface Newest {
  /** As signed notes: what its keys remember, and what its log holds. */
  readonly notes: readonly Kept[];
  /** Public keys of its log; none where its keys cannot be read. */
  readonly vkeys: readonly string[];
}

/** Its log or its keys may be damaged or gone: that is why it is replaced. */
export const newestIn = async (folders: Pick<Folders, "log" | "keys">, folder: string): Promise<Newest> => {
  const [byKeys, byLog] = await Promise.allSettled([
    withKeys(folders, folder, ({ logKey }) => ({ text: logKey.latest()?.note, vkeys: logKey.vkeys })),
    withLog(folders, folder, async (log) => (await log.checkpoint())?.note),
  ]);
  const remembered = byKeys.status === "fulfilled" ? byKeys.value : undefined;
  const held = byLog.status === "fulfilled" ? byLog.value : undefined;
  return {
    notes: [
      { name: "what the keys of the folder it replaces remember", text: remembered?.text },
      { name: "the log of the folder it replaces", text: held },
    ].filter((note): note is Kept => note.text !== undefined),
    vkeys: remembered?.vkeys ?? [],
  };
};

/** Those of the log that is restored, by its keys; another log's say nothing about it, nor does what nobody has signed. */
export const oursOf = ({ notes, vkeys }: Newest, { logKey }: Pick<Keys, "logKey">): readonly Kept[] => {
  const ours = logKey.vkeys;
  // A key that came after the backup is known to the folder alone.
  const signing = vkeys.some((vkey) => ours.includes(vkey)) ? [...ours, ...vkeys] : ours;
  return notes.filter(({ text }) => signing.some((vkey) => openNote(text, noteVerifier(vkey)!) !== undefined));
};
