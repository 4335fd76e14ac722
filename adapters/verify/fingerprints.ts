const SLOT_BITS_MIN = 10;
/** Odd, and nobody's who wrote the log: else names could be chosen that all come to lie in one place. */
const factor = (): number => Math.floor(Math.random() * 2 ** 32) | 1;

/** A set of fingerprints that is often begun anew: open addressing, never more than half full. */
export class Fingerprints {
  private keys!: Float64Array;
  /** Which set a key is of. */
  private sets!: Uint32Array;
  /** Of a product those that say the slot are left. */
  private shift!: number;
  private set = 0;
  private used = 0;
  private readonly low = factor();
  private readonly high = factor();

  constructor() {
    this.widen(SLOT_BITS_MIN);
  }

  private widen(bits: number): void {
    this.keys = new Float64Array(2 ** bits);
    this.sets = new Uint32Array(2 ** bits);
    this.shift = 32 - bits;
  }

  /** A new one, for about so many. */
  begin(count: number): void {
    this.set++;
    this.used = 0;
    if (count * 2 > this.keys.length) this.widen(Math.ceil(Math.log2(count * 2)));
  }

  /** Whether it is new. */
  add(key: number): boolean {
    const { keys, sets, set } = this;
    const mask = keys.length - 1;
    let at = (Math.imul(key, this.low) + Math.imul(key / 0x1_0000_0000, this.high)) >>> this.shift;
    for (; sets[at] === set; at = (at + 1) & mask) if (keys[at] === key) return false;
    keys[at] = key;
    sets[at] = set;
    if (++this.used * 2 > keys.length) this.grow();
    return true;
  }

  /** Adds the first of every so many numbers; notes those that are not new. */
  addAll(keys: Float64Array, columns: number, known: Set<number>): void {
    for (let at = 0; at < keys.length; at += columns) if (!this.add(keys[at]!)) known.add(keys[at]!);
  }

  private grow(): void {
    const { keys, sets, set } = this;
    this.widen(33 - this.shift);
    this.used = 0;
    for (let at = 0; at < keys.length; at++) if (sets[at] === set) this.add(keys[at]!);
  }
}
