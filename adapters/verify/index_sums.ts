/**
 * Whether two collections hold the same things, in whatever order and in constant memory: each thing is hashed under
 * a secret of this run, and the hashes are added up. It guards what is derived against mistakes and edits; the
 * entries themselves are guarded by SHA-256.
 */
import { randomBytes } from "node:crypto";

/** Words that nobody who wrote the file could know; all sums that are compared are under the same. */
export type Secret = Int32Array;

export const newSecret = (): Secret => new Int32Array(new Uint8Array(randomBytes(24)).buffer);

/** Two lanes of 32 bits. */
export class Sum {
  private a = 0;
  private b = 0;

  constructor(private readonly secret: Secret) {}

  /** Adds one thing, told by up to three whole numbers below 2^53; `sign` −1 takes it away. */
  add(sign: 1 | -1, x: number, y: number, z = 0): void {
    const { secret } = this;
    let a = secret[0]!;
    let b = secret[1]!;
    a = step(a, x >>> 0, secret[2]!);
    b = step(b, (x / 0x1_0000_0000) ^ a, secret[3]!);
    a = step(a, (y >>> 0) ^ b, secret[2]!);
    b = step(b, (y / 0x1_0000_0000) ^ a, secret[3]!);
    a = step(a, (z >>> 0) ^ b, secret[2]!);
    b = step(b, (z / 0x1_0000_0000) ^ a, secret[3]!);
    a = step(a, b, secret[2]!);
    this.a = (this.a + sign * a) | 0;
    this.b = (this.b + sign * b) | 0;
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

const step = (state: number, word: number, key: number): number => {
  let mixed = Math.imul(state ^ word, 0xcc9e2d51) + key | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
};

/** Hashes bytes to one whole number below 2^53, four bytes at a time in two lanes that the secret starts and mixes. */
export const numberOf = (secret: Secret, bytes: Uint8Array, from: number, until: number): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const left = secret[4]! | 1;
  const right = secret[5]! | 1;
  let a = secret[0]! ^ (until - from);
  let b = secret[1]!;
  let at = from;
  for (; at + 4 <= until; at += 4) {
    const word = view.getInt32(at, true);
    a = Math.imul(a ^ word, left);
    b = Math.imul(b ^ word, right);
    a ^= a >>> 15;
    b ^= b >>> 13;
  }
  for (; at < until; at++) {
    a = step(a, bytes[at]!, left);
    b = step(b, bytes[at]!, right);
  }
  return (step(a, b, right) & 0x1fffff) * 0x1_0000_0000 + (step(b, a, left) >>> 0);
};
