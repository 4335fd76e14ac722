/** Chance from a seed: the same seed, the same sequence, on every machine. */
import type { Random } from "../../actors/kernel/world.ts";

export interface SeededRandom extends Random {
  /** A whole number in [from, until). */
  between(from: number, until: number): number;
  /** True in `chance` of the calls, 0 to 1. */
  strikes(chance: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** An independent sequence, so that what one part draws does not shift what another gets. */
  split(): SeededRandom;
}

/**
 * `sfc32` by Chris Doty-Humphrey (PractRand), seeded through a mixing of the seed's 32 bits. `now` dates the ids; default: 2026-01-01.
 */
export const seededRandom = (seed: number, now: () => number = () => 1_767_225_600_000): SeededRandom => {
  const word = mixer(seed);
  let [a, b, c, counter] = [word(), word(), word(), 1];
  const bits = (): number => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + out) | 0;
    return out >>> 0;
  };
  for (let i = 0; i < 12; i++) bits(); // the first outputs still show the seed
  const next = () => bits() / 2 ** 32;
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  return {
    next,
    // RFC 9562 section 5.7: 48 bits of time, version 7, variant 10, the rest random.
    id() {
      const time = hex(Math.max(0, Math.floor(now())), 12);
      const [x, y, z] = [bits(), bits(), bits()];
      const head = `${time.slice(0, 8)}-${time.slice(8)}-7${hex(x & 0xfff, 3)}`;
      return `${head}-${hex(0x8000 | (y & 0x3fff), 4)}-${hex(y >>> 16, 4)}${hex(z, 8)}`;
    },
    between: (from, until) => from + Math.floor(next() * (until - from)),
    strikes: (chance) => next() < chance,
    pick: (items) => items[Math.floor(next() * items.length)]!,
    split: () => seededRandom(bits(), now),
  };
};

/** `splitmix32`: spreads a small seed over all bits. */
const mixer = (seed: number) => () => {
  seed = (seed + 0x9e3779b9) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
};
