/**
 * The stored tiles of the tree (https://c2sp.org/tlog-tiles): each hash must be that of the entries, each tile there that the tree's row
 * promises, and no other. Tiles are derived, so where one differs from the entries, checkpoints decide which of them is wrong; see `judge`.
 * Memory: a tile per level, and what is wrong.
 */
import { Buffer } from "node:buffer";
import type { Frontier } from "./claims.ts";
import type { Claim } from "./claim.ts";
import { type Failures, FAILURES_MAX, shown } from "./failures.ts";
import { InOrder, type Rows } from "./rows.ts";
import { HASH_BYTES, MerkleTree } from "./tree.ts";

const WIDTH = 256;

/** Hashes of a level in a tree of this size. */
const hashesAt = (level: number, size: number): number => Math.floor(size / WIDTH ** level);

interface Wrong {
  readonly level: number;
  readonly position: number;
  /** Position behind the last entry it covers. */
  readonly until: number;
  readonly expected: string;
  readonly found: string;
}

/** An entry that was changed, and the leaf hash that it had before. */
export interface Changed {
  readonly position: number;
  readonly leaf: string;
}

/** The tile of a level that the next hash belongs to. */
interface Open {
  index: number;
  width: number;
  row: Uint8Array | undefined;
  readonly tiles: InOrder;
}

export class TileCheck {
  private readonly levels: Open[] = [];
  private readonly wrong: Wrong[] = [];
  private readonly tiled: number | undefined;

  constructor(
    private readonly rows: Pick<Rows, "tile" | "tiles" | "tilesOf">,
    private readonly failures: Failures,
    private readonly frontier: Frontier | undefined,
  ) {
    this.tiled = frontier?.tiled;
  }

  /** The next hashes of a level, one behind the other. */
  take(level: number, hashes: Uint8Array): void {
    const open = this.levels[level] ??= this.begin(level);
    for (let done = 0; done < hashes.length;) {
      const count = Math.min(hashes.length - done, (WIDTH - open.width) * HASH_BYTES);
      this.compare(level, open, hashes.subarray(done, done + count));
      done += count;
      open.width += count / HASH_BYTES;
      if (open.width === WIDTH) this.open(level, open, open.index + 1);
    }
  }

  private compare(level: number, { index, width, row }: Open, hashes: Uint8Array): void {
    if (!row) return;
    const stored = row.subarray(width * HASH_BYTES, width * HASH_BYTES + hashes.length);
    if (Buffer.compare(stored, hashes.subarray(0, stored.length)) === 0) return;
    for (let at = 0; at < stored.length; at += HASH_BYTES) {
      const [found, computed] = [stored.subarray(at, at + HASH_BYTES), hashes.subarray(at, at + HASH_BYTES)];
      if (Buffer.compare(found, computed) === 0) continue;
      this.note(level, index * WIDTH + width + at / HASH_BYTES, {
        expected: `${computed.toBase64()} at ${width + at / HASH_BYTES} of tile ${level}/${index}`,
        found: found.toBase64(),
      });
    }
  }

  /** `n`: number of the hash within its level. */
  private note(level: number, n: number, said: { readonly expected: string; readonly found: string }): void {
    const span = WIDTH ** level;
    if (this.wrong.length < FAILURES_MAX) {
      this.wrong.push({ level, position: n * span, until: (n + 1) * span, ...said });
    }
  }

  /**
   * The first entry from `cleared` on that is not the one of its tile, where the lowest tiles have one of these roots, smallest size first,
   * over it: then they are right, and it is the entry that was changed. `leaf`: the hash that it had. The tiles are gone through once for all.
   */
  changed(claims: readonly { readonly size: number; readonly root: string }[], cleared: number): Changed | undefined {
    const wrong = this.wrong.filter(({ level, position }) => level === 0 && position >= cleared)
      .sort((a, b) => a.position - b.position)[0];
    if (!wrong) return undefined;
    const tree = new MerkleTree();
    const claim = claims.find(({ size, root }) =>
      this.growTo(tree, size) && wrong.until <= size && tree.root().toBase64() === root
    );
    return claim && { position: wrong.position, leaf: wrong.found };
  }

  /** By the hashes of the lowest tiles as they are stored; false where one is missing. */
  private growTo(tree: MerkleTree, size: number): boolean {
    while (tree.size < size) {
      const index = Math.floor(tree.size / WIDTH);
      const [from, until] = [tree.size % WIDTH, Math.min(WIDTH, size - index * WIDTH)];
      const row = this.rows.tile(0, index);
      if (!(row instanceof Uint8Array) || row.length < until * HASH_BYTES) return false;
      tree.add(row.subarray(from * HASH_BYTES, until * HASH_BYTES));
    }
    return true;
  }

  private begin(level: number): Open {
    const tiles = new InOrder((from) => this.rows.tilesOf(level, from), (index) => this.rows.tile(level, index));
    const open: Open = { index: 0, width: 0, row: undefined, tiles };
    this.open(level, open, 0);
    return open;
  }

  /** The next tile. */
  private open(level: number, open: Open, index: number): void {
    const stored = open.tiles.get(index);
    const row = stored instanceof Uint8Array ? stored : undefined;
    const promised = Math.min(WIDTH, hashesAt(level, this.tiled ?? 0) - index * WIDTH);
    if (promised > 0 && (row?.length ?? 0) < promised * HASH_BYTES) {
      this.note(level, index * WIDTH, {
        expected: `${promised} hashes in tile ${level}/${index}`,
        found: row ? `${row.length} bytes` : stored === undefined ? "none" : String(stored),
      });
    }
    open.index = index;
    open.width = 0;
    open.row = row;
  }

  /**
   * What is wrong with tiles. `cleared`: a true checkpoint covers so many entries, so a tile that differs from them is what was changed.
   * Behind that either may be, and the tile is named where nothing before it is known to be wrong. `end`: entries that there are.
   * `changed`: an entry for which no tile is to blame.
   */
  judge(cleared: number, end: number, changed = -1): void {
    const firstBad = this.failures.list[0]?.position ?? Infinity;
    for (const { position, until, expected, found } of this.wrong) {
      if (position <= changed && changed < until) continue;
      if (until <= cleared || position < firstBad) this.failures.add(position, "tile", expected, found);
    }
    const { tiled, frontier } = this;
    const most = tiled !== undefined && tiled < frontier!.size ? Math.min(tiled, end) : end;
    for (const { key, level, index, bytes } of this.rows.tiles()) {
      if (level === undefined || index === undefined) {
        this.failures.add(0, "foreign", "the rows of a log and no others", `a row with key ${shown(key.toHex())}`);
        continue;
      }
      const width = bytes / HASH_BYTES;
      // The first hash that is too many, if there are such.
      const position = Math.max(index * WIDTH, hashesAt(level, most)) * WIDTH ** level;
      if (!Number.isInteger(width) || width < 1 || width > WIDTH) {
        this.failures.add(
          Math.min(index * WIDTH ** (level + 1), end),
          "tile",
          `a tile ${level}/${index} of 1 to 256 hashes`,
          `${bytes} bytes`,
        );
      } else if (index * WIDTH + width > hashesAt(level, most)) {
        this.failures.add(
          Math.min(position, end),
          "tile",
          `tiles of the first ${most} entries`,
          `tile ${level}/${index} with ${width} hashes`,
        );
      }
    }
  }
}

/** The first entry that was changed, where the tiles and a checkpoint that the entries do not have agree on what it was. */
export const changedEntry = (
  claims: readonly Claim[],
  roots: ReadonlyMap<number, string>,
  tiles: TileCheck,
): Changed | undefined => {
  const cleared = claims.reduce((most, { size, root }) => roots.get(size) === root ? Math.max(most, size) : most, 0);
  const wrong = claims.filter(({ size, root }) => size > cleared && roots.has(size) && roots.get(size) !== root)
    .sort((a, b) => a.size - b.size);
  return tiles.changed(wrong, cleared);
};
