/**
 * How long somebody has said nothing to this process. Only time counts in which it could have heard: one that was stopped (SIGSTOP, a
 * container that is paused) or was kept from its event loop has heard nobody, and finds all of it in its clock at once.
 */
import type { Millis } from "../../events/event.ts";
import type { Clock } from "./world.ts";

export class Silence {
  private since: Millis;
  private looked: Millis;

  /** It is looked at every so often. */
  constructor(private readonly clock: Pick<Clock, "monotonic">, private readonly every: Millis) {
    this.since = this.looked = clock.monotonic();
  }

  /** It is over, and another begins. */
  broken(): void {
    this.since = this.clock.monotonic();
  }

  /** Looks how long it has lasted. */
  look(): Millis {
    const now = this.clock.monotonic();
    const late = now - this.looked - this.every;
    if (late > this.every) this.since = Math.min(now, this.since + late);
    this.looked = now;
    return now - this.since;
  }
}
