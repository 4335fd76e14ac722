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
import type { AnyProjection } from "./projection.ts";
import { isWorking } from "./query.ts";
import type { ViewChange } from "./views.ts";

/** Names what is described above, wherever a digest is kept. Another way to digest has another name. */
export const DIGEST_METHOD = "lthash16/sha256+chacha20";

/** Bytes of a sum. */
export const SUM_BYTES = 2_048;

/** What a digest takes from the platform. Synchronous, and functions of their arguments. */
export interface Primitives {
  /** SHA-256, 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
  /** The first 2,048 bytes of the ChaCha20 key stream under a key of 32 bytes; counter and nonce are zero. */
  chacha20(key: Uint8Array): Uint8Array;
}

/** What is known of a set of rows without having them: how many, and the digest (base64). */
export interface Digested {
  readonly rows: number;
  readonly digest: string;
}

const utf8 = new TextEncoder();

/** The sum over a set of rows. Keys must differ; a row is canonical JSON. */
export class RowsSum {
  private lanes = new Uint16Array(SUM_BYTES / 2);
  private element = new Uint8Array(1 << 12);

  /** `sum`: of so many rows, as `bytes` told; default: of none. */
  constructor(private readonly primitives: Primitives, public rows = 0, sum?: Uint8Array) {
    if (sum === undefined) return;
    if (sum.length !== SUM_BYTES) throw new TypeError(`Cannot go on from a sum of ${sum.length} bytes`);
    this.lanes = lanesOf(sum).slice();
  }

  add(key: string, row: string): void {
    const [part, { lanes }] = [this.part(key, row), this];
    for (let i = 0; i < part.length; i++) lanes[i]! += part[i]!;
    this.rows++;
  }

  /** The row must be in the sum. */
  remove(key: string, row: string): void {
    const [part, { lanes }] = [this.part(key, row), this];
    for (let i = 0; i < part.length; i++) lanes[i]! -= part[i]!;
    this.rows--;
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
    return new Uint8Array(this.lanes.buffer);
  }

  copy(): RowsSum {
    return new RowsSum(this.primitives, this.rows, this.bytes());
  }

  private part(key: string, row: string): Uint16Array {
    // A UTF-16 unit becomes at most three bytes of UTF-8.
    const room = 8 + 3 * (key.length + row.length);
    if (room > this.element.length) this.element = new Uint8Array(2 * room);
    const end = this.text(row, this.text(key, 0));
    return lanesOf(this.primitives.chacha20(this.primitives.sha256(this.element.subarray(0, end))));
  }

  private text(text: string, at: number): number {
    const { element } = this;
    const { written } = utf8.encodeInto(text, element.subarray(at + 4));
    element[at] = written >>> 24;
    element[at + 1] = written >>> 16;
    element[at + 2] = written >>> 8;
    element[at + 3] = written;
    return at + 4 + written;
  }
}

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
