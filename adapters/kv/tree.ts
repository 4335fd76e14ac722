/**
 * The Merkle tree over the entries (RFC 9162 section 2.1.1), grown entry by entry. Only the roots of its complete subtrees
 * are held, one hash per bit set in the size, and the right edge of its tiles (`tiles.ts`).
 */
import { createHash } from "node:crypto";
import type { Key } from "../../events/store.ts";
import type { TileEdge } from "./tiles.ts";

export const TREE_KEY: Key = ["tree"];

/** Levels of the tree that a tile spans: it is 256 = 2^8 hashes wide. */
export const TILE_HEIGHT = 8;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

// By way of hexadecimal digits, as a digest that is a `Buffer` of its own costs half as much again.

/** `MTH({d}) = SHA-256(0x00 || d)`. */
export const leafHash = (entry: Uint8Array): Uint8Array =>
  Uint8Array.fromHex(createHash("sha256").update(LEAF).update(entry).digest("hex"));
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  Uint8Array.fromHex(createHash("sha256").update(NODE).update(left).update(right).digest("hex"));

export interface Frontier {
  readonly size: number;
  /** Roots of the complete subtrees, largest first, base64. */
  readonly nodes: readonly string[];
  /** Tiles are stored of the tree of this size; all there are when it is `size`. Absent in logs made before there were tiles. */
  readonly tiled?: number;
}

export class Tree {
  size: number;
  private readonly nodes: Uint8Array[];

  /** Without `tiles` none are made. */
  constructor(from: Frontier = { size: 0, nodes: [] }, readonly tiles?: TileEdge) {
    this.size = from.size;
    this.nodes = from.nodes.map((node) => Uint8Array.fromBase64(node));
  }

  add(entry: Uint8Array): void {
    let hash = leafHash(entry);
    let height = 0;
    this.tiles?.add(0, hash);
    // As in binary addition: each trailing one of the size is a subtree that the new leaf completes.
    for (let carry = this.size; carry % 2 === 1; carry = (carry - 1) / 2) {
      hash = nodeHash(this.nodes.pop()!, hash);
      if (++height % TILE_HEIGHT === 0) this.tiles?.add(height / TILE_HEIGHT, hash);
    }
    this.nodes.push(hash);
    this.size++;
  }

  /** The root hash; of the empty tree it is SHA-256 of nothing. */
  root(): Uint8Array {
    if (this.size === 0) return createHash("sha256").digest();
    return this.nodes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), this.nodes.at(-1)!);
  }

  frontier(): Frontier {
    const nodes = this.nodes.map((node) => node.toBase64());
    return { size: this.size, nodes, ...(this.tiles ? { tiled: this.size } : {}) };
  }
}
