/**
 * The Merkle tree over the entries (RFC 9162 section 2.1.1), grown entry by entry. Only the roots of its complete subtrees
 * are held: one hash per bit set in the size.
 */
import { createHash } from "node:crypto";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** `MTH({d}) = SHA-256(0x00 || d)`. */
export const leafHash = (entry: Uint8Array): Uint8Array => createHash("sha256").update(LEAF).update(entry).digest();
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  createHash("sha256").update(NODE).update(left).update(right).digest();

export interface Frontier {
  readonly size: number;
  /** Roots of the complete subtrees, largest first, base64. */
  readonly nodes: readonly string[];
}

export class Tree {
  size: number;
  private readonly nodes: Uint8Array[];

  constructor(from: Frontier = { size: 0, nodes: [] }) {
    this.size = from.size;
    this.nodes = from.nodes.map((node) => Uint8Array.fromBase64(node));
  }

  add(entry: Uint8Array): void {
    let hash = leafHash(entry);
    // As in binary addition: each trailing one of the size is a subtree that the new leaf completes.
    for (let carry = this.size; carry % 2 === 1; carry = (carry - 1) / 2) hash = nodeHash(this.nodes.pop()!, hash);
    this.nodes.push(hash);
    this.size++;
  }

  /** The root hash; of the empty tree it is SHA-256 of nothing. */
  root(): Uint8Array {
    if (this.size === 0) return createHash("sha256").digest();
    return this.nodes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), this.nodes.at(-1)!);
  }

  frontier(): Frontier {
    return { size: this.size, nodes: this.nodes.map((node) => node.toBase64()) };
  }
}
