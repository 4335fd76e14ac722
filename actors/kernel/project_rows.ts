/** The rows of one projection between its transactions, and the share of the thread that all projections have. */
import type { Rows } from "../../projections/fold.ts";
import type { ViewChange, ViewStore } from "../../projections/views.ts";
import { type Clock, pause } from "./world.ts";

/** Rows as the fold sees them: what this transaction changed, then what is known of the store, then the store. */
export class CachedRows implements Rows {
  private readonly known = new Map<string, unknown>();
  private changes: ViewChange[] = [];

  /** At most `max` rows are known between transactions; with 0 none ever is, where each is made once and never read. */
  constructor(private readonly store: ViewStore, private readonly max: number) {}

  get(key: string): unknown {
    if (this.max === 0) return this.store.get(key);
    if (this.known.has(key)) return this.known.get(key);
    const row = this.store.get(key);
    this.known.set(key, row);
    return row;
  }

  set(change: ViewChange): void {
    if (this.max > 0) this.known.set(change.key, change.row);
    this.changes.push(change);
  }

  /** Takes back what was set for this position. */
  undo(position: number): void {
    this.changes = this.changes.filter((change) => change.position < position);
    this.known.clear();
    if (this.max > 0) { for (const { key, row } of this.changes) this.known.set(key, row); }
  }

  /** The store has not what was set. */
  forget(): void {
    this.changes = [];
    this.known.clear();
  }

  take(): readonly ViewChange[] {
    const taken = this.changes;
    this.changes = [];
    // All at once: the few rows that are always busy are back after one read each.
    if (this.known.size > this.max) this.known.clear();
    return taken;
  }
}

/** Lets others have the thread once the projections together have had it for long enough. */
export class Turns {
  private used = 0;
  private turn: Promise<void> | undefined;

  constructor(private readonly clock: Clock, private readonly ms: number) {}

  spent(ms: number): void {
    this.used += ms;
    // Whoever holds the thread gives it back at the next `await` that really waits; a timer is one that surely does.
    this.turn ??= pause(this.clock, 0).then(() => {
      this.used = 0;
      this.turn = undefined;
    });
  }

  /** Resolves when no timer is left behind. */
  async idle(): Promise<void> {
    await this.turn;
  }

  /** Resolves at once while there is time left in this turn of the event loop, else in the next. */
  take(now = false): Promise<void> {
    if (now) this.spent(0);
    return (now || this.used >= this.ms) && this.turn ? this.turn.then(() => this.take()) : Promise.resolve();
  }
}
