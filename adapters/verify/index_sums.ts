/**
 * Whether two collections hold the same things, in whatever order and in constant memory: each thing is hashed under
 * a secret of this run, and the hashes are added up. It guards what is derived against mistakes and edits; the
 * entries themselves are guarded by SHA-256.
 */
import { randomBytes } from "node:crypto";

/** Words that nobody who wrote the file could know; all sums that are compared are under the same. */
export type Secret = Int32Array;

export const SECRET_WORDS = 12;
/** Where in the secret what `numberOf` multiplies by and ends with lies; before it what its lanes begin with. */
export const SECRET = { left: 8, right: 9, low: 10, high: 11 } as const;
export const newSecret = (): Secret => new Int32Array(new Uint8Array(randomBytes(SECRET_WORDS * 4)).buffer);

/** Two lanes of 32 bits. */
export class Sum {
  private a = 0;
  private b = 0;

  constructor(private readonly secret: Secret) {}

  /**
   * Adds one thing, told by up to three whole numbers below 2^53; `sign` −1 takes it away. Each of their six words is mixed by itself,
   * which a processor does side by side; what they come to is mixed once more, so that no word can change places with another thing's.
   */
  add(sign: 1 | -1, x: number, y: number, z = 0): void {
    const { secret } = this;
    const p = mixed(x ^ secret[0]!);
    const q = mixed((x / 0x1_0000_0000) ^ secret[1]!);
    const r = mixed(y ^ secret[2]!);
    const s = mixed((y / 0x1_0000_0000) ^ secret[3]!);
    const t = mixed(z ^ secret[4]!);
    const u = mixed((z / 0x1_0000_0000) ^ secret[5]!);
    const a = p + Math.imul(q, 3) + Math.imul(r, 5) + Math.imul(s, 7) + Math.imul(t, 9) + Math.imul(u, 11);
    const b = Math.imul(p, 13) + Math.imul(q, 11) + Math.imul(r, 9) + Math.imul(s, 7) + Math.imul(t, 5) + u;
    this.a = (this.a + Math.imul(sign, mixed(a ^ secret[6]!))) | 0;
    this.b = (this.b + Math.imul(sign, mixed(b ^ secret[7]!))) | 0;
  }

  /** Adds what another sum has come to. */
  join(lanes: readonly [number, number]): void {
    this.a = (this.a + lanes[0]) | 0;
    this.b = (this.b + lanes[1]) | 0;
  }

  get lanes(): readonly [number, number] {
    return [this.a, this.b];
  }

  get zero(): boolean {
    return this.a === 0 && this.b === 0;
  }
}

/** MurmurHash3's finalizer. */
const mixed = (word: number): number => {
  let bits = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
};

/** Bytes that are taken at a time, a word in each lane. */
export const STEP = 32;

/**
 * A lane with the next word. It is multiplied twice, by what the secret says: after one product the highest bit of a word would come out
 * where everybody knows, and the next word could take it back.
 */
const taken = (lane: number, word: number, left: number, right: number): number => {
  const product = Math.imul(lane ^ word, left);
  return Math.imul(product ^ (product >>> 16), right);
};

/**
 * Hashes bytes, `STEP` at least, to one whole number below 2^53, in eight lanes that the secret starts and mixes. The last `STEP` are taken
 * once more, in part. By definition; `numbers_code.ts` does the same to many.
 */
export const numberOf = (secret: Secret, view: DataView, from: number, until: number): number => {
  const left = secret[SECRET.left]! | 1;
  const right = secret[SECRET.right]! | 1;
  const lanes = secret.slice(0, STEP / 4);
  lanes[0]! ^= Math.imul(until - from, left);
  for (let at = from; at < until; at += STEP) {
    at = Math.min(at, until - STEP);
    for (let lane = 0; lane < lanes.length; lane++) {
      lanes[lane] = taken(lanes[lane]!, view.getInt32(at + lane * 4, true), left, right);
    }
  }
  const [a, b, c, d] = [0, 1, 2, 3].map((lane) => taken(lanes[lane]!, lanes[lane + 4]!, left, right)) as [
    number,
    number,
    number,
    number,
  ];
  const low = mixed(a ^ mixed(b ^ mixed(c ^ mixed(d ^ secret[SECRET.low]!))));
  const high = mixed(d ^ mixed(c ^ mixed(b ^ mixed(a ^ secret[SECRET.high]!))));
  return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0);
};
