/**
 * Fingerprints and positions of the newest events: a table with open addressing and linear probing, in two flat arrays. It holds a
 * fingerprint as often as it was added.
 */
const SLOTS_MIN = 1_024;

export class IdTable {
  /** Fingerprint plus one; 0 is a free slot. */
  private keys = new Float64Array(SLOTS_MIN);
  private positions = new Float64Array(SLOTS_MIN);
  private count = 0;

  add(fingerprint: number, position: number): void {
    if (this.count * 2 >= this.keys.length) this.grow();
    this.put(fingerprint + 1, position);
    this.count++;
  }

  private put(key: number, position: number): void {
    const mask = this.keys.length - 1;
    let slot = slotOf(key) & mask;
    while (this.keys[slot] !== 0) slot = (slot + 1) & mask;
    this.keys[slot] = key;
    this.positions[slot] = position;
  }

  private grow(): void {
    const { keys, positions } = this;
    this.keys = new Float64Array(keys.length * 2);
    this.positions = new Float64Array(keys.length * 2);
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 0) this.put(keys[i]!, positions[i]!);
  }

  /** Adds the positions of a fingerprint to a list, in the order they were added; the list is made when the first is found. */
  find(fingerprint: number, found: number[] | undefined): number[] | undefined {
    const { keys, positions } = this;
    const key = fingerprint + 1;
    const mask = keys.length - 1;
    for (let slot = slotOf(key) & mask; keys[slot] !== 0; slot = (slot + 1) & mask) {
      if (keys[slot] === key) (found ??= []).push(positions[slot]!);
    }
    return found;
  }
}

const slotOf = (key: number): number => {
  const mixed = Math.imul(key ^ (key / 2 ** 32), 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
};
