/** Token buckets by caller: a burst at once, refilled steadily. Written here because it stands on the way of every request. */
import { LRUCache } from "lru-cache";
import type { Millis } from "../../events/event.ts";
import { HTTP_LIMITS } from "./bounds.ts";

export interface Rate {
  /** As many at once after a rest, and as many in each `window_ms` in the long run. */
  readonly max: number;
  readonly window_ms: number;
}

interface Bucket {
  left: number;
  at: number;
}

export class RateLimiter {
  // Of a size of one each: with `max` there would be arrays of that length at once, and most servers have few callers.
  private readonly buckets = new LRUCache<string, Bucket>({
    maxSize: HTTP_LIMITS.callers_max,
    sizeCalculation: () => 1,
  });
  // Most requests come from the caller of the one before.
  private lastCaller = "";
  private lastBucket: Bucket | undefined;

  constructor(private readonly rate: Rate) {}

  /** 0 when there was one to take; else the ms until there will be. `now` is a monotonic time, which a request knows already. */
  take(caller: string, now: Millis): number {
    const bucket = this.refilled(caller, now);
    if (bucket.left >= 1) {
      bucket.left--;
      return 0;
    }
    return this.until(bucket);
  }

  /** Ms until `take` would succeed, 0 for now; takes nothing. */
  wait(caller: string, now: Millis): number {
    const bucket = this.refilled(caller, now);
    return bucket.left >= 1 ? 0 : this.until(bucket);
  }

  private until(bucket: Bucket): number {
    return Math.max(1, Math.ceil(((1 - bucket.left) * this.rate.window_ms) / this.rate.max));
  }

  private refilled(caller: string, now: Millis): Bucket {
    let bucket = this.lastCaller === caller ? this.lastBucket : this.buckets.get(caller);
    if (!bucket) {
      bucket = { left: this.rate.max, at: now };
      this.buckets.set(caller, bucket);
    }
    this.lastCaller = caller;
    this.lastBucket = bucket;
    bucket.left = Math.min(this.rate.max, bucket.left + ((now - bucket.at) * this.rate.max) / this.rate.window_ms);
    bucket.at = now;
    return bucket;
  }
}

/** The header that goes with a wait: whole seconds, rounded up (RFC 9110 section 10.2.3). */
export const retryAfter = (ms: number): Record<string, string> => ({
  "retry-after": String(Math.max(1, Math.ceil(ms / 1000))),
});
