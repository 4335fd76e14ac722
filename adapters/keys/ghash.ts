/**
 * GHASH, the hash of GCM (NIST SP 800-38D, sections 6.3 and 6.4), in time that depends on lengths alone: nothing branches on a secret, and none
 * is an index. Polynomials are multiplied with the multiplication of integers, four bits apart so that no carry reaches a neighbour, as
 * BearSSL's `ghash_ctmul64` does; what a multiplication of 64 bits cuts off is the product of the operands reversed. In WebAssembly, as
 * JavaScript multiplies 32 bits.
 */
import { assemble, type Code, get, i32, I64, i64, loop, number, set, type Written } from "../../events/wasm.ts";

const BLOCK = 16;
const WORD = 8;

// Memory: the key, which is two words, their sum, and the three of them reversed; the hash, lowest word first; the hash as bytes; what is hashed.
const KEY = 0, KEY_BYTES = 6 * WORD;
const HASH = KEY + KEY_BYTES;
const TAG = HASH + BLOCK;
const INPUT = TAG + BLOCK;
/** Hashed at a time; whole blocks. */
const INPUT_BYTES = 4_096;

/** Every fourth bit, from each of the first four on. */
const MASKS = [0, 1, 2, 3].map((bit) => i64.number(0x1111111111111111n << BigInt(bit)));

/** A local's bits, so many at a time, in the place of as many beside them. */
const swapped = (local: number, bits: number, mask: bigint): Code =>
  set(
    local,
    i64.or(
      i64.shl(i64.and(get(local), i64.number(mask)), bits),
      i64.and(i64.shr(get(local), bits), i64.number(mask)),
    ),
  );
const reverseBytes = (local: number): Code => [
  ...swapped(local, 8, 0x00ff00ff00ff00ffn),
  ...swapped(local, 16, 0x0000ffff0000ffffn),
  ...set(local, i64.rotl(get(local), 32)),
];
const reverseBits = (local: number): Code => [
  ...swapped(local, 1, 0x5555555555555555n),
  ...swapped(local, 2, 0x3333333333333333n),
  ...swapped(local, 4, 0x0f0f0f0f0f0f0f0fn),
  ...reverseBytes(local),
];

// Locals of both functions: parameters first.
const [AT, END] = [0, 1] as const;
/** Two words, their sum, and those reversed. */
const LEFT = [2, 3, 4, 5, 6, 7] as const;
/** The products of each with the key's. */
const PRODUCTS = [8, 9, 10, 11, 12, 13] as const;
/** Every fourth bit of two words, and of what they make. */
const X = [14, 15, 16, 17] as const, Y = [18, 19, 20, 21] as const;
const WORDS: Written["locals"] = [[20, I64]];

/** The lower 64 bits of the product of two polynomials. */
const multiply = (to: number, x: number, y: Code): Code => [
  ...X.flatMap((local, i) => set(local, i64.and(get(x), MASKS[i]!))),
  ...Y.flatMap((local, i) => set(local, i64.and(y, MASKS[i]!))),
  ...set(
    to,
    i64.or(
      ...[0, 1, 2, 3].map((bit) =>
        i64.and(
          i64.xor(...[0, 1, 2, 3].map((i) => i64.mul(get(X[i]!), get(Y[(bit + 4 - i) % 4]!))) as [Code, ...Code[]]),
          MASKS[bit]!,
        )
      ) as [Code, ...Code[]],
    ),
  ),
];

/** Both words of `LEFT` are there: their sum, and what is reversed. */
const complete: Code = [
  ...set(LEFT[2], i64.xor(get(LEFT[0]), get(LEFT[1]))),
  ...[0, 1, 2].flatMap((i) => [...set(LEFT[i + 3]!, get(LEFT[i]!)), ...reverseBits(LEFT[i + 3]!)]),
];

/** Words of 16 bytes, the lowest first. */
const loadBlock = (at: Code): Code => [
  ...set(LEFT[0], i64.load(at, WORD)),
  ...reverseBytes(LEFT[0]),
  ...set(LEFT[1], i64.load(at, 0)),
  ...reverseBytes(LEFT[1]),
];

/** The key out of its bytes at `INPUT`. */
const prepare = (): Written => ({
  parameters: 2,
  locals: WORDS,
  body: [
    ...loadBlock(number(INPUT)),
    ...complete,
    ...LEFT.flatMap((local, i) => i64.store(number(0), KEY + i * WORD, get(local))),
  ],
});

/** Takes blocks from one address to another into the hash. */
const hash = (): Written => {
  const [low, high, middle, lowUp, highUp, middleUp] = PRODUCTS;
  const [v0, v1, v2, v3] = X;
  const sum = (local: number, ...codes: readonly Code[]): Code => set(local, i64.xor(get(local), ...codes));
  /** Modulo x^128 + x^7 + x^2 + x + 1, bits being reflected: a word into the two above it. */
  const fold = (from: number, next: number, over: number): Code => [
    ...sum(over, get(from), i64.shr(get(from), 1), i64.shr(get(from), 2), i64.shr(get(from), 7)),
    ...sum(next, i64.shl(get(from), 63), i64.shl(get(from), 62), i64.shl(get(from), 57)),
  ];
  return {
    parameters: 2,
    locals: WORDS,
    body: loop([
      ...loadBlock(get(AT)),
      ...sum(LEFT[0], i64.load(number(0), HASH)),
      ...sum(LEFT[1], i64.load(number(0), HASH + WORD)),
      ...complete,
      // Karatsuba's way, the lower halves and the upper ones.
      ...LEFT.flatMap((local, i) => multiply(PRODUCTS[i]!, local, i64.load(number(0), KEY + i * WORD))),
      ...sum(middle, get(low), get(high)),
      ...sum(middleUp, get(lowUp), get(highUp)),
      ...[lowUp, highUp, middleUp].flatMap((local) => [...reverseBits(local), ...set(local, i64.shr(get(local), 1))]),
      // The product of reflected operands is one bit short.
      ...set(v0, i64.shl(get(low), 1)),
      ...set(v1, i64.xor(get(lowUp), get(middle))),
      ...set(v2, i64.xor(get(high), get(middleUp))),
      ...set(v3, i64.or(i64.shl(get(highUp), 1), i64.shr(get(v2), 63))),
      ...set(v2, i64.or(i64.shl(get(v2), 1), i64.shr(get(v1), 63))),
      ...set(v1, i64.or(i64.shl(get(v1), 1), i64.shr(get(low), 63))),
      ...fold(v0, v1, v2),
      ...fold(v1, v2, v3),
      ...i64.store(number(0), HASH, get(v2)),
      ...i64.store(number(0), HASH + WORD, get(v3)),
      ...reverseBytes(v2),
      ...reverseBytes(v3),
      ...i64.store(number(0), TAG, get(v3)),
      ...i64.store(number(0), TAG + WORD, get(v2)),
      ...set(AT, i32.add(get(AT), number(BLOCK))),
    ], i32.xor(get(AT), get(END))),
  };
};

let shared: ReturnType<typeof open> | undefined;
const open = () => assemble({ prepare: prepare(), hash: hash() }, INPUT + INPUT_BYTES);

/** One key. */
export class Ghash {
  private readonly key: Uint8Array;

  constructor(key: Uint8Array) {
    const { memory, call } = shared ??= open();
    memory.set(key, INPUT);
    call.prepare(0, 0);
    this.key = memory.slice(KEY, KEY + KEY_BYTES);
    memory.fill(0, INPUT, INPUT + BLOCK);
  }

  /**
   * Adds to 16 bytes at `tag` the hash of what is associated, from `associated` on, and of what was encrypted, from `text` to `tag`, each
   * filled up with zeros to whole blocks, and of how long they are.
   */
  addTo(bytes: Uint8Array, associated: number, text: number, tag: number): void {
    const { memory, call } = shared!;
    memory.set(this.key, KEY);
    memory.fill(0, HASH, TAG);
    let at = INPUT;
    for (let part = 0; part < 2; part++) {
      const until = part === 0 ? text : tag;
      for (let from = part === 0 ? associated : text; from < until;) {
        if (at === INPUT + INPUT_BYTES) {
          call.hash(INPUT, at);
          at = INPUT;
        }
        const taken = Math.min(until - from, INPUT + INPUT_BYTES - at);
        memory.set(bytes.subarray(from, from + taken), at);
        const end = at + Math.ceil(taken / BLOCK) * BLOCK;
        for (let i = at + taken; i < end; i++) memory[i] = 0;
        at = end;
        from += taken;
      }
    }
    if (at === INPUT + INPUT_BYTES) {
      call.hash(INPUT, at);
      at = INPUT;
    }
    for (let i = 0; i < WORD; i++) {
      // Lengths in bits, big-endian; neither has 2^29 bytes.
      memory[at + i] = i < 4 ? 0 : ((text - associated) * 8) >>> (8 * (7 - i));
      memory[at + WORD + i] = i < 4 ? 0 : ((tag - text) * 8) >>> (8 * (7 - i));
    }
    call.hash(INPUT, at + BLOCK);
    for (let i = 0; i < BLOCK; i++) bytes[tag + i]! ^= memory[TAG + i]!;
  }
}
