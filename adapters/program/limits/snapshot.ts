/**
 * What callers have used, on disk outside the log, so that neither a restart nor a crash gives anybody a new budget. Callers are keyed
 * hashes: the file tells of nobody. Times are rounded up into a few bins a window, so that what is read back counts a little longer than it
 * did, never shorter. What is used between two snapshots is told ahead (`ahead.ts`).
 */
import { createHmac } from "node:crypto";
import { z } from "zod";
import type { Millis } from "../../../events/event.ts";
import type { Arrivals, Rate, RateLimiter } from "../../http/rate.ts";
import { type Ahead, ANYBODY } from "./ahead.ts";

export const SNAPSHOT = {
  /** How often it is written. */
  every_ms: 1_000,
  bins: 64,
} as const;

const time = z.number().nonnegative();
/** By limit and caller: when, on the wall clock, and how much. */
const used = z.record(z.string(), z.record(z.string(), z.array(z.tuple([time, z.int().positive()]))));
const snapshot = z.strictObject({
  /** 1 told nothing ahead. */
  version: z.union([z.literal(1), z.literal(2)]),
  at: time,
  /** Whether it was the last thing that was done. */
  clean: z.boolean(),
  /** What was told ahead in this turn and later ones is not in it. */
  turn: z.int().nonnegative().default(0),
  limits: used,
});
export type Snapshot = z.output<typeof snapshot>;
export type Used = z.output<typeof used>;

/** One instant on both clocks. */
export interface Instant {
  readonly wall: Millis;
  readonly monotonic: Millis;
}

/** `ANYBODY` for callers that nothing may be kept of. */
export type Hashed = (limit: string, caller: string) => string;

const HASH_CHARS = 22;

export const hashedUnder = (secret: () => Uint8Array): Hashed => {
  let key: Uint8Array | undefined;
  return (limit, caller) =>
    createHmac("sha256", key ??= secret()).update(`${limit}\n${caller}`).digest("base64url").slice(0, HASH_CHARS);
};

/** A window that is no longer than the time between snapshots is over before anybody could come again. */
export const isKept = ({ window_ms }: Rate): boolean => window_ms > SNAPSHOT.every_ms;

/** `before`: of callers that have not come since, as it was read. */
export const snapshotOf = (
  limits: ReadonlyMap<string, RateLimiter>,
  { wall, monotonic }: Instant,
  { before, ...told }: Pick<Snapshot, "clean" | "turn"> & { readonly before: Used },
): Snapshot => {
  const kept: Used = {};
  for (const [name, limiter] of limits) {
    const { rate: { window_ms } } = limiter;
    if (!isKept(limiter.rate)) continue;
    const callers = { ...still(before[name] ?? {}, wall - window_ms) };
    const bin = Math.ceil(window_ms / SNAPSHOT.bins);
    let most = 0;
    for (const [hash, arrivals] of limiter.state(monotonic)) {
      const bins = new Map<number, number>();
      for (const [at, count] of arrivals) {
        const when = Math.min(wall, Math.ceil((at - monotonic + wall) / bin) * bin);
        bins.set(when, (bins.get(when) ?? 0) + count);
      }
      const total = arrivals.reduce((sum, [, count]) => sum + count, 0);
      if (hash !== ANYBODY) callers[hash] = [...bins];
      else if (total > most) callers[hash] = [[wall, most = total]];
    }
    kept[name] = callers;
  }
  return { version: 2, at: wall, ...told, limits: kept };
};

/** `undefined` for a text that is none. */
export const readSnapshot = (text: string): Snapshot | undefined => {
  try {
    return snapshot.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
};

/** What is known to have been used: the snapshot, and what was told ahead that is not in it, as if it came now. */
export const usedBefore = (snapshot: Snapshot | undefined, ahead: readonly Ahead[], wall: Millis): Used => {
  const all: Used = structuredClone(snapshot?.limits ?? {});
  // A process that began after it and could write none has told in later turns.
  const from = snapshot === undefined ? 0 : snapshot.turn + (snapshot.clean ? 1 : 0);
  for (const { turn, limit, caller, used } of ahead) {
    if (turn < from) continue;
    const callers = Object.hasOwn(all, limit) ? all[limit]! : all[limit] = {};
    (Object.hasOwn(callers, caller) ? callers[caller]! : callers[caller] = []).push([wall, used]);
  }
  return all;
};

/** Callers have what they had; `lost`: nobody knows, so all is held to be spent. */
export const resumeFrom = (
  before: Used | "lost",
  limits: ReadonlyMap<string, RateLimiter>,
  { wall, monotonic }: Instant,
): void => {
  for (const [name, limiter] of limits) {
    if (!isKept(limiter.rate)) continue;
    const all: Arrivals = [[monotonic, limiter.rate.max]];
    const callers = before !== "lost" && Object.hasOwn(before, name) ? before[name]! : {};
    limiter.resume(monotonic, (hash) => {
      if (before === "lost") return all;
      const had = Object.hasOwn(callers, hash) ? callers[hash]! : [];
      return had.map(([at, count]) => [monotonic - Math.max(0, wall - at), count] as const).sort(([a], [b]) => a - b);
    });
  }
};

const still = (callers: Used[string], until: Millis): Used[string] =>
  Object.fromEntries(
    Object.entries(callers).flatMap(([hash, arrivals]) => {
      const left = arrivals.filter(([at]) => at > until);
      return left.length === 0 ? [] : [[hash, left]];
    }),
  );
