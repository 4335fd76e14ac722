/**
 * Which cases of which rules hold, as events tell it: a fold that is asked at a time. What is held is bounded; a rule that would need
 * more says so.
 *
 * Times are those of recording. A person who resolves an alert has it forgotten: the next event that says so is another.
 */
import type { AlertFact } from "../../events/alerts.ts";
import { type Event, type Millis, millis } from "../../events/event.ts";
import { fieldOf, matcherOf, type Matches } from "../controls/match.ts";
import { type Case, type Digest, type EventRule } from "./rule.ts";
import { becauseOf, labelsOf } from "./told.ts";

export const CONDITION_LIMITS = {
  /** Cases that one rule over events remembers. */
  keys_max: 10_000,
  /** Times that one rule counts with, over all cases. */
  times_max: 1_000_000,
} as const;

interface Held {
  readonly values: readonly unknown[];
  readonly found: Case;
  /** Of a rate the last so many; else the newest. */
  readonly times: Millis[];
  /** Since when it holds. */
  since: Millis | undefined;
}

class Tracker {
  readonly types: readonly string[];
  /** More would have to be remembered than may be. */
  overflow = false;
  private readonly held = new Map<string, Held>();
  private readonly matches: Matches;
  private readonly ends: Matches;
  private readonly fields: readonly ((event: Event) => unknown)[];
  private readonly tells: (event: Event) => unknown;
  /** The reason of a case whose event tells none. */
  private readonly instead: string;
  private counted = 0;

  constructor(readonly rule: EventRule, private readonly digest: Digest) {
    const { when, until, per, tell } = rule;
    this.types = [...when.type, ...until?.type ?? []];
    this.matches = matcherOf(when);
    this.ends = until ? matcherOf(until) : () => false;
    this.fields = per.map(fieldOf);
    this.tells = tell === undefined ? () => undefined : fieldOf(tell);
    const types = when.type.join(" or ");
    this.instead = rule.is === "rate"
      ? `${rule.at_least} of ${types}`
      : rule.is === "absence"
      ? `no ${types}`
      : rule.title;
  }

  begin(at: Millis): void {
    // Where cases are told apart, one that was never there is not missing.
    if (this.rule.is === "absence" && this.rule.per.length === 0) this.hold([], at, undefined);
  }

  apply(event: Event): void {
    const at = millis(event.recordedat);
    if (this.ends(event)) this.end(this.fields.map((field) => field(event)));
    if (this.matches(event)) this.hold(this.fields.map((field) => field(event) ?? null), at, event);
  }

  forget(alert: string): void {
    // What does not come is missing all the same.
    if (this.rule.is === "absence") return;
    for (const [key, held] of this.held) if (held.found.alert === alert) this.drop(key, held);
  }

  /** Those that hold now, in the order in which they came. */
  holding(now: Millis): readonly Case[] {
    const cases: Case[] = [];
    for (const [key, held] of this.held) {
      const since = this.since(held, now);
      if (since !== undefined) cases.push({ ...held.found, since: new Date(since).toISOString() });
      else if (this.isOver(held, now)) this.drop(key, held);
    }
    return cases;
  }

  /** When that changes next although nothing comes. */
  due(now: Millis): Millis {
    const { is, lasts = Infinity, within = Infinity, absent_for = Infinity } = this.rule;
    const span = is === "rate" ? within : is === "absence" ? absent_for : lasts;
    let next = Infinity;
    for (const { times } of this.held.values()) {
      const due = times[is === "rate" ? 0 : times.length - 1]! + span + 1;
      if (due > now && due < next) next = due;
    }
    return next;
  }

  private since({ times, since }: Held, now: Millis): Millis | undefined {
    const { is, lasts, absent_for, at_least, within } = this.rule;
    const newest = times.at(-1)!;
    switch (is) {
      case "event":
        return lasts === undefined || now - newest <= lasts ? since : undefined;
      case "absence":
        return now - newest > absent_for! ? newest + absent_for! : undefined;
      case "rate":
        return times.length === at_least && now - times[0]! <= within! ? since : undefined;
    }
  }

  /** Nothing of it counts any more. */
  private isOver({ times }: Held, now: Millis): boolean {
    const { is, within } = this.rule;
    return is === "event" || (is === "rate" && now - times.at(-1)! > within!);
  }

  private hold(values: readonly unknown[], at: Millis, event: Event | undefined): void {
    const key = JSON.stringify(values);
    const before = this.held.get(key);
    const { at_least = 1, within, is } = this.rule;
    const grows = !before || before.times.length < at_least;
    if (
      grows && (this.held.size >= CONDITION_LIMITS.keys_max && !before || this.counted >= CONDITION_LIMITS.times_max)
    ) {
      this.overflow = true;
      return;
    }
    const stood = before && this.since(before, at); // as it was right before the event
    const times = before?.times ?? [];
    if (grows) this.counted++;
    else times.shift();
    times.push(at);
    const held = is !== "rate" || times.length === at_least && at - times[0]! <= within!;
    const since = held ? stood ?? at : undefined;
    const found = {
      ...before?.found ?? this.caseOf(key, values),
      because: becauseOf(event && this.tells(event), this.instead),
      ...(event ? { position: event.position } : {}),
    };
    this.held.set(key, { values, times, since, found });
  }

  /** What is the same of it whatever comes. */
  private caseOf(key: string, values: readonly unknown[]): Omit<Case, "because"> {
    const { name, per, group_by } = this.rule;
    const alike = values.filter((_, i) => group_by.includes(per[i]!));
    return {
      alert: this.digest(`${name}\n${key}`),
      group: this.digest(`${name}\n${JSON.stringify(alike)}`),
      labels: labelsOf(per, values),
      since: "",
    };
  }

  /** What an event does not say of `per` is all of it. */
  private end(values: readonly unknown[]): void {
    const whole = values.every((value) => value !== undefined);
    if (whole) return this.drop(JSON.stringify(values));
    for (const [key, held] of this.held) {
      if (values.every((value, i) => value === undefined || value === held.values[i])) this.drop(key, held);
    }
  }

  private drop(key: string, held = this.held.get(key)): void {
    this.counted -= held?.times.length ?? 0;
    this.held.delete(key);
  }
}

const RESOLVED = "alerts.alert.resolved";

/** All rules over events of a configuration. */
export class ConditionsFold {
  readonly types: readonly string[];
  private readonly trackers: readonly Tracker[];
  private readonly byType = new Map<string, Tracker[]>();

  constructor(rules: readonly EventRule[], digest: Digest) {
    this.trackers = rules.map((rule) => new Tracker(rule, digest));
    for (const tracker of this.trackers) {
      for (const type of new Set(tracker.types)) {
        this.byType.set(type, [...this.byType.get(type) ?? [], tracker]);
      }
    }
    this.types = [...this.byType.keys(), RESOLVED];
  }

  begin(at: Millis): void {
    for (const tracker of this.trackers) tracker.begin(at);
  }

  apply(event: Event): void {
    for (const tracker of this.byType.get(event.type) ?? []) tracker.apply(event);
    if (event.type !== RESOLVED) return;
    const { alert, because } = event.data as Extract<AlertFact, { readonly type: typeof RESOLVED }>["data"];
    if (because !== "asked") return;
    for (const tracker of this.trackers) if (event.stream === `alerts/${tracker.rule.name}`) tracker.forget(alert);
  }

  holding(now: Millis): readonly { readonly rule: EventRule; readonly cases: readonly Case[] }[] {
    return this.trackers.map((tracker) => ({ rule: tracker.rule, cases: tracker.holding(now) }));
  }

  due(now: Millis): Millis {
    return Math.min(Infinity, ...this.trackers.map((tracker) => tracker.due(now)));
  }

  /** Names of rules that would have to remember more than they may. */
  get overflowing(): readonly string[] {
    return this.trackers.filter(({ overflow }) => overflow).map(({ rule }) => rule.name);
  }
}
