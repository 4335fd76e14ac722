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

/** Messages side by side in a vector. */
const VECTOR_LANES = 4;
/** Bytes that a round of the algorithm takes. */
export const BLOCK_BYTES = 64;
/** Words of a hash. */
const WORDS = 8;
/** Words of a block. */
const BLOCK_WORDS = BLOCK_BYTES / 4;
const ROUNDS = 64;

/** Of a message: what of it does not fill a block, with what is appended to it. */
const TAIL_BYTES = 2 * BLOCK_BYTES;

/**
 * Where in the module's memory its own lie: the state, the constants of the rounds, and the block's words, each a row of vectors; then by lane
 * addresses, and ends of messages.
 */
const layout = (vectors: number) => {
  const row = vectors * VECTOR_BYTES;
  const constants = WORDS * row;
  const words = constants + ROUNDS * row;
  const addresses = words + BLOCK_WORDS * row;
  const lanes = vectors * VECTOR_LANES;
  const tails = addresses + lanes * 4;
  return { row, state: 0, constants, words, addresses, tails, free: tails + lanes * TAIL_BYTES };
};
type Layout = ReturnType<typeof layout>;

export interface Lanes {
  /** How many messages go side by side. */
  readonly count: number;
  readonly memory: Uint8Array<ArrayBuffer>;
  /** From here on memory belongs to who uses it. */
  readonly free: number;
  /** Where the next block of each message lies; whoever has it hashed moves it on. */
  readonly at: Int32Array;
  /** Where the end of a lane's message is. */
  tail(lane: number): number;
  /** Lays down the end of the message that lies from one address to another, as section 5.1.1 says; it is one block or two. */
  end(lane: number, from: number, until: number): void;
  /** Takes so many blocks into all states, of each message from its address on. */
  run(blocks: number): void;
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

// Locals of `run`: how many blocks; from here on addresses by lane, and by vector the state, the block's words and three others.
const [BLOCKS, ADDRESSES] = [0, 1] as const;
const VECTORS = WORDS + BLOCK_WORDS + 3;

/** Bytes of a word in the other order, in each lane. */
const REVERSED: Code = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12];
const LOW_WORDS: Code = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
const HIGH_WORDS: Code = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];
const LOW_HALVES: Code = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const HIGH_HALVES: Code = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];

/** Numbers of the locals of a vector. */
const localsOf = (vectors: number, vector: number) => {
  const from = ADDRESSES + vectors * VECTOR_LANES + vector * VECTORS;
  const numbers = (first: number, count: number) => Array.from({ length: count }, (_, i) => from + first + i);
  const [t1, ab, bc] = numbers(WORDS + BLOCK_WORDS, 3) as [number, number, number];
  return {
    addresses: Array.from({ length: VECTOR_LANES }, (_, i) => ADDRESSES + vector * VECTOR_LANES + i),
    state: numbers(0, WORDS),
    /** The last sixteen words of the message schedule. */
    scheduled: numbers(WORDS, BLOCK_WORDS),
    /** T₁; a ⊕ b, and the same of the round before, which is b ⊕ c now. */
    t1,
    ab,
    bc,
  };
};
type Locals = ReturnType<typeof localsOf>;

/** Four words of each message of a vector into rows: what came as a row for each message becomes a column. */
const turnWords = (from: number, at: number, row: number, { addresses, scheduled, t1, ab, bc }: Locals): Code => {
  const [a, b, c, d] = addresses.map((address) => {
    const word = v128.load(get(address), from * 4);
    return v128.shuffle(word, word, REVERSED);
  }) as [Code, Code, Code, Code];
  const [w, x, y, z] = scheduled as [number, number, number, number];
  const put = (i: number, value: Code) => v128.store(number(at), (from + i) * row, value);
  return [
    ...set(w, a),
    ...set(x, b),
    ...set(y, c),
    ...set(z, d),
    ...set(t1, v128.shuffle(get(w), get(x), LOW_WORDS)),
    ...set(ab, v128.shuffle(get(w), get(x), HIGH_WORDS)),
    ...set(bc, v128.shuffle(get(y), get(z), LOW_WORDS)),
    ...set(z, v128.shuffle(get(y), get(z), HIGH_WORDS)),
    ...put(0, v128.shuffle(get(t1), get(bc), LOW_HALVES)),
    ...put(1, v128.shuffle(get(t1), get(bc), HIGH_HALVES)),
    ...put(2, v128.shuffle(get(ab), get(z), LOW_HALVES)),
    ...put(3, v128.shuffle(get(ab), get(z), HIGH_HALVES)),
  ];
};

/** What a round does in a vector, but for its constant; the same is done sixteen rounds later, in the same locals. */
const roundOf = (t: number, { state, scheduled, t1, ab, bc }: Locals) => {
  // After each round what was `a` is `b`, and so on; after eight they are where they began.
  const now = (letter: string): number => state[("abcdefgh".indexOf(letter) + BLOCK_WORDS - t) % WORDS]!;
  const [a, b, d, e, f, g, h] = [..."abdefgh"].map(now) as [number, number, number, number, number, number, number];
  const word = (before: number): Code => get(scheduled[(t + BLOCK_WORDS - before) % BLOCK_WORDS]!);
  return {
    extend: set(scheduled[t]!, v128.add(word(16), σ0(word(15)), word(7), σ1(word(2)))),
    mixed: v128.add(get(h), get(scheduled[t]!), ch(get(e), get(f), get(g)), Σ1(get(e))),
    turn: [
      set(d, v128.add(get(d), get(t1))),
      // Maj(a, b, c): b, unless it differs from both a and c.
      set(ab, v128.xor(get(a), get(b))),
      set(h, v128.add(v128.xor(v128.and(get(ab), get(bc)), get(b)), Σ0(get(a)), get(t1))),
      set(bc, get(ab)),
    ],
  };
};

/** Section 6.2.2, steps 1 to 4, of one block of each message. What is done in one vector is done in the next at once. */
const compress = (vectors: number, { row, state, constants, words }: Layout): Code => {
  const code: Code[] = [];
  const all = Array.from({ length: vectors }, (_, vector) => localsOf(vectors, vector));
  const each = (part: (locals: Locals, offset: number) => Code) =>
    all.forEach((locals, vector) => code.push(part(locals, vector * VECTOR_BYTES)));
  for (let t = 0; t < BLOCK_WORDS; t += 4) {
    each((locals, offset) => turnWords(t, words + offset, row, locals));
  }
  for (let t = 0; t < BLOCK_WORDS; t++) {
    each(({ scheduled }, offset) => set(scheduled[t]!, v128.load(number(words), t * row + offset)));
  }
  for (let i = 0; i < WORDS; i++) {
    each((locals, offset) => set(locals.state[i]!, v128.load(number(state), i * row + offset)));
  }
  each(({ state: [, b, c], bc }) => set(bc, v128.xor(get(b!), get(c!))));
  const rounds = Array.from({ length: BLOCK_WORDS }, (_, t) => all.map((locals) => roundOf(t, locals)));
  for (let t = 0; t < ROUNDS; t++) {
    rounds[t % BLOCK_WORDS]!.forEach(({ extend, mixed, turn }, vector) => {
      const constant = v128.load(number(constants), t * row + vector * VECTOR_BYTES);
      code.push(t < BLOCK_WORDS ? [] : extend, set(all[vector]!.t1, v128.add(mixed, constant)), turn);
    });
  }
  // All is loaded before anything is stored: neighbours are stored as one where vectors are twice as wide.
  for (let i = 0; i < WORDS; i++) {
    each((locals, offset) =>
      set(locals.state[i]!, v128.add(get(locals.state[i]!), v128.load(number(state), i * row + offset)))
    );
  }
  for (let i = 0; i < WORDS; i++) {
    each((locals, offset) => v128.store(number(state), i * row + offset, get(locals.state[i]!)));
  }
  return code;
};

/** As long as there are blocks. */
const run = (vectors: number, at: Layout): Written => {
  const lanes = Array.from({ length: vectors * VECTOR_LANES }, (_, lane) => lane);
  return {
    parameters: 1,
    locals: [[lanes.length, I32], [vectors * VECTORS, V128]],
    body: [
      ...lanes.flatMap((lane) => set(ADDRESSES + lane, i32.load(number(at.addresses), lane * 4))),
      ...loop([
        ...compress(vectors, at),
        ...lanes.flatMap((lane) => set(ADDRESSES + lane, i32.add(get(ADDRESSES + lane), number(BLOCK_BYTES)))),
        ...set(BLOCKS, i32.add(get(BLOCKS), number(-1))),
      ], get(BLOCKS)),
    ],
  };
};

const byteswapped = (word: Code): Code =>
  i32.or(i32.and(i32.rotl(word, 8), number(0x00ff00ff)), i32.and(i32.rotl(word, 24), number(0xff00ff00)));

/** What of the message is behind its last whole block, a bit, zeros, and how many bits the message has. */
const end = ({ tails }: Layout): Written => {
  const [LANE, FROM, UNTIL, LENGTH, REST, TAIL, END] = [0, 1, 2, 3, 4, 5, 6] as const;
  const zero = v128.splat(number(0));
  const vectors = [0, 1, 2, 3].map((i) => i * VECTOR_BYTES);
  return {
    parameters: 3,
    locals: [[4, I32]],
    body: [
      ...set(LENGTH, i32.sub(get(UNTIL), get(FROM))),
      ...set(REST, i32.and(get(LENGTH), number(BLOCK_BYTES - 1))),
      ...set(TAIL, i32.add(i32.shl(get(LANE), 7), number(tails))), // `TAIL_BYTES` for each lane
      ...set(END, i32.add(get(TAIL), i32.shl(i32.shr(i32.add(get(REST), number(8)), 6), 6), number(BLOCK_BYTES))),
      ...set(FROM, i32.sub(get(UNTIL), get(REST))),
      ...vectors.flatMap((at) => v128.store(get(TAIL), at, v128.load(get(FROM), at))),
      ...set(TAIL, i32.add(get(TAIL), get(REST))),
      ...i32.store8(get(TAIL), 0, number(0x80)),
      // At least up to the length, at most to the end of a second block.
      ...vectors.flatMap((at) => v128.store(get(TAIL), at + 1, zero)),
      ...set(END, i32.sub(get(END), number(8))),
      ...i32.store(get(END), 0, number(0)),
      ...i32.store(get(END), 4, byteswapped(i32.shl(get(LENGTH), 3))),
    ],
  };
};

/** The lane's words with their bytes in the other order, and the initial ones in their place. */
const finish = ({ row, state }: Layout): Written => {
  const [LANE, TO, WORD, AT] = [0, 1, 2, 3] as const;
  return {
    parameters: 2,
    locals: [[2, I32]],
    body: [
      ...set(AT, i32.shl(get(LANE), 2)), // four bytes for each lane
      ...initial().flatMap((word, i) => [
        ...set(WORD, i32.load(get(AT), state + i * row)),
        ...i32.store(get(TO), i * 4, byteswapped(get(WORD))),
        ...i32.store(get(AT), state + i * row, number(word)),
      ]),
    ],
  };
};

/** Takes some 10 ms, and needs no permission. `bytes`: of memory behind `free`. */
export const openLanes = (bytes: number, vectors: number): Lanes => {
  const at = layout(vectors);
  const count = vectors * VECTOR_LANES;
  const { memory, call } = assemble({ run: run(vectors, at), end: end(at), finish: finish(at) }, at.free + bytes);
  const words = new DataView(memory.buffer);
  constants().forEach((constant, t) => {
    for (let lane = 0; lane < count; lane++) words.setUint32(at.constants + t * at.row + lane * 4, constant, true);
  });
  for (let lane = 0; lane < count; lane++) call.finish(lane, at.free);
  const addresses = new Int32Array(memory.buffer, at.addresses, count);
  const tail = (lane: number) => at.tails + lane * TAIL_BYTES;
  return { count, memory, free: at.free, at: addresses, tail, end: call.end, run: call.run, finish: call.finish };
};
