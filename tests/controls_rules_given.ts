/** Controls over events that are made up, and what they come to. */
import type { Event, FactType, Millis } from "../events/event.ts";
import {
  type Control,
  type ControlResult,
  evaluate,
  type EvaluateOptions,
  type Query,
} from "../projections/controls/mod.ts";

export const BEGAN = Date.UTC(2026, 0, 1);
export const HOUR = 3_600_000;

/** At so many hours. */
export type Told = readonly [hours: number, type: string, data?: unknown, extra?: Partial<Event>];

export const time = (hours: number): string => new Date(BEGAN + hours * HOUR).toISOString();

export const history = (...told: readonly Told[]): readonly Event[] =>
  told.map(([hours, type, data = {}, extra = {}], position) => ({
    specversion: "1.0",
    id: `e${position}`,
    source: "urn:test",
    type: type as FactType,
    time: time(hours),
    recordedat: time(hours),
    stream: "tests/one",
    revision: position,
    position,
    version: 1,
    authtype: "user",
    authid: "u_one",
    data,
    ...extra,
  }));

export const controlOf = (query: Query, more: Partial<Control> = {}): Control => ({
  id: "it",
  title: "It holds",
  frameworks: [{ name: "SOC 2", ref: "CC1.1" }],
  mode: "watch",
  guards: [],
  clock: "recorded",
  query,
  freshness: 1_000 * HOUR,
  expectation: { violations_at_most: 0, over: 720 * HOUR },
  ...more,
});

export const of = (type: string) => ({ type: [type] });
export const same = (...names: readonly string[]) => names.map((name) => ({ this: name, that: name }));
export const at = (hours: number): Millis => BEGAN + hours * HOUR;

export const judged = (control: Control, events: readonly Event[], options: number | EvaluateOptions): ControlResult =>
  evaluate([control], events, typeof options === "number" ? { at: at(options) } : options)[0]!;

export const answered = controlOf({
  every: of("a.call.made"),
  followed_by: [{ type: ["a.call.answered"], same: same("data.call"), within: 24 * HOUR }],
});
