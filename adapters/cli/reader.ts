/** A log as a command reads it, and what of it was kept elsewhere. */
import type { StoredBlob } from "../../events/blobs.ts";
import type { EventLog } from "../../events/log.ts";

/** The log of a folder, read-only: never the writer's memory, never a byte written; `size` grows while another process appends. */
export interface Reader
  extends Pick<EventLog, "size" | "read" | "find" | "head" | "entry" | "positionAt" | "checkpoint" | "tree" | "close"> {
  /** Position up to which the index is complete. */
  readonly indexed: number;
  /** Every blob, in the order of their hashes. */
  blobs(): Iterable<StoredBlob>;
  /** The signed checkpoints that are kept for good, by size. */
  checkpoints(): Iterable<{ readonly size: number; readonly note: string }>;
  /** Bytes of the log on disk. */
  bytes(): number;
  /** To be called before `size` is asked again after a while: whoever reads a copy goes on in the log when it was written since. */
  renew(): Promise<void>;
}

/** A checkpoint that was kept elsewhere. */
export interface Kept {
  readonly name: string;
  readonly text: string;
}
