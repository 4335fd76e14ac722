/**
 * A block: the unit that is stored, linked and read. It holds whole entries and describes itself.
 *
 * ```text
 *  0  4  "DBK1"               magic and format
 *  4  1  codec                0: plain; 1: all behind the first 8 bytes is sealed, see `sealed_store.ts`
 *  5  3  zero
 *  8 32  link                 SHA-256 over bytes 8… of the block before, in plain form; zeros before the first
 * 40  8  first position       unsigned, big-endian, as all numbers here
 * 48  4  number of entries
 * 52  4  number of runs
 * 56  …  runs                 fingerprint of the stream 8, first revision 8, count 4
 *     …  lengths              4 each
 *     …  entries              a JSON array: `[`, the entries in canonical form with `,` between, `]`
 * ```
 *
 * A run is entries of one stream that follow each other. Entries are an array so that one parse reads them all; the lengths
 * give each entry's exact bytes. What the codec does is outside the hash.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Event } from "../../events/event.ts";
import { LIMITS, LogFault } from "../../events/log.ts";
import { HASH_BYTES, sha256Each } from "../../events/sha256.ts";
import { type Attributes, attributesOf } from "./attributes.ts";
import { LEAF_PREFIX, leafHash } from "./node_hash.ts";

export const MAGIC = 0x44424b31; // "DBK1"
export const CODEC_AT = 4;
export const CODEC_PLAIN = 0;
export const HASHED_FROM = 8;
const HEADER = 56;
const RUN = 20;
/** What an entry adds to a block beside its own bytes, at most: a run, a length, a comma. */
export const ENTRY_OVERHEAD = RUN + 4 + 1;
/** What a block adds beside its entries: the header and the array's brackets. */
export const BLOCK_OVERHEAD = HEADER + 2;
export const LINK_ZERO: Uint8Array = new Uint8Array(32);

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Entries of one stream, one after another. */
export interface Run {
  readonly fingerprint: number;
  readonly revision: number;
  count: number;
}

export interface BlockPlan {
  readonly first: number;
  readonly runs: readonly Run[];
  /** `[` and the entries with `,` between them, in pieces. */
  readonly text: readonly string[];
  /** UTF-8 bytes of each entry. */
  readonly lengths: readonly number[];
  /** Of all entries. */
  readonly bytes: number;
}

/** Writes a block. `link` is the hash of the one before. */
export const encodeBlock = (plan: BlockPlan, link: Uint8Array): Uint8Array => {
  const { first, runs, lengths } = plan;
  const body = HEADER + runs.length * RUN + lengths.length * 4;
  const bytes = new Uint8Array(body + plan.bytes + lengths.length + 1);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  bytes.set(link, HASHED_FROM);
  putUint64(view, 40, first);
  view.setUint32(48, lengths.length);
  view.setUint32(52, runs.length);
  let at = HEADER;
  for (const run of runs) {
    putUint64(view, at, run.fingerprint);
    putUint64(view, at + 8, run.revision);
    view.setUint32(at + 16, run.count);
    at += RUN;
  }
  for (const length of lengths) {
    view.setUint32(at, length);
    at += 4;
  }
  const { written } = utf8.encodeInto(plan.text.join(""), bytes.subarray(body));
  if (body + written + 1 !== bytes.length) {
    throw new Error(`a block of ${bytes.length} bytes was planned, ${body + written + 1} were written`);
  }
  bytes[bytes.length - 1] = 0x5d; // "]"
  if (bytes.length > LIMITS.block_bytes_max) {
    throw new Error(`a block has at most ${LIMITS.block_bytes_max} bytes, this one ${bytes.length}`);
  }
  return bytes;
};

/** What the next block links to. */
export const blockHash = (block: Uint8Array): Uint8Array =>
  createHash("sha256").update(block.subarray(HASHED_FROM)).digest();

/** A stored block, read only as far as it is asked. */
export class Block {
  readonly first: number;
  readonly count: number;
  private readonly view: DataView;
  private readonly runCount: number;
  private readonly body: number;
  private parsed: readonly Event[] | undefined;
  private offsets: Uint32Array | undefined;
  private leaves: Uint8Array | undefined;
  /** The bytes, a character each. */
  private letters: string | undefined;

  /** Throws `LogFault` `foreign`, `newer` or `truncated` for what is not a whole block of ours. */
  constructor(readonly bytes: Uint8Array, at: number) {
    const where = `block at position ${at}`;
    if (bytes.length < HEADER + 2) throw new LogFault("truncated", `${where}: ${bytes.length} bytes are not a block`);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const magic = this.view.getUint32(0);
    if (magic !== MAGIC) {
      if (magic >>> 8 === MAGIC >>> 8) {
        throw new LogFault("newer", `${where}: its format is newer than this program knows`);
      }
      throw new LogFault("foreign", `${where}: it does not start as a block does`);
    }
    if (bytes[CODEC_AT] !== CODEC_PLAIN) {
      throw new LogFault("newer", `${where}: codec ${bytes[CODEC_AT]} is not known to this program`);
    }
    this.first = getUint64(this.view, 40);
    this.count = this.view.getUint32(48);
    this.runCount = this.view.getUint32(52);
    this.body = HEADER + this.runCount * RUN + this.count * 4;
    if (this.body + 2 > bytes.length) throw new LogFault("truncated", `${where}: it ends within its header`);
    if (this.first !== at) throw new LogFault("foreign", `${where}: it says it is at position ${this.first}`);
  }

  /** Position after the last entry. */
  get until(): number {
    return this.first + this.count;
  }

  get link(): Uint8Array {
    return this.bytes.subarray(HASHED_FROM, HASHED_FROM + 32);
  }

  *runs(): Iterable<Run & { readonly index: number }> {
    let index = 0;
    for (let r = 0, at = HEADER; r < this.runCount; r++, at += RUN) {
      const count = this.view.getUint32(at + 16);
      yield { fingerprint: getUint64(this.view, at), revision: getUint64(this.view, at + 8), count, index };
      index += count;
    }
  }

  /** All entries parsed, in one go. */
  events(): readonly Event[] {
    return this.parsed ??= this.parse<readonly Event[]>(this.bytes.subarray(this.body));
  }

  get isParsed(): boolean {
    return this.parsed !== undefined;
  }

  /** Lets go of what was read of the bytes; it is read anew when it is asked for. */
  forget(): void {
    this.parsed = this.letters = undefined;
  }

  private parse<T>(bytes: Uint8Array): T {
    try {
      return JSON.parse(text.decode(bytes)) as T;
    } catch (error) {
      throw new LogFault("truncated", `block at position ${this.first}: its entries do not parse`, { cause: error });
    }
  }

  /** The exact bytes of entry `index` of this block. */
  entry(index: number): Uint8Array {
    const offsets = this.offsets ??= this.measure();
    return this.bytes.subarray(offsets[index]!, offsets[index + 1]! - 1);
  }

  /** Bytes of entry `index`. */
  entryBytes(index: number): number {
    const offsets = this.offsets ??= this.measure();
    return offsets[index + 1]! - offsets[index]! - 1;
  }

  /** The tree's leaf hashes of entries `from` to `until`, one behind the other. */
  leafHashes(from: number, until: number): Uint8Array {
    const offsets = this.offsets ??= this.measure();
    return sha256Each(LEAF_PREFIX, this.bytes, offsets.subarray(from, until + 1), leafHash);
  }

  /** That of entry `index`; who asks for one asks for others. */
  leaf(index: number): Uint8Array {
    const leaves = this.leaves ??= this.leafHashes(0, this.count);
    return leaves.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  /** What the index keeps of entry `index`. */
  attributes(index: number): Attributes {
    const offsets = this.offsets ??= this.measure();
    const { buffer, byteOffset, length } = this.bytes;
    const letters = this.letters ??= Buffer.from(buffer, byteOffset, length).toString("latin1");
    return attributesOf(letters.slice(offsets[index]!, offsets[index + 1]! - 1)) ?? this.event(index);
  }

  /** One event; parses no other, unless all are parsed already. */
  event(index: number): Event {
    return this.parsed?.[index] ?? this.parse<Event>(this.entry(index));
  }

  private measure(): Uint32Array {
    const offsets = new Uint32Array(this.count + 1);
    let at = this.body + 1;
    for (let i = 0; i < this.count; i++) {
      offsets[i] = at;
      at += this.view.getUint32(this.body - (this.count - i) * 4) + 1;
    }
    if (at !== this.bytes.length) {
      throw new LogFault("truncated", `block at position ${this.first}: its lengths do not add up to its size`);
    }
    offsets[this.count] = at;
    return offsets;
  }
}

const putUint64 = (view: DataView, at: number, value: number) => {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
};
const getUint64 = (view: DataView, at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
