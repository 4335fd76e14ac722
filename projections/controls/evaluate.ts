/**
 * Controls decided over the log: a fold of events, asked at a time what has become of each control. Nothing is read but what is
 * handed in, and nothing is known of the time but what is said; the same events and the same time give the same results.
 */
import { type Event, type Millis, millis } from "../../events/event.ts";
import type { SourceState } from "../source_numbers.ts";
import { Complete } from "./complete.ts";
import { type Control, CONTROL_LIMITS, type ControlResult, type ControlStatus, type Evidence } from "./control.ts";
import { AtMost, GapAtMost, KeptAtLeast } from "./counts.ts";
import { FollowedBy, notPrecededBy, precededBy, type Rule, satisfies } from "./every.ts";
import { Findings, type Period, type Seen, spanText, timeText, type Violation } from "./findings.ts";
import { matcherOf, type Matches } from "./match.ts";

export interface EvaluateOptions extends Period {
  /** The time of evaluation. */
  readonly at: Millis;
  /** Only events before this position. Default: all. */
  readonly size?: number;
  /** When the log's first event was recorded, where events are read by type. Default: that of the first event handed in at position 0. */
  readonly began?: Millis;
}

/** All controls over these events, in the order of the controls. Events come from the log's beginning, in order. */
export const evaluate = (
  controls: readonly Control[],
  events: Iterable<Event>,
  { at, size = Infinity, began, ...period }: EvaluateOptions,
): readonly ControlResult[] => {
  const fold = new ControlsFold(controls, { ...period, began });
  for (const event of events) {
    if (event.position >= size) break;
    fold.apply(event);
  }
  return fold.results(at);
};

const EXCEPTIONS = ["controls.exception.granted", "controls.exception.ended"] as const;

export class ControlsFold {
  /** What must be handed in; other events may be left out. */
  readonly types: readonly string[] | "*";
  private readonly folds: readonly ControlFold[];
  private readonly byType = new Map<string, ControlFold[]>();
  private readonly everything: readonly ControlFold[];
  private began: Millis | undefined;

  constructor(controls: readonly Control[], options: Period & { readonly began?: Millis } = {}) {
    this.began = options.began;
    this.folds = controls.map((control) => new ControlFold(control, options, () => this.began));
    this.everything = this.folds.filter(({ types }) => types === "*");
    for (const fold of this.folds) {
      if (fold.types === "*") continue;
      for (const type of fold.types) this.byType.set(type, [...this.byType.get(type) ?? [], fold]);
    }
    this.types = this.everything.length > 0 ? "*" : [...new Set([...this.byType.keys(), ...EXCEPTIONS])];
  }

  /** When the log's first event was recorded, where events are handed in by type. */
  begin(began: Millis): void {
    this.began ??= began;
  }

  apply(event: Event): void {
    if (event.position === 0) this.began ??= millis(event.recordedat);
    for (const fold of this.byType.get(event.type) ?? NONE) fold.apply(event);
    for (const fold of this.everything) fold.apply(event);
    if (event.type.startsWith("controls.exception.")) { for (const fold of this.folds) fold.except(event); }
  }

  results(at: Millis): readonly ControlResult[] {
    return this.folds.map((fold) => fold.result(at));
  }

  /** What is known of sources that count or promised signs of life; of none where no control asks for completeness. */
  get sources(): ReadonlyMap<string, SourceState> {
    return new Map(this.folds.flatMap((fold) => [...fold.sources]));
  }

  /** Which controls would fail by this event if it were recorded now, and why. Nothing is remembered of it. */
  foresee(event: Event): readonly { readonly id: string; readonly because: string }[] {
    return this.folds.flatMap((fold) => fold.foresee(event) ?? []);
  }
}

const NONE: readonly ControlFold[] = [];

interface Exception {
  readonly until: string;
  readonly by: string;
}

/** One control over the log. */
class ControlFold {
  readonly types: readonly string[] | "*";
  private readonly findings: Findings;
  private readonly concerns: Matches;
  private readonly applies: Matches | undefined;
  private readonly shows: Matches | undefined;
  private readonly rules: readonly Rule[];
  private applicable: boolean;
  private shown: Millis | undefined;
  private exception: Exception | undefined;

  constructor(
    private readonly control: Control,
    private readonly period: Period & { readonly began?: Millis },
    began: () => Millis | undefined,
  ) {
    const { query, applies_when, evidence } = control;
    this.findings = new Findings(period);
    const about = query.every ?? query.of;
    this.rules = rulesOf(control, { findings: this.findings, since: () => sinceOf(period, began()) });
    const [complete] = this.rules.filter((rule) => rule instanceof Complete);
    this.concerns = about ? matcherOf(about) : (event) => complete!.hears(event);
    this.applies = applies_when && matcherOf(applies_when);
    this.shows = evidence && matcherOf(evidence);
    this.applicable = applies_when === undefined;
    this.types = about && query.kept_at_least === undefined
      ? [
        ...new Set(
          [about, applies_when, evidence].flatMap((one) => one?.type ?? []).concat(
            this.rules.flatMap(({ types }) => types),
          ),
        ),
      ]
      : "*";
  }

  apply(event: Event): void {
    const { findings } = this;
    const seen: Seen = { event, at: this.timeOf(event) };
    if (this.period.to !== undefined && seen.at > this.period.to) return;
    this.applicable ||= this.applies!(event);
    for (const rule of this.rules) rule.relate?.(seen);
    const concerned = this.concerns(event);
    if (this.shows ? this.shows(event) : concerned) this.show(millis(event.recordedat));
    if (!concerned) return;
    findings.consider(seen);
    // Of several reasons one is enough: what counts is how many events broke the rule.
    const because = this.rules.map((rule) => rule.about?.(seen)).find((why) => why !== undefined);
    if (because !== undefined) findings.violate({ position: event.position, at: seen.at, note: because });
  }

  get sources(): ReadonlyMap<string, SourceState> {
    const [complete] = this.rules.filter((rule) => rule instanceof Complete);
    return complete?.sources ?? new Map();
  }

  foresee(event: Event): { readonly id: string; readonly because: string } | undefined {
    const { control, findings, exception } = this;
    const now = millis(event.recordedat);
    if (!this.concerns(event) || (exception && millis(exception.until) > now)) return undefined;
    const seen: Seen = { event, at: this.timeOf(event) };
    const because = this.rules.map((rule) => rule.foresee?.(seen)).find((why) => why !== undefined);
    const { violations_at_most, over } = control.expectation;
    return because === undefined || findings.counted(now, over).count < violations_at_most
      ? undefined
      : { id: control.id, because };
  }

  except(event: Event): void {
    if (event.stream !== `controls/${this.control.id}`) return;
    const { until } = event.data as { readonly until?: unknown };
    this.exception = event.type === EXCEPTIONS[0] && typeof until === "string"
      ? { until, by: event.authid }
      : undefined;
  }

  result(at: Millis): ControlResult {
    const { control, findings, period } = this;
    const { id, title, frameworks, mode, expectation } = control;
    // A period that is over is judged as of its end; an exception as of now.
    const now = Math.min(at, period.to ?? at);
    // What is still broken counts, however long ago that began.
    const overdue = this.rules.flatMap((rule) => rule.overdue?.(now) ?? []);
    const counted = findings.counted(now, expectation.over);
    const violated = [...counted.newest, ...overdue].sort((a, b) => a.position - b.position);
    const violations = counted.count + overdue.length;
    const judged = this.judge(now, violations, violated);
    const excepted = this.exceptedFrom(judged.status, at);
    const evidence: readonly Evidence[] = violated.length > 0
      ? violated.slice(-CONTROL_LIMITS.evidence_max).map(({ position, note }) => ({ position, note }))
      : findings.lately("as it must be");
    const due = this.due(now);
    return {
      id,
      title,
      frameworks,
      mode,
      status: judged.status,
      because: judged.because,
      ...excepted,
      considered: findings.considered,
      violations,
      evidence,
      ...(findings.newest === undefined ? {} : { newest: findings.newest }),
      ...(due === undefined ? {} : { due: timeText(due) }),
    };
  }

  private judge(
    now: Millis,
    violations: number,
    violated: readonly Violation[],
  ): { readonly status: ControlStatus; readonly because: string } {
    const { control, findings, shown } = this;
    if (!this.applicable) {
      return {
        status: "not_applicable",
        because: `There is no ${control.applies_when!.type.join(" or ")} it could be about`,
      };
    }
    if (findings.overflow !== undefined) {
      return { status: "fail", because: `It cannot be decided: ${findings.overflow}` };
    }
    const { violations_at_most } = control.expectation;
    if (violations > violations_at_most) {
      const { position, note } = violated.at(-1)!;
      const more = violations > 1 ? `, the newest of ${violations}` : "";
      return { status: "fail", because: `Event ${position} ${note}${more}` };
    }
    const what = (control.evidence ?? control.query.every ?? control.query.of)?.type.join(" or ") ?? "numbered event";
    if (shown === undefined) return { status: "no_evidence", because: `No ${what} was seen` };
    if (now - shown > control.freshness) {
      return {
        status: "stale",
        because: `No ${what} was seen since ${timeText(shown)}, for more than ${spanText(control.freshness)}`,
      };
    }
    const waiting = this.rules.reduce((sum, rule) => sum + (rule instanceof FollowedBy ? rule.waiting(now) : 0), 0);
    const left = waiting > 0 ? `, ${waiting} not due yet` : "";
    return { status: "pass", because: `${findings.considered} considered, ${violations} against the rule${left}` };
  }

  /** An exception stands in for what is not so; what is so needs none. */
  private exceptedFrom(status: ControlStatus, now: Millis): Partial<Pick<ControlResult, "status" | "until" | "by">> {
    const { exception } = this;
    if (!exception || millis(exception.until) <= now) return {};
    return status === "pass" || status === "not_applicable" ? {} : { status: "excepted", ...exception };
  }

  private due(now: Millis): Millis | undefined {
    const { control, findings, shown, exception } = this;
    const [oldest] = findings.counted(now, control.expectation.over).newest;
    const times = [
      ...this.rules.map((rule) => rule.due?.(now)),
      shown === undefined ? undefined : shown + control.freshness,
      exception && millis(exception.until),
      oldest && this.period.from === undefined ? oldest.at + control.expectation.over : undefined,
    ].filter((time) => time !== undefined && time >= now) as Millis[];
    return times.length === 0 ? undefined : Math.min(...times) + 1;
  }

  /** What is missing of a source is so by when it was recorded, whatever the clock. */
  private timeOf(event: Event): Millis {
    const { clock, query } = this.control;
    return millis(clock === "occurred" && query.complete === undefined ? event.time : event.recordedat);
  }

  private show(at: Millis): void {
    if (this.period.to !== undefined && at > this.period.to) return;
    this.shown = this.shown === undefined ? at : Math.max(this.shown, at);
  }
}

/** From when on silence counts. */
const sinceOf = ({ from }: Period, began: Millis | undefined): Millis | undefined =>
  from === undefined ? began : began === undefined ? undefined : Math.max(from, began);

const rulesOf = (
  { query, clock }: Control,
  { findings, since }: { readonly findings: Findings; readonly since: () => Millis | undefined },
): readonly Rule[] => {
  const { every, of, at_most, gap_at_most, kept_at_least, complete } = query;
  const ordered = clock === "recorded";
  const rules: Rule[] = [];
  if (every) {
    if (query.satisfies) rules.push(satisfies(query.satisfies));
    for (const said of query.followed_by ?? []) rules.push(new FollowedBy(said, findings));
    for (const said of query.preceded_by ?? []) rules.push(precededBy(said, findings, ordered));
    for (const said of query.not_preceded_by ?? []) rules.push(notPrecededBy(said, findings, ordered));
  }
  if (of && at_most !== undefined) rules.push(new AtMost({ ...query, at_most }, findings, ordered));
  if (of && gap_at_most !== undefined) rules.push(new GapAtMost(gap_at_most, findings, since));
  if (of && kept_at_least !== undefined) rules.push(new KeptAtLeast(kept_at_least));
  if (complete) rules.push(new Complete(complete, findings));
  return rules;
};
