/** What entities do after faults, and when they are started again. */
import assert from "node:assert/strict";
import { ENTITY } from "../../actors/kernel/entity.ts";
import type { Append, EventLog, Range } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { playground, toys } from "./toy.ts";

const add = "toys.count.add";

Deno.test("entities that are started again take commands, and know what went before", async () => {
  const { answer, clock, entities, stop } = playground();
  await answer(add, { by: 1 });
  await stop();
  const again = new AbortController();
  const run = entities.run(again.signal);
  assert.equal((await answer(add, { by: 2 })).is, "accepted");
  assert.deepEqual(entities.held("toys/a")!.state, { total: 3, adds: 2, notes: "" });
  again.abort();
  await clock.until(run);
});

Deno.test("where a fault of the log comes in the midst of several commands, all of them are told of it at once", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  const log: EventLog = Object.create(inner, {
    find: {
      value: (source: string, id: string) => {
        if (id.includes("bad")) throw new LogFault("io", "cannot be read");
        return inner.find(source, id);
      },
    },
  });
  const { ask, clock, stop } = playground({ world: { log } });
  const began = clock.monotonic();
  const asks = ["good", "bad", "good too"].map((command) => ask(add, { by: 1 }, { command }));
  const answers = await clock.until(Promise.all(asks));
  assert.deepEqual(answers.map((answer) => answer.is === "unavailable" && answer.reason), ["log", "log", "log"]);
  assert.equal(clock.monotonic(), began);
  assert.equal(inner.size, 0);
  await stop();
});

Deno.test("after a crash in which nothing was recorded the entity is read anew, and its end is recorded", async () => {
  const { ask, answer, clock, stop, told } = playground();
  await assert.rejects(clock.until(ask("toys.count.break", {})), /EntityFault/);
  await answer("toys.count.confirm", {});
  await stop();
  assert.deepEqual(told(), ["crashed toys/a", "restarted toys/a", "stopped toys/a"]);
});

Deno.test("an id that is taken, and is of no command here, is tried again a stated number of times", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let tries = 0;
  const taken = { ok: false, conflict: "id", source: "elsewhere", id: "alien/0" } as const;
  const log: EventLog = Object.create(inner, {
    append: { value: (batch: Append) => ++tries > 100 ? inner.append(batch) : Promise.resolve(taken) },
  });
  const { answer, stop } = playground({ world: { log } });
  const outcome = await answer(add, { by: 1 });
  assert.deepEqual([outcome.is === "unavailable" && outcome.reason, tries], ["contention", ENTITY.retries + 1]);
  await stop();
});

Deno.test("loads that fail count in a row: one that succeeds begins anew; what cannot be upcast counts, too", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let broken = 0;
  const log: EventLog = Object.create(inner, {
    read: {
      *value(range: Range) {
        if (broken-- > 0) throw new LogFault("invalid", "an upcast failed");
        yield* inner.read(range);
      },
    },
  });
  const { ask, answer, clock, stop, told } = playground({ world: { log } });
  for (let i = 0; i < 2; i++) {
    broken = ENTITY.loads_max - 1;
    for (let n = 1; n < ENTITY.loads_max; n++) await assert.rejects(clock.until(ask(add, { by: 1 })), /EntityFault/);
    await answer("toys.count.confirm", {});
    await assert.rejects(clock.until(ask("toys.count.break", {})), /EntityFault/);
  }
  assert.ok(!told().includes("gave_up toys/a"), told().join());
  broken = Infinity;
  for (let i = 0; i < ENTITY.loads_max; i++) await assert.rejects(clock.until(ask(add, { by: 1 })), /EntityFault/);
  assert.equal(told().at(-1), "gave_up toys/a");
  broken = 0;
  await stop();
});

Deno.test("a timer that comes due as it was before it was set anew does nothing", async () => {
  const { answer, clock, entities, log, stop } = playground();
  for (const at of [1_000, 2_000]) await answer("toys.timer.set", { name: "t", at: clock.now() + at, by: 1 });
  const command = { type: "toys.count.add", data: { by: 1 } } as const;
  const due = {
    stream: "toys/a",
    name: "t",
    command,
    causationid: "c",
    correlationid: "c",
    undeliverable: false,
  } as const;
  await clock.until(entities.fire({ ...due, set: 0, position: 0 }));
  assert.equal(log.size, 2);
  await clock.until(entities.fire({ ...due, set: 1, position: 1 }));
  assert.deepEqual([...log.read({ from: 2 })].flat().map(({ type }) => type), [
    "kernel.timer.fired",
    "toys.count.added",
  ]);
  await stop();
});

Deno.test("facts that the log refuses as they are fail their own command alone, as a fault that no retry mends", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) =>
        batch.events.some(({ data }) => (data as { note?: string }).note === "bad")
          ? Promise.reject(new LogFault("invalid", "not so"))
          : inner.append(batch),
    },
  });
  const { ask, clock, stop } = playground({ world: { log } });
  const asks = ["a", "bad", "b"].map((note) => ask(add, { by: 1, note }));
  const answers = await clock.until(Promise.allSettled(asks));
  assert.deepEqual(answers.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual([...inner.read({})].flat().map(({ data }) => (data as { note: string }).note), ["a", "b"]);
  await stop();
});

Deno.test("facts of one command belong together, whether or not the caller says to what", async () => {
  const { answer, log, stop } = playground();
  await answer("toys.count.repeat", { times: 3 });
  const [first, ...others] = [...log.read({})].flat();
  assert.deepEqual([first!.correlationid, ...others.map(({ correlationid }) => correlationid)], [
    undefined,
    first!.id,
    first!.id,
  ]);
  await answer("toys.count.repeat", { times: 2 }, { correlationid: "c" });
  assert.deepEqual([...log.read({ from: 3 })].flat().map(({ correlationid }) => correlationid), ["c", "c"]);
  await stop();
});

Deno.test("an entity that has as many timers as it may can set one of them anew", async () => {
  const many = {
    ...toys,
    decide: (...[, { data }]: Parameters<typeof toys.decide>) => {
      const { by: from } = data as { by: number };
      const command = { type: "toys.count.add" as const, data: { by: 1 } };
      const timers = Array.from(
        { length: 500 },
        (_, i) => ({ set: `t${(from + i) % 1_000}`, at: 1e12 + from, command }),
      );
      return { ok: true as const, facts: [], timers };
    },
  };
  const { answer, entities, stop } = playground({ actors: [many as never] });
  for (const by of [0, 500, 1_000]) assert.equal((await answer(add, { by })).is, "accepted");
  assert.equal(entities.held("toys/a")!.revision, 1_499);
  await stop();
});
