/**
 * The port of what seals bytes where they lie: blocks, pages of the index, chunks of blobs, the files of views. Synchronous, as
 * reading is. Who seals is `adapters/keys/at_rest.ts`; stores know this and no key.
 */
export interface Sealing {
  /** Bytes that a sealed value has more than a clear one. */
  readonly overhead: number;
  /** Tells one key from another and nothing else of it; text. */
  readonly check: string;
  /**
   * Bytes that only `open` of the same key and place makes readable again, each time others. The first `clear` bytes (default
   * none) stay readable, and are held to as much as the rest.
   */
  seal(place: Uint8Array, bytes: Uint8Array, clear?: number): Uint8Array;
  /** What was sealed, in bytes of its own; `undefined` for anything else: another key or place, a changed, cut or lengthened value. */
  open(place: Uint8Array, sealed: Uint8Array, clear?: number): Uint8Array | undefined;
}
