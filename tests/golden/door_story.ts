/** What the way in tells of itself. */
import type { NewEvent } from "../../events/log.ts";
import type { DoorFact } from "../../events/kernel_door.ts";

const instant = (at: number): string => new Date(at).toISOString();

const FACTS: readonly ((at: number) => DoorFact)[] = [
  () => ({
    type: "kernel.limit.crossed",
    data: { limit: "user", max: 100, window_ms: 60_000, principal: "u_golden-golden-golden" },
  }),
  () => ({
    type: "kernel.limit.crossed",
    data: { limit: "signin_name", max: 20, window_ms: 60_000, name: "mallory", untold: 3 },
  }),
  () => ({
    type: "kernel.limit.crossed",
    data: { limit: "signin_address", max: 60, window_ms: 60_000, address: "198.51.100.9" },
  }),
  () => ({ type: "kernel.address.refused", data: { rule: "not_listed", address: "198.51.100.9" } }),
  (at) => ({
    type: "kernel.connection.counted",
    data: { from: instant(at - 60_000), until: instant(at), connections: 7, addresses: 2, refused: 1 },
  }),
  () => ({ type: "kernel.quota.reached", data: { tenant: "acme", quota: "events", max: 1_000 } }),
];

/** One step after the other. */
export const doorStory = (): readonly (readonly ((at: number) => NewEvent)[])[] =>
  FACTS.map((fact, n) => [(at) => ({
    ...fact(at),
    id: `door-${n}`,
    source: "kernel",
    stream: "kernel/door",
    authtype: "system",
    authid: "kernel",
    time: instant(at),
    version: 1,
  })]);
