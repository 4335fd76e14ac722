/** How much happened when: counts by day, joined to weeks, months or years where a period is long. Days are those of UTC, by when events were recorded. */
import { type Event, type Millis, millis } from "../../events/event.ts";

/** More columns than these a chart has not. */
const BINS_MAX = 62;
const DAY = 86_400_000;

export interface Bin {
  /** Its first day, `2026-11-20`. */
  readonly from: string;
  readonly events: number;
  readonly signins: number;
  readonly signins_failed: number;
  readonly deployments: number;
  readonly findings: number;
}

type Counted = Exclude<keyof Bin, "from">;

/** What an event counts as, beside itself. */
const counted = (event: Event): readonly [Counted, number] | undefined => {
  switch (event.type) {
    case "identity.signin.succeeded":
      return ["signins", 1];
    case "identity.signin.failed":
      return ["signins_failed", 1];
    case "identity.signin.observed": {
      const { outcome, times } = event.data as { readonly outcome?: unknown; readonly times?: unknown };
      if (outcome === "noted") return undefined;
      return [outcome === "failed" ? "signins_failed" : "signins", typeof times === "number" ? times : 1];
    }
    case "releases.deployment.finished":
      return ["deployments", 1];
    default:
      return undefined;
  }
};

type Counts = Record<Counted, number>;
const none = (): Counts => ({ events: 0, signins: 0, signins_failed: 0, deployments: 0, findings: 0 });

export class Tally {
  private readonly days = new Map<number, Counts>();
  /** First position of each day, so that a position has its day. */
  private readonly begins: { readonly position: number; readonly day: number }[] = [];
  private recorded = "";
  private day = -1;
  private counts = none();
  private first: string | undefined;
  private last: string | undefined;

  constructor(private readonly period: { readonly from: Millis | undefined; readonly to: Millis | undefined }) {}

  add(event: Event): void {
    const { recordedat } = event;
    if (recordedat !== this.recorded) this.turn(event);
    if (this.day < 0) return;
    this.last = recordedat;
    this.counts.events++;
    const more = counted(event);
    if (more) this.counts[more[0]] += more[1];
  }

  private turn({ recordedat, position }: Event): void {
    this.recorded = recordedat;
    const at = millis(recordedat);
    const { from = -Infinity, to = Infinity } = this.period;
    if (at < from || at > to) {
      this.day = -1;
      return;
    }
    this.first ??= recordedat;
    const day = Math.floor(at / DAY);
    if (day === this.day) return;
    this.day = day;
    this.counts = this.days.get(day) ?? none();
    this.days.set(day, this.counts);
    this.begins.push({ position, day });
  }

  get span(): { readonly first?: string; readonly last?: string } {
    return this.first === undefined ? {} : { first: this.first, last: this.last };
  }

  /** From the first day to the last. `findings`: what counts as such. */
  bins(findings: readonly { readonly position: number }[]): readonly Bin[] {
    if (this.begins.length === 0) return [];
    for (const { position } of findings) {
      const begin = this.begins.findLast((one) => one.position <= position);
      if (begin) this.days.get(begin.day)!.findings++;
    }
    const [first, last] = [this.begins[0]!.day, this.begins.at(-1)!.day];
    const startOf = STARTS.find((start) => spanned(first, last, start) <= BINS_MAX) ?? STARTS.at(-1)!;
    const bins = new Map<number, Counts>();
    for (let day = startOf(first); day <= last; day = nextOf(day, startOf)) bins.set(day, none());
    for (const [day, counts] of this.days) {
      const bin = bins.get(startOf(day))!;
      for (const name of Object.keys(counts) as Counted[]) bin[name] += counts[name];
    }
    return [...bins].map(([day, counts]) => ({ from: dateOf(day), ...counts }));
  }
}

const dateOf = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);
const dayOf = (year: number, month: number): number => Date.UTC(year, month, 1) / DAY;

/** The first day of what a day is joined to: itself, its week (from Monday), month, year. */
const STARTS: readonly ((day: number) => number)[] = [
  (day) => day,
  (day) => day - (day + 3) % 7,
  (day) => {
    const date = new Date(day * DAY);
    return dayOf(date.getUTCFullYear(), date.getUTCMonth());
  },
  (day) => dayOf(new Date(day * DAY).getUTCFullYear(), 0),
];

const nextOf = (start: number, startOf: (day: number) => number): number => {
  let day = start + 1;
  while (startOf(day) === start) day++;
  return day;
};

const spanned = (first: number, last: number, startOf: (day: number) => number): number => {
  let count = 0;
  for (let day = startOf(first); day <= last && count <= BINS_MAX; day = nextOf(day, startOf)) count++;
  return count;
};
