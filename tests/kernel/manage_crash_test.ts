import assert from "node:assert/strict";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { MANAGER, Manager, type Perform } from "../../actors/kernel/manage.ts";
import type { ProcessManager } from "../../actors/types.ts";
import { followers } from "../../adapters/program/followers.ts";
import type { EventLog } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { echo, lockedNotes, managed } from "./manage_given.ts";
import { rig } from "./rig.ts";
import { playground } from "./toy.ts";

Deno.test("a state that could not be noted is not passed by a cursor that could", async () => {
  const { views, state } = lockedNotes();
  const waiting = new Map<string, () => void>();
  const perform: Perform = ({ data }) =>
    new Promise((resolve) => void waiting.set((data as { note: string }).note, resolve));
  const first = await managed({ views, perform });
  await first.add(1, "first");
  await first.add(2, "second", "b");
  await first.clock.settle();
  state.locked = true;
  waiting.get("first")!();
  await first.clock.settle();
  state.locked = false;
  waiting.get("second")!();
  await first.clock.settle();
  assert.match(first.ended(), /locked/);
  await first.stop();
  const second = await managed({ log: first.log, views, seed: 2 });
  await second.clock.settle();
  assert.deepEqual([second.sum(), second.sum("b")], [1, 2]);
  await second.stop();
});

Deno.test("a run that crashes takes its effects along: the next asks for them again, in order, and nobody else does", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let broken = true;
  const log: EventLog = Object.create(inner, {
    hear: {
      value: async function* (...asked: Parameters<EventLog["hear"]>) {
        for await (const heard of inner.hear(...asked)) {
          yield heard;
          if (broken && heard.size === 2) throw new LogFault("io", "cannot be read");
        }
      },
    },
  });
  const rung: string[] = [];
  const perform: Perform = ({ data }) => {
    if (broken) return Promise.reject(new Error("not now"));
    rung.push((data as { note: string }).note);
    return Promise.resolve();
  };
  const m = await managed({ log, perform });
  await m.add(1, "first");
  await m.add(2, "second");
  await m.clock.settle();
  assert.match(m.ended(), /cannot be read/);
  broken = false;
  const stopping = new AbortController();
  const again = m.child.run(stopping.signal);
  await m.clock.advance(60_000);
  assert.deepEqual(rung, ["first", "second"]);
  stopping.abort();
  await m.clock.until(again);
  await m.stop();
});

Deno.test("an event whose state cannot be read is no poison: it is taken when it can", async () => {
  const { views, state } = lockedNotes();
  const m = await managed({ views });
  state.unreadable = true;
  await m.add(1, "first");
  await m.clock.settle();
  state.unreadable = false;
  assert.equal(m.deadLetters.size, 0);
  assert.match(m.ended(), /locked/);
  await m.stop();
  const next = await managed({ log: m.log, views, seed: 2 });
  assert.deepEqual([next.rung, next.sum()], [["first 0.0 #1"], 1]);
  await next.stop();
});

Deno.test("a manager that folds a long history anew stops when it is told to, and begins again", async () => {
  const first = await managed();
  for (let i = 0; i < 5; i++) await first.answer("toys.count.repeat", { times: 1_000 }, { id: "a" });
  await first.stop();
  let folded = 0;
  const counted: typeof echo = {
    ...echo,
    version: 2,
    react: (state, event) => (folded++, echo.react(state, event)),
  };
  const second = await managed({ log: first.log, views: first.views, manager: counted, seed: 2 });
  assert.ok(folded > 0 && folded <= 2 * MANAGER.turn_events);
  const before = folded;
  await second.stop();
  assert.deepEqual([second.ended(), folded], ["stopped", before]);
  const third = await managed({ log: first.log, views: first.views, manager: counted, seed: 3 });
  await third.clock.advance(1_000);
  assert.deepEqual([third.child.size, folded], [5_000, before + 5_000]);
  assert.equal(third.sum(), 5_000);
  await third.stop();
});

Deno.test("a letter whose event is taken again stays a letter until its effects are done", async () => {
  const m = await managed();
  await m.add(1, "poison");
  await m.clock.settle();
  await m.stop();
  const [letter] = m.deadLetters.list();
  const manager: typeof echo = {
    ...echo,
    react: ({ sum }, { data }) => ({
      state: { sum: sum + data.by },
      effects: [{ type: "toys.bell.ring", data: { note: "mended" } }],
    }),
  };
  const next = await managed({
    log: m.log,
    views: m.views,
    manager,
    seed: 2,
    perform: (_, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped")), { once: true })),
  });
  const redriven = next.deadLetters.redrive(letter!.id);
  await next.clock.settle();
  await next.stop();
  assert.equal((await redriven).is, "failed");
  const last = await managed({ log: m.log, views: m.views, manager, seed: 3 });
  assert.deepEqual(last.deadLetters.list().map(({ id }) => id), [letter!.id]);
  const twice = [last.deadLetters.redrive(letter!.id), last.deadLetters.redrive(letter!.id)];
  assert.deepEqual(await last.clock.until(Promise.all(twice)), [{ is: "delivered" }, { is: "delivered" }]);
  assert.deepEqual([last.sum(), last.rung], [1, ["mended 0.0 #1"]], "neither lost nor counted twice");
  await last.clock.settle();
  assert.equal(last.stored("kernel.message.redriven").length, 1);
  await last.stop();
});

Deno.test("a letter whose event is taken again stays a letter until its state is noted", async () => {
  const m = await managed();
  await m.add(5, "poison", "b");
  await m.clock.settle();
  await m.stop();
  const [letter] = m.deadLetters.list();
  const manager: typeof echo = {
    ...echo,
    react: ({ sum }, event) =>
      event.data.note === "poison" ? { state: { sum: sum + event.data.by }, effects: [] } : echo.react({ sum }, event),
  };
  const slow = Promise.withResolvers<void>();
  const next = await managed({ log: m.log, views: m.views, manager, seed: 2, perform: () => slow.promise });
  await next.add(1, "slow");
  await next.clock.settle();
  let redriven: string | undefined;
  const asked = next.deadLetters.redrive(letter!.id).then(({ is }) => redriven = is);
  await next.clock.settle();
  assert.deepEqual(
    [redriven, next.sum("b"), next.deadLetters.size],
    [undefined, undefined, 1],
    "kill -9 here loses nothing",
  );
  slow.resolve();
  await next.clock.until(asked);
  assert.deepEqual([redriven, next.sum("b"), next.deadLetters.size], ["delivered", 5, 0]);
  await next.stop();
});

Deno.test("an event that is a dead letter counts once when a new version can take it, also where that folds its states anew", async () => {
  const m = await managed();
  await m.add(5, "poison");
  await m.add(2);
  await m.clock.settle();
  await m.stop();
  const versions = [2, 3].map((version): typeof echo => ({
    ...echo,
    version,
    react: ({ sum }, { data }) => ({
      state: { sum: sum + data.by },
      effects: data.note === undefined ? [] : [{ type: "toys.bell.ring", data: { note: data.note } }],
    }),
  }));
  const next = await managed({ log: m.log, views: m.views, manager: versions[0]!, seed: 2 });
  assert.equal(next.sum(), 2, "passed over as before");
  const [letter] = next.deadLetters.list();
  assert.deepEqual(await next.clock.until(next.deadLetters.redrive(letter!.id)), { is: "delivered" });
  assert.deepEqual([next.sum(), next.rung], [7, ["poison 0.0 #1"]]);
  await next.stop();
  const last = await managed({ log: m.log, views: m.views, manager: versions[1]!, seed: 3 });
  assert.deepEqual([last.sum(), last.rung], [7, []]);
  await last.stop();
});

Deno.test("a letter that is redriven while states are folded anew fails, and what was folded by then is not taken for all", async () => {
  const first = await managed();
  await first.add(5, "poison");
  for (let i = 0; i < 5; i++) await first.answer("toys.count.repeat", { times: 1_000 }, { id: "a" });
  await first.stop();
  const manager: typeof echo = {
    ...echo,
    version: 2,
    react: ({ sum }, { data }) => ({ state: { sum: sum + data.by }, effects: [] }),
  };
  const cut = await managed({ log: first.log, views: first.views, manager, seed: 2 });
  const [letter] = cut.deadLetters.list();
  const { is } = await cut.clock.until(cut.deadLetters.redrive(letter!.id));
  // As after kill -9: nothing is noted any more.
  const last = await managed({ log: first.log, views: first.views, manager, seed: 3 });
  await last.clock.advance(1_000);
  assert.deepEqual([is, last.sum(), last.deadLetters.size], ["failed", 5_000, 1]);
  await last.clock.until(last.deadLetters.redrive(letter!.id));
  assert.deepEqual([last.sum(), last.deadLetters.size], [5_005, 0]);
  await last.stop();
  await cut.stop();
});

Deno.test("several letters about one event are redriven as one", async () => {
  const m = await managed();
  await m.add(5, "poison");
  await m.clock.settle();
  const [first] = m.deadLetters.list();
  // As where the process was killed after the letter was recorded, and before the event was noted.
  const { target, cause, message } = first!;
  m.deadLetters.add({ target, cause, message, lasting: true });
  await m.stop();
  const second = await managed({ log: m.log, views: m.views, manager: { ...echo, version: 2 }, seed: 2 });
  assert.equal(second.deadLetters.size, 3, "a new version cannot take it either");
  await second.stop();
  const third: typeof echo = {
    ...echo,
    version: 3,
    react: ({ sum }, { data }) => ({ state: { sum: sum + data.by }, effects: [] }),
  };
  const next = await managed({ log: m.log, views: m.views, manager: third, seed: 3 });
  const all = next.deadLetters.list().map(({ id }) => next.deadLetters.redrive(id));
  const [redriven] = await next.clock.until(Promise.all(all));
  assert.deepEqual([redriven, next.sum(), next.deadLetters.size], [{ is: "delivered" }, 5, 0]);
  await next.stop();
  const last = await managed({ log: m.log, views: m.views, manager: third, seed: 4 });
  assert.deepEqual([last.sum(), last.deadLetters.size], [5, 0]);
  await last.stop();
});

Deno.test("managers that meet a shape of a newer program are down, and take nothing beside them along", async () => {
  const r = rig();
  const log: EventLog = Object.create(new MemoryLog(r.clock), {
    hear: {
      value: () => {
        throw new LogFault("newer", "position 7: a shape of tomorrow");
      },
    },
  });
  const { entities, world: { views } } = playground();
  const parts = { ...r, log, views, entities, deadLetters: new DeadLetters(r) };
  const managers = ["a", "b", "c"].map((name) => new Manager({ ...echo, name } as ProcessManager, parts));
  const spec = { restarts: { max: 5, within: 60_000 }, backoff: { first: 100, last: 5_000 } };
  const root = followers("managers", managers, spec, r);
  const stopping = new AbortController();
  const run = root.run(stopping.signal);
  await r.clock.advance(600_000);
  const { state, children } = root.tree();
  assert.equal(state, "running");
  const cause = "LogFault: position 7: a shape of tomorrow";
  assert.deepEqual(children!.map(({ state, cause, restarts }) => ({ state, cause, restarts })), [
    { state: "down", cause, restarts: 0 },
    { state: "down", cause, restarts: 0 },
    { state: "down", cause, restarts: 0 },
  ]);
  stopping.abort();
  await r.clock.until(run);
});
