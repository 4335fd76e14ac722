/**
 * Deadlines of many waiting askers with one timer: a wheel of 50 ms slots, each a linked list, so that lifting a deadline
 * is a few writes. A deadline never comes early, and at most a slot late.
 */
import type { Clock } from "./world.ts";

/** Width of a slot, ms. */
export const SLOT_MS = 50;
/** Longest deadline, ms; longer ones are cut to it. */
export const DEADLINE_MS_MAX = 3_600_000;

/** What waits: made part of a list by the wheel, told once by `expire`. */
export abstract class Waiting {
  /** @internal */ before: Waiting | undefined;
  /** @internal */ after: Waiting | undefined;
  abstract expire(): void;
}

class End extends Waiting {
  expire(): void {}
}

export class Deadlines {
  /** By number of the slot; each list is a ring around its end. */
  private readonly slots = new Map<number, End>();
  private waiting = 0;
  private cancel: (() => void) | undefined;

  constructor(private readonly clock: Clock) {}

  /** Number of deadlines not yet lifted. */
  get size(): number {
    return this.waiting;
  }

  set(item: Waiting, ms: number): void {
    const at = Math.ceil((this.clock.monotonic() + Math.min(Math.max(0, ms), DEADLINE_MS_MAX)) / SLOT_MS);
    let end = this.slots.get(at);
    if (!end) {
      end = new End();
      end.before = end.after = end;
      this.slots.set(at, end);
    }
    const last = end.before!;
    item.before = last;
    item.after = end;
    last.after = item;
    end.before = item;
    this.waiting++;
    if (!this.cancel) this.arm();
  }

  /** Does nothing when the deadline has passed or was lifted already. */
  lift(item: Waiting): void {
    const { before, after } = item;
    if (!before || !after) return;
    before.after = after;
    after.before = before;
    item.before = item.after = undefined;
    this.waiting--;
  }

  /** Forgets all deadlines; nobody is told. */
  close(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.slots.clear();
  }

  private arm(): void {
    this.cancel = this.clock.schedule(SLOT_MS, () => this.turn());
  }

  private turn(): void {
    const now = this.clock.monotonic() / SLOT_MS;
    for (const [at, end] of this.slots) {
      if (at > now) continue;
      this.slots.delete(at);
      for (let item = end.after!; item !== end; item = end.after!) {
        this.lift(item);
        item.expire();
      }
    }
    this.cancel = undefined;
    if (this.waiting > 0) this.arm();
    else this.slots.clear();
  }
}
