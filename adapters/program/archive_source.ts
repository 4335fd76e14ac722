/** What was archived, out of the folder that it lies in; nothing of the folder is looked at before it is needed. */
import { LogFault } from "../../events/log.ts";
import { events } from "../../events/mod.ts";
import type { ArchivedEntries } from "../kv/archive.ts";
import { TlogFolder } from "../tlog/reader.ts";

export const archiveIn = (folder: string | null | undefined): ArchivedEntries | undefined => {
  if (folder == null) return undefined;
  const archive = new TlogFolder(folder, Number.MAX_SAFE_INTEGER, events);
  return {
    entry(position) {
      try {
        return archive.entry(position);
      } catch (error) {
        // Whatever is wrong with it, what was asked for is not to be had.
        throw new LogFault("archived", `the archive ${folder} lacks it: ${(error as Error).message}`, { cause: error });
      }
    },
  };
};
