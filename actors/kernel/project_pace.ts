/**
 * The pace of projections: appends come first. While the log grows fast, all projections together take a part of a core
 * and no more, and in a burst, which they could not follow anyway, a small one; when it is quiet, or a reader waits for a position, they go
 * as fast as they can. What they fall behind meanwhile is their lag, which `status` shows. Events that come one by one are gathered, as a
 * transaction costs more than an event.
 */
import type { Feed } from "./project_feed.ts";
import { type Clock } from "./world.ts";
import type { Millis } from "../../events/event.ts";

/** Bounds of the pace; each has a test that reaches it. */
export interface Pace {
  /** Part of one core that all projections together take while the log grows fast, above 0 and at most 1. */
  readonly share: number;
  /** The log grows fast when it grew by so many events within `window_ms`. */
  readonly fast_events: number;
  readonly window_ms: Millis;
  /** Likewise in a burst: when it grew by so many. */
  readonly burst_share: number;
  readonly burst_events: number;
  /** In a burst none begins before it has lasted so long: one that is shorter has the machine to itself. */
  readonly burst_rest_ms: Millis;
  /** A projection begins a transaction at most this often, unless `gather_events` wait for it. */
  readonly gather_ms: Millis;
  readonly gather_events: number;
}

/** On two cores a quarter of one keeps up with about 5,000 events a second of all views together. */
export const PACE: Pace = {
  share: 0.25,
  fast_events: 1_000,
  window_ms: 500,
  burst_share: 0.03,
  burst_events: 3_500,
  burst_rest_ms: 2_000,
  gather_ms: 250,
  gather_events: 4_000,
};

/** Of a program that is done only when the projections are: what they put off, it would wait for. */
export const PACE_AWAITED: Pace = { ...PACE, share: 1, burst_share: 1, burst_rest_ms: 0 };

/** A projection, as far as its pace matters. */
export interface Paced {
  /** Events that wait for it. */
  readonly lag: number;
  /** Whether a reader waits for what it has not shown yet. */
  readonly hurried: boolean;
}

interface Turn {
  readonly paced: Paced;
  readonly go: () => void;
}

/** Hands out turns, one transaction each, in the order in which they were asked for. */
export class Pacer {
  private readonly queue: Turn[] = [];
  private readonly began = new Map<Paced, number>();
  private readonly grown: { readonly at: number; readonly size: number }[] = [];
  /** Nobody begins before, however much time was spent: one is at it, and has not told what it took. */
  private busyUntil = -Infinity;
  /** Since when there has been a burst. */
  private burstSince: number | undefined;
  /** The last transaction that told what it took. */
  private last = { ended: -Infinity, took: 0 };
  private cancel: (() => void) | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly feed: Pick<Feed, "size">,
    private readonly pace: Pace,
  ) {
    this.growth();
  }

  /** Resolves when the projection may begin its next transaction, or the signal aborts; `spent` is to be called after it. */
  take(paced: Paced, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const leave = () => {
        const at = this.queue.indexOf(turn);
        if (at >= 0) this.queue.splice(at, 1);
        resolve();
        this.look();
      };
      const turn: Turn = {
        paced,
        go: () => {
          signal.removeEventListener("abort", leave);
          resolve();
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      this.queue.push(turn);
      this.look();
    });
  }

  /** So long the transaction took. */
  spent(ms: Millis): void {
    this.last = { ended: this.clock.monotonic(), took: ms };
    this.busyUntil = -Infinity;
    this.look();
  }

  /** To be called when a reader begins to wait. */
  look(): void {
    this.cancel?.();
    this.cancel = undefined;
    const now = this.clock.monotonic();
    const { window_ms } = this.pace;
    const share = this.share();
    // Whether it is still a burst is looked at again.
    let soonest = now + window_ms;
    for (const turn of [...this.queue]) {
      const due = this.due(turn.paced, share);
      if (due > now) {
        soonest = Math.min(soonest, due);
        continue;
      }
      this.queue.splice(this.queue.indexOf(turn), 1);
      this.began.set(turn.paced, now);
      // Until it tells what it took, the others rest; should it never tell, not for long.
      this.busyUntil = now + this.pace.gather_ms;
      turn.go();
    }
    if (this.queue.length > 0) this.cancel = this.clock.schedule(soonest - now, () => this.look());
  }

  private due(paced: Paced, share: number | undefined): number {
    if (paced.hurried) return -Infinity;
    const { gather_events, gather_ms } = this.pace;
    const gathered = paced.lag >= gather_events ? -Infinity : (this.began.get(paced) ?? -Infinity) + gather_ms;
    if (share === undefined) return gathered;
    const { ended, took } = this.last;
    const rested = this.burstSince === undefined ? -Infinity : this.burstSince + this.pace.burst_rest_ms;
    return Math.max(gathered, this.busyUntil, rested, ended + took * (1 / share - 1));
  }

  /** What the projections may take; `undefined` while nothing is to be spared. */
  private share(): number | undefined {
    const { fast_events, share, burst_events, burst_share } = this.pace;
    const grown = this.growth();
    if (grown < burst_events) this.burstSince = undefined;
    else this.burstSince ??= this.clock.monotonic();
    return grown >= burst_events ? burst_share : grown >= fast_events ? share : undefined;
  }

  /** By how much the log grew within the window. */
  private growth(): number {
    const { window_ms } = this.pace;
    const [now, size] = [this.clock.monotonic(), this.feed.size];
    const last = this.grown.at(-1);
    // A few looks a window are enough to know.
    if (last === undefined || now - last.at >= window_ms / 10) this.grown.push({ at: now, size });
    // The newest that is older than the window stays: it may be much older, if nobody looked.
    while (this.grown.length > 1 && this.grown[1]!.at <= now - window_ms) this.grown.shift();
    const since = this.grown[0]!;
    return (size - since.size) * window_ms / Math.max(window_ms, now - since.at);
  }
}
