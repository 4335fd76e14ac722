/** Entries that the index has once more, as a JSON array of them. */
import { Buffer } from "node:buffer";
import { sharedScan } from "./headers.ts";
import { BEHIND, ENTRIES_MAX, type HeaderScan, INPUT_BYTES_MAX } from "./header_scan.ts";
import { numberOf, type Secret, STEP } from "./index_sums.ts";
import { IndexFault } from "./index_table.ts";

const OPEN = 0x5b; // [
const CLOSE = 0x5d; // ]
/** Nor is any event as short. */
const ENTRY_BYTES_MIN = STEP;
const NO_COPY = "a copy of entries that cannot be read";
const utf8 = new TextDecoder("utf-8", { fatal: true });

export interface Copies {
  /** Keyed hashes of their bytes, which hold until the next copies are read. */
  readonly numbers: Float64Array;
  /** The bytes of the first. */
  readonly first: Uint8Array;
}

/** So many entries, which are all there are. Throws `IndexFault`. */
export const copiesIn = (bytes: Uint8Array, count: number, secret: Secret): Copies => {
  if (bytes[0] !== OPEN || bytes[bytes.length - 1] !== CLOSE) throw new IndexFault(NO_COPY);
  const scan = sharedScan();
  const small = count <= ENTRIES_MAX && bytes.length <= INPUT_BYTES_MAX;
  return (scan && small && scanned(scan, bytes, count, secret)) || defined(bytes, count, secret);
};

/** The position that an entry says. Throws `IndexFault`. */
export const positionOf = (entry: Uint8Array): unknown => {
  try {
    return (JSON.parse(utf8.decode(entry)) as { readonly position?: unknown } | null)?.position;
  } catch {
    throw new IndexFault(NO_COPY);
  }
};

/**
 * It is looked for what stands between two of them; where that is there as often as there are entries, it stands nowhere else: it cannot be
 * missing between two of them. `undefined` where it does not tell them apart.
 */
const scanned = (scan: HeaderScan, bytes: Uint8Array, count: number, secret: Secret): Copies | undefined => {
  const { memory, input, starts, number } = scan;
  memory.set(bytes, input);
  memory.fill(0, input + bytes.length, input + bytes.length + BEHIND);
  if (scan.items(bytes.length) !== count) return undefined;
  for (let i = 0; i < count; i++) {
    if (starts[i + 1]! - starts[i]! <= ENTRY_BYTES_MIN) throw new IndexFault(NO_COPY);
  }
  scan.secret.set(secret);
  scan.numbers(count);
  return { numbers: number, first: bytes.subarray(1, starts[1]! - 1 - input) };
};

/** By reading them. */
const defined = (bytes: Uint8Array, count: number, secret: Secret): Copies => {
  const ends = parsedEnds(bytes);
  if (ends.length !== count) throw new IndexFault(`${ends.length} entries, not ${count}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let from = 1;
  const numbers = Float64Array.from(ends, (until) => {
    if (until >= bytes.length || until < from + ENTRY_BYTES_MIN) throw new IndexFault(NO_COPY);
    const number = numberOf(secret, view, from, until);
    from = until + 1;
    return number;
  });
  if (from !== bytes.length) throw new IndexFault(NO_COPY);
  return { numbers, first: bytes.subarray(1, ends[0]) };
};

const parsedEnds = (bytes: Uint8Array): readonly number[] => {
  try {
    const entries = JSON.parse(utf8.decode(bytes)) as unknown;
    if (Array.isArray(entries)) {
      let until = 0;
      return entries.map((entry) => until += 1 + Buffer.byteLength(JSON.stringify(entry)));
    }
  } catch {
    // Said below.
  }
  throw new IndexFault(NO_COPY);
};
