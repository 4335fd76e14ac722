/** What a log is opened with, and its bounds. */
import type { Clock } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import type { NewEvent } from "../../events/log.ts";
import type { StartBackground } from "./background.ts";
import type { Signer } from "./behind.ts";
import { FILTER_BYTES_MAX, type ReaderOptions } from "./reader.ts";

export interface LogOptions extends ReaderOptions {
  readonly clock: Clock;
  /** Who makes tree and index while nobody else does (`behindBy`). */
  readonly background: StartBackground;
  /** How long it leaves the work to somebody who is about to take it over, unless an append or a checkpoint waits. Default 0. */
  readonly backgroundWaitMs?: number;
  /** Without one there are no checkpoints. */
  readonly signer?: Signer;
  /** Default `LOG_BOUNDS`. */
  readonly bounds?: Partial<LogBounds>;
  /** Compares the data of a repeat with what is stored; default by letters. */
  readonly equal?: (sent: unknown, stored: unknown, event: NewEvent) => boolean;
  /** Told of each commit that is durable: its events and how long it took. */
  readonly committed?: (events: number, ms: Millis) => void;
  /** Told when something went wrong behind the log and is tried again; one line. */
  readonly trouble?: (line: string) => void;
}

/** Bounds of one open log. */
export interface LogBounds {
  /** Events waiting for a commit; more are refused as `overloaded`. */
  readonly queue_events_max: number;
  /** Bytes of their entries; likewise. */
  readonly queue_bytes_max: number;
  /** A signed checkpoint follows growth within about so long. */
  readonly checkpoint_ms: number;
  /** Events that no segment holds yet; appends wait while there are more. */
  readonly tail_events_max: number;
  /** Memory for the filters that say "never seen". */
  readonly filter_bytes_max: number;
  /** Bytes of blobs on their way at the same time; more are refused as `overloaded`. */
  readonly blobs_bytes_max: number;
}
export const LOG_BOUNDS: LogBounds = {
  queue_events_max: 100_000,
  queue_bytes_max: 64 * 1024 * 1024,
  checkpoint_ms: 500,
  tail_events_max: 114_688,
  filter_bytes_max: FILTER_BYTES_MAX,
  blobs_bytes_max: 256 * 1024 * 1024,
};
