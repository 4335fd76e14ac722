/**
 * AES-256-GCM (NIST SP 800-38D) of several short texts under one key. The platform's makes an object for each text, at several times the cost of
 * what it does. Here its AES-256-ECB, made once for a key, encrypts the counter blocks of all texts in one call; what GCM adds is GHASH
 * (`ghash.ts`). Opening is left to the platform's own, which takes nothing that is not GCM to the bit.
 */
import { type Cipheriv, createCipheriv } from "node:crypto";
import { LRUCache } from "lru-cache";
import { entries } from "./bounded.ts";
import type { KeyDatabase } from "./database.ts";
import { Ghash } from "./ghash.ts";

/** Keys made ready that are held in memory; a further one is made ready again. */
export const CIPHERS_CACHED_MAX = 1_024;

export const NONCE = 12, TAG = 16;
const BLOCK = 16;

/** Where a text stands among bytes: nonce, associated data, the text, its tag; each ends where the next one begins. */
export interface Place {
  readonly nonce: number;
  readonly associated: number;
  readonly text: number;
  readonly tag: number;
}

const SCRATCH_BYTES = 64 * 1_024;
const scratch = new Uint8Array(SCRATCH_BYTES);

/** One key, made ready. It holds memory of the platform's until it is closed. */
export class Gcm {
  private readonly aes: Cipheriv;
  private readonly ghash: Ghash;

  constructor(key: Uint8Array) {
    this.aes = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    this.ghash = new Ghash(this.aes.update(new Uint8Array(BLOCK)));
  }

  /** Encrypts texts where they stand and writes their tags. Each must have a nonce of its own. */
  seal(bytes: Uint8Array, places: readonly Place[]): void {
    let length = 0;
    for (const { text, tag } of places) length += BLOCK + whole(tag - text);
    const blocks = length <= SCRATCH_BYTES ? scratch : new Uint8Array(length);
    let at = 0;
    for (const place of places) at = count(bytes, place, blocks, at);
    const stream = this.aes.update(blocks.subarray(0, length));
    at = 0;
    for (const place of places) at = this.encrypt(bytes, place, stream, at);
  }

  private encrypt(bytes: Uint8Array, { associated, text, tag }: Place, stream: Uint8Array, from: number): number {
    const { ghash } = this;
    const start = from + BLOCK;
    for (let i = 0; i < TAG; i++) bytes[tag + i] = stream[from + i]!;
    for (let i = 0; i < tag - text; i++) bytes[text + i]! ^= stream[start + i]!;
    ghash.addTo(bytes, associated, text, tag);
    return start + whole(tag - text);
  }

  close(): void {
    this.aes.final();
  }
}

/** As many bytes in whole blocks. */
const whole = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

/** Writes the counter blocks of a text, that of its tag first; where the next ones go. */
const count = (bytes: Uint8Array, { nonce, text, tag }: Place, blocks: Uint8Array, from: number): number => {
  const until = from + BLOCK + whole(tag - text);
  for (let at = from, n = 1; at < until; at += BLOCK, n++) {
    for (let i = 0; i < NONCE; i++) blocks[at + i] = bytes[nonce + i]!;
    blocks[at + 12] = n >>> 24;
    blocks[at + 13] = n >>> 16;
    blocks[at + 14] = n >>> 8;
    blocks[at + 15] = n;
  }
  return until;
};

/** The keys in use, made ready. */
export class Ciphers {
  private readonly ready = new LRUCache<Uint8Array, Gcm>({
    ...entries(CIPHERS_CACHED_MAX),
    dispose: (gcm) => gcm.close(),
  });

  constructor(db: Pick<KeyDatabase, "whenChanged">) {
    db.whenChanged(() => this.forget());
  }

  /** To be used at once: it is closed when others take its place. */
  of(key: Uint8Array): Gcm {
    const known = this.ready.get(key);
    if (known) return known;
    const gcm = new Gcm(key);
    this.ready.set(key, gcm);
    return gcm;
  }

  /** Number of keys made ready; at most `CIPHERS_CACHED_MAX`. */
  get cached(): number {
    return this.ready.size;
  }

  forget(): void {
    this.ready.clear();
  }
}
