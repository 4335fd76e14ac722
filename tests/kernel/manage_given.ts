/** A process manager of the playground, run as its supervisor would, and views whose notes fail when told to. */
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { Manager, type Perform } from "../../actors/kernel/manage.ts";
import { FactRecorder } from "../../actors/kernel/recorder.ts";
import type { Effect, ProcessManager } from "../../actors/types.ts";
import type { Event } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import { type Views, ViewsFault } from "../../projections/views.ts";
import { playground, type ToyFact } from "./toy.ts";

type Added = Extract<ToyFact, { readonly type: "toys.count.added" }>;

/** Adds up per stream; every 10th adds one to `toys/echo`, a note asks for an effect, the note `poison` breaks it. */
export const echo: ProcessManager<{ readonly sum: number }, Added> = {
  name: "echo",
  version: 1,
  hears: ["toys.count.added"],
  initial: { sum: 0 },
  key: ({ stream }) => stream,
  react({ sum }, event) {
    if (event.data.note === "poison") throw new Error("cannot take it");
    const effects: Effect[] = [];
    if (event.stream !== "toys/echo" && event.data.by % 10 === 0) {
      effects.push({ type: "command", stream: "toys/echo", command: { type: "toys.count.add", data: { by: 1 } } });
    }
    if (event.data.note === "alien") {
      effects.push({ type: "command", stream: "mars/1", command: { type: "mars.rock.lift", data: {} } });
    } else if (event.data.note !== undefined) {
      effects.push({ type: "toys.bell.ring", data: { note: event.data.note, sum } });
    }
    return { state: { sum: sum + event.data.by }, effects };
  },
};

interface Options {
  readonly log?: EventLog;
  readonly views?: Views;
  readonly perform?: Perform;
  readonly manager?: ProcessManager<{ readonly sum: number }, Added>;
  readonly seed?: number;
  readonly from?: number | "end";
}

export const managed = async ({ log, views, perform, manager = echo, seed, from }: Options = {}) => {
  const p = playground({ seed, world: { ...(log ? { log } : {}), ...(views ? { views } : {}) } });
  const world = p.world;
  const recorder = new FactRecorder({ ...p, log: world.log });
  const deadLetters = new DeadLetters({ ...p, recorder });
  deadLetters.restore(world.log);
  const rung: string[] = [];
  const child = new Manager(manager as ProcessManager, {
    ...world,
    entities: p.entities,
    deadLetters,
    from,
    perform: perform ??
      (({ data }, { position, index, attempt }) => {
        rung.push(`${(data as { note: string }).note} ${position}.${index} #${attempt}`);
        return Promise.resolve();
      }),
  });
  const stopping = new AbortController();
  let ended = "running";
  const run = child.run(stopping.signal).then(() => ended = "stopped", (error) => ended = String(error));
  await p.clock.settle();
  const add = (by: number, note?: string, id = "a") =>
    p.answer("toys.count.add", note === undefined ? { by } : { by, note }, { id });
  const sum = (id = "a") => (world.views.note(`manager/echo/state/toys/${id}`) as { sum: number } | undefined)?.sum;
  const stop = async () => {
    stopping.abort();
    await p.clock.until(run);
    await p.clock.until(recorder.flush());
    await p.stop();
  };
  const stored = (type: string) => [...world.log.read({ types: [type] })].flat() as Event[];
  return {
    ...p,
    log: world.log,
    views: world.views,
    child,
    deadLetters,
    rung,
    add,
    sum,
    stop,
    stored,
    ended: () => ended,
  };
};

/** Views whose notes cannot be written, or read, for a moment. */
export const lockedNotes = () => {
  const inner = playground().world.views;
  const state = { locked: false, unreadable: false };
  const views: Views = Object.create(inner, {
    setNotes: {
      value: (entries: Parameters<Views["setNotes"]>[0]) => {
        if (state.locked) throw new ViewsFault("unwritable", "database is locked");
        inner.setNotes(entries);
      },
    },
    note: {
      value: (key: string) => {
        if (state.unreadable) throw new ViewsFault("unwritable", "database is locked");
        return inner.note(key);
      },
    },
  });
  return { views, state };
};
