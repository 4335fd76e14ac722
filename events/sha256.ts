/**
 * SHA-256 (FIPS 180-4) of many short messages at once. The platform's hash takes 1.5 µs to be called, five times what it then
 * needs for an entry of 300 bytes; four or eight messages side by side (`sha256_lanes.ts`) need a sixth of that or less, see
 * `docs/decisions/0191-many-hashes-at-once.md`. For one message, or a long one, `node:crypto` is the faster.
 */
import { BLOCK_BYTES, type Lanes, openLanes } from "./sha256_lanes.ts";

/** Bytes of a hash. */
export const HASH_BYTES = 32;
/** Longer messages are left to the platform: from about here on it is as fast. */
export const LANE_BYTES_MAX = 4_096;
/** Of pieces, and bytes of them, that memory holds at a time. */
const PIECES_MAX = 1_024;
const INPUT_BYTES_MAX = 65_536;

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

const PAIR_BYTES = 2 * HASH_BYTES;
const PAIRS_MAX = 1_000;

/** Grows with the whole blocks of a message of so many bytes, and then with the blocks of its end, which are one or two. */
const rankOf = (bytes: number): number => (bytes >>> 6) + ((bytes + 8) >>> 6);

class SideBySide implements ManyHashes {
  private readonly bytes: Lanes["memory"];
  private readonly words: DataView;
  /** Where memory has the hashes, and what is hashed. */
  private readonly hashes: number;
  private readonly input: number;
  /** By lane: what it hashes, -1 when it is idle; and how many blocks follow the next one's place. */
  private readonly piece: Int32Array;
  private readonly blocks: Int32Array;
  /** Blocks of the end, 0 once they are what it hashes. */
  private readonly ending: Int32Array;
  /** The pieces in memory, the shortest first. */
  private readonly order = new Uint16Array(PIECES_MAX);
  private readonly counts = new Uint16Array(rankOf(LANE_BYTES_MAX) + 2);

  constructor(private readonly lanes: Lanes) {
    const { memory, count, free } = lanes;
    this.bytes = memory;
    this.words = new DataView(memory.buffer);
    this.hashes = free;
    this.input = this.hashes + (PIECES_MAX + 1) * HASH_BYTES;
    this.piece = new Int32Array(count);
    this.blocks = new Int32Array(count);
    this.ending = new Int32Array(count);
  }

  /** Pieces `from` to `until` of what lies at `input`, less `offset`; their hashes lie in their order then. */
  private hashInput(starts: Uint32Array, from: number, until: number, offset: number): void {
    const { lanes, piece, blocks, ending, order } = this;
    const { at, count } = lanes;
    this.sort(starts, from, until);
    let left = until - from;
    let busy = 0;
    for (let lane = 0; lane < count; lane++) {
      piece[lane] = -1;
      at[lane] = this.input;
      if (left > 0) busy += this.begin(lane, order[--left]!, starts, from, offset);
    }
    while (busy > 0) {
      let most = LANE_BYTES_MAX;
      for (let lane = 0; lane < count; lane++) if (piece[lane]! >= 0 && blocks[lane]! < most) most = blocks[lane]!;
      lanes.run(most);
      for (let lane = 0; lane < count; lane++) {
        if (piece[lane]! < 0) continue;
        at[lane]! += most * BLOCK_BYTES;
        if ((blocks[lane]! -= most) > 0) continue;
        if (ending[lane]! > 0) this.end(lane);
        else {
          lanes.finish(lane, this.hashes + piece[lane]! * HASH_BYTES);
          piece[lane] = -1;
          // An idle lane hashes whatever lies there.
          at[lane] = this.input;
          busy--;
          if (left > 0) busy += this.begin(lane, order[--left]!, starts, from, offset);
        }
      }
    }
    // What idle lanes have made is nobody's.
    for (let lane = 0; lane < count; lane++) lanes.finish(lane, this.hashes + PIECES_MAX * HASH_BYTES);
  }

  /** By how many blocks they have: lanes that begin together end together then. */
  private sort(starts: Uint32Array, from: number, until: number): void {
    const { order, counts } = this;
    counts.fill(0);
    for (let i = from; i < until; i++) counts[rankOf(starts[i + 1]! - starts[i]!) + 1]!++;
    for (let rank = 1; rank < counts.length; rank++) counts[rank]! += counts[rank - 1]!;
    for (let i = from; i < until; i++) order[counts[rankOf(starts[i + 1]! - starts[i]!)]!++] = i - from;
  }

  /** A lane begins with a message, which is followed by its length as section 5.1.1 says. */
  private begin(lane: number, piece: number, starts: Uint32Array, first: number, offset: number): 1 {
    const from = starts[first + piece]! - 1 - offset;
    const until = starts[first + piece + 1]! - 1 - offset;
    const whole = (until - from) >>> 6;
    this.lanes.end(lane, from, until);
    this.piece[lane] = piece;
    this.lanes.at[lane] = from;
    this.blocks[lane] = whole;
    this.ending[lane] = 1 + ((until - from + 8) >>> 6) - whole;
    if (whole === 0) this.end(lane);
    return 1;
  }

  /** A lane goes on with the end of its message. */
  private end(lane: number): void {
    this.lanes.at[lane] = this.lanes.tail(lane);
    this.blocks[lane] = this.ending[lane]!;
    this.ending[lane] = 0;
  }

  each(prefix: number, bytes: Uint8Array, starts: Uint32Array, alone: HashPiece): Uint8Array<ArrayBuffer> {
    const { input } = this;
    const count = starts.length - 1;
    const hashes = new Uint8Array(count * HASH_BYTES);
    for (let from = 0; from < count;) {
      const until = this.fitting(starts, from);
      if (until === from) {
        hashes.set(alone(bytes.subarray(starts[from]!, starts[from + 1]! - 1)), from++ * HASH_BYTES);
        continue;
      }
      const offset = starts[from]! - 1;
      this.bytes.set(bytes.subarray(offset, starts[until]! - 1), input);
      for (let i = from; i < until; i++) this.bytes[input + starts[i]! - 1 - offset] = prefix;
      this.hashInput(starts, from, until, offset - input);
      hashes.set(this.bytes.subarray(this.hashes, this.hashes + (until - from) * HASH_BYTES), from * HASH_BYTES);
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
    const { bytes, words, input, lanes } = this;
    const count = Math.floor(hashes.length / PAIR_BYTES);
    const parents = new Uint8Array(count * HASH_BYTES);
    for (let lane = 0; lane < lanes.count; lane++) {
      const tail = lanes.tail(lane);
      bytes.fill(0, tail, tail + BLOCK_BYTES);
      bytes[tail + 1] = 0x80;
      words.setUint32(tail + BLOCK_BYTES - 4, (1 + PAIR_BYTES) * 8);
    }
    for (let from = 0; from < count; from += PAIRS_MAX) {
      const taken = Math.min(PAIRS_MAX, count - from);
      bytes.set(hashes.subarray(from * PAIR_BYTES, (from + taken) * PAIR_BYTES), input);
      for (let i = 0; i < taken; i += lanes.count) {
        this.hashPairs(prefix, input + i * PAIR_BYTES, this.hashes + i * HASH_BYTES);
      }
      parents.set(bytes.subarray(this.hashes, this.hashes + taken * HASH_BYTES), from * HASH_BYTES);
    }
    return parents;
  }

  /** A pair for each lane from `from` on, or what is left of them: an idle lane goes on over whatever lies there. */
  private hashPairs(prefix: number, from: number, to: number): void {
    const { bytes, lanes: { count, at, tail, run, finish } } = this;
    for (let lane = 0; lane < count; lane++) {
      bytes[tail(lane)] = bytes[from + (lane + 1) * PAIR_BYTES - 1]!;
      at[lane] = from + lane * PAIR_BYTES - 1;
    }
    // Where the pair before has its last byte, which is taken by now.
    for (let lane = 0; lane < count; lane++) bytes[at[lane]!] = prefix;
    run(1);
    for (let lane = 0; lane < count; lane++) at[lane] = tail(lane);
    run(1);
    for (let lane = 0; lane < count; lane++) finish(lane, to + lane * HASH_BYTES);
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

/**
 * Four at a time for each vector of `vectors`, see `openLanes`; one by one, by `alone`, where the processor has no vectors of 128 bits
 * (SSE4.1 on x86-64).
 */
export const manyHashes = (vectors = 1, open = openLanes): ManyHashes => {
  try {
    // And a hash that is nobody's, and a block behind what is hashed, of which ends of messages are copied in one go.
    return new SideBySide(open((PIECES_MAX + 1) * HASH_BYTES + INPUT_BYTES_MAX + BLOCK_BYTES, vectors));
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
