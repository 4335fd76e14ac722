/**
 * The port below the log: an ordered map of small byte values with an atomic, durable commit. Reads see what was
 * committed before they began; they are synchronous (see `log.ts`).
 */
import type { LogFault } from "./log.ts";

/** One value; Deno KV's own bound. A commit with a larger one throws and writes nothing. */
export const VALUE_BYTES_MAX = 65_536;

/** Ordered part by part; numbers before strings never meet in one place here. Numbers are non-negative safe integers. */
export type Key = readonly (string | number)[];

export interface Batch {
  /** Must not exist, else nothing is written and the answer is false: the optimistic check. */
  readonly absent?: Key;
  readonly puts: readonly (readonly [Key, Uint8Array])[];
  readonly deletes?: readonly Key[];
  /** Whether who asks has nothing else to do until it is made. Default: it does not matter to anybody. */
  readonly idle?: boolean;
}

export interface Span {
  readonly prefix: Key;
  /** First last part, inclusive. */
  readonly from?: number;
  /** Last last part, exclusive. */
  readonly until?: number;
  readonly backward?: boolean;
  readonly limit?: number;
}

export interface Store {
  /** What its values are sealed under (`Sealing.check`); absent where they lie as they are. */
  readonly seal?: string;
  /** Why what is committed now would be lost with the process, if it would: a file was deleted, moved or cut short. Some microseconds. */
  readonly lost?: LogFault | undefined;
  /** All or none, durable when it resolves true. Throws `LogFault`; after `io` the outcome is unknown and must be read back. */
  commit(batch: Batch): Promise<boolean>;
  get(key: Key): Uint8Array | undefined;
  /** Values whose key is `prefix` followed by one number, in its order. */
  list(span: Span): Iterable<readonly [number, Uint8Array]>;
  /** Bytes used on disk, 0 when there is none. */
  bytes(): number;
  close(): Promise<void>;
}
