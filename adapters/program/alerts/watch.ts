/**
 * The child of a server that looks for what alerts are about: has the decider of each rule know which cases hold and which do not any
 * more (`actors/alerts/rule.ts`). It keeps nothing that the log does not say: after a crash it looks again, and what is known already is
 * not told.
 */
import { WATCH } from "../../../actors/alerts/rule.ts";
import type { Child } from "../../../actors/kernel/child.ts";
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { ALERT_LIMITS } from "../../../events/alerts.ts";
import { type Event, type Millis } from "../../../events/event.ts";
import {
  type Case,
  casesAmong,
  ConditionsFold,
  type Digest,
  type EventRule,
  type MetricRule,
  type Rule,
  type Series,
  type ViewRule,
} from "../../../projections/alerts/mod.ts";
import { BESIDE, CaughtUp, type Folding } from "../controls/caught_up.ts";
import { Known } from "./known.ts";
import { AHEAD_MS, Recorded } from "./recorded.ts";
import { rowCases } from "./rows.ts";

const GRACE_MS = 10_000;
/** Cases of one command, so that its facts fit one append whatever they are about. */
const CASES_MAX = 50;

export interface AlertWatchOptions {
  readonly daybook: Pick<Daybook, "ask" | "log" | "view">;
  readonly clock: Clock;
  readonly rules: readonly Rule[];
  /** How often it is looked. */
  readonly everyMs: Millis;
  /** How long what belongs together is waited for. */
  readonly groupMs: Millis;
  readonly digest: Digest;
  /** What services tell of themselves; `undefined` while that is not known. Default: nothing. */
  readonly series?: () => Promise<readonly Series[] | undefined>;
  readonly report: (line: string) => void;
}

/** Events tell which cases hold, and which are known. */
class Fold implements Folding {
  readonly known = new Known();
  readonly conditions: ConditionsFold;
  readonly types: readonly string[];

  constructor(rules: readonly Rule[], digest: Digest, private readonly recorded: Recorded) {
    const overEvents = rules.filter((rule): rule is EventRule => rule.is !== "view" && rule.is !== "metric");
    this.conditions = new ConditionsFold(overEvents, digest);
    this.types = [...new Set([...this.conditions.types, ...this.known.types])];
  }

  begin(at: Millis): void {
    this.conditions.begin(this.recorded.first(at));
  }

  apply(event: Event): void {
    this.conditions.apply(this.recorded.of(event));
    this.known.apply(event);
  }
}

interface Found {
  readonly rule: Rule;
  readonly cases: readonly Case[];
  /** Only these may have ended. Default: all. */
  readonly looked?: ReadonlySet<string> | undefined;
}

export class AlertWatch implements Child {
  readonly id = "alerts";
  readonly restart = "temporary";
  readonly grace = GRACE_MS;
  private caughtUp: CaughtUp<Fold>;
  private readonly views: readonly ViewRule[];
  private readonly metrics: readonly MetricRule[];
  /** When something changes though nothing comes. */
  private due: Millis = -Infinity;
  private seen = -1;
  /** How far the wall clock was ahead of the one that nobody sets when it was looked last. */
  private offset: Millis | undefined;
  private overflowing = "";

  constructor(private readonly options: AlertWatchOptions) {
    this.views = options.rules.filter((rule) => rule.is === "view");
    this.metrics = options.rules.filter((rule) => rule.is === "metric");
    this.caughtUp = this.fresh();
  }

  get known(): Known {
    return this.caughtUp.fold.known;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs, report } = this.options;
    this.caughtUp = this.fresh();
    this.seen = -1;
    for (let trouble = ""; !signal.aborted; await pause(clock, everyMs, signal)) {
      try {
        await this.look(signal);
        trouble = "";
      } catch (error) {
        // The log or the views cannot be read now; told once, and tried again.
        const { message } = error as Error;
        if (message !== trouble) report(`alerts cannot be looked for now: ${message}`);
        trouble = message;
      }
    }
  }

  /** Tells what began and ended since the last time. */
  async look(signal: AbortSignal): Promise<void> {
    const { clock, daybook: { log } } = this.options;
    this.followClock();
    // Metrics change without a word of the log.
    if (log.size === this.seen && clock.now() < this.due && this.metrics.length === 0) return;
    await this.caughtUp.catchUp(signal);
    if (signal.aborted) return;
    const { fold, size } = this.caughtUp;
    const now = clock.now();
    const rows = await rowCases(this.views, this.options);
    const found: readonly Found[] = [...fold.conditions.holding(now), ...rows.found, ...await this.series(now)];
    for (const each of found) await this.tell(each, signal);
    await this.drop(signal);
    this.due = fold.conditions.due(now);
    // Views that lag are looked at again.
    this.seen = rows.size < size ? -1 : size;
    this.sayOverflow([...fold.conditions.overflowing, ...rows.cut]);
    // What events and other views say is told by now.
    if (rows.troubles.length > 0) throw new Error(rows.troubles.join("; "));
  }

  /** What was folded by a clock that was far from this one is folded again. */
  private followClock(): void {
    const { clock } = this.options;
    const offset = clock.now() - clock.monotonic();
    if (Math.abs(offset - (this.offset ?? offset)) > AHEAD_MS) {
      this.caughtUp = this.fresh();
      this.seen = -1;
    }
    this.offset = offset;
  }

  private async tell({ rule, cases, looked }: Found, signal: AbortSignal): Promise<void> {
    const held = this.known.holding(rule.name);
    const holding = new Set(cases.map(({ alert }) => alert));
    const room = ALERT_LIMITS.standing_max - this.known.count(rule.name) + 1;
    const began = cases.filter(({ alert }) => !held.has(alert)).slice(0, Math.max(1, room));
    const ended = [...held].filter((alert) => !holding.has(alert) && looked?.has(alert) !== false);
    for (let i = 0; i < Math.max(began.length, Math.sign(ended.length)) && !signal.aborted; i += CASES_MAX) {
      await this.ask(rule, { began: began.slice(i, i + CASES_MAX), ended: i === 0 ? ended : [] });
    }
  }

  /** Nothing where it is not known what services tell: then all stays as it is. */
  private async series(now: Millis): Promise<readonly Found[]> {
    if (this.metrics.length === 0) return [];
    const { series = () => Promise.resolve([]), digest } = this.options;
    const told = await series();
    if (!told) return [];
    const at = new Date(now).toISOString();
    return this.metrics.map((rule) => ({ rule, cases: casesAmong(rule, told, { digest, now: at }) }));
  }

  /** Alerts of rules that are gone are over. */
  private async drop(signal: AbortSignal): Promise<void> {
    const names = new Set(this.options.rules.map(({ name }) => name));
    for (const name of this.known.rules) {
      const ended = [...this.known.holding(name)];
      if (names.has(name) || ended.length === 0 || signal.aborted) continue;
      await this.ask({ name, title: name, severity: "info", for_ms: 0 }, { began: [], ended, dropped: true });
    }
  }

  private async ask(
    { name, title, severity, for_ms }: Pick<Rule, "name" | "title" | "severity" | "for_ms">,
    changes: { readonly began: readonly Case[]; readonly ended: readonly string[]; readonly dropped?: true },
  ): Promise<void> {
    const outcome = await this.options.daybook.ask({
      type: "alerts.rule.observe",
      id: name,
      data: { title, severity, for_ms, wait_ms: this.options.groupMs, ...changes },
      by: { authtype: "system", authid: WATCH },
    });
    if (outcome.is === "accepted") return;
    const why = outcome.is === "rejected"
      ? outcome.because
      : outcome.is === "unavailable"
      ? outcome.reason
      : outcome.is;
    throw new Error(`the rule ${name} was not told: ${why}`);
  }

  private sayOverflow(rules: readonly string[]): void {
    const names = rules.join(", ");
    if (names !== this.overflowing && names !== "") {
      this.options.report(`alerts: there is more than is looked at for the rules ${names}`);
    }
    this.overflowing = names;
  }

  private fresh(): CaughtUp<Fold> {
    const { daybook: { log }, clock, rules, digest } = this.options;
    return new CaughtUp(new Fold(rules, digest, new Recorded({ log, clock })), { log, clock }, BESIDE);
  }
}
