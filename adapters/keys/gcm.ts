/**
 * AES-256-GCM (NIST SP 800-38D) for several short texts at once.
 *
 * The platform makes one native object for each text, which costs more than most of what there is to an event.
 * Here the counter blocks of all texts go through its AES in one call and only GHASH is done by hand, to the same
 * bytes: the tests hold it against the platform's own GCM, which also opens what is sealed here.
 */
import { type Cipheriv, createCipheriv } from "node:crypto";

/** `text` is encrypted in place, `tag` is filled in. A nonce (12 bytes) is used once only under one key. */
export interface GcmText {
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly text: Uint8Array;
  readonly tag: Uint8Array;
}

const BLOCK = 16;
// Reused: nothing of it is needed once the AES has read it.
const COUNTERS = new Uint8Array(4_096);

export class Gcm {
  private blocks: Cipheriv | undefined;
  private readonly table: Int32Array;
  private readonly sum = new Int32Array(4);
  private closed = false;

  /** `key`: 32 bytes. Holds a native resource until `close`; after it, each `seal` takes and frees its own. */
  constructor(private readonly key: Uint8Array) {
    this.blocks = this.cipher();
    this.table = multiples(this.blocks.update(new Uint8Array(BLOCK)));
  }

  private cipher(): Cipheriv {
    const cipher = createCipheriv("aes-256-ecb", this.key, null);
    cipher.setAutoPadding(false);
    return cipher;
  }

  seal(texts: readonly GcmText[]): void {
    let count = 0;
    for (const { text } of texts) count += 1 + Math.ceil(text.length / BLOCK);
    const counters = count * BLOCK <= COUNTERS.length
      ? COUNTERS.subarray(0, count * BLOCK)
      : new Uint8Array(count * BLOCK);
    let at = 0;
    for (const { nonce, text } of texts) {
      // SP 800-38D section 7.1: J0 is the nonce and 1; the text is counted from 2.
      const last = 1 + Math.ceil(text.length / BLOCK);
      for (let i = 1; i <= last; i++, at += BLOCK) {
        counters.set(nonce, at);
        counters[at + 12] = i >>> 24;
        counters[at + 13] = i >>> 16;
        counters[at + 14] = i >>> 8;
        counters[at + 15] = i;
      }
    }
    const stream = this.encrypt(counters);
    at = 0;
    for (const each of texts) at = this.finish(each, stream, at);
  }

  private encrypt(blocks: Uint8Array): Uint8Array {
    if (!this.closed) return this.blocks!.update(blocks);
    const cipher = this.cipher();
    const encrypted = cipher.update(blocks);
    cipher.final();
    return encrypted;
  }

  private finish({ aad, text, tag }: GcmText, stream: Uint8Array, at: number): number {
    const first = at + BLOCK;
    for (let i = 0; i < text.length; i++) text[i]! ^= stream[first + i]!;
    const sum = this.sum.fill(0);
    this.absorb(aad);
    this.absorb(text);
    sum[1]! ^= aad.length << 3;
    sum[3]! ^= text.length << 3;
    multiply(sum, this.table);
    for (let i = 0; i < BLOCK; i++) tag[i] = stream[at + i]! ^ (sum[i >> 2]! >>> (24 - 8 * (i & 3)));
    return first + Math.ceil(text.length / BLOCK) * BLOCK;
  }

  /** GHASH (section 6.4) over the bytes, filled up with zeros to whole blocks. */
  private absorb(bytes: Uint8Array): void {
    const sum = this.sum;
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const end = Math.min(BLOCK, bytes.length - at);
      for (let i = 0; i < end; i++) sum[i >> 2]! ^= bytes[at + i]! << (24 - 8 * (i & 3));
      multiply(sum, this.table);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.blocks!.final();
    this.blocks = undefined;
  }
}

/** The hash key times each of the 16 polynomials of degree under 4: Shoup's 4-bit tables. */
const multiples = (hashKey: Uint8Array): Int32Array => {
  const table = new Int32Array(16 * 4);
  const view = new DataView(hashKey.buffer, hashKey.byteOffset, BLOCK);
  for (let i = 0; i < 4; i++) table[8 * 4 + i] = view.getInt32(4 * i);
  for (let power = 4; power > 0; power >>= 1) {
    const from = 2 * power * 4, to = power * 4;
    const odd = table[from + 3]! & 1;
    for (let i = 3; i > 0; i--) table[to + i] = (table[from + i]! >>> 1) | (table[from + i - 1]! << 31);
    table[to] = (table[from]! >>> 1) ^ (odd ? REDUCE : 0);
  }
  for (const power of [2, 4, 8]) {
    for (let below = 1; below < power; below++) {
      for (let i = 0; i < 4; i++) table[(power + below) * 4 + i] = table[power * 4 + i]! ^ table[below * 4 + i]!;
    }
  }
  return table;
};

// The polynomial of section 6.3, and what four bits shifted out come back as.
const REDUCE = 0xe1000000 | 0;
const SHIFTED = Int32Array.from(
  [
    0x0000,
    0x1c20,
    0x3840,
    0x2460,
    0x7080,
    0x6ca0,
    0x48c0,
    0x54e0,
    0xe100,
    0xfd20,
    0xd940,
    0xc560,
    0x9180,
    0x8da0,
    0xa9c0,
    0xb5e0,
  ],
  (top) => top << 16,
);

/** Multiplies the sum by the hash key in GF(2^128), four bits a step, from the last to the first. */
const multiply = (sum: Int32Array, table: Int32Array): void => {
  let a = 0, b = 0, c = 0, d = 0;
  for (let word = 3; word >= 0; word--) {
    let bits = sum[word]!;
    for (let step = 0; step < 8; step++, bits >>>= 4) {
      const out = SHIFTED[d & 15]!;
      const at = (bits & 15) << 2;
      d = ((d >>> 4) | (c << 28)) ^ table[at + 3]!;
      c = ((c >>> 4) | (b << 28)) ^ table[at + 2]!;
      b = ((b >>> 4) | (a << 28)) ^ table[at + 1]!;
      a = ((a >>> 4) ^ out) ^ table[at]!;
    }
  }
  sum[0] = a;
  sum[1] = b;
  sum[2] = c;
  sum[3] = d;
};
