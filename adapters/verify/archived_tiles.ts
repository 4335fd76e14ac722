/** What an archive folder holds beside the entries: the hash tiles of the part that was archived, and its checkpoint. */
import type { Against } from "./claims.ts";
import type { Failures } from "./failures.ts";
import { readCheckpoint, readNote } from "./note.ts";
import { fileIn, MISSING, pathsOf, WIDTH } from "./tlog_files.ts";
import { TlogTiles } from "./tlog_tiles.ts";
import { HASH_BYTES } from "./tree.ts";

const CHECKPOINT = "checkpoint";
const CHECKPOINT_BYTES_MAX = 65_536;
const TILE_BYTES = WIDTH * HASH_BYTES;

/**
 * A later archive run that was not ended may have gone on with the folder, which is of more entries then: its checkpoint says of how many.
 * So files that are too many are not looked for.
 */
export class ArchivedTiles {
  private readonly tiles: TlogTiles;
  /** Hashes that were taken of each level. */
  private readonly taken: number[] = [];
  /** Entries of the tree that its tiles are of. */
  private size: number;

  constructor(private readonly folder: string, private readonly until: number) {
    this.size = until;
    this.tiles = new TlogTiles(folder);
    this.tiles.begin(until);
  }

  /** To be held against the log like others; `undefined` and a failure where it cannot be read. */
  checkpoint(failures: Failures): Against | undefined {
    const stored = fileIn(this.folder, CHECKPOINT, CHECKPOINT_BYTES_MAX);
    if (typeof stored === "string") {
      failures.add(0, "archive", `the file ${CHECKPOINT} of the archive`, stored);
      return undefined;
    }
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(stored);
    const said = readCheckpoint(readNote(text)?.text ?? text);
    if (said && said.size < this.until) {
      failures.add(
        0,
        "archive",
        `a checkpoint of ${this.until} entries or more, in the archive`,
        `one of ${said.size}`,
      );
    } else if (said) this.tiles.begin(this.size = said.size);
    return { name: "the checkpoint of the archive", text, elsewhere: false };
  }

  /** The next hashes of a level of the log's tree, one behind the other. */
  take(level: number, hashes: Uint8Array): void {
    const taken = this.taken[level] ?? 0;
    const count = Math.min(hashes.length / HASH_BYTES, Math.floor(this.until / WIDTH ** level) - taken);
    if (count <= 0) return;
    this.taken[level] = taken + count;
    this.tiles.take(level, hashes.subarray(0, count * HASH_BYTES));
  }

  /** `cleared`: the entries before it are right, so a tile that differs was changed; behind it either may be, see `TileCheck.judge`. */
  judge(failures: Failures, cleared: number, changed = -1): void {
    for (const [path, position] of pathsOf(this.size, this.until)) {
      if (path.startsWith("tile/entries/") || fileIn(this.folder, path, TILE_BYTES) !== MISSING) continue;
      failures.add(position, "archive", `the file ${path} of the archive`, MISSING);
    }
    this.tiles.end();
    const firstBad = failures.list[0]?.position ?? Infinity;
    for (const { position, until, expected, found } of this.tiles.differences()) {
      if (position <= changed && changed < until) continue;
      if (until <= cleared || position < firstBad) {
        failures.add(position, "archive", `${expected} of the archive`, found);
      }
    }
  }
}
