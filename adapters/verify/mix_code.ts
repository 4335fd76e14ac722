/** What fingerprints, keyed hashes and sums are mixed by, as WebAssembly. */
import { type Code, get, i32, number, set } from "../../events/wasm.ts";

/** A word, and itself so many bits to the right. */
export const folded = (local: number, bits: number): Code => i32.xor(get(local), i32.shr(get(local), bits));

/** MurmurHash3's finalizer (https://github.com/aappleby/smhasher/wiki/MurmurHash3) of a value, into a local. */
export const mixed = (local: number, value: Code): Code => [
  set(local, value),
  set(local, i32.mul(folded(local, 16), number(0x85ebca6b))),
  set(local, i32.mul(folded(local, 13), number(0xc2b2ae35))),
  set(local, folded(local, 16)),
];
