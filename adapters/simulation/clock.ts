/**
 * Time that passes only when it is told to. Timers fire in the order of their times; timers of the same time fire in an
 * order drawn from the seed, so that every interleaving a real machine could show is some seed's.
 */
import { setImmediate } from "node:timers";
import type { Millis } from "../../events/event.ts";
import type { Clock, Random } from "../../actors/kernel/world.ts";

/** So many timers without virtual time passing are a loop that never waits. */
export const SAME_TIME_TIMERS_MAX = 100_000;

/** Thrown when something is awaited that no timer can bring about any more, or that time alone did not. */
export class Stalled extends Error {
  override readonly name = "Stalled";
}

interface Timer {
  readonly due: Millis;
  readonly tie: number;
  readonly call: () => void;
  cancelled: boolean;
}

/** One simulated process's share of the clock: `end` makes all its timers, present and future, never fire. */
export interface ClockShare {
  readonly clock: Clock;
  end(): void;
}

export class SimulatedClock implements Clock {
  /** How often the seed has drawn which of several timers of the same time fires first. */
  ties = 0;
  private readonly timers: Timer[] = [];
  private elapsed = 0;

  /** `start`: the wall clock at the beginning, ms since 1970; default 2026-01-01. */
  constructor(private readonly random: Pick<Random, "next">, private start: Millis = 1_767_225_600_000) {}

  now(): Millis {
    return Math.floor(this.start + this.elapsed);
  }

  monotonic(): Millis {
    return this.elapsed;
  }

  schedule(after: Millis, call: () => void): () => void {
    const timer = { due: this.elapsed + Math.max(0, after), tie: this.random.next(), call, cancelled: false };
    push(this.timers, timer);
    return () => timer.cancelled = true;
  }

  /** Moves the wall clock, as an administrator or NTP would; what was scheduled is not moved. */
  jump(by: Millis): void {
    this.start += by;
  }

  /** Lets everything run that needs no time: all microtasks, and what they queue. */
  settle(): Promise<void> {
    return new Promise((resolve) => void setImmediate(resolve));
  }

  /** Lets `ms` pass, firing what falls due on the way. */
  async advance(ms: Millis): Promise<void> {
    const end = this.elapsed + ms;
    await this.settle();
    while (await this.step(end));
    this.elapsed = end;
    await this.settle();
  }

  /** Lets time pass until the promise settles. Throws `Stalled` when no timer is left or `within` has passed. */
  async until<T>(promise: Promise<T>, within: Millis = 86_400_000): Promise<T> {
    const end = this.elapsed + within;
    let done = false;
    promise.then(() => done = true, () => done = true);
    await this.settle();
    while (!done) {
      if (await this.step(end)) continue;
      throw new Stalled(
        this.next() ? `not settled within ${within} ms` : "not settled, and no timer is left to settle it",
      );
    }
    return await promise;
  }

  /** A clock for one simulated process. */
  share(): ClockShare {
    const own = new Set<() => void>();
    let ended = false;
    const clock: Clock = {
      now: () => this.now(),
      monotonic: () => this.monotonic(),
      schedule: (after, call) => {
        if (ended) return () => {};
        const cancel = this.schedule(after, () => {
          own.delete(cancel);
          call();
        });
        own.add(cancel);
        return () => {
          own.delete(cancel);
          cancel();
        };
      },
    };
    return {
      clock,
      end: () => {
        ended = true;
        for (const cancel of own) cancel();
        own.clear();
      },
    };
  }

  private sameTime = 0;

  /** Fires the next timer due by `end`; false when there is none. */
  private async step(end: Millis): Promise<boolean> {
    const next = this.next();
    if (!next || next.due > end) return false;
    pop(this.timers);
    if (this.next()?.due === next.due) this.ties++;
    this.sameTime = next.due > this.elapsed ? 0 : this.sameTime + 1;
    if (this.sameTime > SAME_TIME_TIMERS_MAX) throw new Stalled("timers keep firing without time passing");
    this.elapsed = next.due;
    next.call();
    await this.settle();
    return true;
  }

  private next(): Timer | undefined {
    while (this.timers[0]?.cancelled) pop(this.timers);
    return this.timers[0];
  }
}

const before = (a: Timer, b: Timer) => a.due < b.due || (a.due === b.due && a.tie < b.tie);

function push(heap: Timer[], timer: Timer): void {
  let at = heap.push(timer) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(timer, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}
