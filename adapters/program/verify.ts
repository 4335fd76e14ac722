/** `verify` of a data folder: the log from its bytes alone, then the keys beside it. */
import { events } from "../../events/mod.ts";
import type { Runtime } from "../cli/runtime.ts";
import { verifyLog } from "../verify/verify.ts";
import { knownKey } from "./at_rest.ts";
import { FILES, logIn } from "./files.ts";
import type { Folders } from "./folder.ts";
import { heldToKeys, type Missed, subjectsOf } from "./held_to_keys.ts";

type Verify = Runtime["verify"];

export const verifyFolder = async (
  folders: Folders,
  data: string,
  { key, against, archive, wide }: Parameters<Verify>[1],
  progress: Parameters<Verify>[2],
): ReturnType<Verify> => {
  await logIn(data);
  const missed: Missed[] = [];
  // What the folder's own keys tell can catch a mistake; it proves nothing to who does not trust the folder. They are opened before
  // the log is: of whom an event tells there was a key before.
  const keys = await folders.keys(data);
  try {
    const newest = keys?.logKey.latest()?.note;
    const report = await folders.open(data, FILES.log, (path) =>
      verifyLog({
        path,
        archive,
        wide,
        catalogue: events,
        sealedUnder: keys && knownKey(keys),
        key,
        folderKey: keys?.logKey.signer.vkey,
        subjects: keys && subjectsOf(keys, missed),
        against: [
          ...against.map((kept) => ({ ...kept, elsewhere: true })),
          ...(newest ? [{ name: "the newest checkpoint in the key database", text: newest, elsewhere: false }] : []),
        ],
        progress,
      }));
    return await heldToKeys(report, () => folders.keys(data), missed);
  } finally {
    keys?.close();
  }
};
