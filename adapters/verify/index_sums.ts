/**
 * Whether two collections hold the same things, in whatever order and in constant memory: each thing is hashed under
 * a secret of this run, and the hashes are added up. It guards what is derived against mistakes and edits; the
 * entries themselves are guarded by SHA-256.
 */
import { randomBytes } from "node:crypto";

const secret = new Int32Array(new Uint8Array(randomBytes(16)).buffer);

/** Two lanes of 32 bits. */
export class Sum {
  private a = 0;
  private b = 0;

  /** Adds one thing, told by up to three whole numbers below 2^53; `sign` −1 takes it away. */
  add(sign: 1 | -1, x: number, y: number, z = 0): void {
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
