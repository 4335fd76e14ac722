/**
 * Hashes the same messages again and again, eight side by side, while V8 compiles what does it, and compares with the platform's hashes each
 * time; prints how many agreed. For `sha256_test.ts`, under the flags of who verifies.
 */
import { createHash } from "node:crypto";
import { HASH_BYTES, manyHashes } from "../events/sha256.ts";

const ROUNDS = 60;
const LENGTHS = [...Array.from({ length: 300 }, (_, n) => n), ...Array.from({ length: 900 }, (_, n) => 380 + n % 90)];

const starts = new Uint32Array(LENGTHS.length + 1);
LENGTHS.forEach((length, i) => starts[i + 1] = starts[i]! + length + 1);
for (let i = 0; i < starts.length; i++) starts[i]! += 1;
const bytes = new Uint8Array(starts.at(-1)!);
for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));

const platform = (prefix: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256").update(Uint8Array.of(prefix))).digest();
const alone = (piece: Uint8Array) => platform(0, piece);
const leaves = Uint8Array.from(
  LENGTHS.flatMap((length, i) => [...alone(bytes.subarray(starts[i], starts[i]! + length))]),
);
const pair = (left: Uint8Array, right: Uint8Array) => platform(1, left, right);
const nodes = Uint8Array.from(
  Array.from({ length: LENGTHS.length / 2 }, (_, i) => leaves.subarray(i * 2 * HASH_BYTES, (i + 1) * 2 * HASH_BYTES))
    .flatMap((two) => [...pair(two.subarray(0, HASH_BYTES), two.subarray(HASH_BYTES))]),
);

const wide = manyHashes(2);
let agreed = 0;
const agree = (found: Uint8Array, wanted: Uint8Array): void => {
  if (found.length !== wanted.length || found.some((byte, i) => byte !== wanted[i])) {
    throw new Error(`after ${agreed} hashes that agreed one was another`);
  }
  agreed += found.length / HASH_BYTES;
};
for (let round = 0; round < ROUNDS; round++) {
  agree(wide.each(0, bytes, starts, alone), leaves);
  agree(wide.pairs(1, leaves, pair), nodes);
  // What is compiled meanwhile is taken up.
  await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(agreed);
