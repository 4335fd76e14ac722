/**
 * SHA-256 (FIPS 180-4) of many short messages, four at a time in the lanes of SIMD registers. A leaf has a few
 * hundred bytes and a node 65, and there are two hashes for every event: one call of the platform for each costs more
 * than the hashing.
 *
 * The machine code is put together here as a WebAssembly module of one function, which takes four blocks of 64 bytes
 * further.
 */

const PRIMES: readonly number[] = (() => {
  const found: number[] = [];
  for (let n = 2; found.length < 64; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
})();
/** The first 32 bits behind the point. */
const fraction = (root: number): number => Math.floor((root - Math.floor(root)) * 0x1_0000_0000) | 0;
/** Section 4.2.2: of the cube roots of the first 64 primes; section 5.3.3: of the square roots of the first 8. */
const ROUND = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

const LANES = 4;
/** Memory: the state (8 words of 4 lanes), the message that idle lanes chew, then the messages. */
const STATE = 0;
const IDLE = 128;
const ARENA = 256;
const PAGES = 4;
const ARENA_BYTES = PAGES * 65_536 - ARENA;

// — the module —

const unsigned = (value: number): number[] => {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push(value & 0x7f | 0x80);
  return [...bytes, value];
};
const signed = (value: number): number[] => {
  const bytes: number[] = [];
  for (;; value >>= 7) {
    if (value >= -64 && value < 64) return [...bytes, value & 0x7f];
    bytes.push(value & 0x7f | 0x80);
  }
};
const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];

const get = (local: number): number[] => [0x20, ...unsigned(local)];
const set = (local: number): number[] => [0x21, ...unsigned(local)];
const simd = (code: number, ...more: readonly number[]): number[] => [0xfd, ...unsigned(code), ...more];
const constant = (value: number): number[] => [0x41, ...signed(value)];
const ADD = simd(174);
const XOR = simd(81);
const shift = (code: 171 | 173, local: number, by: number): number[] => [...get(local), ...constant(by), ...simd(code)];
const right = (local: number, by: number): number[] => shift(173, local, by);
const rotated = (
  local: number,
  by: number,
): number[] => [...right(local, by), ...shift(171, local, 32 - by), ...simd(80)];
const choose = (ones: number[], zeros: number[], mask: number[]): number[] => [...ones, ...zeros, ...mask, ...simd(82)];

/** Section 6.2.2. Parameters: the state and where each lane's block lies. */
const compression = (): number[] => {
  const word = (i: number) => 5 + i % 16;
  const names = Array.from({ length: 8 }, (_, i) => 21 + i);
  const sum = 29;
  const code: number[] = [];
  const reversed = Array.from({ length: 16 }, (_, i) => (i & ~3) + 3 - (i & 3));
  for (let i = 0; i < 16; i++) {
    const load = (lane: number) => [...get(1 + lane), 0x28, 0, ...unsigned(i * 4)];
    code.push(...load(0), ...simd(17));
    for (let lane = 1; lane < LANES; lane++) code.push(...load(lane), ...simd(28, lane));
    code.push(...set(word(i)), ...get(word(i)), ...get(word(i)), ...simd(13, ...reversed), ...set(word(i)));
  }
  for (let i = 0; i < 8; i++) code.push(...get(0), ...simd(0, 4, ...unsigned(i * 16)), ...set(names[i]!));
  for (let round = 0; round < 64; round++) {
    const [a, b, c, d, e, f, g, h] = names as [number, number, number, number, number, number, number, number];
    if (round >= 16) {
      const [early, late] = [word(round + 1), word(round + 14)];
      code.push(...get(word(round)), ...get(word(round + 9)), ...ADD);
      code.push(...rotated(early, 7), ...rotated(early, 18), ...XOR, ...right(early, 3), ...XOR, ...ADD);
      code.push(
        ...rotated(late, 17),
        ...rotated(late, 19),
        ...XOR,
        ...right(late, 10),
        ...XOR,
        ...ADD,
        ...set(word(round)),
      );
    }
    code.push(...get(h), ...get(word(round)), ...ADD, ...constant(ROUND[round]!), ...simd(17), ...ADD);
    code.push(...rotated(e, 6), ...rotated(e, 11), ...XOR, ...rotated(e, 25), ...XOR, ...ADD);
    code.push(...choose(get(f), get(g), get(e)), ...ADD, ...set(sum));
    code.push(...get(d), ...get(sum), ...ADD, ...set(d));
    code.push(...rotated(a, 2), ...rotated(a, 13), ...XOR, ...rotated(a, 22), ...XOR, ...get(sum), ...ADD);
    code.push(...choose(get(c), get(b), [...get(a), ...get(b), ...XOR]), ...ADD, ...set(h));
    names.unshift(names.pop()!);
  }
  for (let i = 0; i < 8; i++) {
    const at = unsigned(i * 16);
    code.push(...get(0), ...get(0), ...simd(0, 4, ...at), ...get(names[i]!), ...ADD, ...simd(11, 4, ...at));
  }
  const body = [1, 25, 0x7b, ...code, 0x0b]; // 25 locals of type v128: 16 words, 8 names, the sum
  return [...unsigned(body.length), ...body];
};

const load = () => {
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const module = new WebAssembly.Module(Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 5, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, PAGES]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("compress"), 0, 0]),
    ...section(10, [1, ...compression()]),
  ]));
  const { memory, compress } = new WebAssembly.Instance(module).exports as {
    memory: WebAssembly.Memory;
    compress: (state: number, a: number, b: number, c: number, d: number) => void;
  };
  return { bytes: new Uint8Array(memory.buffer), words: new Int32Array(memory.buffer), compress };
};

/** One piece of a batch: `prefix` (one byte) and the bytes from `from` to `until` of the source. */
export interface Source {
  readonly bytes: Uint8Array;
  readonly prefix: number;
  readonly count: number;
  from(index: number): number;
  until(index: number): number;
}

/** Hashes batches; not to be used from two places at once, for it has one memory. */
export class BatchHasher {
  private readonly machine = load();
  /** Where each message of the arena lies, its blocks, and which of the batch it is. */
  private readonly at = new Int32Array(ARENA_BYTES / 64);
  private readonly blocks = new Int32Array(ARENA_BYTES / 64);
  private readonly lanes = Array.from({ length: LANES }, () => ({ message: -1, at: IDLE, left: 0 }));

  /** Digests, 32 bytes each. A message may have at most 200,000 bytes. */
  digests(source: Source): Uint8Array {
    const out = new Uint8Array(source.count * 32);
    for (let next = 0; next < source.count;) {
      const first = next;
      next = this.fill(source, first);
      this.run(first, next - first, out);
    }
    return out;
  }

  /** Lays messages into memory, padded (section 5.1.1), as many as fit; answers the first that did not. */
  private fill(source: Source, first: number): number {
    const { bytes } = this.machine;
    let at = ARENA;
    let index = first;
    for (; index < source.count; index++) {
      const from = source.from(index);
      const until = source.until(index);
      const length = until - from + 1;
      const blocks = (length + 9 + 63) >>> 6;
      if (at + blocks * 64 > bytes.length) {
        if (index === first) throw new RangeError(`a message of ${length} bytes is too long`);
        break;
      }
      bytes[at] = source.prefix;
      bytes.set(source.bytes.subarray(from, until), at + 1);
      bytes.fill(0, at + length, at + blocks * 64);
      bytes[at + length] = 0x80;
      const bits = length * 8;
      const end = at + blocks * 64;
      bytes[end - 4] = bits >>> 24;
      bytes[end - 3] = bits >>> 16;
      bytes[end - 2] = bits >>> 8;
      bytes[end - 1] = bits;
      this.at[index - first] = at;
      this.blocks[index - first] = blocks;
      at = end;
    }
    return index;
  }

  /** Each lane takes the next message when it is done with one. */
  private run(first: number, count: number, out: Uint8Array): void {
    const { compress } = this.machine;
    const [a, b, c, d] = this.lanes as [Lane, Lane, Lane, Lane];
    let next = 0;
    for (let lane = 0; lane < LANES; lane++) next = this.begin(lane, next, count);
    for (let busy = Math.min(count, LANES); busy > 0;) {
      compress(STATE, a.at, b.at, c.at, d.at);
      for (let lane = 0; lane < LANES; lane++) {
        const work = this.lanes[lane]!;
        if (work.left === 0) continue;
        work.at += 64;
        if (--work.left > 0) continue;
        this.take(lane, out, (first + work.message) * 32);
        const before = next;
        next = this.begin(lane, next, count);
        if (next === before) busy--;
      }
    }
  }

  private begin(lane: number, next: number, count: number): number {
    const work = this.lanes[lane]!;
    if (next >= count) {
      work.at = IDLE;
      work.left = 0;
      return next;
    }
    work.message = next;
    work.at = this.at[next]!;
    work.left = this.blocks[next]!;
    for (let i = 0; i < 8; i++) this.machine.words[i * LANES + lane] = INITIAL[i]!;
    return next + 1;
  }

  private take(lane: number, out: Uint8Array, at: number): void {
    for (let i = 0; i < 8; i++) {
      const word = this.machine.words[i * LANES + lane]!;
      out[at++] = word >>> 24;
      out[at++] = word >>> 16;
      out[at++] = word >>> 8;
      out[at++] = word;
    }
  }
}

interface Lane {
  message: number;
  at: number;
  left: number;
}
