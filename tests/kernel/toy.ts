/** A small domain for kernel tests: counters that add up, set timers, and break when told to. */
import { z } from "zod";
import { catalogue, type Domain } from "../../events/catalogue.ts";
import type { StreamId } from "../../events/event.ts";
import { kernelDomain } from "../../events/kernel.ts";
import type { NewEvent } from "../../events/log.ts";
import { accept, type Actor, type Command, reject } from "../../actors/types.ts";
import type { Ask } from "../../actors/kernel/daybook.ts";
import type { EntitiesOptions } from "../../actors/kernel/entities.ts";
import { Entities } from "../../actors/kernel/entities.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { systemHash } from "../../adapters/system/world.ts";
import { rig } from "./rig.ts";

export type ToyFact =
  | { readonly type: "toys.count.added"; readonly data: { readonly by: number; readonly note?: string } }
  | { readonly type: "toys.count.poisoned"; readonly data: Record<string, never> };

export interface Toy {
  readonly total: number;
  readonly adds: number;
  readonly notes: string;
}

const toyFacts: Domain = {
  name: "toys",
  facts: {
    "toys.count.added": {
      schema: z.strictObject({ by: z.int(), note: z.string().optional() }),
      kind: "decided",
      version: 3,
      about: "A number was added.",
    },
    "toys.count.poisoned": { schema: z.strictObject({}), kind: "observed", about: "What no fold can take." },
  },
};

const added = (by: number, note?: string): ToyFact => ({
  type: "toys.count.added",
  data: note === undefined ? { by } : { by, note },
});

export const toys: Actor<Toy, Command, ToyFact> = {
  domain: "toys",
  version: 1,
  commands: {
    "toys.count.add": z.strictObject({ by: z.int(), note: z.string().optional() }),
    "toys.count.confirm": z.strictObject({}),
    "toys.count.break": z.strictObject({}),
    "toys.count.repeat": z.strictObject({ times: z.int(), note: z.string().default("") }),
    "toys.timer.set": z.strictObject({ name: z.string(), at: z.number(), by: z.number() }),
    "toys.timer.cancel": z.strictObject({ name: z.string() }),
  },
  facts: ["toys.count.added", "toys.count.poisoned"],
  initial: { total: 0, adds: 0, notes: "" },
  decide(state, { type, data }, context) {
    const input = data as { by: number; note?: string; name: string; at: number; times: number };
    switch (type) {
      case "toys.count.add":
        if (input.by > 1_000) return reject("too_much", "More than 1,000 at a time");
        if (input.by < 0 && state.total + input.by < 0) return reject("below_zero", "A counter is never below zero");
        return accept(added(input.by, input.note === "fresh" ? context.fresh : input.note));
      case "toys.count.confirm":
        return accept();
      case "toys.count.repeat":
        return accept(...Array.from({ length: input.times }, () => added(1, input.note)));
      case "toys.timer.set": {
        const command: Command = { type: "toys.count.add", data: { by: input.by } };
        return { ok: true, facts: [], timers: [{ set: input.name, at: input.at, command }] };
      }
      case "toys.timer.cancel":
        return { ok: true, facts: [], timers: [{ cancel: input.name }] };
      default:
        throw new Error("broken on purpose, says ann@example.org");
    }
  },
  evolve(state, fact) {
    if (fact.type === "toys.count.poisoned") throw new Error("poison");
    return { total: state.total + fact.data.by, adds: state.adds + 1, notes: fact.data.note ?? state.notes };
  },
};

export const toyCatalogue = catalogue(toyFacts, kernelDomain);

/** Entities over the memory log in virtual time; `stop` drains them. */
export const playground = (
  options: Partial<Omit<EntitiesOptions, "world">> & {
    readonly world?: Partial<EntitiesOptions["world"]>;
    readonly seed?: number;
  } = {},
) => {
  const r = rig(options.seed);
  const log = new MemoryLog(r.clock);
  const world = { clock: r.clock, random: r.random, hash: systemHash, log, views: new MemoryViews(), ...options.world };
  const entities = new Entities({
    catalogue: toyCatalogue,
    actors: [toys as Actor],
    recorder: r.recorder,
    ...options,
    world,
  });
  const stopping = new AbortController();
  const run = entities.run(stopping.signal);
  const ask = (type: Ask["type"], data: unknown, more: Partial<Ask> = {}) =>
    entities.ask({ type, id: "a", data, by: { authtype: "user", authid: "u_1" }, ...more });
  /** Asks, and lets time pass until there is an answer. */
  const answer = (...args: Parameters<typeof ask>) => r.clock.until(ask(...args));
  const stop = () => {
    stopping.abort();
    return r.clock.until(run);
  };
  return { ...r, log, world, entities, ask, answer, stop };
};

/** An event that comes from elsewhere into the stream of a toy. */
export const outside = (type: ToyFact["type"], data: unknown, id: string, stream: StreamId = "toys/a"): NewEvent => ({
  id,
  source: "elsewhere",
  type,
  time: "2026-01-01T00:00:00Z",
  stream,
  version: toyCatalogue.spec(type)?.version ?? 1,
  authtype: "api_key",
  authid: "t_1",
  data,
});
