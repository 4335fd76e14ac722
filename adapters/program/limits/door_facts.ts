/** Facts of the way in, on their way to the log: never waited for, never too many, and what could not be told is counted. */
import { kernelEvent } from "../../../actors/kernel/kernel_event.ts";
import type { Millis } from "../../../events/event.ts";
import type { DoorFact } from "../../../events/kernel_door.ts";
import { type Append, LogFault } from "../../../events/log.ts";
import type { Clock, Random } from "../../../actors/kernel/world.ts";

export const DOOR_FACTS = {
  /** In a minute; more are counted into the next crossing. */
  minute_max: 60,
  waiting_max: 500,
} as const;

const MINUTE_MS = 60_000;

/** Faults of a log that may be written later; a closed one is written by nobody again. */
const PASSING: ReadonlySet<string> = new Set(["overloaded", "locked", "io", "full", "closed", "fenced"]);

export class DoorFacts {
  /** Each with its id: what may be in the log although its append failed is told as the same, not as another. */
  private waiting: { readonly id: string; readonly fact: DoorFact; readonly at: Millis }[] = [];
  private minute = -Infinity;
  private told = 0;
  private untold = 0;

  constructor(
    /** Seals on the way. Throws `LogFault`. */
    private readonly append: (batch: Append) => Promise<unknown>,
    private readonly world: { readonly clock: Clock; readonly random: Random },
  ) {}

  tell(fact: DoorFact): void {
    const minute = Math.floor(this.world.clock.monotonic() / MINUTE_MS);
    if (minute !== this.minute) [this.minute, this.told] = [minute, 0];
    if (this.told >= DOOR_FACTS.minute_max || this.waiting.length >= DOOR_FACTS.waiting_max) return void this.untold++;
    this.told++;
    const whole = fact.type === "kernel.limit.crossed" && this.untold > 0
      ? { ...fact, data: { ...fact.data, untold: this.untold } }
      : fact;
    if (whole !== fact) this.untold = 0;
    const { clock, random } = this.world;
    this.waiting.push({ id: random.id(), fact: whole, at: clock.now() });
  }

  /** What waits goes into the log; what cannot waits on. */
  async flush(): Promise<void> {
    const { waiting } = this;
    if (waiting.length === 0) return;
    this.waiting = [];
    try {
      await this.append({
        events: waiting.map(({ fact, ...when }) => kernelEvent(fact, { ...when, stream: "kernel/door" })),
      });
    } catch (error) {
      const passing = error instanceof LogFault && PASSING.has(error.kind);
      // What the log will never take is a fault, and lost.
      if (!passing) throw error;
      this.waiting = [...waiting, ...this.waiting].slice(0, DOOR_FACTS.waiting_max);
    }
  }
}
