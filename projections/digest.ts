/**
 * What a view holds, in 32 bytes: SHA-256 over its rows in order of key, each as
 * `uint32(key bytes) ‖ key ‖ uint32(row bytes) ‖ canonical row`, lengths big-endian, text in UTF-8.
 *
 * Lengths make the stream of bytes unambiguous; the order of keys (by code point, which is the order of their UTF-8) makes
 * it independent of how the rows came to be. Why not kept with the rows: docs/decisions/0020.
 */

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
