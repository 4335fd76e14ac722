/**
 * When events were recorded, for rules that count in hours. Recorded times never decrease: behind a clock that was years ahead and is set
 * back since, all of them are that far ahead, and nothing would be late or over until the clock has come as far again. Of those it goes by
 * when they happened, as far as that can be.
 */
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import { type Event, type Millis, millis } from "../../../events/event.ts";
import type { EventLog } from "../../../events/log.ts";

/** Small steps back are waited out. */
export const AHEAD_MS = 86_400_000;

export class Recorded {
  /** None that was recorded by the clock that was ahead counts as later. */
  private last: Millis | undefined;

  constructor(private readonly parts: { readonly log: Pick<EventLog, "read">; readonly clock: Clock }) {}

  /** The event as it is, or with a time that can be. */
  of(event: Event): Event {
    const at = this.at(event);
    return at === undefined ? event : { ...event, recordedat: new Date(at).toISOString() };
  }

  /** Of the first event of a log. */
  first(at: Millis): Millis {
    return at > this.sane ? this.setBack : at;
  }

  private get sane(): Millis {
    return this.parts.clock.now() + AHEAD_MS;
  }

  /** `undefined` where the recorded time can be. */
  private at({ recordedat, time }: Event): Millis | undefined {
    if (millis(recordedat) <= this.sane) return undefined;
    const happened = millis(time);
    const last = this.last ?? this.setBack;
    return this.last = happened <= this.parts.clock.now() ? Math.max(last, happened) : last;
  }

  /** When the process started that was the first with the clock as it is now; if none did, it was set back just now. */
  private get setBack(): Millis {
    const { log, clock } = this.parts;
    const [now, sane] = [clock.now(), this.sane];
    for (const page of log.read({ types: ["kernel.process.started"], from: readableFrom(log) })) {
      const first = page.find(({ recordedat, time }) => millis(recordedat) > sane && millis(time) <= now);
      if (first) return millis(first.time);
    }
    return now;
  }
}
