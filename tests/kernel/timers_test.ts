import assert from "node:assert/strict";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { TIMERS, Timers } from "../../actors/kernel/timers.ts";
import { Schedule } from "../../actors/kernel/schedule.ts";
import type { Append, EventLog } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { ViewsFault } from "../../projections/views.ts";
import { playground, toys } from "./toy.ts";
import { rig } from "./rig.ts";

const HOUR = 3_600_000;

/** A playground with timers running; `stop` ends both. */
const withTimers = async (options: Parameters<typeof playground>[0] & { readonly standing_max?: number } = {}) => {
  const p = playground(options);
  const deadLetters = new DeadLetters(p);
  const { log, views } = p.world;
  const timers = new Timers({
    clock: p.clock,
    random: p.random,
    log,
    views,
    entities: p.entities,
    deadLetters,
    standing_max: options.standing_max,
  });
  const stopping = new AbortController();
  const run = timers.run(stopping.signal);
  await p.clock.settle();
  const set = (name: string, after: number, by = 1, id = "a") =>
    p.answer("toys.timer.set", { name, at: p.clock.now() + after, by }, { id });
  const total = () =>
    [...log.read({ stream: "toys/a", types: ["toys.count.added"] })].flat().reduce(
      (sum, { data }) => sum + (data as { by: number }).by,
      0,
    );
  const types = () =>
    [...log.read({})].flat().map(({ type, data }) =>
      `${type.split(".").slice(1).join(".")}${
        type.endsWith("fired") ? ` ${(data as { outcome: string }).outcome}` : ""
      }`
    );
  const stop = async () => {
    stopping.abort();
    await p.clock.until(run);
    await p.stop();
  };
  return { ...p, timers, deadLetters, set, total, types, stop };
};

Deno.test("a timer comes true at its time, once, recorded together with what came of it", async () => {
  const t = await withTimers();
  await t.set("t", HOUR, 5);
  await t.clock.advance(HOUR - 1);
  assert.deepEqual(t.types(), ["timer.set"]);
  await t.clock.advance(50);
  assert.deepEqual(t.types(), ["timer.set", "timer.fired accepted", "count.added"]);
  assert.equal(t.total(), 5);
  const [set, fired, added] = [...t.log.read({})].flat();
  assert.equal(added!.causationid, set!.id);
  assert.equal(fired!.id, `kernel:timer:${set!.position}/0`);
  await t.clock.advance(24 * HOUR);
  assert.equal(t.types().length, 3);
  assert.equal(t.timers.count, 0);
  await t.stop();
});

Deno.test("a timer that is set again as it stands is not recorded again, also by who reads it off the log, and comes true once", async () => {
  const t = await withTimers();
  await t.set("t", HOUR);
  await t.set("t", HOUR);
  assert.deepEqual(t.types(), ["timer.set"]);
  await t.clock.advance(HOUR / 2);
  assert.equal(t.entities.resident, 0, "it is passivated");
  await t.set("t", HOUR / 2);
  assert.deepEqual(t.types(), ["timer.set"]);
  await t.set("t", HOUR / 2, 2);
  assert.deepEqual(t.types(), ["timer.set", "timer.set"]);
  await t.clock.advance(HOUR + 50);
  assert.equal(t.total(), 2);
  await t.stop();
});

Deno.test("a timer that is set behind a later one comes true in front of it", async () => {
  const t = await withTimers();
  await t.set("late", HOUR, 1);
  await t.clock.advance(100);
  await t.set("soon", 1_000, 10);
  await t.clock.advance(1_100);
  assert.equal(t.total(), 10);
  await t.stop();
});

Deno.test("a timer that is cancelled or set anew does not come true as it was", async () => {
  const t = await withTimers();
  await t.set("gone", 1_000, 1);
  await t.set("moved", 1_000, 10);
  await t.set("moved", 5_000, 100);
  await t.answer("toys.timer.cancel", { name: "gone" });
  await t.answer("toys.timer.cancel", { name: "never there" });
  await t.clock.advance(4_000);
  assert.deepEqual(t.types(), ["timer.set", "timer.set", "timer.set", "timer.cancelled"]);
  await t.clock.advance(2_000);
  assert.equal(t.total(), 100);
  await t.stop();
});

Deno.test("a timer whose command is rejected has fired, with the code", async () => {
  const t = await withTimers();
  await t.set("t", 10, -7);
  await t.clock.advance(100);
  const fired = [...t.log.read({ types: ["kernel.timer.fired"] })].flat()[0]!;
  assert.deepEqual(fired.data, { name: "t", set: 0, outcome: "rejected", code: "below_zero" });
  await t.stop();
});

Deno.test("timers survive the process, and after an outage each fires once, however often the process starts", async () => {
  for (const notes of ["kept", "lost"] as const) {
    const first = await withTimers();
    await first.set("early", HOUR, 1);
    await first.set("late", 100 * HOUR, 10);
    await first.set("other", 2 * HOUR, 100, "b");
    await first.clock.advance(HOUR + 100);
    await first.stop();
    const { log } = first;
    const views = notes === "kept" ? { views: first.world.views } : {};
    for (let i = 0; i < 3; i++) {
      const next = await withTimers({ world: { log, ...views } });
      next.clock.jump(10 * HOUR); // the clock of the new process starts anew
      await next.clock.advance(TIMERS.recheck_ms);
      assert.equal(next.timers.count, 1);
      await next.stop();
    }
    const fired = [...log.read({ types: ["kernel.timer.fired"] })].flat().map(({ stream, data }) =>
      `${stream} ${(data as { name: string }).name}`
    );
    assert.deepEqual(fired, ["toys/a early", "toys/b other"]);
  }
});

Deno.test("timers come true while they cannot be noted, and are not forgotten or fired again by the next process", async () => {
  class Full extends MemoryViews {
    isFull = false;
    override setNotes(notes: Parameters<MemoryViews["setNotes"]>[0]): void {
      if (this.isFull) throw new ViewsFault("unwritable", "notes.db: database or disk is full");
      super.setNotes(notes);
    }
  }
  for (const room of ["never again", "again"] as const) {
    const views = new Full();
    const first = await withTimers({ world: { views } });
    await first.set("noted", HOUR, 1);
    views.isFull = true;
    await first.set("unnoted", HOUR, 10);
    await first.set("late", 50 * HOUR, 100);
    assert.throws(() => first.timers.note(), ViewsFault);
    await first.clock.advance(HOUR + 100);
    assert.equal(first.total(), 11);
    views.isFull = false;
    if (room === "again") await first.set("later", 60 * HOUR, 1_000);
    await first.stop();
    const next = await withTimers({ world: { log: first.log, views } });
    assert.equal(next.timers.count, room === "again" ? 2 : 1);
    next.clock.jump(100 * HOUR);
    await next.clock.advance(TIMERS.recheck_ms);
    assert.equal(next.total(), room === "again" ? 1_111 : 111);
    await next.stop();
  }
});

Deno.test("an entity whose snapshot is used still knows its timers", async () => {
  const first = await withTimers();
  await first.set("t", HOUR, 5);
  await first.answer("toys.count.repeat", { times: 100 });
  await first.stop();
  const next = await withTimers({ world: { log: first.log, views: first.world.views } });
  await next.clock.advance(HOUR + 1);
  assert.equal(next.total(), 105);
  await next.stop();
});

Deno.test("a clock that jumps forward fires what it passed soon, one that jumps back fires nothing twice", async () => {
  const t = await withTimers();
  await t.set("t", 48 * HOUR, 5);
  t.clock.jump(50 * HOUR);
  await t.clock.advance(TIMERS.recheck_ms);
  assert.equal(t.total(), 5);
  t.clock.jump(-50 * HOUR);
  await t.clock.advance(100 * HOUR);
  assert.equal(t.total(), 5);
  await t.stop();
});

Deno.test("what a clock years ahead has set waits as long as it was to once that is set back, in this process or the next", async () => {
  const YEARS = 10 * 365 * 24 * HOUR;
  for (const when of ["while it runs", "while it is down"] as const) {
    const first = await withTimers();
    await first.set("before", 4 * HOUR, 1);
    first.clock.jump(YEARS);
    await first.answer("toys.timer.cancel", { name: "before" });
    await first.set("ahead", HOUR, 10);
    await first.clock.advance(TIMERS.recheck_ms);
    let t = first;
    if (when === "while it runs") first.clock.jump(-YEARS);
    else {
      await first.stop();
      t = await withTimers({ world: { log: first.log, views: first.world.views } }); // its clock begins anew
    }
    await t.clock.advance(HOUR - 2 * TIMERS.recheck_ms);
    assert.equal(t.total(), 0, when);
    await t.clock.advance(3 * TIMERS.recheck_ms);
    assert.equal(t.total(), 10, when);
    await t.stop();
  }
});

Deno.test("what a clock years ahead has set does not wait anew from each start", async () => {
  const YEARS = 10 * 365 * 24 * HOUR;
  const p = playground();
  const { clock, random, log, entities } = p;
  let started = 0;
  const process = async (hours: number, body?: () => Promise<unknown>) => {
    const header = {
      id: `${started++}`,
      source: "kernel",
      stream: "kernel/process" as const,
      authtype: "system",
      authid: "kernel",
    };
    const start = { ...header, type: "kernel.process.started", version: 1, data: {}, timeGiven: false };
    await log.append({ events: [{ ...start, time: new Date(clock.now()).toISOString() }] });
    const timers = new Timers({ clock, random, log, views: p.world.views, entities, deadLetters: new DeadLetters(p) });
    const stopping = new AbortController();
    const run = timers.run(stopping.signal);
    await clock.settle();
    await body?.();
    await clock.advance(hours * HOUR);
    stopping.abort();
    await clock.until(run);
  };
  const set = (name: string) => p.answer("toys.timer.set", { name, at: clock.now() + 48 * HOUR, by: 1 });
  const fired = () => [...log.read({ types: ["kernel.timer.fired"] })].flat().length;
  await process(1);
  clock.jump(YEARS);
  await process(1, () => set("first"));
  clock.jump(-YEARS);
  await process(20);
  await process(20);
  assert.equal(fired(), 0);
  clock.jump(YEARS); // once more: what it sets then waits from the next start on
  await process(1, () => set("second"));
  clock.jump(-YEARS);
  await process(20);
  assert.equal(fired(), 1);
  await process(20);
  assert.equal(fired(), 1);
  await process(10);
  assert.equal(fired(), 2);
  await p.stop();
});

Deno.test("a clock that begins far behind and is set right later brings nothing before its time", async () => {
  const first = await withTimers();
  first.clock.jump(1_000 * 24 * HOUR);
  await first.set("t", 48 * HOUR, 5);
  await first.stop();
  const t = await withTimers({ world: { log: first.log, views: first.world.views } });
  await t.clock.advance(HOUR);
  t.clock.jump(1_000 * 24 * HOUR - HOUR);
  await t.clock.advance(47 * HOUR);
  assert.equal(t.total(), 0);
  await t.clock.advance(HOUR + TIMERS.recheck_ms);
  assert.equal(t.total(), 5);
  await t.stop();
});

Deno.test("a timer that the log does not take is tried again until it does", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let down = false;
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => down ? Promise.reject(new LogFault("full", "no room")) : inner.append(batch),
    },
  });
  const t = await withTimers({ world: { log } });
  await t.set("t", 1_000, 5);
  down = true;
  await t.clock.advance(1_200);
  down = false;
  await t.clock.advance(60_000);
  assert.equal(t.total(), 5);
  assert.equal(t.types().filter((type) => type.startsWith("timer.fired")).length, 1);
  await t.stop();
});

Deno.test("a timer that cannot be recorded for hours is tried with growing waits, and is not lost", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let [full, tried] = [false, 0];
  const append = (batch: Append) => {
    if (!full) return inner.append(batch);
    tried++;
    return Promise.reject(new LogFault("full", "no room"));
  };
  const log: EventLog = Object.create(inner, { append: { value: append } });
  const t = await withTimers({ world: { log } });
  await t.set("t", 1_000, 5);
  full = true;
  await t.clock.advance(1_000 + HOUR);
  assert.ok(tried >= HOUR / TIMERS.retry_last_ms / 2 && tried <= 3 * HOUR / TIMERS.retry_last_ms, `${tried} attempts`);
  full = false;
  await t.clock.advance(2 * TIMERS.retry_last_ms);
  assert.deepEqual([t.total(), t.timers.count], [5, 0]);
  await t.stop();
});

Deno.test("a timer whose decider fails is tried a stated number of times, then it is a dead letter that can be redriven", async () => {
  let broken = true;
  const fragile = {
    ...toys,
    decide: (...args: Parameters<typeof toys.decide>) => {
      if (broken && args[1].type === "toys.count.add") throw new Error("broken");
      return toys.decide(...args);
    },
  };
  const t = await withTimers({ actors: [fragile as never] });
  await t.set("t", 1_000, 5);
  await t.clock.advance(10 * 60_000);
  assert.equal(t.facts.filter(({ type }) => type === "kernel.child.crashed").length, TIMERS.attempts);
  assert.deepEqual(t.types(), ["timer.set", "timer.fired undeliverable"]);
  const [letter] = t.deadLetters.list();
  assert.equal(letter!.target, "timer:toys/a");
  assert.deepEqual(letter!.message, { type: "toys.count.add", data: { by: 5 } });
  assert.match((await t.clock.until(t.deadLetters.redrive(letter!.id)) as { cause: string }).cause, /failed on/);
  broken = false;
  assert.deepEqual(await t.clock.until(t.deadLetters.redrive(letter!.id)), { is: "delivered" });
  assert.equal(t.total(), 5);
  assert.equal(t.deadLetters.size, 0);
  await t.stop();
});

Deno.test("a timer that cannot be delivered is one dead letter, made when its firing is on record", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let [broken, full] = [true, false];
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => full ? Promise.reject(new LogFault("full", "no room")) : inner.append(batch),
    },
  });
  const fragile = {
    ...toys,
    decide: (...args: Parameters<typeof toys.decide>) => {
      if (broken && args[1].type === "toys.count.add") throw new Error("broken");
      return toys.decide(...args);
    },
  };
  const t = await withTimers({ world: { log }, actors: [fragile as never] });
  await t.set("t", 1_000, 2_000);
  full = true;
  await t.clock.advance(10 * 60_000);
  assert.equal(t.deadLetters.size, 0);
  full = false;
  await t.clock.advance(10 * 60_000);
  assert.deepEqual(t.types(), ["timer.set", "timer.fired undeliverable"]);
  assert.equal(t.deadLetters.size, 1);
  broken = false;
  const [letter] = t.deadLetters.list();
  const redriven = await t.clock.until(t.deadLetters.redrive(letter!.id));
  assert.deepEqual(redriven, { is: "delivered" }, "a rejection is an answer");
  await t.stop();
});

Deno.test("what was noted of timers of a longer log, as before a backup was restored, counts for nothing", async () => {
  const first = await withTimers();
  await first.answer("toys.count.repeat", { times: 10 });
  await first.set("gone", HOUR, 5);
  await first.stop();
  const next = await withTimers({ world: { views: first.world.views } });
  assert.equal(next.timers.count, 0);
  await next.set("t", HOUR, 1);
  await next.clock.advance(2 * HOUR);
  assert.equal(next.total(), 1);
  await next.stop();
});

Deno.test("a timer that no actor takes any more is a dead letter, and fires no more", async () => {
  const first = await withTimers();
  await first.set("t", 1_000, 5);
  await first.stop();
  const { "toys.count.add": _, ...commands } = toys.commands as Record<string, never>;
  for (const actors of [[{ ...toys, commands } as never], []]) {
    const log = new MemoryLog({ now: () => 0 });
    const { recordedat: _r, position: _p, revision: _v, specversion: _s, ...set } = [...first.log.read({})].flat()[0]!;
    await log.append({ events: [set] });
    const next = await withTimers({ world: { log }, actors });
    await next.clock.advance(TIMERS.recheck_ms);
    assert.deepEqual(next.types(), ["timer.set", "timer.fired undeliverable"]);
    assert.equal(next.deadLetters.size, 1);
    assert.equal(next.timers.count, 0);
    await next.stop();
  }
});

Deno.test("how many timers stand is bounded; those beyond it are dead letters, not silence", async () => {
  const t = await withTimers({ standing_max: 2 });
  for (const name of ["a", "b", "c"]) await t.set(name, HOUR);
  assert.equal(t.timers.count, 2);
  assert.match(t.deadLetters.list()[0]!.cause, /more than 2 timers stand/);
  const { message } = t.facts.find(({ type }) => type === "kernel.message.dead_lettered")!.data as {
    message?: unknown;
  };
  assert.deepEqual(message, { type: "toys.count.add", data: { by: 1 } }, "it can be redriven after a restart");
  await t.stop();
});

Deno.test("a decision that sets more timers than an entity may have fails", async () => {
  const many = {
    ...toys,
    decide: () => ({
      ok: true as const,
      facts: [],
      timers: Array.from(
        { length: 1_001 },
        (_, i) => ({ set: `t${i}`, at: 1e12, command: { type: "toys.count.add" as const, data: { by: 1 } } }),
      ),
    }),
  };
  const t = await withTimers({ actors: [many as never] });
  await assert.rejects(
    t.answer("toys.count.add", { by: 1 }),
    (error: Error) => /at most 1000 timers/.test(String(error.cause)),
  );
  assert.equal(t.world.log.size, 0);
  await t.stop();
});

Deno.test("no more is done at once than is allowed, and what is removed is not done", async () => {
  const { clock, random } = rig(3);
  const schedule = new Schedule<number>(clock, 4, 1_000);
  let [now, most] = [0, 0];
  const done: number[] = [];
  schedule.open(new AbortController().signal, async (item) => {
    most = Math.max(most, ++now);
    await new Promise<void>((resolve) => void clock.schedule(random.between(1, 50), resolve));
    now--;
    done.push(item);
    return item === 7 && done.filter((n) => n === 7).length < 3 ? clock.now() + 10 : undefined;
  });
  for (let i = 0; i < 50; i++) schedule.add(i, clock.now() + random.between(0, 500));
  schedule.remove(20);
  await clock.advance(5_000);
  assert.equal(most, 4);
  assert.deepEqual(
    [...new Set(done)].sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, i) => i).filter((i) => i !== 20),
  );
  assert.equal(done.filter((n) => n === 7).length, 3);
  schedule.close();
});
