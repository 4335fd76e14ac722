/**
 * The Merkle tree over the entries, by RFC 9162 section 2.1.1, computed from nothing but them:
 * `MTH({}) = SHA-256()`, `MTH({d}) = SHA-256(0x00 ‖ d)`, `MTH(D[n]) = SHA-256(0x01 ‖ MTH(D[0:k]) ‖ MTH(D[k:n]))`, where
 * k is the largest power of two below n.
 */
import { Buffer } from "node:buffer";
import { LogFault } from "../../events/log.ts";
import { HASH_BYTES, type ManyHashes, manyHashes } from "../../events/sha256.ts";
import { sameBytes } from "./block.ts";
import { sha256 } from "./crypto.ts";

export { HASH_BYTES };

const LEAF_PREFIX = 0;
const NODE_PREFIX = 1;
const LEAF = Uint8Array.of(LEAF_PREFIX);

/** A complete subtree: the first leaf it covers, how many, and its hash. */
export interface Subtree {
  readonly from: number;
  readonly count: number;
  readonly hash: Uint8Array;
}

export const leafHash = (entry: Uint8Array): Uint8Array => sha256().update(LEAF).update(entry).digest();

const pair = Buffer.alloc(65);
pair[0] = NODE_PREFIX;
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  pair.set(left, 1);
  pair.set(right, 33);
  return sha256().update(pair).digest();
};

/** Levels of the tree that a tile spans. */
const TILE_HEIGHT = 8;
/** Leaves of a group. */
export const GROUP = 2 ** TILE_HEIGHT;

let shared: ManyHashes | undefined;
const many = (): ManyHashes => shared ??= manyHashes();

/**
 * From now on this thread hashes eight messages side by side, not four: half the time where V8 makes one vector of 256 bits of two of 128, a
 * quarter more where it does not. See `docs/decisions/0197-twice-as-many-hashes-where-vectors-are-wide.md`.
 */
export const hashWide = (): void => {
  shared = manyHashes(2);
};

/** Of so many hashes that are made together, or more, one is held against the platform's. */
export const HELD_MIN = 64;

/**
 * Answers the hashes, of which one by chance is as `alone` has it, by its number. Nobody has to believe that SHA-256 of our own is the
 * platform's: where it were not, hardly a log would be read to its end. Throws `LogFault`.
 */
export const heldToPlatform = (hashes: Uint8Array, alone: (index: number) => Uint8Array): Uint8Array => {
  const count = hashes.length / HASH_BYTES;
  if (count < HELD_MIN) return hashes;
  const index = Math.floor(Math.random() * count);
  const at = index * HASH_BYTES;
  if (sameBytes(hashes.subarray(at, at + HASH_BYTES), alone(index))) return hashes;
  throw new LogFault("io", "Cannot verify: SHA-256 of many at once is not what the platform has");
};

/** Leaf hashes of pieces of `bytes`, one behind the other: piece i begins at `starts[i]` and ends a byte before piece i + 1 does. */
export const leavesOf = (bytes: Uint8Array, starts: Uint32Array): Uint8Array =>
  heldToPlatform(
    many().each(LEAF_PREFIX, bytes, starts, leafHash),
    (i) => leafHash(bytes.subarray(starts[i]!, starts[i + 1]! - 1)),
  );

/** The parents of neighbours. */
const parentsOf = (hashes: Uint8Array): Uint8Array => {
  const node = (index: number) => hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  return heldToPlatform(
    many().pairs(NODE_PREFIX, hashes, nodeHash),
    (i) => nodeHash(node(2 * i), node(2 * i + 1)),
  );
};

/** The hashes of groups of `GROUP` leaves. */
export const groupsOf = (leaves: Uint8Array): Uint8Array => {
  let hashes = leaves;
  for (let height = 0; height < TILE_HEIGHT; height++) hashes = parentsOf(hashes);
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
    this.grow(leaves, 0);
  }

  /** Takes leaf hashes and the hashes of the groups of 256 that they make up; the size must be a multiple of 256. */
  addGroups(leaves: Uint8Array, groups: Uint8Array): void {
    this.passed?.(0, leaves);
    this.grow(groups, TILE_HEIGHT);
  }

  /** Takes hashes of complete subtrees of a height. */
  private grow(next: Uint8Array, from: number): void {
    let hashes = next;
    this.leaves += hashes.length / HASH_BYTES * 2 ** from;
    // As in binary addition: what is left over at a height waits there for its neighbour.
    for (let height = from; hashes.length > 0; height++) {
      if (height % TILE_HEIGHT === 0) this.passed?.(height / TILE_HEIGHT, hashes);
      const waiting = this.peaks[height];
      if (waiting) {
        const joined = new Uint8Array(HASH_BYTES + hashes.length);
        joined.set(waiting);
        joined.set(hashes, HASH_BYTES);
        hashes = joined;
      }
      const left = hashes.length % (2 * HASH_BYTES);
      this.peaks[height] = left > 0 ? hashes.slice(-left) : undefined;
      hashes = parentsOf(hashes);
    }
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
  if (peaks.length === 0) return sha256().digest();
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
