/**
 * Writing WebAssembly: instructions as expressions over code, and a module with one memory around functions. See
 * https://webassembly.github.io/spec/core/binary/ and https://github.com/WebAssembly/simd/blob/main/proposals/simd/BinarySIMD.md
 * for how code is written.
 */

/** Instructions, or what else a module is made of, as bytes; parts of it may be code themselves, and are put in one line at the end. */
export type Code = readonly (number | Code)[];

const putBytes = (code: Code, into: number[]): number[] => {
  for (const part of code) {
    if (typeof part === "number") into.push(part);
    else putBytes(part, into);
  }
  return into;
};

const unsigned = (n: number): Code => n < 0x80 ? [n] : [n & 0x7f | 0x80, ...unsigned(n >>> 7)];
const signed = (n: number): Code => n >= -0x40 && n < 0x40 ? [n & 0x7f] : [n & 0x7f | 0x80, ...signed(n >> 7)];
const sized = (code: Code): Code => {
  const bytes = putBytes(code, []);
  return [unsigned(bytes.length), bytes];
};
const list = (items: readonly Code[]): Code => [unsigned(items.length), items];

/** Types of locals. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const VECTOR_BYTES = 16;

/** What a local holds. Locals are numbered, parameters first. */
export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number, value: Code): Code => [value, 0x21, unsigned(local)];
export const number = (n: number): Code => [0x41, signed(n | 0)];

const END = 0x0b;
/** Once, and again as long as the last value is not zero. */
export const loop = (body: Code, again: Code): Code => [0x03, 0x40, body, again, 0x0d, 0, END];
/** Until the function answers. */
export const forever = (...body: readonly Code[]): Code => [0x03, 0x40, body, 0x0c, 0, END, 0x00];
/** Goes on at the beginning of the `forever` or `loop` that lies so many `when` around. */
export const again = (depth: number): Code => [0x0c, unsigned(depth)];
export const when = (
  condition: Code,
  ...body: readonly Code[]
): Code => [condition, 0x04, 0x40, body, END];
export const answer = (value: Code): Code => [value, 0x0f];
/** A function by its number in the module. */
export const call = (index: number, ...values: readonly Code[]): Code => [values, 0x10, unsigned(index)];

/** From left to right, until one is left. */
const folding = (operation: Code) => (first: Code, ...others: readonly Code[]): Code =>
  others.reduce((a, b) => [a, b, operation], first);

export const i32 = {
  load: (at: Code, offset: number): Code => [at, 0x28, 2, unsigned(offset)],
  load8: (at: Code, offset = 0): Code => [at, 0x2d, 0, unsigned(offset)],
  load16: (at: Code, offset = 0): Code => [at, 0x2f, 1, unsigned(offset)],
  store8: (at: Code, offset: number, value: Code): Code => [at, value, 0x3a, 0, unsigned(offset)],
  store: (at: Code, offset: number, value: Code): Code => [at, value, 0x36, 2, unsigned(offset)],
  add: folding([0x6a]),
  sub: folding([0x6b]),
  mul: folding([0x6c]),
  and: folding([0x71]),
  or: folding([0x72]),
  xor: folding([0x73]),
  isZero: (a: Code): Code => [a, 0x45],
  equal: (a: Code, b: Code): Code => [a, b, 0x46],
  differ: (a: Code, b: Code): Code => [a, b, 0x47],
  /** Of numbers without a sign. */
  below: (a: Code, b: Code): Code => [a, b, 0x49],
  above: (a: Code, b: Code): Code => [a, b, 0x4b],
  /** How many of the lowest bits are zero. */
  zeros: (a: Code): Code => [a, 0x68],
  shr: (a: Code, bits: number): Code => [a, number(bits), 0x76],
  shl: (a: Code, bits: number): Code => [a, number(bits), 0x74],
  rotl: (a: Code, bits: number): Code => [a, number(bits), 0x77],
  /** A bit by its number. */
  bit: (at: Code): Code => [number(1), at, 0x74],
  /** Of a whole number below 2^32, without its fraction; what is none ends the program. */
  of: (value: Code): Code => [value, 0xab],
};

const signed64 = (n: bigint): Code =>
  n >= -0x40n && n < 0x40n ? [Number(n & 0x7fn)] : [Number(n & 0x7fn) | 0x80, signed64(n >> 7n)];
export const i64 = {
  number: (n: bigint): Code => [0x42, signed64(BigInt.asIntN(64, n))],
  load: (at: Code, offset: number): Code => [at, 0x29, 3, unsigned(offset)],
  store: (at: Code, offset: number, value: Code): Code => [at, value, 0x37, 3, unsigned(offset)],
  mul: folding([0x7e]),
  and: folding([0x83]),
  or: folding([0x84]),
  xor: folding([0x85]),
  shl: (a: Code, bits: number): Code => [a, i64.number(BigInt(bits)), 0x86],
  shr: (a: Code, bits: number): Code => [a, i64.number(BigInt(bits)), 0x88],
  rotl: (a: Code, bits: number): Code => [a, i64.number(BigInt(bits)), 0x89],
};

const doubles = (value: number): Code => [...new Uint8Array(Float64Array.of(value).buffer)];
export const f64 = {
  number: (value: number): Code => [0x44, doubles(value)],
  load: (at: Code, offset: number): Code => [at, 0x2b, 3, unsigned(offset)],
  store: (at: Code, offset: number, value: Code): Code => [at, value, 0x39, 3, unsigned(offset)],
  add: folding([0xa0]),
  sub: folding([0xa1]),
  mul: folding([0xa2]),
  trunc: (a: Code): Code => [a, 0x9d],
  /** 0 where one of them is no number. */
  equal: (a: Code, b: Code): Code => [a, b, 0x61],
  below: (a: Code, b: Code): Code => [a, b, 0x63],
  above: (a: Code, b: Code): Code => [a, b, 0x64],
  /** Of a word without a sign. */
  of: (word: Code): Code => [word, 0xb8],
};

const vector = (code: number): Code => [0xfd, unsigned(code)];
/** Vectors of four words of 32 bits, unless another width is named. */
export const v128 = {
  load: (at: Code, offset: number): Code => [at, vector(0x00), 0, unsigned(offset)],
  store: (at: Code, offset: number, value: Code): Code => [at, value, vector(0x0b), 0, unsigned(offset)],
  /** One word of memory, four times. */
  spread: (at: Code, offset: number): Code => [at, vector(0x09), 2, unsigned(offset)],
  splat: (word: Code): Code => [word, vector(0x11)],
  bytes: (bytes: Code): Code => [vector(0x0c), bytes],
  shuffle: (a: Code, b: Code, bytes: Code): Code => [a, b, vector(0x0d), bytes],
  and: folding(vector(0x4e)),
  or: folding(vector(0x50)),
  xor: folding(vector(0x51)),
  shl: (a: Code, bits: number): Code => [a, number(bits), vector(0xab)],
  shr: (a: Code, bits: number): Code => [a, number(bits), vector(0xad)],
  add: folding(vector(0xae)),
  mul: folding(vector(0xb5)),
  /** One of the four. */
  word: (a: Code, lane: number): Code => [a, vector(0x1b), lane],
  /** Of bytes. */
  equal8: folding(vector(0x23)),
  below8: folding(vector(0x26)),
  /** The highest bit of each byte. */
  bits8: (a: Code): Code => [a, vector(0x64)],
  /** Of words of 16 bits. */
  add16: folding(vector(0x8e)),
  subtract16: folding(vector(0x91)),
};

export interface Written {
  /** How many words it takes. */
  readonly parameters: number;
  /** Whether it answers a word. */
  readonly answers?: true;
  /** How many of which type come behind them. */
  readonly locals: readonly (readonly [count: number, type: number])[];
  readonly body: Code;
}

/** Functions, ready to be called, and the memory that they work in. */
export interface Assembled<Name extends string> {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly call: Readonly<Record<Name, (...words: number[]) => number | void>>;
}

const PAGE_BYTES = 65_536;

const section = (id: number, code: Code): Code => [id, sized(code)];
const name = (text: string): Code => sized([...text].map((letter) => letter.charCodeAt(0)));

/** Functions that work in whatever memory they are opened with. */
export interface Compiled<Name extends string> {
  /** Takes next to nothing. `bytes`: of memory, which is zero. */
  open(bytes: number): Assembled<Name>;
}

/** Takes some milliseconds, and needs no permission. Throws `WebAssembly.CompileError` where the processor lacks what the functions use. */
export const compile = <Name extends string>(functions: Readonly<Record<Name, Written>>): Compiled<Name> => {
  const all = Object.entries<Written>(functions);
  const types = all.map(([, { parameters, answers }]) => [
    0x60,
    list(Array(parameters).fill([I32])),
    list(answers ? [[I32]] : []),
  ]);
  const bodies = all.map(([, { locals, body }]) =>
    sized([list(locals.map(([count, type]) => [unsigned(count), type])), body, END])
  );
  const code = new Uint8Array(putBytes([
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic and version
    section(1, list(types)),
    section(2, list([[name(""), name("memory"), 2, 0, 1]])), // a page of it at least
    section(3, list(all.map((_, i) => unsigned(i)))),
    section(7, list(all.map(([key], i) => [name(key), 0, unsigned(i)]))),
    section(10, list(bodies)),
  ], []));
  const module = new WebAssembly.Module(code);
  return {
    open(bytes) {
      const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil(bytes / PAGE_BYTES)) });
      const { exports } = new WebAssembly.Instance(module, { "": { memory } });
      return {
        memory: new Uint8Array(memory.buffer as ArrayBuffer),
        call: exports as Record<Name, (...words: number[]) => number | void>,
      };
    },
  };
};

/** For one memory of so many bytes, see `compile`. */
export const assemble = <Name extends string>(
  functions: Readonly<Record<Name, Written>>,
  bytes: number,
): Assembled<Name> => compile(functions).open(bytes);
