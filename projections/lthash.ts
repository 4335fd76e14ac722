/**
 * Sums of LtHash16 (`digest.ts`) in WebAssembly: the ChaCha20 key stream (RFC 8439 section 2.3) under a row's hash, four blocks side
 * by side, is added to the sum as it is made, and never written anywhere.
 */
import { HASH_BYTES } from "../events/sha256.ts";
import {
  assemble,
  type Assembled,
  type Code,
  get,
  I32,
  i32,
  loop,
  number,
  set,
  V128,
  v128,
  VECTOR_BYTES,
  type Written,
} from "../events/wasm.ts";

/** Bytes of a sum, and of the key stream that is a row's part in it. */
export const SUM_BYTES = 2_048;

/** Words of a block, and blocks side by side. */
const WORDS = 16, LANES = 4;
const GROUPS = SUM_BYTES / (WORDS * LANES * 4);
const GROUP_BYTES = WORDS * VECTOR_BYTES;

// Memory: the sum, then hashes.
const SUM_AT = 0;
const HASHES_AT = SUM_AT + SUM_BYTES;
/** Rows that are taken in at a time. */
const HASHES_MAX = 64;

/** "expand 32-byte k", section 2.3. */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];

// Locals. The first is the only parameter: where the hash is.
const [HASH, SUM, GROUPS_LEFT, ROUNDS_LEFT, COUNTERS] = [0, 1, 2, 3, 4] as const;
const word = (i: number): number => 5 + i;

const bytesOfLanes = (order: readonly number[]): Code => [0, 4, 8, 12].flatMap((at) => order.map((byte) => at + byte));
const BY_16 = bytesOfLanes([2, 3, 0, 1]), BY_8 = bytesOfLanes([3, 0, 1, 2]);
const rotl = (a: Code, bits: number): Code => v128.xor(v128.shl(a, bits), v128.shr(a, 32 - bits));

/** Section 2.1, of words by their numbers. */
const quarterRound = (a: number, b: number, c: number, d: number): Code => {
  const [A, B, C, D] = [word(a), word(b), word(c), word(d)];
  const mixed = (x: number, y: number, z: number): Code => [
    ...set(x, v128.add(get(x), get(y))),
    ...set(z, v128.xor(get(z), get(x))),
  ];
  return [
    ...mixed(A, B, D),
    ...set(D, v128.shuffle(get(D), get(D), BY_16)),
    ...mixed(C, D, B),
    ...set(B, rotl(get(B), 12)),
    ...mixed(A, B, D),
    ...set(D, v128.shuffle(get(D), get(D), BY_8)),
    ...mixed(C, D, B),
    ...set(B, rotl(get(B), 7)),
  ];
};

/** Section 2.3: the state before the rounds, of four blocks. The nonce is zero. */
const initial = (i: number): Code | undefined => {
  if (i < 4) return v128.splat(number(CONSTANTS[i]!));
  if (i < 12) return v128.spread(get(HASH), (i - 4) * 4);
  return i === 12 ? get(COUNTERS) : undefined;
};

/** Takes the key stream under one hash into the sum. */
const take = (into: (sum: Code, part: Code) => Code): Written => ({
  parameters: 1,
  locals: [[3, I32], [1 + WORDS, V128]],
  body: [
    ...set(SUM, number(SUM_AT)),
    ...set(GROUPS_LEFT, number(GROUPS)),
    ...set(COUNTERS, v128.bytes([0, 1, 2, 3].flatMap((counter) => [counter, 0, 0, 0]))),
    ...loop([
      ...Array.from({ length: WORDS }, (_, i) => set(word(i), initial(i) ?? v128.splat(number(0)))).flat(),
      ...set(ROUNDS_LEFT, number(10)),
      ...loop([
        ...[0, 1, 2, 3].flatMap((i) => quarterRound(i, 4 + i, 8 + i, 12 + i)),
        ...[0, 1, 2, 3].flatMap((i) => quarterRound(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)),
        ...set(ROUNDS_LEFT, i32.add(get(ROUNDS_LEFT), number(-1))),
      ], get(ROUNDS_LEFT)),
      ...Array.from({ length: WORDS }, (_, i) => {
        const start = initial(i);
        const made = start ? v128.add(get(word(i)), start) : get(word(i));
        return v128.store(get(SUM), i * VECTOR_BYTES, into(v128.load(get(SUM), i * VECTOR_BYTES), made));
      }).flat(),
      ...set(COUNTERS, v128.add(get(COUNTERS), v128.splat(number(LANES)))),
      ...set(SUM, i32.add(get(SUM), number(GROUP_BYTES))),
      ...set(GROUPS_LEFT, i32.add(get(GROUPS_LEFT), number(-1))),
    ], get(GROUPS_LEFT)),
  ],
});

/** In memory a word of each of four blocks stands side by side; where each word of the stream is there. */
const PLACES = Uint16Array.from({ length: SUM_BYTES / 4 }, (_, i) => {
  const block = Math.floor(i / WORDS);
  return (Math.floor(block / LANES) * WORDS + i % WORDS) * LANES + block % LANES;
});

/** Takes parts of rows into a sum or out of it, in place. `hashes` are 32 bytes each; `signs` are 1 or -1. */
export type Summing = (sum: Uint16Array<ArrayBuffer>, hashes: Uint8Array, signs: readonly number[]) => void;

/** Throws `WebAssembly.CompileError` where the processor has no vectors of 128 bits. */
export const openSumming = (): Summing => {
  const { memory, call }: Assembled<"add" | "subtract"> = assemble(
    { add: take(v128.add16), subtract: take(v128.subtract16) },
    HASHES_AT + HASHES_MAX * HASH_BYTES,
  );
  const inMemory = new Uint32Array(memory.buffer, SUM_AT, SUM_BYTES / 4);
  return (sum, hashes, signs) => {
    const words = new Uint32Array(sum.buffer, sum.byteOffset, SUM_BYTES / 4);
    for (let i = 0; i < PLACES.length; i++) inMemory[PLACES[i]!] = words[i]!;
    for (let from = 0; from < signs.length; from += HASHES_MAX) {
      memory.set(hashes.subarray(from * HASH_BYTES, (from + HASHES_MAX) * HASH_BYTES), HASHES_AT);
      const until = Math.min(signs.length, from + HASHES_MAX);
      for (let i = from, at = HASHES_AT; i < until; i++, at += HASH_BYTES) {
        signs[i]! > 0 ? call.add(at) : call.subtract(at);
      }
    }
    for (let i = 0; i < PLACES.length; i++) words[i] = inMemory[PLACES[i]!]!;
  };
};
