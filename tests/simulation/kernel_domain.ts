/** What the simulated kernel runs beside its entities: a process manager and a projection over toys. */
import { z } from "zod";
import type { Effect, ProcessManager } from "../../actors/types.ts";
import type { Event } from "../../events/event.ts";
import type { Projection } from "../../projections/projection.ts";
import type { ToyFact } from "../kernel/toy.ts";

export type Added = Extract<ToyFact, { readonly type: "toys.count.added" }>;

/** Every added multiple of ten is echoed by a command and rung in the world. */
export const echo: ProcessManager<{ readonly heard: number }, Added> = {
  name: "echo",
  version: 1,
  hears: ["toys.count.added"],
  initial: { heard: 0 },
  key: ({ stream }) => stream,
  react({ heard }, event) {
    const effects: Effect[] = isEchoed(event as Event)
      ? [
        { type: "command", stream: "toys/echo", command: { type: "toys.count.add", data: { by: 1 } } },
        { type: "toys.bell.ring", data: { position: event.position } },
      ]
      : [];
    return { state: { heard: heard + 1 }, effects };
  },
};
export const isEchoed = ({ stream, data }: Event): boolean =>
  stream !== "toys/echo" && (data as { by: number }).by % 10 === 0;

/** What was added to each toy, and the last position that did. A new version says the same. */
export const totals = (version: number): Projection<{ readonly total: number; readonly at: number }, Added> => ({
  name: "toys.totals",
  version,
  hears: ["toys.count.added"],
  row: z.strictObject({ total: z.int(), at: z.int() }),
  initial: { total: 0, at: -1 },
  about: "Totals of toys.",
  keys: ({ stream }) => [stream],
  apply: ({ total }, { data, position }) => ({ total: total + data.by, at: position }),
});
