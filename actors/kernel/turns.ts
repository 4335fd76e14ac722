/** Fairness: so many messages may be handled in microtasks before timers and the disk have a turn. */
import type { Clock } from "./world.ts";

/** Messages, over all cells, between two turns of the event loop. */
export const TURN_MESSAGES = 50_000;

export class Turns {
  left = TURN_MESSAGES;
  private waiting: (() => void)[] = [];

  constructor(private readonly clock: Clock) {}

  /** Runs the call in the next turn. */
  later(call: () => void): void {
    if (this.waiting.push(call) > 1) return;
    this.clock.schedule(0, () => {
      const calls = this.waiting;
      this.waiting = [];
      this.left = TURN_MESSAGES;
      for (const call of calls) call();
    });
  }
}
