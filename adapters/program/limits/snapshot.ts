/**
 * What callers have used, on disk outside the log, so that a restart gives nobody a new budget. Callers are keyed hashes: the file tells of
 * nobody. Times are rounded up into a few bins a window, so that what is read back counts a little longer than it did, never shorter.
 */
import { createHmac } from "node:crypto";
import { z } from "zod";
import type { Millis } from "../../../events/event.ts";
import type { Arrivals, Rate, RateLimiter } from "../../http/rate.ts";

export const SNAPSHOT = {
  /** How often it is written; so much may be lost, and is held to be spent. */
  every_ms: 1_000,
  bins: 64,
} as const;

const time = z.number().nonnegative();
const snapshot = z.strictObject({
  version: z.literal(1),
  /** Wall clock. */
  at: time,
  /** Whether it was the last thing that was done. */
  clean: z.boolean(),
  limits: z.record(z.string(), z.record(z.string(), z.array(z.tuple([time, z.int().positive()])))),
});
export type Snapshot = z.output<typeof snapshot>;

/** One instant on both clocks. */
export interface Instant {
  readonly wall: Millis;
  readonly monotonic: Millis;
}

export type Hashed = (limit: string, caller: string) => string;

const HASH_CHARS = 22;

export const hashedUnder = (secret: () => Uint8Array): Hashed => {
  let key: Uint8Array | undefined;
  return (limit, caller) =>
    createHmac("sha256", key ??= secret()).update(`${limit}\n${caller}`).digest("base64url").slice(0, HASH_CHARS);
};

/** A window that is no longer than what may be lost has nothing to keep. */
export const isKept = ({ window_ms }: Rate): boolean => window_ms > SNAPSHOT.every_ms;

export const snapshotOf = (
  limits: ReadonlyMap<string, RateLimiter>,
  { wall, monotonic }: Instant,
  { hashed, clean }: { readonly hashed: Hashed; readonly clean: boolean },
): Snapshot => {
  const kept: Record<string, Record<string, [number, number][]>> = {};
  for (const [name, limiter] of limits) {
    if (!isKept(limiter.rate)) continue;
    const bin = Math.ceil(limiter.rate.window_ms / SNAPSHOT.bins);
    const callers: Record<string, [number, number][]> = {};
    for (const [caller, arrivals] of limiter.state(monotonic)) {
      const bins = new Map<number, number>();
      for (const [at, count] of arrivals) {
        const when = Math.min(wall, Math.ceil((at - monotonic + wall) / bin) * bin);
        bins.set(when, (bins.get(when) ?? 0) + count);
      }
      callers[hashed(name, caller)] = [...bins];
    }
    kept[name] = callers;
  }
  return { version: 1, at: wall, clean, limits: kept };
};

/** `undefined` for a text that is none. */
export const readSnapshot = (text: string): Snapshot | undefined => {
  try {
    return snapshot.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
};

/**
 * Callers have what they had. After a crash each is charged, besides, with what the limit gives in the time that may be lost, at the end of
 * that time; so is who was not seen before, and everybody where the snapshot cannot be read.
 */
export const resumeFrom = (
  before: Snapshot | undefined,
  limits: ReadonlyMap<string, RateLimiter>,
  { wall, monotonic }: Instant,
  hashed: Hashed,
): void => {
  const here = (time: Millis): Millis => monotonic - Math.max(0, wall - time);
  const crashed = before?.clean === true ? undefined : here(Math.min(wall, (before?.at ?? wall) + SNAPSHOT.every_ms));
  for (const [name, limiter] of limits) {
    if (!isKept(limiter.rate)) continue;
    const { max, window_ms } = limiter.rate;
    const charge: Arrivals = crashed === undefined ? [] : [[crashed, Math.ceil(max * SNAPSHOT.every_ms / window_ms)]];
    const callers = before !== undefined && Object.hasOwn(before.limits, name) ? before.limits[name]! : {};
    limiter.resume(monotonic, (caller) => {
      const hash = hashed(name, caller);
      const had = Object.hasOwn(callers, hash) ? callers[hash]! : [];
      return [...had.map(([at, count]) => [here(at), count] as const), ...charge].sort(([a], [b]) => a - b);
    });
  }
};
