/** Whether bytes that were deleted are still to be found in a file. */
import { Buffer } from "node:buffer";
import { closeSync, openSync, readSync, statSync } from "node:fs";

const CHUNK_BYTES = 1 << 20;

/** Reads the file once, whatever it holds; false where there is none. */
export const holdsAny = (file: string, pieces: readonly Uint8Array[]): boolean => {
  if (pieces.length === 0 || !statSync(file, { throwIfNoEntry: false })) return false;
  const overlap = Math.max(...pieces.map(({ length }) => length)) - 1;
  const buffer = Buffer.alloc(CHUNK_BYTES + overlap);
  const handle = openSync(file, "r");
  try {
    for (let held = 0;;) {
      const read = readSync(handle, buffer, held, buffer.length - held, null);
      held += read;
      const seen = buffer.subarray(0, held);
      if (pieces.some((piece) => seen.indexOf(piece) >= 0)) return true;
      if (read === 0) return false;
      if (held < buffer.length) continue;
      buffer.copyWithin(0, held - overlap, held);
      held = overlap;
    }
  } finally {
    closeSync(handle);
  }
};
