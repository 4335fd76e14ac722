/** What one control has seen so far: what it was applied to, what broke it and when. Bounded, whatever the log's size. */
import type { Event, Millis } from "../../events/event.ts";
import { CONTROL_LIMITS, type Evidence } from "./control.ts";

/** The span an audit asks about; what lies outside is remembered where a rule needs it, and not counted. Inclusive. */
export interface Period {
  readonly from?: Millis;
  readonly to?: Millis;
}

export interface Violation extends Evidence {
  readonly at: Millis;
}

/** An event, and the time of it that counts. */
export interface Seen {
  readonly event: Event;
  readonly at: Millis;
}

const LAST_SEEN = 5;

export class Findings {
  considered = 0;
  /** Newest event that was looked at. */
  newest: number | undefined;
  /** What could not be held any more, so that nothing can be said. */
  overflow: string | undefined;
  private readonly lastSeen: number[] = [];
  private violated: Violation[] = [];
  /** Violations that had to be let go, and when the newest of them was. */
  private dropped = { count: 0, at: -Infinity };

  constructor(private readonly period: Period) {}

  within(at: Millis): boolean {
    const { from = -Infinity, to = Infinity } = this.period;
    return at >= from && at <= to;
  }

  /** The rule was applied to this event; false when it lies outside of the period. */
  consider({ event, at }: Seen): boolean {
    if (!this.within(at)) return false;
    this.considered++;
    this.newest = event.position;
    this.lastSeen.push(event.position);
    if (this.lastSeen.length > LAST_SEEN) this.lastSeen.shift();
    return true;
  }

  violate(violation: Violation): void {
    if (!this.within(violation.at)) return;
    this.violated.push(violation);
    if (this.violated.length <= 2 * CONTROL_LIMITS.violations_max) return;
    const gone = this.violated.splice(0, this.violated.length - CONTROL_LIMITS.violations_max);
    this.dropped = {
      count: this.dropped.count + gone.length,
      at: gone.reduce((latest, { at }) => Math.max(latest, at), this.dropped.at),
    };
  }

  /** What this event broke is not so any more, by what was told late. */
  retract(position: number): void {
    this.violated = this.violated.filter((one) => one.position !== position);
  }

  /** What counts now: all of a period, else what is not older than `over`. */
  counted(now: Millis, over: Millis): { readonly count: number; readonly newest: readonly Violation[] } {
    const since = this.period.from === undefined ? now - over : -Infinity;
    const newest = this.violated.filter(({ at }) => at >= since);
    return { count: newest.length + (this.dropped.at >= since ? this.dropped.count : 0), newest };
  }

  lately(note: string): readonly Evidence[] {
    return this.lastSeen.map((position) => ({ position, note }));
  }
}

const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000], ["second", 1_000]] as const;

/** A span for people, in the two largest units: `1 day 3 hours`. */
export const spanText = (span: Millis): string => {
  let left = Math.max(0, Math.round(span / 1_000) * 1_000);
  const parts: string[] = [];
  for (const [name, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? "" : "s"}`);
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 seconds";
};

/** RFC 3339, UTC; the ends of time stand for what lies beyond them. */
export const timeText = (at: Millis): string =>
  new Date(Math.min(Math.max(at, -8_640_000_000_000_000), 8_640_000_000_000_000)).toISOString();
