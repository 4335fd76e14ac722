/**
 * GHASH, the hash of GCM (NIST SP 800-38D, sections 6.3 and 6.4), in time that depends on lengths alone: nothing branches on a secret, and none
 * is an index. Polynomials are multiplied with the multiplication of integers, four bits apart so that no carry reaches a neighbour, as
 * BearSSL's `ghash_ctmul32` does; what a multiplication of 32 bits cuts off is the product of the operands reversed.
 */

/** Bits 0 to 31 of the product of two polynomials of 32 bits. */
const lower = (x: number, y: number): number => {
  const x0 = x & 0x11111111, x1 = x & 0x22222222, x2 = x & 0x44444444, x3 = x & 0x88888888;
  const y0 = y & 0x11111111, y1 = y & 0x22222222, y2 = y & 0x44444444, y3 = y & 0x88888888;
  const z0 = Math.imul(x0, y0) ^ Math.imul(x1, y3) ^ Math.imul(x2, y2) ^ Math.imul(x3, y1);
  const z1 = Math.imul(x0, y1) ^ Math.imul(x1, y0) ^ Math.imul(x2, y3) ^ Math.imul(x3, y2);
  const z2 = Math.imul(x0, y2) ^ Math.imul(x1, y1) ^ Math.imul(x2, y0) ^ Math.imul(x3, y3);
  const z3 = Math.imul(x0, y3) ^ Math.imul(x1, y2) ^ Math.imul(x2, y1) ^ Math.imul(x3, y0);
  return (z0 & 0x11111111) | (z1 & 0x22222222) | (z2 & 0x44444444) | (z3 & 0x88888888);
};

const reversed = (x: number): number => {
  x = ((x & 0x55555555) << 1) | ((x >>> 1) & 0x55555555);
  x = ((x & 0x33333333) << 2) | ((x >>> 2) & 0x33333333);
  x = ((x & 0x0f0f0f0f) << 4) | ((x >>> 4) & 0x0f0f0f0f);
  x = ((x & 0x00ff00ff) << 8) | ((x >>> 8) & 0x00ff00ff);
  return (x << 16) | (x >>> 16);
};

/** Bits 32 to 62 of the product of what these are the reversals of. */
const upper = (x: number, y: number): number => reversed(lower(x, y)) >>> 1;

/** 128 bits as words, the lowest first, and each word reversed. */
interface Operand {
  readonly words: Int32Array;
  readonly reversals: Int32Array;
}
const operand = (): Operand => ({ words: new Int32Array(4), reversals: new Int32Array(4) });

const set = ({ words, reversals }: Operand, at: number, word: number): void => {
  words[at] = word;
  reversals[at] = reversed(word);
};

// Half of a product has four words. Nothing here waits, so all share these.
const LOW = new Int32Array(4), HIGH = new Int32Array(4), MIDDLE = new Int32Array(4);
const left = operand(), leftSum = operand();
const product = new Int32Array(8);

/** The product of two words of one operand, from `at`, with two of another: Karatsuba's way, in four words. */
const multiply = (to: Int32Array, a: Operand, b: Operand, at: number): void => {
  const a0 = a.words[at]!, a1 = a.words[at + 1]!, b0 = b.words[at]!, b1 = b.words[at + 1]!;
  const r0 = a.reversals[at]!, r1 = a.reversals[at + 1]!, s0 = b.reversals[at]!, s1 = b.reversals[at + 1]!;
  const low = lower(a0, b0), lowUp = upper(r0, s0);
  const high = lower(a1, b1), highUp = upper(r1, s1);
  to[0] = low;
  to[1] = lowUp ^ lower(a0 ^ a1, b0 ^ b1) ^ low ^ high;
  to[2] = high ^ upper(r0 ^ r1, s0 ^ s1) ^ lowUp ^ highUp;
  to[3] = highUp;
};

/** Halves of an operand added up. */
const sum = (to: Operand, { words, reversals }: Operand): void => {
  for (let i = 0; i < 2; i++) {
    to.words[i] = words[i]! ^ words[i + 2]!;
    to.reversals[i] = reversals[i]! ^ reversals[i + 2]!;
  }
};

/** Modulo x^128 + x^7 + x^2 + x + 1, bits being reflected, into the four words of a sum. */
const reduce = (z: Int32Array, y: Int32Array): void => {
  // The product of reflected operands is one bit short.
  for (let i = 7; i > 0; i--) z[i] = (z[i]! << 1) | (z[i - 1]! >>> 31);
  z[0]! <<= 1;
  for (let i = 0; i < 4; i++) {
    const word = z[i]!;
    z[i + 4]! ^= word ^ (word >>> 1) ^ (word >>> 2) ^ (word >>> 7);
    z[i + 3]! ^= (word << 31) ^ (word << 30) ^ (word << 25);
  }
  for (let i = 0; i < 4; i++) y[i] = z[i + 4]!;
};

/** One key, and the hash of what was added since `begin`. */
export class Ghash {
  private readonly key = operand();
  private readonly keySum = operand();
  /** The lowest word first. */
  private readonly y = new Int32Array(4);

  constructor(key: Uint8Array) {
    for (let i = 0; i < 4; i++) set(this.key, i, word(key, 12 - 4 * i, 16));
    sum(this.keySum, this.key);
  }

  begin(): void {
    this.y.fill(0);
  }

  /** Bytes `from` to `until`, filled up with zeros to whole blocks. */
  add(bytes: Uint8Array, from: number, until: number): void {
    const { y } = this;
    for (let at = from; at < until; at += 16) {
      for (let i = 0; i < 4; i++) y[i]! ^= word(bytes, at + 12 - 4 * i, until);
      this.step();
    }
  }

  /** The last block of GCM: how many bytes were associated, and how many encrypted. */
  addLengths(associated: number, encrypted: number): void {
    this.y[2]! ^= associated << 3;
    this.y[0]! ^= encrypted << 3;
    this.step();
  }

  /** Writes the hash, added to what is there. */
  addTo(bytes: Uint8Array, at: number): void {
    for (let i = 0; i < 16; i++) bytes[at + i]! ^= this.y[3 - (i >> 2)]! >>> (24 - 8 * (i & 3));
  }

  private step(): void {
    const { key, keySum, y } = this;
    for (let i = 0; i < 4; i++) set(left, i, y[i]!);
    sum(leftSum, left);
    multiply(LOW, left, key, 0);
    multiply(HIGH, left, key, 2);
    multiply(MIDDLE, leftSum, keySum, 0);
    for (let i = 0; i < 4; i++) {
      product[i] = LOW[i]!;
      product[i + 4] = HIGH[i]!;
    }
    for (let i = 0; i < 4; i++) product[i + 2]! ^= MIDDLE[i]! ^ LOW[i]! ^ HIGH[i]!;
    reduce(product, y);
  }
}

/** Four bytes, big-endian; those at `until` and behind count as zero. */
const word = (bytes: Uint8Array, at: number, until: number): number => {
  if (at + 4 <= until) return bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
  let short = 0;
  for (let i = at; i < at + 4; i++) short = short << 8 | (i < until ? bytes[i]! : 0);
  return short;
};
