/**
 * When events were recorded, for rules that count in hours. Recorded times never decrease: behind a clock that was years ahead and is set
 * back since, all of them are that far ahead, and nothing would be late or over until the clock has come as far again. Of those it goes by
 * when they happened, as far as that can be.
 */
import { type Start, startsSetBack } from "../../../actors/kernel/set_back.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import { type Event, type Millis, millis } from "../../../events/event.ts";
import type { EventLog } from "../../../events/log.ts";

/** Small steps back are waited out. */
export const AHEAD_MS = 86_400_000;

export class Recorded {
  /** None that was recorded by the clock that was ahead counts as later. */
  private last: Millis | undefined;
  private starts: readonly Start[] | undefined;
  private next = 0;

  constructor(private readonly parts: { readonly log: Pick<EventLog, "read" | "positionAt">; readonly clock: Clock }) {}

  /** The event as it is, or with a time that can be. */
  of(event: Event): Event {
    const at = this.at(event);
    return at === undefined ? event : { ...event, recordedat: new Date(at).toISOString() };
  }

  /** Of the first event of a log. */
  first(at: Millis): Millis {
    return at > this.sane ? this.setBackAfter(-1) : at;
  }

  private get sane(): Millis {
    return this.parts.clock.now() + AHEAD_MS;
  }

  /** `undefined` where the recorded time can be. */
  private at({ position, recordedat, time }: Event): Millis | undefined {
    if (millis(recordedat) <= this.sane) return undefined;
    const happened = millis(time);
    const last = this.last ?? this.setBackAfter(-1);
    return this.last = Math.max(last, happened <= this.parts.clock.now() ? happened : this.setBackAfter(position));
  }

  /** When the next process started that had the clock as it is now, for it may have been ahead twice; if none did, it was set back just now. */
  private setBackAfter(position: number): Millis {
    const starts = this.starts ??= startsSetBack(this.parts, AHEAD_MS);
    while (this.next < starts.length && starts[this.next]!.position < position) this.next++;
    return starts[this.next]?.at ?? this.parts.clock.now();
  }
}
