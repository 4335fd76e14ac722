/**
 * The stored tiles of the tree (https://c2sp.org/tlog-tiles): each hash must be that of the entries, each tile there that the tree's row
 * promises, and no other. Tiles are derived, so where one differs from the entries, checkpoints decide which of them is wrong; see `judge`.
 * Memory: a tile per level, and what is wrong.
 */
import { Buffer } from "node:buffer";
import type { Frontier } from "./claims.ts";
import { type Failures, FAILURES_MAX, shown } from "./failures.ts";
import type { Rows } from "./rows.ts";
import { HASH_BYTES } from "./tree.ts";

const WIDTH = 256;

/** Hashes of a level in a tree of this size. */
const hashesAt = (level: number, size: number): number => Math.floor(size / WIDTH ** level);

interface Wrong {
  readonly position: number;
  /** Position behind the last entry it covers. */
  readonly until: number;
  readonly expected: string;
  readonly found: string;
}

/** The tile of a level that the next hash belongs to. */
interface Open {
  index: number;
  width: number;
  row: Uint8Array | undefined;
}

export class TileCheck {
  private readonly levels: Open[] = [];
  private readonly wrong: Wrong[] = [];
  private readonly tiled: number | undefined;

  constructor(
    private readonly rows: Rows,
    private readonly failures: Failures,
    private readonly frontier: Frontier | undefined,
  ) {
    this.tiled = frontier?.tiled;
  }

  /** The next hashes of a level, one behind the other. */
  take(level: number, hashes: Uint8Array): void {
    const open = this.levels[level] ??= this.tileAt(level, 0);
    for (let done = 0; done < hashes.length;) {
      const count = Math.min(hashes.length - done, (WIDTH - open.width) * HASH_BYTES);
      this.compare(level, open, hashes.subarray(done, done + count));
      done += count;
      open.width += count / HASH_BYTES;
      if (open.width === WIDTH) Object.assign(open, this.tileAt(level, open.index + 1));
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
    if (this.wrong.length < FAILURES_MAX) this.wrong.push({ position: n * span, until: (n + 1) * span, ...said });
  }

  private tileAt(level: number, index: number): Open {
    const stored = this.rows.tile(level, index);
    const row = stored instanceof Uint8Array ? stored : undefined;
    const promised = Math.min(WIDTH, hashesAt(level, this.tiled ?? 0) - index * WIDTH);
    if (promised > 0 && (row?.length ?? 0) < promised * HASH_BYTES) {
      this.note(level, index * WIDTH, {
        expected: `${promised} hashes in tile ${level}/${index}`,
        found: row ? `${row.length} bytes` : stored === undefined ? "none" : String(stored),
      });
    }
    return { index, width: 0, row };
  }

  /**
   * What is wrong with tiles. `cleared`: a true checkpoint covers so many entries, so a tile that differs from them is what was changed.
   * Behind that either may be, and the tile is named where nothing before it is known to be wrong. `end`: entries that there are.
   */
  judge(cleared: number, end: number): void {
    const firstBad = this.failures.list[0]?.position ?? Infinity;
    for (const { position, until, expected, found } of this.wrong) {
      if (until <= cleared || position < firstBad) this.failures.add(position, "tile", expected, found);
    }
    const { tiled, frontier } = this;
    const most = tiled !== undefined && tiled < frontier!.size ? Math.min(tiled, end) : end;
    for (const { key, level, index, bytes } of this.rows.tiles()) {
      if (level === undefined || index === undefined) {
        this.failures.add(0, "foreign", "the rows of a log and no others", `a row with key ${shown(key)}`);
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
