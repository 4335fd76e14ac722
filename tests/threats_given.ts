/** Rules of threats over events, as the kernel runs them: a state per key, commands out. */
import type { Effect, ProcessManager } from "../actors/types.ts";
import type { Thresholds } from "../actors/threats/rules.ts";
import type { Event } from "../events/event.ts";

export const THRESHOLDS: Thresholds = {
  window_ms: 600_000,
  account_failures: 5,
  address_failures: 5,
  address_names: 3,
  credential_accounts: 3,
  respond: { first_ms: 600_000, most_ms: 3_600_000 },
};

type AnyRule = ProcessManager<unknown>;

/** What comes of each event, by its position. */
export const effectsOf = (
  rule: unknown,
  events: readonly Event[],
): readonly { readonly position: number; readonly effect: Effect }[] => {
  const manager = rule as AnyRule;
  const states = new Map<string, unknown>();
  return events.filter(({ type }) => manager.hears.includes(type as never)).flatMap((event) => {
    const key = manager.key(event as never);
    const { state, effects } = manager.react(states.get(key) ?? manager.initial, event as never);
    // As a note would have it.
    states.set(key, JSON.parse(JSON.stringify(state)));
    return effects.map((effect) => ({ position: event.position, effect }));
  });
};

let position = 0;
export const eventOf = (type: string, data: unknown, more: Partial<Event> = {}): Event => ({
  id: `e${position}`,
  source: "test",
  stream: "identity/test",
  revision: position,
  position: position++,
  version: 1,
  type: type as Event["type"],
  time: new Date(1_790_000_000_000 + position * 1_000).toISOString(),
  recordedat: "2026-11-20T00:00:00Z",
  authtype: "system",
  authid: "identity",
  causationid: "c",
  correlationid: "c",
  data,
  ...more,
} as unknown as Event);
