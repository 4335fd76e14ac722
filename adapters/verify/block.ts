/**
 * A stored block as bytes, read by the format that is written down at the top of the writer's `block.ts` and by
 * nothing else of the writer's. All numbers are big-endian.
 */
import { LIMITS } from "../../events/log.ts";
import { sha256 } from "./crypto.ts";
import type { FailureKind } from "./failures.ts";

const MAGIC = "DBK";
const FORMAT = 0x31; // "1"
const LINK_AT = 8;
const FIRST_AT = 40;
const COUNT_AT = 48;
const RUNS_AT = 52;
const HEADER_BYTES = 56;
const RUN_BYTES = 20;
const LENGTH_BYTES = 4;
const OPEN = 0x5b; // [
const COMMA = 0x2c; // ,
const CLOSE = 0x5d; // ]

/** Why bytes are not a block. */
export interface BlockFault {
  readonly kind: FailureKind & ("foreign" | "newer" | "block");
  readonly expected: string;
  readonly found: string;
}

export class StoredBlock {
  private constructor(
    readonly bytes: Uint8Array,
    readonly view: DataView,
    readonly first: number,
    readonly count: number,
    readonly runs: number,
    /** Where entry i begins; entry i ends a byte before entry i+1 begins. */
    readonly starts: Uint32Array,
  ) {}

  static read(bytes: Uint8Array): StoredBlock | BlockFault {
    const fault = (kind: BlockFault["kind"], expected: string, found: string): BlockFault => ({
      kind,
      expected,
      found,
    });
    if (bytes.length > LIMITS.block_bytes_max) {
      return fault("block", `at most ${LIMITS.block_bytes_max} bytes`, `${bytes.length} bytes`);
    }
    if (bytes.length < HEADER_BYTES + 2) {
      return fault("block", `at least ${HEADER_BYTES + 2} bytes`, `${bytes.length} bytes`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const magic = String.fromCharCode(bytes[0]!, bytes[1]!, bytes[2]!);
    if (magic !== MAGIC) return fault("foreign", "a block, which begins with DBK1", "something else");
    if (bytes[3] !== FORMAT || bytes[4] !== 0) {
      return fault("newer", "block format 1, codec 0", `format byte ${bytes[3]}, codec ${bytes[4]}`);
    }
    if (bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0) {
      return fault("block", "zeros behind the codec", "other bytes");
    }
    const first = number64(view, FIRST_AT);
    const count = view.getUint32(COUNT_AT);
    const runs = view.getUint32(RUNS_AT);
    const lengthsAt = HEADER_BYTES + runs * RUN_BYTES;
    const body = lengthsAt + count * LENGTH_BYTES;
    if (count === 0 || runs === 0 || runs > count) {
      return fault("block", "entries, and no more runs than entries", `${count} entries in ${runs} runs`);
    }
    if (body + 2 > bytes.length) {
      return fault("block", `${count} entries in ${runs} runs`, `${bytes.length} bytes, too few for their header`);
    }
    const starts = new Uint32Array(count + 1);
    let at = body + 1;
    for (let i = 0; i < count; i++) {
      starts[i] = at;
      at += view.getUint32(lengthsAt + i * LENGTH_BYTES) + 1;
      // Past the end once means past the end for good; a Uint32 must not wrap round before it is seen.
      if (at > bytes.length) {
        return fault("block", `lengths that add up to ${bytes.length} bytes`, `more at entry ${i}`);
      }
    }
    starts[count] = at;
    if (at !== bytes.length) {
      return fault("block", `lengths that add up to ${bytes.length} bytes`, `they add up to ${at}`);
    }
    if (bytes[body] !== OPEN || bytes[bytes.length - 1] !== CLOSE) return fault("block", "entries in brackets", "none");
    for (let i = 1; i < count; i++) {
      if (bytes[starts[i]! - 1] !== COMMA) {
        return fault("block", `a comma before entry ${i}`, `byte ${bytes[starts[i]! - 1]}`);
      }
    }
    return new StoredBlock(bytes, view, first, count, runs, starts);
  }

  /** Position after the last entry. */
  get until(): number {
    return this.first + this.count;
  }

  get link(): Uint8Array {
    return this.bytes.subarray(LINK_AT, LINK_AT + 32);
  }

  /** What the next block's link must be. */
  hash(): Uint8Array {
    return sha256().update(this.bytes.subarray(LINK_AT)).digest();
  }

  run(index: number): { readonly fingerprint: number; readonly revision: number; readonly count: number } {
    const at = HEADER_BYTES + index * RUN_BYTES;
    return {
      fingerprint: number64(this.view, at),
      revision: number64(this.view, at + 8),
      count: this.view.getUint32(at + 16),
    };
  }

  entry(index: number): Uint8Array {
    return this.bytes.subarray(this.starts[index]!, this.starts[index + 1]! - 1);
  }
}

const number64 = (view: DataView, at: number): number => view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
