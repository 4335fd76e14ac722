import assert from "node:assert/strict";
import { ENTITY } from "../../actors/kernel/entity.ts";
import type { Append, EventLog } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { outside, playground, type Toy, toys } from "./toy.ts";

const add = "toys.count.add";
const stored = (log: EventLog) => [...log.read({})].flat();

/** A log whose appends a test can hold up, fail, or count. */
const watched = (inner: EventLog, before: (batch: Append, n: number) => Promise<void> | void) => {
  let appends = 0;
  const log: EventLog = Object.create(inner, {
    append: {
      value: async (batch: Append) => {
        await before(batch, ++appends);
        return await inner.append(batch);
      },
    },
  });
  return { log, appends: () => appends };
};

Deno.test("a command is decided, recorded and answered with what was recorded", async () => {
  const { answer, log, stop, entities } = playground();
  const outcome = await answer(add, { by: 2, note: "two" }, {
    command: "c1",
    causationid: "cause",
    traceparent: "00-1-2-01",
  });
  assert.deepEqual(outcome, {
    is: "accepted",
    stream: "toys/a",
    revision: 0,
    position: 0,
    facts: stored(log),
    duplicate: false,
  });
  const [event] = stored(log) as [ReturnType<typeof stored>[0] & { commanddigest?: string }];
  assert.equal(event.id, "u_1:c1/0");
  assert.equal(event.source, "toys/a");
  assert.equal(event.version, 3, "the catalogue's version of the shape");
  assert.deepEqual([event.authtype, event.authid, event.causationid, event.traceparent], [
    "user",
    "u_1",
    "cause",
    "00-1-2-01",
  ]);
  assert.match(event.commanddigest!, /^[\w-]{43}$/);
  assert.equal(event.time, "2026-01-01T00:00:00.000Z");
  assert.deepEqual(entities.held("toys/a")!.state, { total: 2, adds: 1, notes: "two" });
  await stop();
});

Deno.test("what does not parse, is not known or is refused is said so, and nothing is recorded", async () => {
  const { answer, log, stop } = playground();
  assert.deepEqual(await answer("toys.count.vanish", {}), { is: "unknown_command" });
  const invalid = await answer(add, { by: "x", "a/b": 1 });
  assert.equal(invalid.is, "invalid");
  assert.deepEqual(invalid.is === "invalid" && invalid.issues.map(({ path }) => path), ["/by", ""]);
  assert.deepEqual(await answer(add, { by: 1_001 }), {
    is: "rejected",
    code: "too_much",
    because: "More than 1,000 at a time",
    revision: -1,
  });
  for (const id of ["", "a\nb", "x".repeat(600)]) {
    assert.equal((await answer(add, { by: 1 }, { id })).is, "invalid", id);
  }
  for (const command of ["", "a\u0000", "x".repeat(1_100)]) {
    assert.equal((await answer(add, { by: 1 }, { command })).is, "invalid");
  }
  assert.equal(log.size, 0);
  await stop();
});

Deno.test("an empty acceptance records nothing and answers with the present revision", async () => {
  const { answer, log, stop } = playground();
  await answer(add, { by: 1 });
  const outcome = await answer("toys.count.confirm", {}, { command: "c" });
  assert.equal(outcome.is === "accepted" && `${outcome.revision} ${outcome.position} ${outcome.facts.length}`, "0 0 0");
  assert.equal(log.size, 1);
  await stop();
});

Deno.test("the same command id again gets the first outcome; with other data or expectation it is a conflict", async () => {
  const first = playground();
  const once = await first.answer("toys.count.repeat", { times: 3, note: "n" }, { command: "c1" });
  await first.answer(add, { by: 5 });
  for (const again of [playground({ world: { log: first.log } }), first]) { // a new process, and the same one
    const twice = await again.answer("toys.count.repeat", { times: 3, note: "n" }, { command: "c1" });
    assert.deepEqual(twice, { ...once, duplicate: true });
    const other = await again.answer("toys.count.repeat", { times: 4, note: "n" }, { command: "c1" });
    assert.deepEqual(other, { is: "conflict", reason: "command_id", revision: 3 });
    const expecting = await again.answer("toys.count.repeat", { times: 3, note: "n" }, { command: "c1", expected: 3 });
    assert.equal(expecting.is, "conflict");
    const somebodyElse = await again.answer("toys.count.repeat", { times: 0 }, {
      command: "c1",
      by: { authtype: "user", authid: "u_2" },
    });
    assert.equal(somebodyElse.is, "accepted");
    await again.stop();
  }
  assert.equal(first.log.size, 4);
});

Deno.test("a repeated command is told of its own facts alone, however the id of the next one goes on from its own", async () => {
  const { answer, stop } = playground();
  const once = await answer(add, { by: 1 }, { command: "c" });
  await answer(add, { by: 2 }, { command: "c/0" });
  await answer(add, { by: 3 }, { command: "c/0/0" });
  assert.deepEqual(await answer(add, { by: 1 }, { command: "c" }), { ...once, duplicate: true });
  await stop();
});

Deno.test("the same command id twice in one go is decided once", async () => {
  const { ask, clock, log, stop } = playground();
  const asks = [1, 1, 2].map((by) => ask(add, { by }, { command: "c" }));
  const [first, second, third] = await clock.until(Promise.all(asks));
  assert.equal(first!.is === "accepted" && first!.duplicate, false);
  assert.deepEqual(second, { ...first, duplicate: true });
  assert.equal(third!.is === "conflict" && third!.reason, "command_id");
  assert.equal(log.size, 1);
  await stop();
});

Deno.test("waiting commands are decided one after another on the evolving state and appended together", async () => {
  const batches: number[] = [];
  const { log } = watched(new MemoryLog({ now: () => 0 }), ({ events }) => void batches.push(events.length));
  const { ask, clock, stop } = playground({ world: { log } });
  const outcomes = await clock.until(Promise.all([5, -3, -3, -2, 1].map((by) => ask(add, { by }))));
  assert.deepEqual(outcomes.map(({ is }) => is), ["accepted", "accepted", "rejected", "accepted", "accepted"]);
  assert.deepEqual(outcomes.map((outcome) => "revision" in outcome && outcome.revision), [0, 1, 1, 2, 3]);
  assert.deepEqual(batches, [4]);
  await stop();
});

Deno.test("`expected` is met exactly or refused with the actual revision, also when others wrote in between", async () => {
  const { answer, log, stop } = playground();
  assert.equal((await answer(add, { by: 1 }, { expected: 0 })).is, "conflict");
  assert.equal((await answer(add, { by: 1 }, { expected: -1 })).is, "accepted");
  await log.append({ events: [outside("toys.count.added", { by: 10 }, "x")] });
  assert.deepEqual(await answer(add, { by: 1 }, { expected: 0 }), { is: "conflict", reason: "revision", revision: 1 });
  assert.equal((await answer(add, { by: 1 }, { expected: 1 })).is, "accepted");
  await stop();
});

Deno.test("a rejection is never decided on a state that others have overtaken", async () => {
  const { answer, log, stop } = playground();
  await answer(add, { by: 1 });
  await log.append({ events: [outside("toys.count.added", { by: 10 }, "x")] });
  assert.equal((await answer(add, { by: -20 })).is, "rejected");
  await log.append({ events: [outside("toys.count.added", { by: 10 }, "y")] });
  const outcome = await answer(add, { by: -20 });
  assert.equal(outcome.is, "accepted", "21 were there by then");
  await stop();
});

Deno.test("a lost race is caught up with and decided anew, a stated number of times", async () => {
  for (const [races, expected] of [[ENTITY.retries, "accepted"], [ENTITY.retries + 1, "unavailable"]] as const) {
    const inner = new MemoryLog({ now: () => 0 });
    const { log, appends } = watched(inner, async (_, n) => {
      if (n <= races) await inner.append({ events: [outside("toys.count.added", { by: 1 }, `x${n}`)] });
    });
    const { answer, stop, entities } = playground({ world: { log } });
    const outcome = await answer(add, { by: 100 });
    assert.equal(outcome.is, expected);
    assert.equal(outcome.is === "unavailable" && outcome.reason, expected === "unavailable" && "contention");
    assert.equal(appends(), ENTITY.retries + 1);
    assert.equal(entities.counts.races_lost, races);
    const state = (await answer("toys.count.confirm", {}), entities.held("toys/a")!.state as Toy);
    assert.equal(state.total, races + (expected === "accepted" ? 100 : 0));
    await stop();
  }
});

Deno.test("a failed append forgets what was speculated, and everybody in it is told", async () => {
  const { log } = watched(new MemoryLog({ now: () => 0 }), (_, n) => {
    if (n === 2) throw new LogFault("full", "no room");
  });
  const { ask, answer, clock, stop, entities } = playground({ world: { log } });
  await answer(add, { by: 1 });
  const outcomes = await clock.until(Promise.all([ask(add, { by: 10 }), ask(add, { by: -11 }), ask(add, { by: -5 })]));
  for (const outcome of outcomes) assert.deepEqual(outcome, { is: "unavailable", reason: "log", retryAfterMs: 1_000 });
  assert.deepEqual(entities.held("toys/a")!.state, { total: 1, adds: 1, notes: "" });
  assert.equal((await answer(add, { by: -5 })).is, "rejected");
  await stop();
});

Deno.test("after an unknown outcome the log is asked, and a repeat finds what was recorded", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  let fail = true;
  const log: EventLog = Object.create(inner, {
    append: {
      value: async (batch: Append) => {
        const appended = await inner.append(batch);
        if (!fail) return appended;
        fail = false;
        throw new LogFault("io", "written, but nobody knows");
      },
    },
  });
  const { answer, stop } = playground({ world: { log } });
  assert.equal((await answer(add, { by: 1 }, { command: "c" })).is, "unavailable");
  const outcome = await answer(add, { by: 1 }, { command: "c" });
  assert.equal(outcome.is === "accepted" && outcome.duplicate, true);
  assert.equal(inner.size, 1);
  await stop();
});

Deno.test("while nobody knows what the log holds next, a command is not refused either: it may have been accepted", async () => {
  const { world, stop: stopFirst } = playground();
  let failed: LogFault | undefined;
  const { log } = watched(world.log, () => {
    if (failed) throw failed;
  });
  const head = world.log.head.bind(world.log);
  Object.defineProperty(log, "head", {
    value: (stream: Parameters<EventLog["head"]>[0]) => {
      if (failed) throw failed;
      return head(stream);
    },
  });
  const { ask, clock, stop } = playground({ world: { log } });
  failed = new LogFault("fenced", "the disk failed");
  // The second is acceptable after the first alone, and both may be on the disk.
  const [first, second] = [ask(add, { by: 5 }, { command: "c1" }), ask(add, { by: -5 }, { command: "c2" })];
  const outcomes = await clock.until(Promise.all([first, second]));
  assert.deepEqual(outcomes.map(({ is }) => is), ["unavailable", "unavailable"]);
  assert.equal((await clock.until(ask(add, { by: -5 }, { command: "c2" }))).is, "unavailable");
  failed = undefined;
  await clock.until(ask(add, { by: 5 }, { command: "c1" }));
  assert.equal((await clock.until(ask(add, { by: -5 }, { command: "c2" }))).is, "accepted");
  await stop();
  await stopFirst();
});

Deno.test("facts are sealed before they are appended, and the state sees only the sealed form", async () => {
  const seen: string[] = [];
  const { answer, log, stop, entities } = playground({
    seal: (type, stream, id, time, data) => {
      seen.push(`${type} ${stream} ${id} ${time}`);
      return { ...data as object, note: "sealed:1:s:x" };
    },
  });
  await answer(add, { by: 1, note: "plain" }, { command: "c" });
  assert.deepEqual(seen, ["toys.count.added toys/a u_1:c/0 2026-01-01T00:00:00.000Z"]);
  assert.equal((stored(log)[0]!.data as { note: string }).note, "sealed:1:s:x");
  assert.equal((entities.held("toys/a")!.state as Toy).notes, "sealed:1:s:x");
  await stop();
});

Deno.test("a full mailbox refuses, says so, and is counted", async () => {
  const { ask, clock, stop, entities } = playground();
  const outcomes = await clock.until(
    Promise.all(Array.from({ length: ENTITY.mailbox_max + 1 }, () => ask(add, { by: 1 }))),
  );
  assert.deepEqual(outcomes.at(-1), { is: "unavailable", reason: "mailbox_full", retryAfterMs: 100 });
  assert.equal(outcomes.filter(({ is }) => is === "accepted").length, entities.counts.taken);
  await stop();
});

Deno.test("what waits over all entities is bounded", async () => {
  const { ask, clock, stop, entities } = playground({ bounds: { waiting_max: 10 } });
  const asks = Array.from({ length: 12 }, (_, i) => ask(add, { by: 1 }, { id: `e${i}` }));
  assert.equal(entities.depth, 10);
  const outcomes = await clock.until(Promise.all(asks));
  assert.equal(outcomes.filter(({ is }) => is === "unavailable").length, 2);
  assert.equal(entities.depth, 0);
  await stop();
});

Deno.test("a deadline is kept: the caller is told, and what was not decided yet never is", async () => {
  let release = () => {};
  const { log } = watched(
    new MemoryLog({ now: () => 0 }),
    (_, n) => n === 1 ? new Promise((resolve) => release = resolve) : undefined,
  );
  const { ask, clock, stop, entities } = playground({ world: { log } });
  const first = ask(add, { by: 1 }, { deadline: 200 });
  await clock.settle();
  const second = ask(add, { by: 2 }, { deadline: 100 });
  const began = clock.monotonic();
  assert.deepEqual(await clock.until(second), { is: "unavailable", reason: "deadline", retryAfterMs: 100 });
  assert.ok(clock.monotonic() - began >= 100 && clock.monotonic() - began <= 150);
  assert.equal((await clock.until(first)).is, "unavailable");
  release();
  await clock.settle();
  assert.deepEqual(entities.held("toys/a")!.state, { total: 1, adds: 1, notes: "" });
  await stop();
});

Deno.test("a decider that throws fails its own command alone, is recorded, and the entity is read anew", async () => {
  const { ask, clock, stop, facts, entities, answer } = playground();
  const asks = [ask(add, { by: 1 }), ask("toys.count.break", {}), ask(add, { by: 2 })];
  const [first, broken, last] = await clock.until(Promise.allSettled(asks));
  assert.equal(first!.status === "fulfilled" && first!.value.is, "accepted");
  assert.equal(last!.status === "fulfilled" && last!.value.is, "accepted");
  assert.match(
    String(broken!.status === "rejected" && broken!.reason),
    /EntityFault: "toys\/a" failed on "toys.count.break"/,
  );
  await answer("toys.count.confirm", {});
  assert.deepEqual(facts.map(({ type }) => type), ["kernel.child.crashed", "kernel.child.restarted"]);
  assert.equal((facts[0]!.data as { cause: string }).cause, "broken on purpose, says [address]");
  assert.deepEqual(entities.held("toys/a")!.state, { total: 3, adds: 2, notes: "" });
  await stop();
});

Deno.test("an entity that cannot be loaded is down for a while, visibly, and only that one", async () => {
  const { ask, answer, clock, log, stop, told } = playground();
  await log.append({ events: [outside("toys.count.poisoned", {}, "x")] });
  for (let i = 0; i < ENTITY.loads_max + 2; i++) await assert.rejects(clock.until(ask(add, { by: 1 })), /EntityFault/);
  const crash = "crashed toys/a";
  assert.deepEqual(told(), [...Array(ENTITY.loads_max).fill(crash), "gave_up toys/a"]);
  assert.equal((await answer(add, { by: 1 }, { id: "b" })).is, "accepted");
  await clock.advance(ENTITY.down_ms);
  await assert.rejects(clock.until(ask(add, { by: 1 })), /failed on/);
  await stop();
});

Deno.test("a decision over the log's limits fails alone; several that fit one by one are appended one by one", async () => {
  const { ask, clock, log, stop } = playground();
  await assert.rejects(clock.until(ask("toys.count.repeat", { times: 1_001 })), /EntityFault/);
  await assert.rejects(clock.until(ask(add, { by: 1, note: "x".repeat(61_000) })), /EntityFault/);
  const big = { times: 10, note: "x".repeat(50_000) };
  const asks = [ask("toys.count.repeat", big), ask("toys.count.repeat", big), ask(add, { by: 1 })];
  const outcomes = await clock.until(Promise.all(asks));
  assert.deepEqual(outcomes.map((outcome) => "revision" in outcome && outcome.revision), [9, 19, 20]);
  const many = Array.from({ length: 4 }, () => ask("toys.count.repeat", { times: 400 }));
  assert.ok((await clock.until(Promise.all(many))).every(({ is }) => is === "accepted"));
  assert.equal(log.size, 1_621);
  await stop();
});

Deno.test("idle entities are passivated, by time and by number, and come back as they were", async () => {
  const { answer, clock, stop, entities } = playground({ bounds: { resident_max: 10, idle_ms: 1_000 } });
  for (let i = 0; i < 25; i++) await answer(add, { by: i }, { id: `e${i}` });
  assert.equal(entities.resident, 10);
  assert.equal(entities.counts.passivations, 15);
  await clock.advance(2_000);
  assert.equal(entities.resident, 0);
  for (let i = 0; i < 25; i++) await answer(add, { by: 100 }, { id: `e${i}` });
  assert.deepEqual(entities.held("toys/e24")!.state, { total: 124, adds: 2, notes: "" });
  await stop();
});

Deno.test("passivation loses no message: the busy stay, and when all are busy a new entity is refused", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  const { log } = watched(new MemoryLog({ now: () => 0 }), () => gate);
  const { ask, clock, stop, entities } = playground({ world: { log }, bounds: { resident_max: 3, idle_ms: 100 } });
  const asks = ["a", "b", "c"].map((id) => ask(add, { by: 1 }, { id }));
  await clock.advance(1_000);
  assert.equal(entities.resident, 3);
  const refused = await ask(add, { by: 1 }, { id: "d" });
  assert.deepEqual([refused.is === "unavailable" && refused.reason, entities.counts.refused], ["mailbox_full", 1]);
  release();
  assert.ok((await clock.until(Promise.all(asks))).every(({ is }) => is === "accepted"));
  assert.equal((await clock.until(ask(add, { by: 1 }, { id: "d" }))).is, "accepted");
  await stop();
});

Deno.test("a snapshot is used for what it is of, and for nothing else", async () => {
  const first = playground();
  for (let i = 0; i < 3; i++) await first.answer("toys.count.repeat", { times: 200, note: "n" });
  await first.stop();
  const reads = (log: EventLog, counts: number[]): EventLog =>
    Object.create(log, {
      read: {
        value: function* (range: Parameters<EventLog["read"]>[0]) {
          for (const page of log.read(range)) {
            counts.push(page.length);
            yield page;
          }
        },
      },
    });
  const reopened = async (actor: typeof toys, log: EventLog) => {
    const counts: number[] = [];
    const next = playground({ actors: [actor as never], world: { log: reads(log, counts), views: first.world.views } });
    await next.answer("toys.count.confirm", {});
    const { state } = next.entities.held("toys/a")!;
    await next.stop();
    return { state, events: counts.reduce((sum, n) => sum + n, 0) };
  };
  const whole = { total: 600, adds: 600, notes: "n" };
  assert.deepEqual(
    await reopened(toys, first.log),
    { state: whole, events: 1 },
    "only the event that proves the history",
  );
  const elsewhere = new MemoryLog({ now: () => 0 });
  await elsewhere.append({
    events: Array.from({ length: 700 }, (_, i) => outside("toys.count.added", { by: 2 }, `o${i}`)),
  });
  assert.equal(
    ((await reopened(toys, elsewhere)).state as Toy).total,
    1_400,
    "another history, longer than the snapshot",
  );
  assert.deepEqual(await reopened({ ...toys, version: 2 }, first.log), { state: whole, events: 600 });
  const changed = { ...toys, evolve: (state: Toy) => ({ ...state, adds: state.adds + 2 }) };
  const { state } = await reopened(changed, first.log);
  assert.equal((state as Toy).adds, 1_200, "a fold that changed without a new version");
  assert.equal(
    ((await reopened(toys, new MemoryLog({ now: () => 0 }))).state as Toy).total,
    0,
    "another history, shorter",
  );
});

Deno.test("an actor whose state is not plain data works without snapshots", async () => {
  const odd = {
    ...toys,
    initial: new Map() as never,
    evolve: (state: unknown) => new Map(state as Map<string, number>).set("n", 1),
  };
  const { answer, stop, entities, world } = playground({ actors: [odd as never] });
  await answer("toys.count.repeat", { times: 600 });
  await stop();
  assert.equal(entities.snapshots.failed, 0);
  assert.equal(world.views.note("snapshot/toys/a"), undefined);
});

Deno.test("a long stream is read in turns, and nothing is decided before the end of it", async () => {
  const { answer, log, stop, clock } = playground();
  for (let i = 0; i < 5; i++) {
    await log.append({
      events: Array.from({ length: 1_000 }, (_, n) => outside("toys.count.added", { by: 1 }, `${i}-${n}`)),
    });
  }
  let turns = 0;
  const schedule = clock.schedule.bind(clock);
  clock.schedule = (after, call) => (turns += after === 0 ? 1 : 0, schedule(after, call));
  const outcome = await answer(add, { by: -5_000 });
  assert.equal(outcome.is, "accepted");
  assert.ok(turns >= 2, `${turns} turns`);
  await stop();
});

Deno.test("stopping drains what was taken, refuses what comes after, and leaves no timer behind", async () => {
  const { log } = watched(
    new MemoryLog({ now: () => 0 }),
    () => new Promise((resolve) => void clock.schedule(500, resolve)),
  );
  const { ask, clock, stop } = playground({ world: { log } });
  const asks = [ask(add, { by: 1 }), ask(add, { by: 1 }, { id: "b" })];
  await clock.settle();
  const behind = ask(add, { by: 1 });
  const stopped = stop();
  assert.equal((await ask(add, { by: 1 })).is, "unavailable");
  await stopped;
  assert.deepEqual((await Promise.all([...asks, behind])).map(({ is }) => is), ["accepted", "accepted", "accepted"]);
  await assert.rejects(clock.until(new Promise(() => {})), /no timer is left/);
});

Deno.test("what still waited at a gate when its entities stopped is refused, and wakes nobody", async () => {
  const open = Promise.withResolvers<void>();
  const { ask, stop, log, entities } = playground({ gate: { guards: () => true, check: () => open.promise } });
  const waiting = ask("toys.count.add", { by: 1 });
  await stop();
  open.resolve();
  assert.deepEqual(await waiting, { is: "unavailable", reason: "stopping", retryAfterMs: 1_000 });
  assert.deepEqual([log.size, entities.resident], [0, 0]);
});

Deno.test("the fresh id of a context is the same when a decision is made anew", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  const notes: string[] = [];
  const { log } = watched(inner, async ({ events }, n) => {
    notes.push((events[0]!.data as { note: string }).note);
    if (n === 1) await inner.append({ events: [outside("toys.count.added", { by: 1 }, "x")] });
  });
  const { answer, stop } = playground({ world: { log } });
  await answer(add, { by: 1, note: "fresh" });
  assert.equal(notes.length, 2);
  assert.equal(notes[0], notes[1]);
  assert.match(notes[0]!, /^[0-9a-f-]{36}$/);
  await stop();
});

Deno.test("an entity is looked at as far as it is in the log, asleep or awake, and is not woken by it", async () => {
  const { answer, log, entities, stop } = playground();
  assert.equal(entities.look("toys/a").revision, -1);
  assert.deepEqual(entities.look("toys/a").state, toys.initial);
  await answer(add, { by: 2 });
  const first = entities.look("toys/a");
  assert.deepEqual(first, entities.held("toys/a"));
  assert.equal(entities.look("toys/a", first), first, "nothing came since");
  await log.append({ events: [outside("toys.count.added", { by: 5 }, "x")] });
  assert.equal((entities.look("toys/a", first).state as Toy).total, 7, "what others wrote counts as well");
  await log.append({ events: [outside("toys.count.added", { by: 1 }, "y", "toys/b")] });
  assert.equal((entities.look("toys/b").state as Toy).total, 1);
  assert.equal(entities.held("toys/b"), undefined);
  assert.throws(() => entities.look("others/a"), TypeError);
  await stop();
});
