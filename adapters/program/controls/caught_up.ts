/** A fold, of controls or of alerts, that is brought up to the log's end when it is asked to, giving way to others on long stretches. */
import { isArchived, readableFrom } from "../../../actors/kernel/kept.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { type Event, type Millis, millis } from "../../../events/event.ts";
import type { EventLog, Range } from "../../../events/log.ts";

/** So long at a time, and then others have theirs. */
export interface Turns {
  readonly turn_ms: number;
  readonly rest_ms: number;
}

/** Somebody waits for the answer. */
const AT_ONCE: Turns = { turn_ms: 8, rest_ms: 0 };
/** Nobody does: appends on the same thread come first. */
export const BESIDE: Turns = { turn_ms: 2, rest_ms: 10 };

/** What is folded of a log. */
export interface Folding {
  /** `*`: all. */
  readonly types: readonly string[] | "*";
  /** When the log's first event was recorded. */
  begin(at: Millis): void;
  apply(event: Event): void;
}

export class CaughtUp<F extends Folding> {
  /** Of the log: how much of it is folded. */
  size = 0;
  private going: Promise<void> = Promise.resolve();

  constructor(
    readonly fold: F,
    private readonly parts: { readonly log: Pick<EventLog, "read" | "size">; readonly clock: Clock },
    private readonly turns: Turns = AT_ONCE,
  ) {}

  /** When it resolves, all that was recorded is folded, and nobody else had a turn since. */
  catchUp(signal?: AbortSignal): Promise<void> {
    return this.going = this.going.catch(() => {}).then(() => this.follow(signal));
  }

  private async follow(signal: AbortSignal | undefined): Promise<void> {
    const { log, clock } = this.parts;
    const { turn_ms, rest_ms } = this.turns;
    const { types } = this.fold;
    if (this.size === 0) this.begin();
    while (this.size < log.size) {
      const until = log.size;
      const range: Range = { from: this.size, until, ...(types === "*" ? {} : { types }) };
      let turn = clock.monotonic();
      try {
        for (const batch of log.read(range)) {
          for (const event of batch) this.fold.apply(event);
          // What is cut off here goes on behind what was folded.
          this.size = batch.at(-1)!.position + 1;
          if (signal?.aborted) return;
          if (clock.monotonic() - turn < turn_ms) continue;
          await pause(clock, rest_ms, signal);
          turn = clock.monotonic();
        }
        this.size = until;
      } catch (error) {
        this.goOnBehind(error);
      }
    }
  }

  /** What was archived since the last time is not folded any more. */
  private goOnBehind(error: unknown): void {
    if (!isArchived(error)) throw error;
    const from = readableFrom(this.parts.log);
    if (from <= this.size) throw error;
    this.size = from;
  }

  /**
   * Read by type, the log's first event may not be among what is folded; its time counts all the same. What lies in an archive that is
   * not attached is not folded: then controls are judged by what is there.
   */
  private begin(): void {
    const from = readableFrom(this.parts.log);
    for (const [first] of this.parts.log.read({ from, limit: 1 })) if (first) this.fold.begin(millis(first.recordedat));
    this.size = from;
  }
}
