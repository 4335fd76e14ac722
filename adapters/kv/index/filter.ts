/**
 * A blocked Bloom filter: answers "never seen" for sure, and "perhaps" otherwise. All bits of a key lie in one block of 512
 * (one cache line), after Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007).
 */
const BLOCK_WORDS = 16;
const PROBES = 6;

/** Bits a key gets while the memory budget allows: about one false "perhaps" in 300. */
export const BITS_PER_KEY = 12;

export class Filter {
  private constructor(readonly words: Uint32Array) {}

  static sized(keys: number, bitsPerKey: number): Filter {
    const blocks = Math.max(1, Math.ceil((keys * bitsPerKey) / 512));
    return new Filter(new Uint32Array(blocks * BLOCK_WORDS));
  }

  static from(bytes: Uint8Array): Filter {
    const copy = bytes.slice();
    return new Filter(new Uint32Array(copy.buffer, 0, copy.length >>> 2));
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.words.buffer, 0, this.words.length * 4);
  }

  add(fingerprint: number): void {
    const low = fingerprint >>> 0;
    const base = this.block(low);
    let mix = Math.imul(low ^ (fingerprint / 2 ** 32), 0x9e3779b1);
    for (let i = 0; i < PROBES; i++) {
      mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
      this.words[base + (mix >>> 28)]! |= 1 << ((mix >>> 23) & 31);
    }
  }

  /** False: certainly not there. */
  perhaps(fingerprint: number): boolean {
    const low = fingerprint >>> 0;
    const base = this.block(low);
    let mix = Math.imul(low ^ (fingerprint / 2 ** 32), 0x9e3779b1);
    for (let i = 0; i < PROBES; i++) {
      mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
      if ((this.words[base + (mix >>> 28)]! & (1 << ((mix >>> 23) & 31))) === 0) return false;
    }
    return true;
  }

  private block(low: number): number {
    return Math.floor((low / 2 ** 32) * (this.words.length / BLOCK_WORDS)) * BLOCK_WORDS;
  }
}
