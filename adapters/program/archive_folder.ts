/** The folder that the beginning of a log is archived to: a whole tlog-tiles folder of just that, verified before anything is let go of. */
import { LogFault } from "../../events/log.ts";
import { hashesAt, TILE_WIDTH, tileName, tilesAt } from "../../events/tiles.ts";
import { Refused } from "../cli/runtime.ts";
import type { Reader } from "../cli/reader.ts";
import type { OnProgress } from "../cli/io.ts";
import { bundleFiles, CHECKPOINT, hashTileFiles, type TlogFile, type TlogWritten, writeTlog } from "../tlog/writer.ts";
import { verifyTlog } from "../verify/tlog.ts";

/** The event loop gets a turn behind so many files. */
const TURN_FILES = 16;

export interface ToArchive {
  /** Entries before this one are there already. */
  readonly from: number;
  readonly until: number;
  readonly root: string;
  /** The checkpoint of just that, signed by `key`. */
  readonly note: string;
  readonly key: string;
  /** Where entries before `from` are read, to begin a new folder with them. */
  readonly taken?: string;
}

/**
 * Everything in it is durable when it resolves. May be repeated. Throws `Refused` for a folder of another log, or where what was archived
 * before is not; `LogFault`: `full`, `read_only`, `io`, and `truncated` when what was written does not verify.
 */
export const writeArchive = async (
  log: Pick<Reader, "entry" | "tree">,
  folder: string,
  { from: begun, until, root, note, key, taken }: ToArchive,
  progress: OnProgress,
): Promise<TlogWritten> => {
  const from = await expectOurs(log, folder, { from: begun, until, note, taken });
  let files = 0;
  const written = await writeTlog(
    folder,
    archiveFiles(log, { from, until, note }),
    {
      durable: true,
      wrote({ done }) {
        progress({ done, total: until, unit: "events" });
        return ++files % TURN_FILES === 0 ? new Promise((resolve) => setTimeout(resolve, 0)) : undefined;
      },
    },
  );
  await removePartial(folder, from, until);
  const report = await verifyTlog({ folder, key, progress });
  if (report.ok && report.size === until && report.root === root) return written;
  const [first] = report.failures;
  throw new LogFault(
    "truncated",
    `${folder} does not hold the first ${until} events: ` +
      (first
        ? `position ${first.position}: ${first.kind}: expected ${first.expected}, found ${first.found}`
        : "another root"),
  );
};

/** One after another, so that no more than one tile is held. */
function* archiveFiles(
  log: Pick<Reader, "entry" | "tree">,
  { from, until, note }: Pick<ToArchive, "from" | "until" | "note">,
): Generator<TlogFile> {
  yield* bundleFiles(log, until, from / TILE_WIDTH);
  yield* hashTileFiles(log, until);
  yield { path: CHECKPOINT, pieces: [new TextEncoder().encode(note)], done: until };
}

/** What is written replaces what is there, which may be all that is left of another copy of the log. Answers where to begin. */
const expectOurs = async (
  { tree }: Pick<Reader, "tree">,
  folder: string,
  { from, until, note, taken }: Pick<ToArchive, "from" | "until" | "note" | "taken">,
): Promise<number> => {
  let there: string | undefined;
  try {
    there = await Deno.readTextFile(`${folder}/${CHECKPOINT}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const [origin] = note.split("\n");
  const [other, said = "0", root] = there?.split("\n") ?? [];
  const size = Number(said);
  if (other !== undefined && other !== origin) {
    throw new Refused("other_archive", `${folder} is the archive of another log, ${other}`);
  }
  if (other === undefined && taken !== undefined) return 0;
  if (size < from) {
    throw new Refused(
      "other_archive",
      `The first ${from} events lie in another archive; go on with that folder, or with --archive take them along to a new one`,
    );
  }
  if (other === undefined) return from;
  if (!Number.isSafeInteger(size) || tree.root(size)?.toBase64() !== root) {
    throw new Refused("other_archive", `${folder} is the archive of another past of this log, of ${said} events`);
  }
  if (size > until) {
    throw new Refused("other_archive", `${folder} was begun to hold the first ${size} events; archive as many`);
  }
  return from;
};

/** Partial tiles of smaller trees, that of before and those of runs that were not ended, which the larger one does not have. */
const removePartial = async (folder: string, from: number, until: number): Promise<void> => {
  for (let level = 1; hashesAt(level, until) > 0; level++) {
    for (const { index, width } of tilesAt(level, until, Math.floor(hashesAt(level, from) / TILE_WIDTH))) {
      const parts = `${folder}/tile/${level}/${tileName({ index, width: TILE_WIDTH })}.p`;
      for (const name of await namesIn(parts)) if (name !== String(width)) await Deno.remove(`${parts}/${name}`);
      if (width === TILE_WIDTH) await Deno.remove(parts).catch(gone);
    }
  }
};

const namesIn = async (folder: string): Promise<readonly string[]> => {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    gone(error);
    return [];
  }
};

const gone = (error: unknown): void => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
};
