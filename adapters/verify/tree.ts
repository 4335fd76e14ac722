/**
 * The Merkle tree over the entries, by RFC 9162 section 2.1.1, computed from nothing but them:
 * `MTH({}) = SHA-256()`, `MTH({d}) = SHA-256(0x00 ‖ d)`, `MTH(D[n]) = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n]))`, where
 * k is the largest power of two below n.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

const LEAF = Uint8Array.of(0);

/** A complete subtree: the first leaf it covers, how many, and its hash. */
export interface Subtree {
  readonly from: number;
  readonly count: number;
  readonly hash: Uint8Array;
}

export const leafHash = (entry: Uint8Array): Uint8Array => createHash("sha256").update(LEAF).update(entry).digest();

const pair = Buffer.alloc(65);
pair[0] = 1;
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  pair.set(left, 1);
  pair.set(right, 33);
  return createHash("sha256").update(pair).digest();
};

/** Levels of the tree that a tile spans. */
const TILE_HEIGHT = 8;
/** Bytes of a hash. */
export const HASH_BYTES = 32;

/** Pieces of some bytes, each to be hashed behind the byte `prefix`. */
export interface Pieces {
  readonly bytes: Uint8Array;
  readonly prefix: number;
  readonly count: number;
  from(index: number): number;
  until(index: number): number;
}

/** Their hashes, one behind the other. */
export const hashesOf = ({ bytes, prefix, count, from, until }: Pieces): Uint8Array => {
  const hashes = new Uint8Array(count * HASH_BYTES);
  const first = Uint8Array.of(prefix);
  for (let i = 0; i < count; i++) {
    const hash = createHash("sha256").update(first).update(bytes.subarray(from(i), until(i))).digest();
    hashes.set(hash, i * HASH_BYTES);
  }
  return hashes;
};

/** Holds one hash per bit set in the size. */
export class MerkleTree {
  /** By height. */
  private readonly peaks: (Uint8Array | undefined)[] = [];
  private leaves = 0;

  /** `passed` is told the hashes of all complete subtrees of 256^level leaves, one behind the other, in their order. */
  constructor(private readonly passed?: (level: number, hashes: Uint8Array) => void) {}

  get size(): number {
    return this.leaves;
  }

  /** Takes leaf hashes, one behind the other. */
  add(leaves: Uint8Array): void {
    let hashes = leaves;
    this.leaves += leaves.length / HASH_BYTES;
    // As in binary addition: what is left over at a height waits there for its neighbour.
    for (let height = 0; hashes.length > 0; height++) {
      if (height % TILE_HEIGHT === 0) this.passed?.(height / TILE_HEIGHT, hashes);
      const waiting = this.peaks[height];
      if (waiting) {
        const joined = new Uint8Array(HASH_BYTES + hashes.length);
        joined.set(waiting);
        joined.set(hashes, HASH_BYTES);
        hashes = joined;
      }
      const paired = hashes.length - hashes.length % (2 * HASH_BYTES);
      this.peaks[height] = paired < hashes.length ? hashes.slice(paired) : undefined;
      hashes = this.nodes(hashes.subarray(0, paired));
    }
  }

  private nodes(hashes: Uint8Array): Uint8Array {
    return hashesOf({
      bytes: hashes,
      prefix: 1,
      count: hashes.length / (2 * HASH_BYTES),
      from: (index) => index * 2 * HASH_BYTES,
      until: (index) => (index + 1) * 2 * HASH_BYTES,
    });
  }

  /** The hashes of the complete subtrees, largest first. */
  private hashes(): Uint8Array[] {
    return this.peaks.filter((peak) => peak !== undefined).reverse();
  }

  root(): Uint8Array {
    return rootOf(this.hashes());
  }

  /** The complete subtrees, largest first. */
  subtrees(): readonly Subtree[] {
    return subtreesOf(this.leaves, this.hashes());
  }
}

/** The root over complete subtrees, largest first. */
export const rootOf = (peaks: readonly Uint8Array[]): Uint8Array => {
  if (peaks.length === 0) return createHash("sha256").digest();
  let root = peaks[peaks.length - 1]!;
  for (let i = peaks.length - 2; i >= 0; i--) root = nodeHash(peaks[i]!, root);
  return root;
};

/** Which leaves the complete subtrees of a tree of this size cover. */
export const subtreesOf = (size: number, hashes: readonly Uint8Array[]): Subtree[] => {
  const subtrees: Subtree[] = [];
  let from = 0;
  for (const hash of hashes) {
    const count = 2 ** Math.floor(Math.log2(size - from));
    subtrees.push({ from, count, hash });
    from += count;
  }
  return subtrees;
};

/** How many complete subtrees a tree of this size has. */
export const peaksOf = (size: number): number => {
  let ones = 0;
  for (let left = size; left > 0; left = Math.floor(left / 2)) ones += left % 2;
  return ones;
};
