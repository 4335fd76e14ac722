/**
 * The tree's inner nodes, kept as C2SP tlog-tiles has them (https://c2sp.org/tlog-tiles): a tile of level l holds up to 256 neighbouring
 * hashes of subtrees with 256^l leaves each, one after another. A tile that is full never changes; one that is not is written again,
 * longer, beside each checkpoint. So what a proof needs is read and not computed from the log.
 */
import type { Key, Store } from "../../events/store.ts";
import { HASH_BYTES } from "../../events/sha256.ts";
import { hashesAt, TILE_WIDTH } from "../../events/tiles.ts";
import type { Put } from "./index/pages.ts";
import { nodeHash } from "./node_hash.ts";

export const tileKey = (level: number, index: number): Key => ["tile", level, index];

/** The tile of one level that is not full. */
interface Open {
  index: number;
  width: number;
  bytes: Uint8Array;
  /** Longer than what is stored. */
  grown: boolean;
}

const newTile = (index: number): Open => ({
  index,
  width: 0,
  bytes: new Uint8Array(TILE_WIDTH * HASH_BYTES),
  grown: false,
});

/** The right edge of a growing tree: of each level the tile that is not full, and those that have become so and are not written yet. */
export class TileEdge {
  private readonly full: Put[] = [];

  private constructor(private readonly levels: Open[]) {}

  /** That of a tree of this size as it is stored; `undefined` when a tile is missing or too short. */
  static read(store: Pick<Store, "get">, size: number): TileEdge | undefined {
    const levels: Open[] = [];
    for (let level = 0; hashesAt(level, size) > 0; level++) {
      const index = Math.floor(hashesAt(level, size) / TILE_WIDTH);
      const width = hashesAt(level, size) % TILE_WIDTH;
      const bytes = new Uint8Array(TILE_WIDTH * HASH_BYTES);
      const stored = width === 0 ? undefined : store.get(tileKey(level, index));
      if (width > 0 && (!stored || stored.length < width * HASH_BYTES)) return undefined;
      if (stored) bytes.set(stored.subarray(0, width * HASH_BYTES));
      levels.push({ index, width, bytes, grown: false });
    }
    return new TileEdge(levels);
  }

  /** The next hashes of a level, one behind the other. */
  add(level: number, hashes: Uint8Array): void {
    for (let at = 0; at < hashes.length;) {
      const open = this.levels[level] ??= newTile(0);
      const taken = hashes.subarray(at, at + (TILE_WIDTH - open.width) * HASH_BYTES);
      open.bytes.set(taken, open.width * HASH_BYTES);
      open.grown = true;
      open.width += taken.length / HASH_BYTES;
      at += taken.length;
      if (open.width < TILE_WIDTH) continue;
      this.full.push([tileKey(level, open.index), open.bytes]);
      this.levels[level] = newTile(open.index + 1);
    }
  }

  /** Full tiles that are to be written. */
  get waiting(): number {
    return this.full.length;
  }

  takeFull(): readonly Put[] {
    return this.full.splice(0);
  }

  /** All that is to be written so that what is stored is this edge. */
  take(): readonly Put[] {
    const puts: Put[] = this.full.splice(0);
    for (const [level, open] of this.levels.entries()) {
      if (!open.grown || open.width === 0) continue;
      puts.push([tileKey(level, open.index), open.bytes.slice(0, open.width * HASH_BYTES)]);
      open.grown = false;
    }
    return puts;
  }

  /** The roots of the tree's complete subtrees, largest first. */
  nodes(): Uint8Array[] {
    return this.levels.toReversed().flatMap(({ bytes, width }) => {
      const nodes: Uint8Array[] = [];
      for (let at = 0; at < width;) {
        const count = 2 ** Math.floor(Math.log2(width - at));
        nodes.push(rootIn(bytes, at, count));
        at += count;
      }
      return nodes;
    });
  }
}

/** The root over `count` hashes of a tile, a power of two of them. */
export const rootIn = (tile: Uint8Array, from: number, count: number): Uint8Array => {
  let hashes: Uint8Array[] = Array.from(
    { length: count },
    (_, i) => tile.slice((from + i) * HASH_BYTES, (from + i + 1) * HASH_BYTES),
  );
  while (hashes.length > 1) {
    hashes = Array.from({ length: hashes.length / 2 }, (_, i) => nodeHash(hashes[2 * i]!, hashes[2 * i + 1]!));
  }
  return hashes[0]!;
};
