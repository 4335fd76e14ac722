/** A log as a folder of tiles, which appears under its name only when it is whole. */
import type { Checkpoint } from "../../events/log.ts";
import { fillFolder } from "../backup/folder.ts";
import type { Reader } from "../cli/reader.ts";
import type { OnProgress } from "../cli/io.ts";
import { tlogFiles, type TlogWritten, writeTlog } from "../tlog/writer.ts";

/** The event loop gets a turn behind so many files. */
const TURN_FILES = 16;

/** Throws `LogFault`: `invalid` when the place is taken, `full`, `read_only`, `io`; then nothing is left there. */
export const exportTiles = (
  { log, checkpoint }: { readonly log: Pick<Reader, "entry" | "tree">; readonly checkpoint: Checkpoint },
  folder: string,
  progress: OnProgress,
): Promise<TlogWritten> =>
  fillFolder(folder, async (filling) => {
    let files = 0;
    return await writeTlog(filling, tlogFiles(log, checkpoint), {
      wrote({ done }) {
        progress({ done, total: checkpoint.size, unit: "events" });
        return ++files % TURN_FILES === 0 ? new Promise((resolve) => setTimeout(resolve, 0)) : undefined;
      },
    });
  });
