/** Whether bytes that were deleted are still to be found in a file. */
import { Buffer } from "node:buffer";
import { closeSync, openSync, readSync, statSync } from "node:fs";

const CHUNK_BYTES = 1 << 20;
/** Up to so many are looked for one by one; of more, those that end as the bytes at hand do are compared. */
const ONE_BY_ONE_MAX = 8;

/** Reads the file once, whatever it holds; false where there is none. */
export const holdsAny = (file: string, pieces: readonly Uint8Array[]): boolean => {
  if (pieces.length === 0 || !statSync(file, { throwIfNoEntry: false })) return false;
  const isIn = finder(pieces);
  const overlap = Math.max(...pieces.map(({ length }) => length)) - 1;
  const buffer = Buffer.alloc(CHUNK_BYTES + overlap);
  const handle = openSync(file, "r");
  try {
    for (let held = 0;;) {
      const read = readSync(handle, buffer, held, buffer.length - held, null);
      held += read;
      const seen = buffer.subarray(0, held);
      if (isIn(seen)) return true;
      if (read === 0) return false;
      if (held < buffer.length) continue;
      buffer.copyWithin(0, held - overlap, held);
      held = overlap;
    }
  } finally {
    closeSync(handle);
  }
};

const finder = (pieces: readonly Uint8Array[]): (seen: Buffer) => boolean => {
  if (pieces.length <= ONE_BY_ONE_MAX) return (seen) => pieces.some((piece) => seen.indexOf(piece) >= 0);
  // By their ends: wrapped keys begin alike.
  const byEnd = Map.groupBy(pieces, (piece) => endOf(piece, piece.length));
  return (seen) => {
    for (let at = 1; at <= seen.length; at++) {
      for (const piece of byEnd.get(endOf(seen, at)) ?? []) {
        if (at >= piece.length && seen.subarray(at - piece.length, at).equals(piece)) return true;
      }
    }
    return false;
  };
};

/** Of the four bytes before a place, as many as there are. */
const endOf = (bytes: Uint8Array, at: number): number =>
  (bytes[at - 1]! | bytes[at - 2]! << 8 | bytes[at - 3]! << 16 | bytes[at - 4]! << 24) | 0;
