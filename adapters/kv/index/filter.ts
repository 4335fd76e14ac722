/**
 * A blocked Bloom filter: answers "never seen" for sure, and "perhaps" otherwise. All bits of a key lie in one block of 512
 * (one cache line), after Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007).
 */
const BLOCK_WORDS = 16;
export const FILTER_BLOCK_BYTES = BLOCK_WORDS * 4;
/** Bits that a key sets. */
export const PROBES = 10;
/** The same in filters that do not say. */
const PROBES_BEFORE = 6;

/**
 * Bits a key gets while the memory budget allows: about one false "perhaps" in 4,800. Each of them reads a page, and every segment is
 * asked for each event that is appended: with 12 bits and 6 probes, one in 225, the 24 segments of 10 million events read a page for every ten.
 */
export const BITS_PER_KEY = 20;

export class Filter {
  /** `blocks`: as made. `folds`: how often neighbouring blocks have been laid over each other since. */
  private constructor(
    readonly words: Uint32Array,
    private readonly blocks: number,
    private readonly probes: number,
    readonly folds = 0,
  ) {}

  static sized(keys: number, bitsPerKey: number): Filter {
    const bytes = Filter.bytesFor(keys, bitsPerKey);
    return new Filter(new Uint32Array(bytes / 4), bytes / FILTER_BLOCK_BYTES, PROBES);
  }

  static bytesFor(keys: number, bitsPerKey: number): number {
    return Math.max(1, Math.ceil((keys * bitsPerKey) / 512)) * FILTER_BLOCK_BYTES;
  }

  static from(bytes: Uint8Array, probes = PROBES_BEFORE): Filter {
    const copy = bytes.slice();
    const words = new Uint32Array(copy.buffer, 0, copy.length >>> 2);
    return new Filter(words, words.length / BLOCK_WORDS, probes);
  }

  /** The same keys in about half the memory for each further fold; more keys that are not there become "perhaps". */
  folded(folds: number): Filter {
    const by = folds - this.folds;
    if (by <= 0) return this;
    const blocks = ((this.blocks - 1) >>> folds) + 1;
    const words = new Uint32Array(blocks * BLOCK_WORDS);
    for (let i = 0; i < this.words.length; i++) {
      words[((i / BLOCK_WORDS) >>> by) * BLOCK_WORDS + (i % BLOCK_WORDS)]! |= this.words[i]!;
    }
    return new Filter(words, this.blocks, this.probes, folds);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.words.buffer, 0, this.words.length * 4);
  }

  add(fingerprint: number): void {
    const low = fingerprint >>> 0;
    const base = this.block(low);
    let mix = Math.imul(low ^ (fingerprint / 2 ** 32), 0x9e3779b1);
    for (let i = 0; i < this.probes; i++) {
      mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
      this.words[base + (mix >>> 28)]! |= 1 << ((mix >>> 23) & 31);
    }
  }

  /** False: certainly not there. */
  perhaps(fingerprint: number): boolean {
    const low = fingerprint >>> 0;
    const base = this.block(low);
    let mix = Math.imul(low ^ (fingerprint / 2 ** 32), 0x9e3779b1);
    for (let i = 0; i < this.probes; i++) {
      mix = Math.imul(mix ^ (mix >>> 15), 0x85ebca6b);
      if ((this.words[base + (mix >>> 28)]! & (1 << ((mix >>> 23) & 31))) === 0) return false;
    }
    return true;
  }

  /** Marks those of many for which the answer is "perhaps". They wait for memory at the same time, not one after another. */
  mark(fingerprints: Float64Array, count: number, marks: Uint8Array): void {
    const { words } = this;
    for (let i = 0; i < count; i++) {
      const low = fingerprints[i]! >>> 0;
      const base = this.block(low);
      const first = Math.imul(low ^ (fingerprints[i]! / 2 ** 32), 0x9e3779b1);
      const a = Math.imul(first ^ (first >>> 15), 0x85ebca6b);
      const b = Math.imul(a ^ (a >>> 15), 0x85ebca6b);
      // Without a branch in between, so that hardly any is foretold wrongly.
      const both = (words[base + (a >>> 28)]! >>> ((a >>> 23) & 31)) &
        (words[base + (b >>> 28)]! >>> ((b >>> 23) & 31)) & 1;
      if (both === 1 && marks[i] === 0 && this.perhaps(fingerprints[i]!)) marks[i] = 1;
    }
  }

  private block(low: number): number {
    return (Math.floor((low / 2 ** 32) * this.blocks) >>> this.folds) * BLOCK_WORDS;
  }
}
