/** Which misfortunes a run deals out, how often, and how often it did: a fault that no run reaches proves nothing. */
import type { SeededRandom } from "./random.ts";

export const FAULTS = [
  /** Takes a hundred times as long. */
  "slow",
  /** Another process holds the database; nothing is written. */
  "locked",
  /** No room on the disk; nothing is written. */
  "full",
  /** The disk fails and nothing is written; the caller cannot know. */
  "io_before",
  /** The disk fails although everything is written; the caller cannot know. */
  "io_after",
  /** The disk fails while it flushes: what was written may be there or not after the process, and nothing more is taken from it. */
  "flush",
  /** The process dies before anything is written. */
  "crash_before",
  /** The process dies with everything written and nobody told. */
  "crash_after",
  /** Another connection has the file of the views; nothing is written. */
  "views_locked",
  /** No room for views; nothing is written. */
  "views_full",
  /** The file of the views is not what it was. */
  "views_damaged",
  /** The process dies before a transaction of the views. */
  "views_crash_before",
  /** The process dies with rows and cursor written and nobody told. */
  "views_crash_after",
] as const;
export type Fault = typeof FAULTS[number];

/** Chance per commit of each fault, 0 to 1. Default 0. */
export type Chances = Partial<Readonly<Record<Fault, number>>>;

export class Faults {
  /** How often each was dealt. */
  readonly reached: Record<Fault, number> = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<
    Fault,
    number
  >;

  constructor(private readonly random: SeededRandom, public chances: Chances = {}) {}

  /** Draws once for each fault asked for, in order; the first that strikes is counted and returned. */
  draw<F extends Fault>(...faults: readonly F[]): F | undefined {
    for (const fault of faults) {
      if (!this.random.strikes(this.chances[fault] ?? 0)) continue;
      this.reached[fault]++;
      return fault;
    }
  }

  /** Milliseconds that one commit takes: mostly a fraction, sometimes a few, a hundred times that when slow. */
  latency(): number {
    const usual = 0.05 + this.random.next() * (this.random.strikes(0.1) ? 5 : 0.5);
    return this.draw("slow") ? usual * 100 : usual;
  }
}
