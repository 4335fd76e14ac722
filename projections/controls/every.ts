/**
 * Rules about each event by itself and in its relations: `satisfies`, `followed_by`, `preceded_by`, `not_preceded_by`.
 *
 * What must have gone before counts when it was recorded before; what must follow may be recorded late, where the control goes by
 * when things happened.
 */
import { type Event, type Millis, millis } from "../../events/event.ts";
import { type After, type Before, CONTROL_LIMITS, type Query } from "./control.ts";
import { type Findings, type Seen, spanText, timeText, type Violation } from "./findings.ts";
import { faultIn, type Field, fieldOf, joinKeys, type KeyOf, matcherOf, type Matches } from "./match.ts";

/** A part of a control's query. `before` sees an event as one that belongs to others, `about` as one the rule is about. */
export interface Rule {
  readonly types: readonly string[];
  /** Something another event waits for, or counts on. */
  relate?(seen: Seen): void;
  /** The rule is about this event. Answers why it is broken by it. */
  about?(seen: Seen): string | undefined;
  /** The same, of an event that is not recorded yet: nothing is remembered of it. */
  foresee?(seen: Seen): string | undefined;
  /** What is broken by now by nothing having come, oldest first. */
  overdue?(now: Millis): readonly Violation[];
  /** When that changes next. */
  due?(now: Millis): Millis | undefined;
}

/** A recorded text may hold anything: of it a message says the names of types and fields alone. */
const named = (types: readonly string[]): string => types.join(" or ");

export const satisfies = (alternatives: NonNullable<Query["satisfies"]>): Rule => {
  const faults = alternatives.map(faultIn);
  const about = ({ event }: Seen) => {
    const fields = faults.map((fault) => fault(event));
    return fields.includes(undefined) ? undefined : `${[...new Set(fields)].join(" or ")} is not as it must be`;
  };
  return { types: [], about, foresee: about };
};

interface Remembered {
  readonly at: Millis;
  readonly authid: string;
}

/** What went before, by key; the newest counts, and it goes when it is undone or too old. */
class Memory {
  readonly types: readonly string[];
  private readonly matches: Matches;
  private readonly undoes: Matches;
  private readonly keys: { readonly ours: KeyOf; readonly theirs: KeyOf };
  private readonly held = new Map<string, Remembered>();

  /** `ordered`: times never decrease from event to event. */
  constructor(
    private readonly said: Before,
    private readonly findings: Findings,
    private readonly ordered: boolean,
  ) {
    const { unless_since } = said;
    this.types = [...said.type, ...unless_since?.type ?? []];
    this.matches = matcherOf(said);
    this.undoes = unless_since ? matcherOf(unless_since) : () => false;
    this.keys = joinKeys(said.same);
  }

  get names(): string {
    return named(this.said.type);
  }

  relate({ event, at }: Seen): void {
    const undone = this.undoes(event);
    if (!undone && !this.matches(event)) return;
    const key = this.keys.theirs(event);
    if (key === undefined) return;
    const before = this.held.get(key);
    // What is set again goes to the end, so that the oldest come first.
    this.held.delete(key);
    if (undone) return;
    // What is told late may come after what is long past, so that goes only where there is no room.
    if (this.ordered || this.isFull) this.forget(at);
    if (this.isFull) {
      this.findings.overflow = `more than ${CONTROL_LIMITS.keys_max} of ${this.names} would have to be remembered`;
      return;
    }
    // What is told late does not take the place of what is newer.
    this.held.set(key, before && before.at > at ? before : { at, authid: event.authid });
  }

  /** Whether the event came after one that counts. `undefined`: nothing joins it to any. */
  has(event: Event, at: Millis): boolean | undefined {
    const key = this.keys.ours(event);
    if (key === undefined) return undefined;
    const found = this.held.get(key);
    if (!found || (this.said.by_other && found.authid === event.authid)) return false;
    return this.said.within === undefined || at - found.at <= this.said.within;
  }

  private get isFull(): boolean {
    return this.held.size >= CONTROL_LIMITS.keys_max;
  }

  private forget(now: Millis): void {
    const { within } = this.said;
    if (within === undefined) return;
    for (const [key, { at }] of this.held) {
      if (now - at <= within) return;
      this.held.delete(key);
    }
  }
}

interface Open {
  readonly position: number;
  readonly at: Millis;
  readonly due: Millis;
  readonly authid: string;
}

/** Events that wait for what must follow them. */
export class FollowedBy implements Rule {
  readonly types: readonly string[];
  private readonly matches: Matches;
  private readonly keys: { readonly ours: KeyOf; readonly theirs: KeyOf };
  private readonly open = new Map<string, Open[]>();
  private readonly before: Memory | undefined;
  private readonly from: Field | undefined;
  private held = 0;

  constructor(private readonly said: After, private readonly findings: Findings) {
    const { already_unless, counted_from, within: _, ...related } = said;
    if (already_unless) this.before = new Memory({ ...related, unless_since: already_unless }, findings, true);
    this.from = counted_from === undefined ? undefined : fieldOf(counted_from);
    this.types = [...said.type, ...already_unless?.type ?? []];
    this.matches = matcherOf(said);
    this.keys = joinKeys(said.same);
  }

  relate(seen: Seen): void {
    const { event, at } = seen;
    this.before?.relate(seen);
    if (!this.matches(event)) return;
    const key = this.keys.theirs(event);
    const waiting = key === undefined ? undefined : this.open.get(key);
    if (!waiting) return;
    const left = waiting.filter((open) => {
      if (at < open.at || (this.said.by_other && open.authid === event.authid)) return true;
      const late = at - open.due;
      if (late > 0) this.findings.violate(this.broken(open, `followed ${spanText(late)} too late by`));
      return false;
    });
    this.held -= waiting.length - left.length;
    if (left.length > 0) this.open.set(key!, left);
    else this.open.delete(key!);
  }

  about({ event, at }: Seen): string | undefined {
    const key = this.keys.ours(event);
    if (key === undefined) return `has no ${named(this.said.same.map((join) => join.this))} to be followed by`;
    if (this.before?.has(event, at)) return undefined;
    if (this.held >= CONTROL_LIMITS.open_max) {
      this.findings.overflow = `more than ${CONTROL_LIMITS.open_max} events wait for ${named(this.said.type)}`;
      return undefined;
    }
    const from = millis(String(this.from?.(event) ?? ""));
    const due = (from > at ? from : at) + this.said.within;
    const open = { position: event.position, at, due, authid: event.authid };
    const waiting = this.open.get(key);
    if (waiting) waiting.push(open);
    else this.open.set(key, [open]);
    this.held++;
    return undefined;
  }

  overdue(now: Millis): readonly Violation[] {
    const late: Violation[] = [];
    for (const waiting of this.open.values()) {
      for (const open of waiting) {
        if (now > open.due) late.push(this.broken(open, `until ${timeText(open.due)} not followed by`));
      }
    }
    return late.sort((a, b) => a.position - b.position);
  }

  due(now: Millis): Millis | undefined {
    let next: Millis | undefined;
    for (const waiting of this.open.values()) {
      for (const { due } of waiting) {
        if (due >= now && (next === undefined || due < next)) next = due;
      }
    }
    return next;
  }

  /** How many wait in time. */
  waiting(now: Millis): number {
    let count = 0;
    for (const waiting of this.open.values()) {
      for (const { due } of waiting) if (due >= now) count++;
    }
    return count;
  }

  /** It is broken when what must follow is due, and counts in the period in which that is. */
  private broken({ position, due }: Open, how: string): Violation {
    return { position, at: due, note: `${how} ${named(this.said.type)}` };
  }
}

export const precededBy = (said: Before, findings: Findings, ordered: boolean): Rule => {
  const memory = new Memory(said, findings, ordered);
  const about = ({ event, at }: Seen) => memory.has(event, at) ? undefined : `not preceded by ${memory.names}`;
  return { types: memory.types, relate: (seen) => memory.relate(seen), about, foresee: about };
};

export const notPrecededBy = (said: Before, findings: Findings, ordered: boolean): Rule => {
  const memory = new Memory(said, findings, ordered);
  const about = ({ event, at }: Seen) => memory.has(event, at) ? `came after ${memory.names}` : undefined;
  return { types: memory.types, relate: (seen) => memory.relate(seen), about, foresee: about };
};
