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
    const text = textOf(stored);
    const said = saidBy(text);
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

  /** Files of tiles that are missing, with the first entry of each. Where the archive grows meanwhile those of before go. */
  private missing(): readonly (readonly [path: string, position: number])[] {
    for (;;) {
      const { size } = this;
      const missing = [...pathsOf(size, this.until)].filter(([path]) =>
        !path.startsWith("tile/entries/") && fileIn(this.folder, path, TILE_BYTES) === MISSING
      );
      if (missing.length === 0 || this.grown() === size) return missing;
    }
  }

  /** Of how many entries the folder is by now. */
  private grown(): number {
    const stored = fileIn(this.folder, CHECKPOINT, CHECKPOINT_BYTES_MAX);
    const said = typeof stored === "string" ? undefined : saidBy(textOf(stored));
    if (said && said.size > this.size) this.tiles.begin(this.size = said.size);
    return this.size;
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
    for (const [path, position] of this.missing()) {
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

const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
const saidBy = (text: string) => readCheckpoint(readNote(text)?.text ?? text);
