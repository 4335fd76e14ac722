/** The shipped controls, and logs for them: ordinary days with near misses on both sides of each limit, and violations sown into them. */
import { type SeededRandom, seededRandom } from "../adapters/simulation/random.ts";
import { parseControls, problemText } from "../config/controls.ts";
import type { Event, FactType, Millis, StreamId } from "../events/event.ts";
import { events } from "../events/mod.ts";
import type { Control } from "../projections/controls/mod.ts";

const folder = new URL("../config/controls/", import.meta.url);

export const shipped = (): readonly Control[] => {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => ({ file: name, text: Deno.readTextFileSync(new URL(name, folder)) }));
  const parsed = parseControls(files);
  if (!parsed.ok) throw new Error(parsed.problems.map(problemText).join("\n"));
  return parsed.controls.map(({ control }) => control);
};

export const SECOND = 1_000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
/** When the logs of these tests begin, and how long they are. */
export const BEGAN = Date.UTC(2026, 0, 1);
export const DAYS = 200;
export const ENDS = BEGAN + DAYS * DAY;

interface Told {
  readonly at: Millis;
  readonly type: string;
  readonly data: unknown;
  readonly extra: Partial<Event>;
  readonly sown: boolean;
  readonly order: number;
}

/** Gathers what happens, in whatever order it is told. */
export class Story {
  private readonly told: Told[] = [];
  private names = 0;

  constructor(readonly random: SeededRandom) {}

  /** What is told from here on is sown: it is what breaks a rule. */
  sowing = false;

  say(at: Millis, type: string, data: unknown, extra: Partial<Event> = {}): void {
    this.told.push({ at, type, data, extra, sown: this.sowing, order: this.told.length });
  }

  name(start: string): string {
    return `${start}${String(++this.names).padStart(20, "0")}`;
  }

  /** Some time between two days of the log, in whole milliseconds. */
  when(from = 1, until = DAYS - 1): Millis {
    return Math.round(BEGAN + from * DAY + this.random.next() * (until - from) * DAY);
  }

  /** As a log would hold it; and the positions of what was sown. Every fact fits its schema. */
  log(): { readonly events: readonly Event[]; readonly sown: readonly number[] } {
    const told = this.told.toSorted((a, b) => a.at - b.at || a.order - b.order);
    const sown: number[] = [];
    const log = told.map(({ at, type, data, extra, ...one }, position): Event => {
      if (one.sown) sown.push(position);
      const spec = events.spec(type);
      const parsed = spec?.schema.safeParse(data);
      if (!spec || !parsed?.success) throw new Error(`${type} ${JSON.stringify(data)}: ${parsed?.error?.message}`);
      const recordedat = new Date(at).toISOString();
      const { source = "https://ci.example/garden" } = extra;
      return {
        specversion: "1.0",
        id: `e${position}`,
        source,
        type: type as FactType,
        time: recordedat,
        stream: spec.stream?.({ source, data }) ?? `${type.split(".")[0]!}/one` as StreamId,
        revision: position,
        position,
        version: 1,
        recordedat,
        authtype: "user",
        authid: "u_operator",
        data,
        ...extra,
      };
    });
    return { events: log, sown };
  }
}

export const storyOf = (seed: number): Story => new Story(seededRandom(seed));

export interface Sowing {
  /** Nothing here breaks any rule; some of it nearly does. */
  clean(story: Story): void;
  /** Each breaks this rule and no other. */
  readonly broken: readonly ((story: Story) => void)[];
}
