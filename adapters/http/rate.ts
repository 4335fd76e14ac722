/**
 * Sliding windows by caller: at most `max` arrivals in any `window_ms`, to the millisecond. Written here because it stands on the way of
 * every request, and because what it does must be exact: an arrival counts for exactly as long as the window, refused ones not at all.
 */
import type { Millis } from "../../events/event.ts";
import { HTTP_LIMITS } from "./bounds.ts";

export interface Rate {
  /** Arrivals within any window. */
  readonly max: number;
  readonly window_ms: Millis;
}

export interface LimiterOptions {
  /** Callers with arrivals in their window that are told apart; more share one window, of a tenth. Default `callers_max`. */
  readonly keys_max?: number;
  /** The first refusal of a caller, and the first after a window without one. */
  readonly crossed?: (caller: string) => void;
  /** What a caller is called in what is kept of it; asked for once a window. Default: as it is. */
  readonly kept?: (caller: string) => string;
  /** Told, before it is let in, of a caller who uses more than was told: at most so much since the last `turn`. Not of who must share. */
  readonly ahead?: (kept: string, used: number) => void;
}

/** What a caller has left: so many now, and one more, or all of a caller that rests, after so long. */
export interface Left {
  readonly left: number;
  readonly reset_ms: Millis;
}

/** Arrivals of one window: when, and how many of that millisecond; the oldest first. */
export type Arrivals = readonly (readonly [at: Millis, count: number])[];

const SHARED_PART = 10;
/** A caller is told of ahead by such parts of the limit. */
const AHEAD_PART = 50;
/** Of what is gone, so much may lie in front of the rest. */
const GONE_MAX = 64;

class Window {
  private readonly times: number[] = [];
  private readonly counts: number[] = [];
  private first = 0;
  total = 0;
  /** Of the newest arrival that counted. */
  last = -Infinity;
  refused = -Infinity;
  /** What its caller is called in what is kept. */
  kept: string | undefined;
  /** Since the last turn: what was used, and what was told of ahead. */
  private turn = -1;
  private used = 0;
  private told = 0;

  /** What is to be told now, if anything: `used` in whole steps. */
  ahead(
    count: number,
    { step, max }: { readonly step: number; readonly max: number },
    turn: number,
  ): number | undefined {
    if (this.turn !== turn) [this.turn, this.used, this.told] = [turn, 0, 0];
    this.used += count;
    // Who is told to have used all has nothing left, however much more it was by now.
    if (this.used <= this.told || this.told >= max) return undefined;
    return this.told = Math.ceil(this.used / step) * step;
  }

  get oldest(): Millis {
    return this.times[this.first] ?? -Infinity;
  }

  expire(until: Millis): void {
    const { times, counts } = this;
    while (this.first < times.length && times[this.first]! <= until) this.total -= counts[this.first++]!;
    if (this.first < GONE_MAX || this.first * 2 < times.length) return;
    times.splice(0, this.first);
    counts.splice(0, this.first);
    this.first = 0;
  }

  add(at: Millis, count: number): void {
    const newest = this.times.length - 1;
    if (newest >= this.first && this.times[newest] === at) this.counts[newest]! += count;
    else {
      this.times.push(at);
      this.counts.push(count);
    }
    this.total += count;
    this.last = at;
  }

  /** Ms until so many more will fit: the end of the arrival that must leave for the last of them; a window for what never will. */
  fits(count: number, { max, window_ms }: Rate, at: Millis): Millis {
    let over = this.total + count - max;
    for (let i = this.first; i < this.times.length; i++) {
      over -= this.counts[i]!;
      if (over <= 0) return Math.max(1, this.times[i]! + window_ms - at);
    }
    return window_ms;
  }

  get arrivals(): Arrivals {
    return this.times.slice(this.first).map((at, i) => [at, this.counts[this.first + i]!] as const);
  }
}

export class RateLimiter {
  /** In the order of their newest arrivals. */
  private readonly windows = new Map<string, Window>();
  private readonly shared = new Window();
  private readonly sharedRate: Rate;
  private readonly keysMax: number;
  private readonly step: number;
  private turns = 0;
  // Most requests come from the caller of the one before.
  private lastCaller: string | undefined;
  private lastWindow = this.shared;
  /** What callers had before this process; asked for when one comes that is not known. */
  private before: ((kept: string) => Arrivals | undefined) | undefined;
  private beforeUntil = -Infinity;
  /** Arrivals of callers that had to share, and those of them that were refused. */
  readonly counts = { shared: 0, refused: 0 };
  /** Goes up with every arrival that counted. */
  changes = 0;

  constructor(readonly rate: Rate, private readonly options: LimiterOptions = {}) {
    this.keysMax = options.keys_max ?? HTTP_LIMITS.callers_max;
    this.step = Math.ceil(rate.max / AHEAD_PART);
    this.sharedRate = { max: Math.max(1, Math.floor(rate.max / SHARED_PART)), window_ms: rate.window_ms };
  }

  /** Callers whose windows are remembered. */
  get keys(): number {
    return this.windows.size;
  }

  /** 0 when it may, and then it has counted; else the ms until it may. `now` is a monotonic time, which a request knows already. */
  take(caller: string, now: Millis, count = 1): Millis {
    const at = Math.floor(now);
    const window = this.windowOf(caller, at);
    const rate = window === this.shared ? this.sharedRate : this.rate;
    if (window === this.shared) this.counts.shared++;
    window.expire(at - rate.window_ms);
    if (window.total + count <= rate.max) {
      const isNewest = window.last === at;
      window.add(at, count);
      this.changes++;
      if (this.options.ahead && window !== this.shared) this.tellAhead(caller, window, count);
      if (!isNewest && window !== this.shared) this.renew(caller, window);
      return 0;
    }
    this.counts.refused++;
    // Of callers that share nobody is told apart.
    if (window !== this.shared && window.refused <= at - rate.window_ms) this.options.crossed?.(caller);
    window.refused = at;
    return window.fits(count, rate, at);
  }

  /** Ms until `take` would succeed, 0 for now; takes nothing. */
  wait(caller: string, now: Millis, count = 1): Millis {
    const { window, rate, at } = this.seen(caller, now);
    return window.total + count <= rate.max ? 0 : window.fits(count, rate, at);
  }

  left(caller: string, now: Millis): Left {
    const { window, rate, at } = this.seen(caller, now);
    return {
      left: rate.max - window.total,
      reset_ms: window.total === 0 ? 0 : Math.max(1, window.oldest + rate.window_ms - at),
    };
  }

  /** Arrivals that still count, of every caller, by what it is kept as. */
  *state(now: Millis): Generator<readonly [string, Arrivals]> {
    const until = Math.floor(now) - this.rate.window_ms;
    for (const [caller, window] of this.windows) {
      window.expire(until);
      if (window.total > 0) yield [this.keptOf(caller, window), window.arrivals];
    }
  }

  /** From now on a caller that is not known has had these; forgotten when a window has passed. */
  resume(now: Millis, before: (kept: string) => Arrivals | undefined): void {
    this.before = before;
    this.beforeUntil = Math.floor(now) + this.rate.window_ms;
  }

  /** What is told ahead counts from here. */
  turn(): void {
    this.turns++;
  }

  private tellAhead(caller: string, window: Window, count: number): void {
    const used = window.ahead(count, { step: this.step, max: this.rate.max }, this.turns);
    if (used !== undefined) this.options.ahead!(this.keptOf(caller, window), used);
  }

  private seen(caller: string, now: Millis): { readonly window: Window; readonly rate: Rate; readonly at: Millis } {
    const at = Math.floor(now);
    // Who only asks takes no room.
    const window = this.windows.get(caller) ??
      (this.windows.size >= this.keysMax && !this.forget(at) ? this.shared : this.begun(caller, at));
    window.expire(at - this.rate.window_ms);
    return { window, rate: window === this.shared ? this.sharedRate : this.rate, at };
  }

  private windowOf(caller: string, at: Millis): Window {
    if (caller === this.lastCaller) return this.lastWindow;
    let window = this.windows.get(caller);
    if (!window) {
      if (this.windows.size >= this.keysMax && !this.forget(at)) return this.shared;
      this.windows.set(caller, window = this.begun(caller, at));
    }
    this.lastCaller = caller;
    this.lastWindow = window;
    return window;
  }

  private begun(caller: string, at: Millis): Window {
    const window = new Window();
    if (this.before && at >= this.beforeUntil) this.before = undefined;
    if (!this.before) return window;
    for (const [when, count] of this.before(this.keptOf(caller, window)) ?? []) window.add(Math.min(when, at), count);
    return window;
  }

  private keptOf(caller: string, window: Window): string {
    return window.kept ??= this.options.kept?.(caller) ?? caller;
  }

  private renew(caller: string, window: Window): void {
    this.windows.delete(caller);
    this.windows.set(caller, window);
  }

  /** Those whose windows are empty, from the front: the others had arrivals since. Answers whether there is room now. */
  private forget(at: Millis): boolean {
    for (const [caller, { last }] of this.windows) {
      if (last > at - this.rate.window_ms) break;
      this.windows.delete(caller);
      if (caller === this.lastCaller) this.lastCaller = undefined;
    }
    return this.windows.size < this.keysMax;
  }
}

const seconds = (ms: Millis): number => Math.max(1, Math.ceil(ms / 1000));

/** The header that goes with a wait: whole seconds, rounded up (RFC 9110 section 10.2.3). */
export const retryAfter = (ms: Millis): Record<string, string> => ({ "retry-after": String(seconds(ms)) });

/** What the caller has left, as draft-ietf-httpapi-ratelimit-headers-10 has it. */
export const rateHeaders = (
  name: string,
  { max, window_ms }: Pick<Rate, "max"> & Partial<Rate>,
  { left, reset_ms }: Left,
): Record<string, string> => ({
  "ratelimit-policy": `"${name}";q=${max}${window_ms === undefined ? "" : `;w=${seconds(window_ms)}`}`,
  "ratelimit": `"${name}";r=${Math.max(0, left)};t=${Math.ceil(reset_ms / 1000)}`,
});
