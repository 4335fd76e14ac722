/**
 * Writes a log, or the whole bundles of a part of it, into a folder as C2SP tlog-tiles has it (https://c2sp.org/tlog-tiles):
 * `checkpoint`, `tile/<level>/<index>` and `tile/entries/<index>`. Memory: one piece of a bundle, whatever the log's size.
 */
import { type HashTree, LogFault } from "../../events/log.ts";
import { bundlePieces, hashesAt, TILE_WIDTH, tileName, tilesAt } from "../../events/tiles.ts";
import { putFile } from "./files.ts";

export const CHECKPOINT = "checkpoint";

/** What is read of a log. */
export interface TlogSource {
  entry(position: number): Uint8Array | undefined;
  readonly tree: Pick<HashTree, "tile">;
}

/** A file of the layout: its path in the folder, with slashes, and what is in it. */
export interface TlogFile {
  readonly path: string;
  readonly pieces: Iterable<Uint8Array>;
  /** Entries before the end of this file and of all before it; for those who tell how far they are. */
  readonly done: number;
}

/** The entry bundles of the first `size` entries, from a bundle on. */
export function* bundleFiles(log: Pick<TlogSource, "entry">, size: number, from = 0): Generator<TlogFile> {
  for (const place of tilesAt(0, size, from)) {
    yield {
      path: `tile/entries/${tileName(place)}`,
      pieces: bundlePieces(log, place),
      done: place.index * TILE_WIDTH + place.width,
    };
  }
}

/** The hash tiles of the tree of `size`. Throws `LogFault` `truncated` for one that is not there. */
export function* hashTileFiles({ tree }: Pick<TlogSource, "tree">, size: number): Generator<TlogFile> {
  for (let level = 0; hashesAt(level, size) > 0; level++) {
    for (const place of tilesAt(level, size)) {
      const tile = tree.tile(level, place.index, place.width);
      if (!tile) {
        throw new LogFault("truncated", `the tree has no tile ${level}/${place.index} of ${place.width} hashes`);
      }
      yield { path: `tile/${level}/${tileName(place)}`, pieces: [tile], done: size };
    }
  }
}

/** Everything that a folder of the first `size` entries holds, the checkpoint last: who finds one finds all that it covers. */
export function* tlogFiles(
  log: TlogSource,
  { size, note }: { readonly size: number; readonly note: string },
): Generator<TlogFile> {
  yield* bundleFiles(log, size);
  yield* hashTileFiles(log, size);
  yield { path: CHECKPOINT, pieces: [new TextEncoder().encode(note)], done: size };
}

export interface TlogWritten {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Puts files into a folder, each of them there under its name only when it is whole; what is there under the name is replaced.
 * `durable`: each file and its name are flushed to the disk before the next. Throws `LogFault`: `full`, `read_only`, `io`.
 */
export const writeTlog = async (
  folder: string,
  files: Iterable<TlogFile>,
  { durable = false, wrote }: {
    readonly durable?: boolean;
    /** Called behind each file; what it answers is waited for. */
    readonly wrote?: (file: TlogFile, bytes: number) => void | Promise<void>;
  } = {},
): Promise<TlogWritten> => {
  let [count, sum] = [0, 0];
  for (const file of files) {
    const bytes = putFile(folder, file.path, file.pieces, durable);
    count++;
    sum += bytes;
    await wrote?.(file, bytes);
  }
  return { files: count, bytes: sum };
};
