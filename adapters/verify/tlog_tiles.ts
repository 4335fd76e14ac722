/**
 * The hash tiles of a tlog-tiles folder against the tree over its entries: every hash of every tile. A tile of each level is held, and what
 * differs.
 */
import { sameBytes } from "./block.ts";
import { type Failures, FAILURES_MAX } from "./failures.ts";
import { fileIn, MISSING, tilePath, WIDTH } from "./tlog_files.ts";
import { HASH_BYTES, MerkleTree } from "./tree.ts";

const TILE_BYTES = WIDTH * HASH_BYTES;

interface Wrong {
  readonly level: number;
  /** Number of the hash within its level. */
  readonly n: number;
  readonly path: string;
  readonly expected: string;
  readonly found: string;
}

export class TlogTiles {
  private readonly open: { index: number; width: number; readonly bytes: Uint8Array }[] = [];
  private readonly wrong: Wrong[] = [];
  private size = 0;

  constructor(private readonly folder: string) {}

  /** Of a tree of this size. */
  begin(size: number): void {
    this.size = size;
  }

  /** The next hashes of a level, one behind the other. */
  take(level: number, hashes: Uint8Array): void {
    const open = this.open[level] ??= { index: 0, width: 0, bytes: new Uint8Array(TILE_BYTES) };
    for (let done = 0; done < hashes.length;) {
      const next = hashes.subarray(done, done + (WIDTH - open.width) * HASH_BYTES);
      open.bytes.set(next, open.width * HASH_BYTES);
      open.width += next.length / HASH_BYTES;
      done += next.length;
      if (open.width === WIDTH) this.close(level);
    }
  }

  /** No more hashes come. */
  end(): void {
    for (const [level, { width }] of this.open.entries()) if (width > 0) this.close(level);
  }

  private close(level: number): void {
    const open = this.open[level]!;
    const { index, width } = open;
    this.compare(level, index, open.bytes.subarray(0, width * HASH_BYTES));
    open.index++;
    open.width = 0;
  }

  private compare(level: number, index: number, computed: Uint8Array): void {
    const hashes = Math.floor(this.size / WIDTH ** level) - index * WIDTH;
    const path = tilePath(level, index, Math.min(WIDTH, hashes));
    const stored = fileIn(this.folder, path, TILE_BYTES);
    // Which files there are was looked at before.
    if (stored === MISSING) return;
    if (typeof stored === "string" || stored.length !== Math.min(WIDTH, hashes) * HASH_BYTES) {
      const found = typeof stored === "string" ? stored : `${stored.length} bytes`;
      const expected = `${Math.min(WIDTH, hashes)} hashes in the file ${path}`;
      return this.note({ level, n: index * WIDTH, path, expected, found });
    }
    if (sameBytes(stored.subarray(0, computed.length), computed)) return;
    for (let at = 0; at < computed.length; at += HASH_BYTES) {
      const [expected, found] = [computed.subarray(at, at + HASH_BYTES), stored.subarray(at, at + HASH_BYTES)];
      if (sameBytes(expected, found)) continue;
      this.note({
        level,
        n: index * WIDTH + at / HASH_BYTES,
        path,
        expected: `${expected.toBase64()} at ${at / HASH_BYTES} of ${path}`,
        found: found.toBase64(),
      });
    }
  }

  private note(wrong: Wrong): void {
    if (this.wrong.length < FAILURES_MAX) this.wrong.push(wrong);
  }

  /** What is wrong, each with the entries that it concerns: from `position`, before `until`. */
  differences(): readonly (Pick<Wrong, "expected" | "found"> & {
    readonly position: number;
    readonly until: number;
  })[] {
    return this.wrong.map(({ level, n, expected, found }) => {
      const span = WIDTH ** level;
      return { position: n * span, until: (n + 1) * span, expected, found };
    });
  }

  /**
   * Says what is wrong. `root`: of a checkpoint that the entries do not have; where the lowest tiles have it, they are right and the
   * entries that they differ from were changed.
   */
  judge(failures: Failures, root: string | undefined): void {
    const leaves = this.wrong.filter(({ level }) => level === 0);
    const believed = root !== undefined && leaves.length > 0 && this.root(this.size) === root;
    for (const { level, n, expected, found } of this.wrong) {
      const position = n * WIDTH ** level;
      if (!believed) failures.add(position, "tile", expected, found);
      else if (level === 0) {
        failures.add(position, "entry", `the entry with leaf hash ${found}, which the checkpoint covers`, "another");
      }
    }
  }

  /** Of the first `size` entries, over the hashes of the lowest tiles as they are stored; base64. `undefined` where one is missing. */
  root(size: number): string | undefined {
    const tree = new MerkleTree();
    for (let first = 0; first < size; first += WIDTH) {
      const width = Math.min(WIDTH, this.size - first);
      const stored = fileIn(this.folder, tilePath(0, first / WIDTH, width), TILE_BYTES);
      if (typeof stored === "string" || stored.length !== width * HASH_BYTES) return undefined;
      tree.add(stored.subarray(0, (size - first) * HASH_BYTES));
    }
    return tree.root().toBase64();
  }
}
