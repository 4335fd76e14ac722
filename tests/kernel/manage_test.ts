import assert from "node:assert/strict";
import { MANAGER, PERFORM, type Perform, Undeliverable } from "../../actors/kernel/manage.ts";
import type { Event } from "../../events/event.ts";
import type { Append, EventLog, Range } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { echo, managed } from "./manage_given.ts";
import { playground } from "./toy.ts";

Deno.test("a manager turns events into commands and effects, caused by the event, and notes how far it is", async () => {
  const m = await managed();
  await m.add(3, "ding");
  await m.add(20);
  await m.clock.settle();
  assert.deepEqual(m.rung, ["ding 0.0 #1"]);
  const [cause, ours] = m.stored("toys.count.added").slice(1);
  assert.equal(ours!.stream, "toys/echo");
  assert.deepEqual([ours!.authid, ours!.id, ours!.causationid, ours!.correlationid], [
    "manager.echo",
    "manager.echo:1.0/0",
    cause!.id,
    cause!.id,
  ]);
  assert.equal(m.sum(), 23);
  assert.equal(m.child.size, 3);
  assert.deepEqual(m.views.note("manager/echo/cursor"), { version: 1, size: 3 });
  await m.stop();
});

Deno.test("a manager goes on where it was; a command counts once even when the notes are lost", async () => {
  const first = await managed();
  for (let i = 1; i <= 5; i++) await first.add(10 * i, `n${i}`);
  await first.stop();
  const second = await managed({ log: first.log, views: first.views, seed: 2 });
  await second.add(7, "later");
  await second.clock.settle();
  assert.deepEqual(second.rung, ["later 10.0 #1"]);
  assert.equal(second.sum(), 157);
  await second.stop();
  const third = await managed({ log: first.log, seed: 3 });
  await third.clock.advance(1_000);
  assert.equal(third.rung.length, 6, "an effect in the world is asked for again");
  assert.equal(third.stored("toys.count.added").filter(({ stream }) => stream === "toys/echo").length, 5);
  assert.equal(third.sum(), 157);
  await third.stop();
});

Deno.test("a manager that begins anew notes no more than is done, whenever it is asked to", async () => {
  const perform: Perform = (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
  const m = await managed({ perform });
  await m.add(1);
  await m.add(2, "ding");
  await m.clock.settle();
  await m.stop();
  const cursor = () => (m.views.note("manager/echo/cursor") as { size: number }).size;
  assert.equal(cursor(), 1);
  const read = m.views.note.bind(m.views);
  // The first that a run does is to look for its notes.
  m.views.note = (key) => {
    m.child.note();
    return read(key);
  };
  await m.child.run(AbortSignal.abort());
  m.views.note = read;
  assert.equal(cursor(), 1);
});

Deno.test("states and cursor never pass an effect that is not done", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  const rung: string[] = [];
  const perform: Perform = async ({ data }) => {
    const { note } = data as { note: string };
    if (note === "slow") await gate;
    rung.push(note);
  };
  const m = await managed({ perform });
  await m.add(1, "slow");
  await m.add(2, "after it");
  await m.add(4, "beside it", "b");
  await m.clock.settle();
  assert.deepEqual(rung, ["beside it"], "one key in order, others beside it");
  assert.equal(m.child.size, 0);
  assert.equal(m.sum(), undefined);
  assert.equal(m.sum("b"), undefined);
  release();
  await m.clock.settle();
  assert.deepEqual(rung, ["beside it", "slow", "after it"]);
  assert.deepEqual([m.child.size, m.sum(), m.sum("b")], [3, 3, 4]);
  await m.stop();
});

Deno.test("what stopped in the middle of an effect asks for it again", async () => {
  const first = await managed({
    perform: (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("stopping")))),
  });
  await first.add(1, "n");
  await first.clock.settle();
  await first.stop();
  assert.equal(first.ended(), "stopped");
  const second = await managed({ log: first.log, views: first.views, seed: 2 });
  assert.deepEqual(second.rung, ["n 0.0 #1"]);
  await second.stop();
});

Deno.test("an effect is tried again with growing waits, a stated number of times, then it is a dead letter; others go on", async () => {
  const attempts: number[] = [];
  let broken = true;
  const m = await managed({
    perform: ({ data }) => {
      if ((data as { note: string }).note !== "bad" || !broken) return Promise.resolve();
      attempts.push(m.clock.monotonic());
      return Promise.reject(new Error("refused"));
    },
  });
  await m.add(1, "bad");
  await m.clock.advance(10 * 60_000);
  assert.equal(attempts.length, PERFORM.attempts);
  assert.ok(attempts[7]! - attempts[6]! > attempts[2]! - attempts[1]!);
  const [letter] = m.deadLetters.list();
  assert.deepEqual([letter!.target, letter!.cause], ["manager:echo", "refused"]);
  assert.equal(m.child.size, m.log.size, "it does not stand in the way");
  assert.equal(m.stored("kernel.message.dead_lettered").length, 1);
  assert.deepEqual(await m.clock.until(m.deadLetters.redrive(letter!.id)), { is: "failed", cause: "refused" });
  await m.stop();
  broken = false;
  const next = await managed({ log: m.log, views: m.views, seed: 2 });
  const [kept] = next.deadLetters.list();
  assert.equal(kept!.id, letter!.id, "letters outlive the process");
  assert.deepEqual(await next.clock.until(next.deadLetters.redrive(kept!.id)), { is: "delivered" });
  assert.deepEqual(next.rung, ["bad 0.0 #1"]);
  await next.clock.settle();
  assert.equal(next.stored("kernel.message.redriven").length, 1);
  await next.stop();
  const last = await managed({ log: m.log, seed: 3, views: m.views });
  assert.equal(last.deadLetters.size, 0);
  await last.stop();
});

Deno.test("a redriven effect is done once, however much lies behind its event", async () => {
  const broken = await managed({ perform: () => Promise.reject(new Undeliverable("no such bell")) });
  await broken.add(1, "n");
  await broken.add(2);
  await broken.clock.advance(10);
  await broken.stop();
  const log: EventLog = Object.create(broken.log, {
    read: { value: (range: Range) => [...broken.log.read(range)].flat().map((event) => [event]) },
  });
  const m = await managed({ log, views: broken.views, seed: 2 });
  const [letter] = m.deadLetters.list();
  assert.deepEqual(await m.clock.until(m.deadLetters.redrive(letter!.id)), { is: "delivered" });
  assert.deepEqual(m.rung, ["n 0.0 #1"]);
  await m.stop();
});

Deno.test("what can never be delivered is a dead letter at the first attempt", async () => {
  const m = await managed({
    perform: () => Promise.reject(new Undeliverable("no such bell")),
  });
  await m.add(1, "n");
  await m.add(1, "alien");
  await m.clock.advance(10);
  assert.deepEqual(m.deadLetters.list().map(({ cause }) => cause), [
    "Undeliverable: no such bell",
    `"mars/1" does not take "mars.rock.lift" with this data`,
  ]);
  await m.stop();
});

Deno.test("a log that cannot be written holds a command up and makes no dead letter of it", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let full = true;
  const refuses = ({ events }: Append) => full && events[0]!.stream === "toys/echo";
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => refuses(batch) ? Promise.reject(new LogFault("full", "no room")) : inner.append(batch),
    },
  });
  const m = await managed({ log });
  await m.add(10);
  await m.clock.advance(60 * 60_000);
  const ours = () => m.stored("toys.count.added").filter(({ stream }) => stream === "toys/echo").length;
  assert.deepEqual([ours(), m.child.size], [0, 0]);
  full = false;
  await m.clock.advance(60_000);
  assert.deepEqual([ours(), m.child.size, m.deadLetters.size], [1, 2, 0]);
  await m.stop();
});

Deno.test("an event that a manager cannot take is not passed before its dead letter is on record", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let full = true;
  const refuses = ({ events }: Append) => full && events[0]!.stream === "kernel/dead_letters";
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => refuses(batch) ? Promise.reject(new LogFault("full", "no room")) : inner.append(batch),
    },
  });
  const m = await managed({ log });
  await m.add(1, "poison");
  await m.add(2);
  await m.clock.advance(1_000);
  m.child.note();
  assert.equal(m.child.size, 0);
  full = false;
  const next = await managed({ log: inner, views: m.views, seed: 2 }); // the first has been killed
  await next.clock.advance(1_000);
  assert.deepEqual(next.deadLetters.list().map(({ message }) => message), [{ position: 0 }]);
  assert.deepEqual([next.child.size, next.sum()], [next.log.size, 2]);
  await next.stop();
  await m.stop();
});

Deno.test("an event that a manager cannot take is a dead letter, is passed over, and can be taken again when it is mended", async () => {
  const m = await managed();
  await m.add(1, "poison");
  await m.add(2);
  await m.clock.settle();
  assert.equal(m.sum(), 2);
  const [letter] = m.deadLetters.list();
  assert.deepEqual(letter!.message, { position: 0 });
  assert.equal((await m.deadLetters.redrive(letter!.id)).is, "failed");
  await m.stop();
  const mended: typeof echo = {
    ...echo,
    react: ({ sum }, { data }) => ({
      state: { sum: sum + data.by },
      effects: [{ type: "toys.bell.ring", data: { note: "mended" } }],
    }),
  };
  const next = await managed({ log: m.log, views: m.views, manager: mended, seed: 2 });
  assert.deepEqual(await next.clock.until(next.deadLetters.redrive(letter!.id)), { is: "delivered" });
  assert.deepEqual(next.rung, ["mended 0.0 #1"]);
  assert.equal(next.sum(), 3);
  await next.stop();
});

Deno.test("a new version folds its states anew and performs nothing that was performed before", async () => {
  const first = await managed();
  for (let i = 1; i <= 5; i++) await first.add(10, `n${i}`);
  await first.stop();
  const double: typeof echo = {
    ...echo,
    version: 2,
    react: (state, event) => ({ ...echo.react(state, event), state: { sum: state.sum + 2 * event.data.by } }),
  };
  const second = await managed({ log: first.log, views: first.views, manager: double, seed: 2 });
  await second.add(1, "new");
  await second.clock.settle();
  assert.deepEqual(second.rung, ["new 10.0 #1"]);
  assert.equal(second.sum(), 102);
  assert.equal(second.stored("toys.count.added").length, 11);
  await second.stop();
});

Deno.test("a manager that is new begins where it is told to: what lies before counts and has no effects", async () => {
  const first = await managed();
  for (let i = 1; i <= 5; i++) await first.add(i, `n${i}`);
  await first.stop();
  const views = () => playground().world.views;
  for (const [from, rung] of [[0, 5], [3, 2], ["end", 0], [99, 0]] as const) {
    const kept = views();
    const second = await managed({ log: first.log, views: kept, seed: 2, from });
    assert.equal(second.rung.length, rung, `from ${from}`);
    assert.equal(second.sum(), 15);
    await second.stop();
  }
});

Deno.test("a manager that is to begin where nothing can is refused, and does not stay deaf", async () => {
  for (const from of [NaN, -1, 1.5, Infinity, "start" as "end"]) {
    await assert.rejects(managed({ from }), { name: "TypeError", message: new RegExp(`or at "end", not at ${from}$`) });
  }
});

Deno.test("where a new manager begins is settled when it begins, not when it is asked again", async () => {
  const other = await managed();
  await other.add(7, "late");
  await other.stop();
  const [late] = other.stored("toys.count.added");
  const { recordedat: _r, position: _p, revision: _v, specversion: _s, ...event } = late!;
  const { log, views, stop } = await managed({ from: "end" });
  await stop();
  // What comes until it is back is not passed over.
  await log.append({ events: [event] });
  const again = await managed({ log, views, seed: 2, from: "end" });
  assert.deepEqual(again.rung, ["late 0.0 #1"]);
  await again.stop();
});

Deno.test("an event that a new version still cannot take is a dead letter again, and holds nothing up", async () => {
  const first = await managed();
  await first.add(1, "poison");
  await first.add(2);
  await first.stop();
  const second = await managed({ log: first.log, views: first.views, manager: { ...echo, version: 2 }, seed: 2 });
  assert.equal(second.ended(), "running");
  assert.equal(second.sum(), 2);
  assert.deepEqual(second.deadLetters.list().map(({ message }) => message), [{ position: 0 }, { position: 0 }]);
  await second.stop();
});

Deno.test("a log that is shorter than the cursor is folded anew up to its end", async () => {
  const first = await managed();
  for (let i = 1; i <= 5; i++) await first.add(i);
  await first.stop();
  const shorter = new MemoryLog({ now: () => 0 });
  for (
    const { recordedat: _r, position: _p, revision: _v, specversion: _s, ...event } of first.stored("toys.count.added")
      .slice(0, 3)
  ) {
    await shorter.append({ events: [event] });
  }
  const second = await managed({ log: shorter, views: first.views, seed: 2 });
  assert.equal(second.sum(), 6);
  await second.add(4);
  await second.clock.settle();
  assert.equal(second.sum(), 10);
  await second.stop();
});

Deno.test("effects under way are bounded, and what is not noted because of a slow one is too", async () => {
  let [now, most] = [0, 0];
  const m = await managed({
    perform: async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((resolve) => void m.clock.schedule(10, resolve));
      now--;
    },
  });
  const asks = Array.from({ length: 200 }, (_, i) => m.ask("toys.count.add", { by: 1, note: "n" }, { id: `e${i}` }));
  await m.clock.until(Promise.all(asks));
  await m.clock.advance(1_000);
  assert.equal(most, MANAGER.in_flight_max);
  assert.equal(m.child.size, 200);
  await m.stop();

  let release = () => {};
  const slow = await managed({
    perform: ({ data }) =>
      (data as { note: string }).note === "slow" ? new Promise((resolve) => release = resolve) : Promise.resolve(),
  });
  await slow.add(1, "slow");
  for (let i = 0; i < 3; i++) await slow.answer("toys.count.repeat", { times: 1_000 }, { id: "b" }).catch(() => {});
  await slow.clock.settle();
  assert.equal(slow.child.size, 0);
  const taken = () => slow.child.size;
  release();
  await slow.clock.advance(100);
  assert.equal(taken(), 3_001);
  await slow.stop();
});

Deno.test("a state that cannot be noted is a crash of the manager, not a silence", async () => {
  const odd: typeof echo = { ...echo, react: () => ({ state: new Map() as never, effects: [] }) };
  const m = await managed({ manager: odd });
  await m.add(1);
  await m.clock.settle();
  assert.match(m.ended(), /CanonicalError/);
  await m.stop();
});

Deno.test("a state that cannot be noted has no effects, however often the manager starts", async () => {
  const effects = [{ type: "toys.bell.ring", data: { note: "again" } }] as const;
  const odd: typeof echo = { ...echo, react: () => ({ state: { sum: NaN }, effects }) };
  const first = await managed({ manager: odd });
  await first.add(1);
  await first.clock.settle();
  await first.stop();
  const second = await managed({ manager: odd, log: first.log, views: first.views, seed: 2 });
  assert.match(second.ended(), /CanonicalError/);
  await second.stop();
  assert.deepEqual([...first.rung, ...second.rung], []);
});

for (
  const [what, reaction] of Object.entries({
    "nothing": undefined,
    "no effects": { state: { sum: 1 } },
    "one effect and no list": { state: { sum: 1 }, effects: { type: "toys.bell.ring", data: {} } },
    "no state": { effects: [] },
  })
) {
  Deno.test(`an event that a manager answers with ${what} is a dead letter, and is passed over`, async () => {
    const odd: typeof echo = {
      ...echo,
      react: (state, event) => event.data.note === "odd" ? reaction as never : echo.react(state, event),
    };
    const m = await managed({ manager: odd });
    await m.add(1, "odd");
    await m.add(2);
    await m.clock.settle();
    assert.equal(m.sum(), 2);
    assert.equal(m.ended(), "running");
    const [letter] = m.deadLetters.list();
    assert.deepEqual(letter!.message, { position: 0 });
    assert.match(letter!.cause, /^TypeError: "echo" reacted without a state and a list of effects$/);
    assert.equal((await m.deadLetters.redrive(letter!.id)).is, "failed");
    await m.stop();
  });
}

Deno.test("a key whose state is the initial one again needs no note", async () => {
  const once: typeof echo = { ...echo, react: ({ sum }) => ({ state: { sum: sum === 0 ? 1 : 0 }, effects: [] }) };
  const m = await managed({ manager: once });
  await m.add(1);
  await m.clock.settle();
  assert.equal(m.sum(), 1);
  await m.add(1);
  await m.clock.settle();
  assert.equal(m.sum(), undefined);
  await m.stop();
});

Deno.test("the shapes that one event has become have effects of their own, and are noted together", async () => {
  // An event that says `20` is an old shape, and read as two that say `10` each; one of 30 is read as three.
  const split = (page: readonly Event[]) =>
    page.flatMap((event) => {
      const { by, ...data } = event.data as { readonly by: number };
      return by > 10 ? Array.from({ length: by / 10 }, () => ({ ...event, data: { ...data, by: 10 } })) : [event];
    });
  const inner = new MemoryLog({ now: () => 0 });
  const log: EventLog = Object.create(inner, {
    read: { value: (range: Range) => [...inner.read(range)].map(split) },
    hear: {
      value: async function* (...asked: Parameters<EventLog["hear"]>) {
        for await (const { events, size } of inner.hear(...asked)) yield { events: split(events), size };
      },
    },
  });
  const rung: string[] = [];
  let stuck = true;
  const perform: Perform = (_, { position, index, signal }) => {
    rung.push(`${position}.${index}`);
    return index > 1 && stuck
      ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopping"))))
      : Promise.resolve();
  };
  const first = await managed({ log, perform });
  await first.add(20, "n");
  await first.clock.settle();
  await first.stop();
  assert.deepEqual(rung, ["0.1", `0.${PERFORM.shape_effects_max + 1}`]);
  stuck = false;
  const { views } = first;
  const second = await managed({ log, views, perform: () => Promise.resolve(), seed: 2 });
  await second.add(30);
  await second.clock.advance(1_000);
  const ours = second.stored("toys.count.added").filter(({ stream }) => stream === "toys/echo");
  assert.deepEqual([second.sum(), second.deadLetters.size, ours.length], [50, 0, 5]);
  await second.stop();
});
