/** Rules about how many there are, how long there was none, and how old what goes is: `at_most`, `gap_at_most`, `kept_at_least`. */
import { type Millis, millis } from "../../events/event.ts";
import { CONTROL_LIMITS, type Query } from "./control.ts";
import type { Rule } from "./every.ts";
import { type Findings, type Seen, spanText, type Violation } from "./findings.ts";
import { type KeyOf, keyOf, matcherOf, type Matches } from "./match.ts";

/** Times that all keys of one rule hold together. */
const TIMES_MAX = 2_000_000;
/** Of those that may be told late so many are held before what is long past goes: far apart, each takes some 250 bytes. */
const LATE_TIMES_MAX = 300_000;

type Counted = Query & { readonly at_most: number };

/**
 * Times of one key, as far as they tell whether there are more than `most` within a span: of each stretch as long as that, the first
 * and the last. So one that is told late is counted with those around it, however many came since.
 */
class Times {
  newest = -Infinity;
  held = 0;
  private readonly stretches = new Map<number, Millis[]>();

  constructor(private readonly most: number, private readonly span: Millis) {}

  /** Whether there are more than `most` within a span that has this one in it. */
  add(at: Millis): boolean {
    const { most, span } = this;
    const [before, own, after] = this.around(at);
    // Nearly always the newest; a source may tell late.
    let index = own.length;
    while (index > 0 && own[index - 1]! > at) index--;
    if (index === own.length) own.push(at);
    else own.splice(index, 0, at);
    if (own.length === 1) this.stretches.set(Math.floor(at / span), own);
    this.newest = Math.max(this.newest, at);
    this.held++;
    const place = before.length + index, length = before.length + own.length + after.length;
    const timeAt = (i: number): Millis => before[i] ?? own[i - before.length] ?? after[i - before.length - own.length]!;
    let over = false;
    for (let first = Math.max(0, place - most); !over && first <= place && first + most < length; first++) {
      over = timeAt(first + most) - timeAt(first) <= span;
    }
    if (own.length > 4 * most + 4) this.held -= own.splice(most + 1, own.length - 2 * most - 2).length;
    return over;
  }

  /** Whether with one more at this time there would be more than `most` within a span that has it in it. */
  isFullAt(at: Millis): boolean {
    const { most, span } = this;
    if (most === 0) return true;
    const times = this.around(at).flat();
    const place = times.findLastIndex((time) => time <= at) + 1;
    for (let first = Math.max(0, place - most); first <= place && first + most <= times.length; first++) {
      if (Math.max(at, times[first + most - 1]!) - Math.min(at, times[first]!) <= span) return true;
    }
    return false;
  }

  /** Only what the newest are counted with is kept. */
  trim(): void {
    const newest = Math.floor(this.newest / this.span);
    for (const [stretch, times] of this.stretches) {
      if (stretch >= newest - 1) continue;
      this.stretches.delete(stretch);
      this.held -= times.length;
    }
  }

  private around(at: Millis): readonly [before: readonly Millis[], own: Millis[], after: readonly Millis[]] {
    const stretch = Math.floor(at / this.span);
    return [
      this.stretches.get(stretch - 1) ?? [],
      this.stretches.get(stretch) ?? [],
      this.stretches.get(stretch + 1) ?? [],
    ];
  }
}

/** At most so many for each key, within any span of a length or in a row. */
export class AtMost implements Rule {
  readonly types: readonly string[];
  private readonly resets: Matches;
  private readonly key: KeyOf;
  private readonly series = new Map<string, Times>();
  /** Without a span only how many there were counts. */
  private readonly counts = new Map<string, number>();
  private held = 0;
  /** There is room for so many before what is long past goes. */
  private room = LATE_TIMES_MAX;

  /** `ordered`: times never decrease from event to event. */
  constructor(
    private readonly said: Counted,
    private readonly findings: Findings,
    private readonly ordered: boolean,
  ) {
    this.types = said.reset_by?.type ?? [];
    this.resets = said.reset_by ? matcherOf(said.reset_by) : () => false;
    this.key = keyOf(said.per ?? []);
  }

  relate({ event }: Seen): void {
    if (!this.resets(event)) return;
    const key = this.key(event);
    if (key === undefined) return;
    this.counts.delete(key);
    this.held -= this.series.get(key)?.held ?? 0;
    this.series.delete(key);
  }

  about({ event, at }: Seen): string | undefined {
    const key = this.key(event);
    if (key === undefined) return `has no ${this.said.per!.join(" and ")} to be counted by`;
    const { at_most, within } = this.said;
    if (within === undefined) return this.inARow(key, at_most);
    return this.inASpan(key, at, within) ? `more than ${at_most} within ${spanText(within)}` : undefined;
  }

  foresee({ event, at }: Seen): string | undefined {
    const key = this.key(event);
    if (key === undefined) return undefined;
    const { at_most, within } = this.said;
    const isFull = within === undefined
      ? (this.counts.get(key) ?? 0) >= at_most
      : this.series.get(key)?.isFullAt(at) ?? at_most === 0;
    return isFull ? `one more than ${at_most}` : undefined;
  }

  private inARow(key: string, most: number): string | undefined {
    const count = (this.counts.get(key) ?? 0) + 1;
    if (count === 1 && this.counts.size >= CONTROL_LIMITS.keys_max) return this.full();
    this.counts.set(key, count);
    return count > most ? `number ${count} in a row, more than ${most}` : undefined;
  }

  private inASpan(key: string, at: Millis, span: Millis): boolean {
    const times = this.series.get(key) ?? new Times(this.said.at_most, span);
    this.series.delete(key);
    // What may be told late is counted with what is long past, so that goes only where there is no room.
    if (this.ordered || this.series.size >= CONTROL_LIMITS.keys_max) this.forget(at, span);
    else if (this.held >= this.room) this.makeRoom(at, span, times);
    if (this.series.size >= CONTROL_LIMITS.keys_max || this.held >= TIMES_MAX) return this.full() !== undefined;
    const before = times.held;
    const over = times.add(at);
    if (this.ordered) times.trim();
    this.held += times.held - before;
    this.series.set(key, times);
    return over;
  }

  private full(): undefined {
    this.findings.overflow = `more would have to be counted apart than can be`;
    return undefined;
  }

  private forget(now: Millis, span: Millis): void {
    for (const [key, times] of this.series) {
      if (now - times.newest <= span) return;
      this.series.delete(key);
      this.held -= times.held;
    }
  }

  private makeRoom(now: Millis, span: Millis, own: Times): void {
    this.forget(now, span);
    this.held = 0;
    for (const times of [own, ...this.series.values()]) {
      times.trim();
      this.held += times.held;
    }
    this.room = Math.max(LATE_TIMES_MAX, 2 * this.held);
  }
}

interface Place {
  readonly at: Millis;
  readonly position: number;
}

/** Never so long without one. Counts from the log's beginning, or the period's, where those are known. */
export class GapAtMost implements Rule {
  readonly types: readonly string[] = [];
  private first: Place | undefined;
  private last: Place | undefined;
  /** What was too long, or has the beginning in it, from when until which event: one that is told late may lie within. */
  private readonly long: (Place & { readonly from: Millis | undefined })[] = [];

  constructor(
    private readonly gap: Millis,
    private readonly findings: Findings,
    private readonly since: () => Millis | undefined,
  ) {}

  about({ event, at }: Seen): string | undefined {
    const here = { at, position: event.position };
    if (this.last !== undefined && at < this.last.at) return this.late(here);
    const before = this.last?.at;
    this.first ??= here;
    this.last = here;
    return this.tooLong(before, here);
  }

  private late(here: Place): string | undefined {
    const first = this.first!;
    const index = this.long.findIndex(({ from = -Infinity, at }) => from < here.at && here.at < at);
    const [gap] = index < 0 ? [] : this.long.splice(index, 1);
    if (here.at < first.at) this.first = here;
    else if (!gap) return undefined;
    const { from, at, position } = gap ?? { ...first, from: undefined };
    this.findings.retract(position);
    const note = this.tooLong(here.at, { at, position });
    if (note !== undefined) this.findings.violate({ position, at, note });
    return this.tooLong(from, here);
  }

  private tooLong(from: Millis | undefined, { at, position }: Place): string | undefined {
    const counted = this.countedFrom(from, at);
    const isLong = counted !== undefined && at - counted > this.gap;
    const hasBeginning = counted !== from;
    if (isLong || hasBeginning) this.long.push({ from, at, position });
    if (this.long.length > CONTROL_LIMITS.violations_max) this.long.shift();
    return isLong ? `nothing for ${spanText(at - counted)} before it, more than ${spanText(this.gap)}` : undefined;
  }

  overdue(now: Millis): readonly Violation[] {
    const { last } = this;
    const from = this.countedFrom(last?.at, now);
    if (last === undefined || from === undefined || now - from <= this.gap) return [];
    if (!this.findings.within(now)) return [];
    return [{ position: last.position, at: now, note: `nothing for ${spanText(now - from)} since it` }];
  }

  due(): Millis | undefined {
    return this.last === undefined ? undefined : this.last.at + this.gap;
  }

  /** Of a stretch that has the beginning in it only what lies behind that counts. */
  private countedFrom(from: Millis | undefined, until: Millis): Millis | undefined {
    const since = this.since();
    return since !== undefined && since <= until && (from === undefined || from < since) ? since : from;
  }
}

const DAY = 86_400_000;
/** Days that are told apart: of a log that is older, what lies before counts as one day. */
const DAYS_MAX = 40_000;

/** What was taken away was old enough. Every event passes by here, so that a position has its day. */
export class KeptAtLeast implements Rule {
  readonly types: readonly string[] = [];
  /** The first position of each day on which anything was recorded, newest last. */
  private readonly days: { readonly position: number; readonly day: number }[] = [];

  constructor(private readonly span: Millis) {}

  relate({ event }: Seen): void {
    const day = Math.floor(millis(event.recordedat) / DAY);
    if (this.days.at(-1)?.day === day) return;
    this.days.push({ position: event.position, day });
    if (this.days.length > DAYS_MAX) this.days.shift();
  }

  /** Nothing is kept of what it is about. */
  foresee(seen: Seen): string | undefined {
    return this.about(seen);
  }

  about({ event, at }: Seen): string | undefined {
    const { until } = event.data as { readonly until?: unknown };
    if (typeof until !== "number") return "has no data.until to say what it took away";
    // What lies before is not younger than what lies there, which is still in the log.
    const today = Math.floor(at / DAY);
    const there = this.days.findLast(({ position }) => position <= until) ?? this.days[0];
    const kept = (today - (there?.day ?? today)) * DAY;
    return kept < this.span ? `took away what was ${spanText(kept)} old, less than ${spanText(this.span)}` : undefined;
  }
}
