/**
 * SHA-256 (FIPS 180-4) of many short messages at once. The platform's hash takes 1.5 µs to be called, five times what it then
 * needs for an entry of 300 bytes; four messages side by side (`sha256_lanes.ts`) need a sixth of that, see
 * `docs/decisions/0191-many-hashes-at-once.md`. For one message, or a long one, `node:crypto` is the faster.
 */
import { BLOCK_BYTES, FREE_AT, LANES, type Lanes, openLanes } from "./sha256_lanes.ts";

/** Bytes of a hash. */
export const HASH_BYTES = 32;
/** Longer messages are left to the platform: from about here on it is as fast. */
export const LANE_BYTES_MAX = 4_096;
/** Of pieces, and bytes of them, that memory holds at a time. */
const PIECES_MAX = 1_024;
const INPUT_BYTES_MAX = 65_536;

// Memory: for each lane the end of its message with what is appended to it, then the hashes, then what is hashed.
const TAIL_BYTES = 2 * BLOCK_BYTES;
const TAILS_AT = FREE_AT;
const HASHES_AT = TAILS_AT + LANES * TAIL_BYTES;
const INPUT_AT = HASHES_AT + PIECES_MAX * HASH_BYTES;

/** `SHA-256(prefix ‖ piece)` of one piece, by the platform. */
export type HashPiece = (piece: Uint8Array) => Uint8Array;
/** `SHA-256(prefix ‖ left ‖ right)`, likewise. */
export type HashPair = (left: Uint8Array, right: Uint8Array) => Uint8Array;

export interface ManyHashes {
  /**
   * `SHA-256(prefix ‖ piece)` of each piece of `bytes`, one behind the other, 32 bytes each: piece i begins at `starts[i]` and ends
   * a byte before piece i + 1 does, so there is a byte in front of each that is none of its own. `starts` grows, from 1 at least,
   * and has one number more than there are pieces. `alone` hashes those that are longer than `LANE_BYTES_MAX`.
   */
  each(prefix: number, bytes: Uint8Array, starts: Uint32Array, alone: HashPiece): Uint8Array<ArrayBuffer>;
  /** `SHA-256(prefix ‖ left ‖ right)` of each pair of neighbouring hashes, one behind the other; one that is left over is passed over. */
  pairs(prefix: number, hashes: Uint8Array, alone: HashPair): Uint8Array<ArrayBuffer>;
}

/** Where each lane's end is. */
const TAILS = [TAILS_AT, TAILS_AT + TAIL_BYTES, TAILS_AT + 2 * TAIL_BYTES, TAILS_AT + 3 * TAIL_BYTES] as const;

const PAIR_BYTES = 2 * HASH_BYTES;
const PAIRS_MAX = 1_000;

class SideBySide implements ManyHashes {
  private readonly bytes: Lanes["memory"];
  private readonly words: DataView;
  /** By lane: what it hashes, -1 when it is idle; where its next block is, and how many follow it there. */
  private readonly piece = new Int32Array(LANES);
  private readonly at = new Int32Array(LANES);
  private readonly blocks = new Int32Array(LANES);
  /** Blocks of the end, 0 once they are what it hashes. */
  private readonly ending = new Int32Array(LANES);

  constructor(private readonly lanes: Lanes) {
    this.bytes = lanes.memory;
    this.words = new DataView(this.bytes.buffer);
  }

  /** Pieces `from` to `until` of what lies at `INPUT_AT`, less `offset`; their hashes are at `HASHES_AT` then. */
  private hashInput(starts: Uint32Array, from: number, until: number, offset: number): void {
    const { lanes, piece, at, blocks, ending } = this;
    let next = from;
    let busy = 0;
    for (let lane = 0; lane < LANES; lane++) {
      piece[lane] = -1;
      at[lane] = 0;
      if (next < until) busy += this.begin(lane, next - from, starts[next]! - 1 - offset, starts[++next]! - 1 - offset);
    }
    while (busy > 0) {
      let count = TAIL_BYTES + LANE_BYTES_MAX;
      for (let lane = 0; lane < LANES; lane++) if (piece[lane]! >= 0 && blocks[lane]! < count) count = blocks[lane]!;
      lanes.run(at[0]!, at[1]!, at[2]!, at[3]!, count);
      for (let lane = 0; lane < LANES; lane++) {
        if (piece[lane]! < 0) continue;
        at[lane]! += count * BLOCK_BYTES;
        if ((blocks[lane]! -= count) > 0) continue;
        if (ending[lane]! > 0) this.end(lane);
        else {
          lanes.finish(lane, HASHES_AT + piece[lane]! * HASH_BYTES);
          piece[lane] = -1;
          // An idle lane goes on over whatever lies in front.
          at[lane] = 0;
          busy--;
          if (next < until) {
            busy += this.begin(lane, next - from, starts[next]! - 1 - offset, starts[++next]! - 1 - offset);
          }
        }
      }
    }
    // What idle lanes have made is nobody's.
    for (let lane = 0; lane < LANES; lane++) lanes.finish(lane, TAILS_AT);
  }

  /** A lane begins with a message, which is followed by its length as section 5.1.1 says. */
  private begin(lane: number, piece: number, from: number, until: number): 1 {
    const { bytes, words } = this;
    const length = until - from;
    const whole = Math.floor(length / BLOCK_BYTES);
    const rest = length - whole * BLOCK_BYTES;
    const ending = rest + 9 <= BLOCK_BYTES ? 1 : 2;
    const tail = TAILS_AT + lane * TAIL_BYTES;
    const end = tail + ending * BLOCK_BYTES;
    bytes.copyWithin(tail, until - rest, until);
    bytes[tail + rest] = 0x80;
    bytes.fill(0, tail + rest + 1, end);
    words.setUint32(end - 4, length * 8);
    this.piece[lane] = piece;
    this.at[lane] = from;
    this.blocks[lane] = whole;
    this.ending[lane] = ending;
    if (whole === 0) this.end(lane);
    return 1;
  }

  /** A lane goes on with the end of its message. */
  private end(lane: number): void {
    this.at[lane] = TAILS_AT + lane * TAIL_BYTES;
    this.blocks[lane] = this.ending[lane]!;
    this.ending[lane] = 0;
  }

  each(prefix: number, bytes: Uint8Array, starts: Uint32Array, alone: HashPiece): Uint8Array<ArrayBuffer> {
    const count = starts.length - 1;
    const hashes = new Uint8Array(count * HASH_BYTES);
    for (let from = 0; from < count;) {
      const until = this.fitting(starts, from);
      if (until === from) {
        hashes.set(alone(bytes.subarray(starts[from]!, starts[from + 1]! - 1)), from++ * HASH_BYTES);
        continue;
      }
      const offset = starts[from]! - 1;
      this.bytes.set(bytes.subarray(offset, starts[until]! - 1), INPUT_AT);
      for (let i = from; i < until; i++) this.bytes[INPUT_AT + starts[i]! - 1 - offset] = prefix;
      this.hashInput(starts, from, until, offset - INPUT_AT);
      hashes.set(this.bytes.subarray(HASHES_AT, HASHES_AT + (until - from) * HASH_BYTES), from * HASH_BYTES);
      from = until;
    }
    return hashes;
  }

  /** Behind the last of the pieces that go into memory together; `from` where that piece is too long by itself. */
  private fitting(starts: Uint32Array, from: number): number {
    const most = Math.min(starts.length - 1, from + PIECES_MAX);
    let until = from;
    for (; until < most; until++) {
      if (starts[until + 1]! - starts[until]! > LANE_BYTES_MAX) break;
      if (starts[until + 1]! - starts[from]! > INPUT_BYTES_MAX) break;
    }
    return until;
  }

  /** Each pair is a block, of which the prefix takes the first byte, and the byte that is left over is the end's. */
  pairs(prefix: number, hashes: Uint8Array): Uint8Array<ArrayBuffer> {
    const { bytes, words } = this;
    const count = Math.floor(hashes.length / PAIR_BYTES);
    const parents = new Uint8Array(count * HASH_BYTES);
    for (const tail of TAILS) {
      bytes.fill(0, tail, tail + BLOCK_BYTES);
      bytes[tail + 1] = 0x80;
      words.setUint32(tail + BLOCK_BYTES - 4, (1 + PAIR_BYTES) * 8);
    }
    for (let from = 0; from < count; from += PAIRS_MAX) {
      const taken = Math.min(PAIRS_MAX, count - from);
      bytes.set(hashes.subarray(from * PAIR_BYTES, (from + taken) * PAIR_BYTES), INPUT_AT);
      for (let i = 0; i < taken; i += LANES) {
        this.hashPairs(prefix, INPUT_AT + i * PAIR_BYTES, HASHES_AT + i * HASH_BYTES);
      }
      parents.set(bytes.subarray(HASHES_AT, HASHES_AT + taken * HASH_BYTES), from * HASH_BYTES);
    }
    return parents;
  }

  /** Four pairs from `at` on, or what is left of them: an idle lane goes on over whatever lies there. */
  private hashPairs(prefix: number, at: number, to: number): void {
    const { bytes, lanes } = this;
    const [a, b, c, d] = [at, at + PAIR_BYTES, at + 2 * PAIR_BYTES, at + 3 * PAIR_BYTES];
    const [TAIL_A, TAIL_B, TAIL_C, TAIL_D] = TAILS;
    bytes[TAIL_A] = bytes[b - 1]!;
    bytes[TAIL_B] = bytes[c - 1]!;
    bytes[TAIL_C] = bytes[d - 1]!;
    bytes[TAIL_D] = bytes[d + PAIR_BYTES - 1]!;
    // Where the pair before has its last byte, which is taken by now.
    bytes[a - 1] = prefix;
    bytes[b - 1] = prefix;
    bytes[c - 1] = prefix;
    bytes[d - 1] = prefix;
    lanes.run(a - 1, b - 1, c - 1, d - 1, 1);
    lanes.run(TAIL_A, TAIL_B, TAIL_C, TAIL_D, 1);
    lanes.finish(0, to);
    lanes.finish(1, to + HASH_BYTES);
    lanes.finish(2, to + 2 * HASH_BYTES);
    lanes.finish(3, to + 3 * HASH_BYTES);
  }
}

const oneByOne: ManyHashes = {
  each(_prefix, bytes, starts, alone) {
    const hashes = new Uint8Array((starts.length - 1) * HASH_BYTES);
    for (let i = 0; i + 1 < starts.length; i++) {
      hashes.set(alone(bytes.subarray(starts[i]!, starts[i + 1]! - 1)), i * HASH_BYTES);
    }
    return hashes;
  },
  pairs(_prefix, hashes, alone) {
    const parents = new Uint8Array(Math.floor(hashes.length / PAIR_BYTES) * HASH_BYTES);
    for (let to = 0, at = 0; to < parents.length; to += HASH_BYTES, at += PAIR_BYTES) {
      parents.set(alone(hashes.subarray(at, at + HASH_BYTES), hashes.subarray(at + HASH_BYTES, at + PAIR_BYTES)), to);
    }
    return parents;
  },
};

/** Four at a time; one by one, by `alone`, where the processor has no vectors of 128 bits (SSE4.1 on x86-64). */
export const manyHashes = (open = openLanes): ManyHashes => {
  try {
    return new SideBySide(open(INPUT_AT + INPUT_BYTES_MAX - FREE_AT));
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return oneByOne;
    throw error;
  }
};

let shared: ManyHashes | undefined;

/** See `ManyHashes.each`. */
export const sha256Each: ManyHashes["each"] = (prefix, bytes, starts, alone) =>
  (shared ??= manyHashes()).each(prefix, bytes, starts, alone);

/** See `ManyHashes.pairs`. */
export const sha256Pairs: ManyHashes["pairs"] = (prefix, hashes, alone) =>
  (shared ??= manyHashes()).pairs(prefix, hashes, alone);
