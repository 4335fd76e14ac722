/**
 * The log's tree for those who prove something by it: tiles as they are stored, and inclusion and consistency proofs
 * (RFC 9162 sections 2.1.3.1 and 2.1.4.1) made of them. A proof reads some tiles and hashes within them, whatever the log's size.
 */
import type { HashTree } from "../../events/log.ts";
import type { Store } from "../../events/store.ts";
import { hashesAt, TILE_WIDTH } from "../../events/tiles.ts";
import { rootIn, tileKey } from "./tiles.ts";
import { HASH_BYTES } from "../../events/sha256.ts";
import { type Frontier, TILE_HEIGHT, TREE_KEY } from "./tree.ts";
import { leafHash, nodeHash } from "./node_hash.ts";

const text = new TextDecoder();

export class StoredTree implements HashTree {
  /** `entry`: where given, what no tile has is computed from the entries, however many that takes. */
  constructor(
    private readonly store: Pick<Store, "get">,
    private readonly entry?: (position: number) => Uint8Array | undefined,
  ) {}

  get size(): number {
    const stored = this.store.get(TREE_KEY);
    if (!stored) return 0;
    const { size, tiled = 0 } = JSON.parse(text.decode(stored)) as Frontier;
    return this.entry ? size : tiled;
  }

  tile(level: number, index: number, width: number = TILE_WIDTH): Uint8Array | undefined {
    if (index * TILE_WIDTH + width > hashesAt(level, this.size)) return undefined;
    const stored = this.store.get(tileKey(level, index));
    if (stored && stored.length >= width * HASH_BYTES) return stored.subarray(0, width * HASH_BYTES);
    return this.entry && new Proving(this.store, this.entry).tile(level, index, width);
  }

  inclusion(position: number, size: number): readonly Uint8Array[] | undefined {
    if (position >= size || size > this.size) return undefined;
    return new Proving(this.store, this.entry).path(position, 0, size);
  }

  consistency(from: number, to: number): readonly Uint8Array[] | undefined {
    if (from < 1 || from > to || to > this.size) return undefined;
    return new Proving(this.store, this.entry).subproof(from, { from: 0, until: to }, true);
  }

  leaf(position: number): Uint8Array | undefined {
    return position < this.size ? new Proving(this.store, this.entry).hash(position, position + 1) : undefined;
  }

  root(size: number): Uint8Array | undefined {
    if (size < 1 || size > this.size) return undefined;
    return new Proving(this.store, this.entry).hash(0, size);
  }
}

/** The largest power of two below n, which is 2 or more. */
const below = (n: number): number => {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
};

/** One proof; what it has read it remembers. */
class Proving {
  private readonly tiles = new Map<string, Uint8Array | undefined>();

  constructor(
    private readonly store: Pick<Store, "get">,
    private readonly entry: ((position: number) => Uint8Array | undefined) | undefined,
  ) {}

  /** PATH(m, D[from:until]), m counted from 0 on. */
  path(m: number, from: number, until: number): Uint8Array[] {
    if (until - from === 1) return [];
    const middle = from + below(until - from);
    return m < middle
      ? [...this.path(m, from, middle), this.hash(middle, until)]
      : [...this.path(m, middle, until), this.hash(from, middle)];
  }

  /** SUBPROOF(m, D[from:until], whole), m counted from 0 on. */
  subproof(
    m: number,
    { from, until }: { readonly from: number; readonly until: number },
    whole: boolean,
  ): Uint8Array[] {
    if (m === until) return whole ? [] : [this.hash(from, until)];
    const middle = from + below(until - from);
    return m <= middle
      ? [...this.subproof(m, { from, until: middle }, whole), this.hash(middle, until)]
      : [...this.subproof(m, { from: middle, until }, false), this.hash(from, middle)];
  }

  /** The hashes of a tile, each by itself. */
  tile(level: number, index: number, width: number): Uint8Array {
    const hashes = new Uint8Array(width * HASH_BYTES);
    const span = TILE_WIDTH ** level;
    for (let i = 0; i < width; i++) {
      const from = (index * TILE_WIDTH + i) * span;
      hashes.set(this.hash(from, from + span), i * HASH_BYTES);
    }
    return hashes;
  }

  /** MTH(D[from:until]). */
  hash(from: number, until: number): Uint8Array {
    const count = until - from;
    if (count === 1 || 2 * below(count) === count) {
      const height = Math.round(Math.log2(count));
      const level = Math.floor(height / TILE_HEIGHT);
      const first = from / TILE_WIDTH ** level;
      const tile = this.stored(level, Math.floor(first / TILE_WIDTH));
      const at = first % TILE_WIDTH;
      const width = count / TILE_WIDTH ** level;
      if (tile && tile.length >= (at + width) * HASH_BYTES) return rootIn(tile, at, width);
      if (count === 1) return this.leaf(from);
    }
    const middle = from + below(count);
    return nodeHash(this.hash(from, middle), this.hash(middle, until));
  }

  private stored(level: number, index: number): Uint8Array | undefined {
    const name = `${level}/${index}`;
    if (!this.tiles.has(name)) this.tiles.set(name, this.store.get(tileKey(level, index)));
    return this.tiles.get(name);
  }

  private leaf(position: number): Uint8Array {
    const entry = this.entry?.(position);
    if (!entry) throw new Error(`the tree has no hash of position ${position}`);
    return leafHash(entry);
  }
}
