/**
 * The Merkle tree over the entries (RFC 9162 section 2.1.1), grown by many leaves at a time. Only the roots of its complete subtrees
 * are held, one hash per bit set in the size, and the right edge of its tiles (`tiles.ts`).
 */
import { createHash } from "node:crypto";
import { HASH_BYTES, sha256Pairs } from "../../events/sha256.ts";
import type { Key } from "../../events/store.ts";
import { NODE_PREFIX, nodeHash } from "./node_hash.ts";
import type { TileEdge } from "./tiles.ts";

export const TREE_KEY: Key = ["tree"];

/** Levels of the tree that a tile spans: it is 256 = 2^8 hashes wide. */
export const TILE_HEIGHT = 8;

export interface Frontier {
  readonly size: number;
  /** Roots of the complete subtrees, largest first, base64. */
  readonly nodes: readonly string[];
  /** Tiles are stored of the tree of this size; all there are when it is `size`. Absent in logs made before there were tiles. */
  readonly tiled?: number;
}

export class Tree {
  size: number;
  /** By height: a complete subtree that waits for its neighbour. */
  private readonly waiting: (Uint8Array | undefined)[] = [];

  /** Without `tiles` none are made. */
  constructor(from: Frontier = { size: 0, nodes: [] }, readonly tiles?: TileEdge) {
    this.size = from.size;
    const nodes = [...from.nodes];
    for (let height = 0, left = from.size; left > 0; height++, left = Math.floor(left / 2)) {
      this.waiting.push(left % 2 === 1 ? Uint8Array.fromBase64(nodes.pop()!) : undefined);
    }
  }

  /** Takes the hashes of the next leaves, one behind the other. */
  add(leaves: Uint8Array): void {
    this.size += leaves.length / HASH_BYTES;
    let hashes = leaves;
    // As in binary addition: at each height two neighbours make one of the next, and one that is left over waits.
    for (let height = 0; hashes.length > 0; height++) {
      if (height % TILE_HEIGHT === 0) this.tiles?.add(height / TILE_HEIGHT, hashes);
      const before = this.waiting[height];
      const all = new Uint8Array((before?.length ?? 0) + hashes.length);
      if (before) all.set(before);
      all.set(hashes, before?.length ?? 0);
      const over = all.length % (2 * HASH_BYTES);
      this.waiting[height] = over > 0 ? all.slice(-over) : undefined;
      hashes = sha256Pairs(NODE_PREFIX, all, nodeHash);
    }
  }

  /** The roots of the complete subtrees, largest first. */
  private get nodes(): readonly Uint8Array[] {
    return this.waiting.filter((node) => node !== undefined).reverse();
  }

  /** The root hash; of the empty tree it is SHA-256 of nothing. */
  root(): Uint8Array {
    if (this.size === 0) return createHash("sha256").digest();
    return this.nodes.reduceRight((right, left) => nodeHash(left, right));
  }

  frontier(): Frontier {
    const nodes = this.nodes.map((node) => node.toBase64());
    return { size: this.size, nodes, ...(this.tiles ? { tiled: this.size } : {}) };
  }
}
