/**
 * What the kernel may touch of the world, all of it through ports, so that a run is a function of its seed.
 */
import type { Millis } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import type { Views } from "../../projections/views.ts";
import type { Telemetry } from "./telemetry.ts";

export interface Clock {
  /** Since 1970; may go backwards, as clocks do. */
  now(): Millis;
  /** Since an arbitrary start; never goes backwards. For deadlines and latencies. */
  monotonic(): Millis;
  /** Calls once, `after` ms from now; the answer cancels. */
  schedule(after: Millis, call: () => void): () => void;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** A UUIDv7 (RFC 9562 section 5.7): sorts by time. */
  id(): string;
}

export interface Hash {
  /** SHA-256 of the text's UTF-8 bytes, base64url. */
  sha256(text: string): string;
}

export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly hash: Hash;
  readonly log: EventLog;
  readonly views: Views;
  /** Absent where nobody traces. */
  readonly telemetry?: Telemetry;
}

/** Resolves after `ms`, or as soon as the signal aborts. */
export const pause = (clock: Clock, ms: Millis, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.schedule(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
