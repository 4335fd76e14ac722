/**
 * What a view holds, in 32 bytes: SHA-256 over its rows in order of key, each as
 * `uint32(key bytes) ‖ key ‖ uint32(row bytes) ‖ canonical row`, lengths big-endian, text in UTF-8.
 *
 * Lengths make the stream of bytes unambiguous; the order of keys (by code point, which is the order of their UTF-8) makes
 * it independent of how the rows came to be. Rows of an append-only view come in order of position.
 * Working rows are left out: a fold's own means, of which no past is kept. Why not kept with the rows: docs/decisions/0020.
 */
import { canonical } from "../events/canonical.ts";
import type { AnyProjection } from "./projection.ts";
import { compareText, isWorking } from "./query.ts";
import type { ViewChange } from "./views.ts";

/** SHA-256, fed piece by piece. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Base64. */
  finish(): string;
}

const CHUNK = 1 << 16;
const utf8 = new TextEncoder();

/** Feeds rows to a hasher in chunks, so that hashing costs per byte and not per row. */
export class RowsDigest {
  rows = 0;
  private chunk = new Uint8Array(CHUNK);
  private filled = 0;

  constructor(private readonly hasher: Hasher) {}

  /** Keys must come in order. `row` is canonical JSON. */
  add(key: string, row: string): void {
    this.rows++;
    this.text(key);
    this.text(row);
  }

  finish(): string {
    this.flush();
    return this.hasher.finish();
  }

  private text(text: string): void {
    // A UTF-16 unit becomes at most three bytes of UTF-8.
    const room = 4 + text.length * 3;
    if (this.filled + room > this.chunk.length) {
      this.flush();
      if (room > this.chunk.length) this.chunk = new Uint8Array(room);
    }
    const { written } = utf8.encodeInto(text, this.chunk.subarray(this.filled + 4));
    new DataView(this.chunk.buffer).setUint32(this.filled, written);
    this.filled += 4 + written;
  }

  private flush(): void {
    this.hasher.update(this.chunk.subarray(0, this.filled));
    this.filled = 0;
  }
}

/**
 * The newest rows of a fold in memory, and their digest, the same as a store's of the same rows. Of an append-only view
 * nothing is kept: its rows come in the order of the digest.
 */
export class FoldedRows {
  private readonly rows = new Map<string, unknown>();
  private readonly appended: RowsDigest | undefined;

  constructor(projection: Pick<AnyProjection, "appendOnly">, private readonly hasher: () => Hasher) {
    if (projection.appendOnly) this.appended = new RowsDigest(hasher());
  }

  get(key: string): unknown {
    return this.rows.get(key);
  }

  set(change: ViewChange): void {
    if (this.appended) this.appended.add(change.key, canonical(change.row));
    else if (change.row === undefined) this.rows.delete(change.key);
    else this.rows.set(change.key, change.row);
  }

  /** To be called once, when the fold is done. */
  digest(): { readonly rows: number; readonly digest: string } {
    let digest = this.appended;
    if (digest === undefined) {
      digest = new RowsDigest(this.hasher());
      const keys = [...this.rows.keys()].filter((key) => !isWorking(key)).sort(compareText);
      for (const key of keys) digest.add(key, canonical(this.rows.get(key)));
    }
    return { rows: digest.rows, digest: digest.finish() };
  }
}
