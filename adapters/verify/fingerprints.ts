const SLOT_BITS_MIN = 10;
/** Of a slot that is free; fingerprints are not below zero. */
const FREE = -1;
/** Odd, and nobody's who wrote the log: else names could be chosen that all come to lie in one place. */
const factor = (): number => Math.floor(Math.random() * 2 ** 32) | 1;

/** A set of fingerprints that is often begun anew: open addressing, never more than half full. */
export class Fingerprints {
  private keys!: Float64Array;
  /** Of a product those that say the slot are left. */
  private shift!: number;
  private used = 0;
  private readonly low = factor();
  private readonly high = factor();

  constructor() {
    this.widen(SLOT_BITS_MIN);
  }

  private widen(bits: number): void {
    this.keys = new Float64Array(2 ** bits).fill(FREE);
    this.shift = 32 - bits;
    this.used = 0;
  }

  /** A new one, for about so many. */
  begin(count: number): void {
    if (count * 2 > this.keys.length) this.widen(Math.ceil(Math.log2(count * 2)));
    if (this.used > 0) this.keys.fill(FREE);
    this.used = 0;
  }

  /** Whether it is new. */
  add(key: number): boolean {
    const { keys } = this;
    const mask = keys.length - 1;
    let at = (Math.imul(key, this.low) + Math.imul(key / 0x1_0000_0000, this.high)) >>> this.shift;
    for (; keys[at] !== FREE; at = (at + 1) & mask) if (keys[at] === key) return false;
    keys[at] = key;
    if (++this.used * 2 > keys.length) this.grow();
    return true;
  }

  /** Adds the first of every so many numbers; notes those that are not new. */
  addAll(keys: Float64Array, columns: number, known: Set<number>): void {
    for (let at = 0; at < keys.length; at += columns) if (!this.add(keys[at]!)) known.add(keys[at]!);
  }

  private grow(): void {
    const { keys } = this;
    this.widen(33 - this.shift);
    for (const key of keys) if (key !== FREE) this.add(key);
  }
}
