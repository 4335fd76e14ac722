/**
 * SHA-256 (FIPS 180-4) of four messages side by side, as a WebAssembly module that is put together here: each 32-bit word of the
 * algorithm is a vector with one lane for each message.
 */
import {
  assemble,
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
} from "./wasm.ts";

/** Messages side by side. */
export const LANES = 4;
/** Bytes that a round of the algorithm takes. */
export const BLOCK_BYTES = 64;
/** Words of a hash. */
const WORDS = 8;
const ROUNDS = 64;

/** Where in the module's memory its own lie: the state, a vector for each word, and the constants of the rounds. */
const STATE_AT = 0;
const CONSTANTS_AT = STATE_AT + WORDS * VECTOR_BYTES;
/** From here on memory belongs to who uses it. */
export const FREE_AT = CONSTANTS_AT + ROUNDS * VECTOR_BYTES;

export interface Lanes {
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Takes so many blocks into all four states, of each message from its address on. */
  run(a: number, b: number, c: number, d: number, blocks: number): void;
  /** Writes the hash of a lane to an address, and begins the lane anew. */
  finish(lane: number, to: number): void;
}

const rotr = (a: Code, bits: number): Code => v128.xor(v128.shr(a, bits), v128.shl(a, 32 - bits));

/** FIPS 180-4 section 4.1.2. */
const Σ0 = (x: Code): Code => v128.xor(rotr(x, 2), rotr(x, 13), rotr(x, 22));
const Σ1 = (x: Code): Code => v128.xor(rotr(x, 6), rotr(x, 11), rotr(x, 25));
const σ0 = (x: Code): Code => v128.xor(rotr(x, 7), rotr(x, 18), v128.shr(x, 3));
const σ1 = (x: Code): Code => v128.xor(rotr(x, 17), rotr(x, 19), v128.shr(x, 10));
/** The same as `(x ∧ y) ⊕ (¬x ∧ z)`, with one operation fewer. */
const ch = (x: Code, y: Code, z: Code): Code => v128.xor(z, v128.and(x, v128.xor(y, z)));

const primes = (count: number): readonly number[] => {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (!found.some((prime) => n % prime === 0)) found.push(n);
  return found;
};
const behindPoint = (root: number): number => Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0;
/** Sections 4.2.2 and 5.3.3: the first 32 bits behind the point of roots of the first primes. */
const constants = (): readonly number[] => primes(ROUNDS).map((prime) => behindPoint(Math.cbrt(prime)));
const initial = (): readonly number[] => primes(WORDS).map((prime) => behindPoint(Math.sqrt(prime)));

// Locals of `run`. The addresses and the count are its parameters.
const ADDRESSES = [0, 1, 2, 3];
const BLOCKS = 4;
const STATE = [5, 6, 7, 8, 9, 10, 11, 12];
/** The last sixteen words of the message schedule. */
const scheduled = (t: number): number => 13 + t % 16;
/** T₁; a ⊕ b, and the same of the round before, which is b ⊕ c now. */
const [T1, AB, BC] = [29, 30, 31];
const VECTORS = 27;

/** Bytes of a word in the other order, in each lane. */
const REVERSED: Code = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
const LOW_WORDS: Code = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const HIGH_WORDS: Code = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];
const LOW_HALVES: Code = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const HIGH_HALVES: Code = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];

/**
 * Four words of each message into four words of the schedule: what came as a row for each message becomes a column. The rounds have
 * not begun, so their locals are free.
 */
const loadWords = (from: number): Code => {
  const [a, b, c, d] = ADDRESSES.map((address) => {
    const word = v128.load(get(address), from * 4);
    return v128.shuffle(word, word, REVERSED);
  }) as [Code, Code, Code, Code];
  const rows = [0, 1, 2, 3].map((i) => scheduled(from + i)) as [number, number, number, number];
  const [w, x, y, z] = rows.map(get) as [Code, Code, Code, Code];
  return [
    ...[a, b, c, d].flatMap((row, i) => set(rows[i]!, row)),
    ...set(T1!, v128.shuffle(w, x, LOW_WORDS)),
    ...set(AB!, v128.shuffle(w, x, HIGH_WORDS)),
    ...set(BC!, v128.shuffle(y, z, LOW_WORDS)),
    ...set(rows[3], v128.shuffle(y, z, HIGH_WORDS)),
    ...set(rows[2], v128.shuffle(get(AB!), z, LOW_HALVES)),
    ...set(rows[3], v128.shuffle(get(AB!), z, HIGH_HALVES)),
    ...set(rows[0], v128.shuffle(get(T1!), get(BC!), LOW_HALVES)),
    ...set(rows[1], v128.shuffle(get(T1!), get(BC!), HIGH_HALVES)),
  ];
};

/** Section 6.2.2, steps 1 to 4, of one block. */
const compress = (): Code => {
  const code: number[] = [];
  const put = (...parts: Code[]) => parts.forEach((part) => code.push(...part));
  for (let t = 0; t < 16; t += 4) put(loadWords(t));
  STATE.forEach((local, i) => put(set(local, v128.load(number(STATE_AT), i * VECTOR_BYTES))));
  let [a, b, c, d, e, f, g, h] = STATE as [number, number, number, number, number, number, number, number];
  put(set(BC!, v128.xor(get(b), get(c))));
  for (let t = 0; t < ROUNDS; t++) {
    const word = (before: number): Code => get(scheduled(t + 16 - before));
    if (t >= 16) put(set(scheduled(t), v128.add(word(16), σ0(word(15)), word(7), σ1(word(2)))));
    const constant = v128.load(number(CONSTANTS_AT), t * VECTOR_BYTES);
    put(
      set(T1!, v128.add(get(h), get(scheduled(t)), constant, ch(get(e), get(f), get(g)), Σ1(get(e)))),
      set(d, v128.add(get(d), get(T1!))),
      // Maj(a, b, c): b, unless it differs from both a and c.
      set(AB!, v128.xor(get(a), get(b))),
      set(h, v128.add(v128.xor(v128.and(get(AB!), get(BC!)), get(b)), Σ0(get(a)), get(T1!))),
      set(BC!, get(AB!)),
    );
    [a, b, c, d, e, f, g, h] = [h, a, b, c, d, e, f, g];
  }
  [a, b, c, d, e, f, g, h].forEach((local, i) => {
    const at = i * VECTOR_BYTES;
    put(v128.store(number(STATE_AT), at, v128.add(get(local), v128.load(number(STATE_AT), at))));
  });
  return code;
};

/** As long as there are blocks. */
const run = (): Written => ({
  parameters: ADDRESSES.length + 1,
  locals: [[VECTORS, V128]],
  body: loop([
    ...compress(),
    ...ADDRESSES.flatMap((address) => set(address, i32.add(get(address), number(BLOCK_BYTES)))),
    ...set(BLOCKS, i32.add(get(BLOCKS), number(-1))),
  ], get(BLOCKS)),
});

/** The lane's words with their bytes in the other order, and the initial ones in their place. */
const finish = (): Written => {
  const [LANE, TO, WORD, AT] = [0, 1, 2, 3] as const;
  return {
    parameters: 2,
    locals: [[2, I32]],
    body: [
      ...set(AT, i32.shl(get(LANE), 2)), // four bytes for each lane
      ...initial().flatMap((word, i) => [
        ...set(WORD, i32.load(get(AT), STATE_AT + i * VECTOR_BYTES)),
        ...i32.store(
          get(TO),
          i * 4,
          i32.or(
            i32.and(i32.rotl(get(WORD), 8), number(0x00ff00ff)),
            i32.and(i32.rotl(get(WORD), 24), number(0xff00ff00)),
          ),
        ),
        ...i32.store(get(AT), STATE_AT + i * VECTOR_BYTES, number(word)),
      ]),
    ],
  };
};

/** Takes some 10 ms, and needs no permission. `bytes`: of memory behind `FREE_AT`. */
export const openLanes = (bytes: number): Lanes => {
  const { memory, call } = assemble({ run: run(), finish: finish() }, FREE_AT + bytes);
  const words = new DataView(memory.buffer);
  constants().forEach((constant, t) => {
    for (let lane = 0; lane < LANES; lane++) {
      words.setUint32(CONSTANTS_AT + t * VECTOR_BYTES + lane * 4, constant, true);
    }
  });
  for (let lane = 0; lane < LANES; lane++) call.finish(lane, FREE_AT);
  return { memory, run: call.run, finish: call.finish };
};
