/**
 * Inclusion and consistency proofs, checked by RFC 9162 sections 2.1.3.2 and 2.1.4.2. What is malformed is not proven: the answer is
 * false, and nothing is thrown. Sizes go up to 2^53 − 1, so nothing here counts in bits of 32.
 */
import { sameBytes } from "./block.ts";
import { isCount } from "./counts.ts";
import { HASH_BYTES, nodeHash } from "./tree.ts";

/** That the entry with this leaf hash is number `index` of the first `size`, whose root hash is `root`. */
export interface InclusionClaim {
  /** `SHA-256(0x00 ‖ entry)`, 32 bytes. */
  readonly leafHash: Uint8Array;
  /** From 0; below `size`. */
  readonly index: number;
  readonly size: number;
  /** From the leaf's sibling up to the root's child, 32 bytes each. */
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** That the first `size1` of `size2` entries are those whose root hash is `root1`: nothing was changed, only added. */
export interface ConsistencyClaim {
  /** From 1; at most `size2`. Every tree extends the empty one, so that a claim about it says nothing, and is declined. */
  readonly size1: number;
  readonly size2: number;
  /** RFC 9162 section 2.1.4.1, 32 bytes each; empty where the sizes are the same. */
  readonly proof: readonly Uint8Array[];
  readonly root1: Uint8Array;
  readonly root2: Uint8Array;
}

/** Whether the entry is proven to be where the claim says (RFC 9162 section 2.1.3.2). What is malformed is not. */
export const verifyInclusion = (claim: InclusionClaim): boolean => {
  const { leafHash, index, size, proof, root } = claim ?? {};
  if (!isCount(index) || !isCount(size) || index >= size) return false;
  if (!isHash(leafHash) || !isHash(root) || !areHashes(proof)) return false;
  const path = new Path(index, size - 1);
  let hash = leafHash;
  for (const sibling of proof) {
    if (path.over) return false;
    hash = path.up() ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  }
  return path.over && sameBytes(hash, root);
};

/** Whether the one is proven to be the beginning of the other (RFC 9162 section 2.1.4.2). What is malformed is not. */
export const verifyConsistency = (claim: ConsistencyClaim): boolean => {
  const { size1, size2, proof, root1, root2 } = claim ?? {};
  if (!isCount(size1) || !isCount(size2) || size1 === 0 || size1 > size2) return false;
  if (!isHash(root1) || !isHash(root2) || !areHashes(proof)) return false;
  if (size1 === size2) return proof.length === 0 && sameBytes(root1, root2);
  const path = new Path(size1 - 1, size2 - 1);
  path.skipRight();
  // Where the old tree is one complete subtree of the new one, its root is known and not part of the proof.
  const hashes = path.left ? [root1, ...proof] : proof;
  const [first, ...rest] = hashes;
  if (first === undefined) return false;
  let old = first;
  let all = first;
  for (const sibling of rest) {
    if (path.over) return false;
    if (path.up()) {
      old = nodeHash(sibling, old);
      all = nodeHash(sibling, all);
    } else all = nodeHash(all, sibling);
  }
  return path.over && sameBytes(old, root1) && sameBytes(all, root2);
};

/** The way from a leaf to the root: `fn` and `sn` of the RFC. */
class Path {
  constructor(private node: number, private last: number) {}

  /** It has come to the root. */
  get over(): boolean {
    return this.last === 0;
  }

  /** All that is left is leftmost, as it is where the number of leaves before is a power of two. */
  get left(): boolean {
    return this.node === 0;
  }

  /** One level up; true when the sibling is on the left. */
  up(): boolean {
    const right = this.node % 2 === 1 || this.node === this.last;
    // A node without a sibling is its own parent.
    if (right) { while (this.node !== 0 && this.node % 2 === 0) this.shift(); }
    this.shift();
    return right;
  }

  skipRight(): void {
    while (this.node % 2 === 1) this.shift();
  }

  private shift(): void {
    this.node = Math.floor(this.node / 2);
    this.last = Math.floor(this.last / 2);
  }
}

/** Not what only has the prototype of one. */
export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && value instanceof Uint8Array;

const isHash = (value: unknown): value is Uint8Array => isBytes(value) && value.length === HASH_BYTES;

/** Without holes, which `every` would pass over. */
const areHashes = (value: unknown): value is readonly Uint8Array[] =>
  Array.isArray(value) && !value.includes(undefined) && value.every(isHash);
