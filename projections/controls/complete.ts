/** The rule `complete`: no number stays missing for longer than it may be on its way, no source stays silent. */
import type { Event, Millis } from "../../events/event.ts";
import { millis } from "../../events/event.ts";
import { type Gap, isSource, missingIn, signDue, type SourceState, trackSource, UNSEEN } from "../source_numbers.ts";
import type { Completeness } from "./control.ts";
import type { Rule } from "./every.ts";
import { type Findings, type Seen, spanText, type Violation } from "./findings.ts";

/** Sources that count or promise something; more cannot be followed. */
const SOURCES_MAX = 10_000;

/** It goes by when events were recorded, whatever the control's clock: a source's times are what it says of itself. */
export class Complete implements Rule {
  readonly types = [];
  private readonly states = new Map<string, SourceState>();

  constructor(private readonly said: Completeness, private readonly findings: Findings) {}

  get sources(): ReadonlyMap<string, SourceState> {
    return this.states;
  }

  /** Every event is about this rule; those of sources that say nothing are not considered. */
  hears(event: Event): boolean {
    if (!isSource(event) || !event.source.startsWith(this.said.source ?? "")) return false;
    if (this.states.has(event.source)) return true;
    return "sequence" in event || event.type.startsWith("sources.");
  }

  about({ event, at }: Seen): string | undefined {
    const before = this.states.get(event.source) ?? UNSEEN;
    if (before === UNSEEN && this.states.size >= SOURCES_MAX) {
      this.findings.overflow = `more than ${SOURCES_MAX} sources would have to be followed`;
      return undefined;
    }
    const after = trackSource(before, event);
    this.states.set(event.source, after);
    const closed = closedBy(before, after);
    if (closed !== undefined && at - millis(closed.noticed) > this.said.late) {
      return `came ${spanText(at - millis(closed.noticed))} after it was missed`;
    }
    const due = signDue(before);
    return due !== undefined && at > due + this.said.silent
      ? `came after a silence of ${spanText(at - millis(before.seen!.recordedat))}`
      : undefined;
  }

  overdue(now: Millis): readonly Violation[] {
    const found: Violation[] = [];
    for (const state of this.states.values()) {
      for (const gap of gapsOf(state)) {
        const due = millis(gap.noticed) + this.said.late;
        if (now <= due) continue;
        const which = gap.first === gap.last ? `number ${gap.first}` : `numbers ${gap.first} to ${gap.last}`;
        found.push({ position: gap.before.position, at: due, note: `before it ${which} of its source are missing` });
      }
      const due = signDue(state);
      if (due !== undefined && now > due + this.said.silent) {
        found.push({
          position: state.seen!.position,
          at: due + this.said.silent,
          note: "nothing of its source came since",
        });
      }
    }
    return found.sort((a, b) => a.position - b.position);
  }

  due(now: Millis): Millis | undefined {
    let next: Millis | undefined;
    const consider = (due: Millis | undefined) => {
      if (due !== undefined && due >= now && (next === undefined || due < next)) next = due;
    };
    for (const state of this.states.values()) {
      for (const gap of gapsOf(state)) consider(millis(gap.noticed) + this.said.late);
      const due = signDue(state);
      consider(due === undefined ? undefined : due + this.said.silent);
    }
    return next;
  }
}

/** All that is missing of a source, in all its counts. */
export const gapsOf = ({ earlier, count }: SourceState): readonly Gap[] => [
  ...earlier.flatMap(({ gaps }) => gaps),
  ...count?.gaps ?? [],
];

/** The gap that an event made smaller. */
const closedBy = (before: SourceState, after: SourceState): Gap | undefined => {
  if (before.earlier.length !== after.earlier.length || missingIn(after) !== missingIn(before) - 1) return undefined;
  const left = gapsOf(after);
  return gapsOf(before).find((gap) => !left.includes(gap));
};
