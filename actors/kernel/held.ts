/** What the kernel holds of one entity: the actor's state, how far it has read, and the timers that stand. */
import { atOnce } from "../../events/at_once.ts";
import type { Event, StreamId } from "../../events/event.ts";
import { millis } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { EventLog } from "../../events/log.ts";
import type { Actor, Command } from "../types.ts";
import { keptFrom } from "./kept.ts";

export interface StandingTimer {
  /** Revision of its `kernel.timer.set`; names it for ever. */
  readonly set: number;
  readonly at: number;
  readonly command: Command;
}
export type Timers = ReadonlyMap<string, StandingTimer>;

/** Immutable: speculation makes new ones and forgets them when the log says no. */
export interface Held {
  readonly state: unknown;
  /** Of the last event taken in; -1 for none. */
  readonly revision: number;
  /** `id` of that event. */
  readonly last: string;
  readonly timers: Timers;
}

/** Where folding a stream can begin: what is held already, a snapshot, or nothing. Throws nothing for what was archived. */
export const begun = (
  actor: Actor,
  stream: StreamId,
  { log, snapshots }: {
    readonly log: Pick<EventLog, "head" | "read">;
    readonly snapshots: { read(stream: StreamId, actor: Actor): Held | undefined };
  },
): Held => {
  const snapshot = snapshots.read(stream, actor);
  if (snapshot) return snapshot;
  const none = unborn(actor);
  return actor.settled ? { ...none, revision: keptFrom(log, stream) - 1 } : none;
};

const NONE: Timers = new Map();

export const unborn = (actor: Actor): Held => ({ state: actor.initial, revision: -1, last: "", timers: NONE });

/** Takes in one page of the entity's stream. */
export const taken = (actor: Actor, held: Held, page: readonly Event[]): Held => {
  let { state, revision, last, timers } = held;
  for (const event of page) {
    revision = event.revision;
    last = event.id;
    if (event.type.startsWith("kernel.")) timers = timed(timers, event as unknown as KernelFact, revision);
    else if (actor.facts.includes(event.type)) state = atOnce(actor.evolve(state, event), "evolve");
  }
  return { state, revision, last, timers };
};

/** The timers after a fact; the same map when it is not about timers. */
export const timed = (timers: Timers, fact: KernelFact, revision: number): Timers => {
  switch (fact.type) {
    case "kernel.timer.set": {
      const { name, at, command } = fact.data;
      return new Map(timers).set(name, { set: revision, at: millis(at), command: command as Command });
    }
    case "kernel.timer.cancelled":
      return without(timers, fact.data.name);
    case "kernel.timer.fired":
      // A timer set anew under the same name is another one.
      return timers.get(fact.data.name)?.set === fact.data.set ? without(timers, fact.data.name) : timers;
    default:
      return timers;
  }
};

const without = (timers: Timers, name: string): Timers => {
  if (!timers.has(name)) return timers;
  const rest = new Map(timers);
  rest.delete(name);
  return rest;
};

export type { StreamId };
