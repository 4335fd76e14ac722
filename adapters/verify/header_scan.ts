/**
 * Entries read where they lie, as a WebAssembly module that is put together here: whether each is canonical JSON with a whole header, and what
 * it says of itself. Nothing is parsed into objects. What it takes is sound; what it does not take may be, and is for the definition to judge
 * (`entries.ts`). See `docs/decisions/0194-entries-are-verified-where-they-lie.md`.
 */
import { assemble, type Written } from "../../events/wasm.ts";
import {
  characterEnd,
  digitsEnd,
  fillTables,
  isBelow,
  itemsEnd,
  membersEnd,
  numberEnd,
  stringEnd,
  valueEnd,
} from "./canonical_code.ts";
import { SECRET_WORDS } from "./index_sums.ts";
import { items, numbers } from "./numbers_code.ts";
import { find, fingerprint, member, mix, same, scan, whole } from "./header_code.ts";
import {
  BEFORE,
  CHANGES,
  CORRELATIONS,
  ENTRIES_MAX,
  FUNCTIONS,
  INPUT,
  MEMORY_BYTES,
  type Name,
  NAMES,
  NUMBERS,
  POSITIONS,
  RECORDED_SPANS,
  REVISIONS,
  SEALED,
  SECRET,
  SOUND,
  STARTS,
  STREAMS,
  TYPE_SPANS,
  TYPES,
} from "./scan_layout.ts";

export { BEHIND, CHANGED, ENTRIES_MAX, INPUT_BYTES_MAX } from "./scan_layout.ts";

/** Columns of the entries that were read last. Addresses are places in `memory`; a span is where a text begins and ends, without its quotes. */
export interface HeaderScan {
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Address of what is to be read: entries with a byte between each two, `INPUT_BYTES_MAX` at most, and `BEHIND` zeros. */
  readonly input: number;
  /** Address of each entry, and behind the last one byte more than where it ends. */
  readonly starts: Uint32Array;
  readonly sound: Uint8Array;
  readonly position: Float64Array;
  readonly revision: Float64Array;
  /** Fingerprints. */
  readonly stream: Float64Array;
  readonly type: Float64Array;
  readonly name: Float64Array;
  readonly correlation: Float64Array;
  readonly typeSpan: Uint32Array;
  readonly recordedSpan: Uint32Array;
  /** Bits of `CHANGED`: what is another than in the entry before; the first one has them all. */
  readonly changes: Uint8Array;
  /** By whom the numbers are keyed. */
  readonly secret: Int32Array;
  /** Keyed hashes, see `numberOf`. */
  readonly number: Float64Array;
  /** Reads so many entries, one at least, `ENTRIES_MAX` at most. Whether a text in one of them may be sealed. */
  run(count: number): boolean;
  /** Hashes so many entries, one at least, each of `STEP` bytes at least. */
  numbers(count: number): void;
  /** Notes where the entries of a JSON array of so many bytes begin, and answers how many there are, as far as `},{` tells; more than `ENTRIES_MAX` is too many. */
  items(bytes: number): number;
}

/** Throws `WebAssembly.CompileError` where the processor has no vectors of 128 bits. */
export const openHeaderScan = (): HeaderScan => {
  const written: Readonly<Record<Name, Written>> = {
    stringEnd: stringEnd(),
    characterEnd: characterEnd(),
    digitsEnd: digitsEnd(),
    numberEnd: numberEnd(),
    valueEnd: valueEnd(),
    itemsEnd: itemsEnd(),
    membersEnd: membersEnd(),
    isBelow: isBelow(),
    member: member(),
    whole: whole(),
    same: same(),
    find: find(),
    mix: mix(false),
    mixBoth: mix(true),
    fingerprint: fingerprint(),
    scan: scan(),
    numbers: numbers(),
    items: items(),
  };
  const functions = Object.fromEntries(FUNCTIONS.map((name) => [name, written[name]])) as Record<Name, Written>;
  const { memory, call } = assemble(functions, MEMORY_BYTES);
  fillTables(memory);
  const doubles = (at: number) => new Float64Array(memory.buffer, at, ENTRIES_MAX);
  const words = (at: number, count: number) => new Uint32Array(memory.buffer, at, count);
  const bytes = (at: number) => memory.subarray(at, at + ENTRIES_MAX);
  const before = words(BEFORE, 6);
  const sealed = words(SEALED, 1);
  return {
    memory,
    input: INPUT,
    starts: words(STARTS, ENTRIES_MAX + 1),
    sound: bytes(SOUND),
    position: doubles(POSITIONS),
    revision: doubles(REVISIONS),
    stream: doubles(STREAMS),
    type: doubles(TYPES),
    name: doubles(NAMES),
    correlation: doubles(CORRELATIONS),
    typeSpan: words(TYPE_SPANS, ENTRIES_MAX * 2),
    recordedSpan: words(RECORDED_SPANS, ENTRIES_MAX * 2),
    changes: bytes(CHANGES),
    secret: new Int32Array(memory.buffer, SECRET, SECRET_WORDS),
    number: doubles(NUMBERS),
    numbers: call.numbers as HeaderScan["numbers"],
    items: (bytes) => call.items(INPUT, INPUT + bytes) as number,
    run(count) {
      before.fill(0);
      sealed[0] = 0;
      call.scan(count);
      return sealed[0] !== 0;
    },
  };
};
