/**
 * What a view holds, in 32 bytes that can be kept with the rows: LtHash16 of its rows, a sum in which each has a part, so that
 * a row that changes costs one part taken away and one added, whatever else there is (Bellare, Micciancio: A New Paradigm for
 * Collision-free Hashing, 1997; Lewi, Kim, Maykov, Weis: Securing Update Propagation with Homomorphic Hashing, IACR 2019/227).
 *
 * A row's element is `uint32(key bytes) ‖ key ‖ uint32(row bytes) ‖ canonical row`, lengths big-endian, text in UTF-8. Its part are
 * 1,024 lanes of 16 bits, little-endian: the first 2,048 bytes of the ChaCha20 key stream (RFC 8439 section 2.4, counter and nonce
 * zero) under the element's SHA-256. Parts are added lane by lane modulo 2^16; the digest is SHA-256 of the 2,048 bytes of the
 * sum. Sums are independent of how the rows came to be, and nobody knows how to find two sets of rows with one sum.
 * Working rows are left out: a fold's own means, of which no past is kept. Why so: docs/decisions/0100.
 */
import { canonical } from "../events/canonical.ts";
import { HASH_BYTES, sha256Each } from "../events/sha256.ts";
import type { AnyProjection } from "./projection.ts";
import { openSumming, SUM_BYTES, type Summing } from "./lthash.ts";
import { isWorking } from "./query.ts";
import type { Digested, ViewChange } from "./views.ts";

/** Names what is described above, wherever a digest is kept. Another way to digest has another name. */
export const DIGEST_METHOD = "lthash16/sha256+chacha20";

/** What a digest takes from the platform: all, or what is left to it. Synchronous, and functions of their arguments. */
export interface Primitives {
  /** SHA-256, 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
  /** The first 2,048 bytes of the ChaCha20 key stream under a key of 32 bytes; counter and nonce are zero. */
  chacha20(key: Uint8Array): Uint8Array;
}

/** Bytes of a sum. */
export { SUM_BYTES };

const utf8 = new TextEncoder();

/** By the platform, where there are no vectors (`lthash.ts`). */
export const plainSumming = ({ chacha20 }: Pick<Primitives, "chacha20">): Summing => (sum, hashes, signs) => {
  signs.forEach((sign, row) => {
    const part = lanesOf(chacha20(hashes.subarray(row * HASH_BYTES, (row + 1) * HASH_BYTES)));
    for (let i = 0; i < part.length; i++) sum[i]! += sign * part[i]!;
  });
};

/** The faster way that this processor has. */
export const summingOf = (primitives: Primitives, open = openSumming): Summing => {
  try {
    return open();
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return plainSumming(primitives);
    throw error;
  }
};

let shared: Summing | undefined;

/** Rows that wait to be summed, and UTF-16 units of their texts, at which they are. */
const WAITING_MAX = 64, WAITING_CHARS_MAX = 65_536;
/** Of texts; longer ones get room of their own. */
const scratch = new Uint8Array(3 * WAITING_CHARS_MAX);

/** The sum over a set of rows. Keys must differ; a row is canonical JSON. */
export class RowsSum {
  private readonly lanes: Uint16Array<ArrayBuffer>;
  private waiting: { readonly key: string; readonly row: string }[] = [];
  /** Of those that wait: 1 is added, -1 taken away. */
  private signs: number[] = [];
  private chars = 0;

  /** `sum`: of so many rows, as `bytes` told; default: of none. */
  constructor(private readonly primitives: Primitives, public rows = 0, sum?: Uint8Array) {
    if (sum && sum.length !== SUM_BYTES) throw new TypeError(`Cannot go on from a sum of ${sum.length} bytes`);
    this.lanes = sum ? lanesOf(sum).slice() : new Uint16Array(SUM_BYTES / 2);
  }

  add(key: string, row: string): void {
    this.rows++;
    this.take(key, row, 1);
  }

  /** The row must be in the sum. */
  remove(key: string, row: string): void {
    this.rows--;
    this.take(key, row, -1);
  }

  /** One key's row, or none, is another one now, or none. */
  replace(key: string, before: string | undefined, after: string | undefined): void {
    if (before === after) return;
    if (before !== undefined) this.remove(key, before);
    if (after !== undefined) this.add(key, after);
  }

  digest(): Digested {
    return digestOf(this.primitives, this.rows, this.bytes());
  }

  /** Of the sum, to be kept; 2,048 of them, and not to be written to. */
  bytes(): Uint8Array {
    this.settle();
    return new Uint8Array(this.lanes.buffer);
  }

  copy(): RowsSum {
    return new RowsSum(this.primitives, this.rows, this.bytes());
  }

  private take(key: string, row: string, sign: number): void {
    this.waiting.push({ key, row });
    this.signs.push(sign);
    this.chars += key.length + row.length;
    if (this.waiting.length >= WAITING_MAX || this.chars >= WAITING_CHARS_MAX) this.settle();
  }

  /** Many at once are hashed and summed in a fraction of the time. */
  private settle(): void {
    const { waiting, signs, primitives } = this;
    if (waiting.length === 0) return;
    // A UTF-16 unit becomes at most three bytes of UTF-8.
    const room = waiting.length * 8 + 3 * this.chars;
    const elements = room <= scratch.length ? scratch : new Uint8Array(room);
    // The first byte of each element, of a length, is hashed as what stands in front of the rest.
    const starts = new Uint32Array(waiting.length + 1);
    let at = 0;
    waiting.forEach(({ key, row }, i) => {
      starts[i] = at + 1;
      at = text(elements, row, text(elements, key, at));
    });
    starts[waiting.length] = at + 1;
    const whole = ({ buffer, byteOffset, length }: Uint8Array) => new Uint8Array(buffer, byteOffset - 1, length + 1);
    const hashes = sha256Each(0, elements, starts, (piece) => primitives.sha256(whole(piece)));
    (shared ??= summingOf(primitives))(this.lanes, hashes, signs);
    this.waiting = [];
    this.signs = [];
    this.chars = 0;
  }
}

/** Its length in bytes, and the text; where that ends. */
const text = (elements: Uint8Array, text: string, at: number): number => {
  const { written } = utf8.encodeInto(text, elements.subarray(at + 4));
  elements[at] = written >>> 24;
  elements[at + 1] = written >>> 16;
  elements[at + 2] = written >>> 8;
  elements[at + 3] = written;
  return at + 4 + written;
};

/** The digest of a sum that was kept. */
export const digestOf = (primitives: Primitives, rows: number, sum: Uint8Array): Digested => ({
  rows,
  digest: primitives.sha256(sum).toBase64(),
});

/** The platforms that there are have their low byte first, as the lanes have. */
const lanesOf = (bytes: Uint8Array): Uint16Array =>
  bytes.byteOffset % 2 === 0
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)
    : new Uint16Array(bytes.slice().buffer);

/** Keys that changed since the last digest, of a fold in memory; past that they are summed, and begin anew. */
const CHANGED_MAX = 50_000;

/**
 * The newest rows of a fold in memory, and their digest at any time, the same as a store's of the same rows. Of an append-only
 * view nothing is kept but the sum. Rows handed in are not to be changed afterwards.
 */
export class FoldedRows {
  private readonly rows = new Map<string, unknown>();
  /** What the keys that changed since the last digest held at it. */
  private readonly before = new Map<string, unknown>();
  private readonly sum: RowsSum;
  private readonly appendOnly: boolean;

  constructor(projection: Pick<AnyProjection, "appendOnly">, primitives: Primitives) {
    this.sum = new RowsSum(primitives);
    this.appendOnly = projection.appendOnly === true;
  }

  get(key: string): unknown {
    return this.rows.get(key);
  }

  set({ key, row }: ViewChange): void {
    if (this.appendOnly) return this.sum.add(key, canonical(row));
    if (!isWorking(key) && !this.before.has(key)) {
      if (this.before.size >= CHANGED_MAX) this.settle();
      this.before.set(key, this.rows.get(key));
    }
    if (row === undefined) this.rows.delete(key);
    else this.rows.set(key, row);
  }

  digest(): Digested {
    this.settle();
    return this.sum.digest();
  }

  private settle(): void {
    for (const [key, before] of this.before) this.sum.replace(key, textOf(before), textOf(this.rows.get(key)));
    this.before.clear();
  }
}

const textOf = (row: unknown): string | undefined => row === undefined ? undefined : canonical(row);
