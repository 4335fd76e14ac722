/** Bounds that the other tests do not reach by the way. */
import assert from "node:assert/strict";
import { Cells, CELLS_MAX } from "../../actors/kernel/cells.ts";
import { DEAD_LETTERS, DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { DEADLINE_MS_MAX, Deadlines, Waiting } from "../../actors/kernel/deadlines.ts";
import { ENTITIES } from "../../actors/kernel/entities.ts";
import { ENTITY } from "../../actors/kernel/entity.ts";
import { MANAGER, Manager } from "../../actors/kernel/manage.ts";
import { Snapshots, SNAPSHOTS_BEHIND_MS, SNAPSHOTS_WAITING_MAX } from "../../actors/kernel/snapshots.ts";
import { CHILDREN_MAX } from "../../actors/kernel/supervisor.ts";
import type { Actor, ProcessManager } from "../../actors/types.ts";
import { type Append, type EventLog, LIMITS } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { SAME_TIME_TIMERS_MAX, Stalled } from "../../adapters/simulation/clock.ts";
import { systemHash } from "../../adapters/system/world.ts";
import { Puppet, rig, supervise } from "./rig.ts";
import { outside, playground, toys } from "./toy.ts";

Deno.test("a supervisor has so many children and no more", async () => {
  const r = rig();
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: { max: 1, within: 1 },
    children: [],
  });
  for (let i = 0; i < CHILDREN_MAX; i++) await supervisor.add(new Puppet(`c${i}`, []));
  await assert.rejects(supervisor.add(new Puppet("more", [])), /it has 1000 children already/);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("there are so many cells and no more", () => {
  const r = rig();
  const cells = new Cells({ clock: r.clock, deadLetters: new DeadLetters(r) });
  for (let i = 0; i < CELLS_MAX; i++) cells.cell({ id: `c${i}`, begin: () => () => {} });
  assert.throws(() => cells.cell({ id: "more", begin: () => () => {} }), RangeError);
  assert.equal(cells.size, CELLS_MAX);
});

Deno.test("timers that keep firing without time passing are a stall, not a hang", async () => {
  const { clock } = rig();
  const again = () => void clock.schedule(0, again);
  again();
  await assert.rejects(clock.advance(1), Stalled);
  assert.ok(SAME_TIME_TIMERS_MAX >= 100_000);
});

Deno.test("a deadline is cut to the longest there is", async () => {
  const { clock } = rig();
  const deadlines = new Deadlines(clock);
  let expired = false;
  class Item extends Waiting {
    override expire() {
      expired = true;
    }
  }
  deadlines.set(new Item(), Infinity);
  await clock.advance(DEADLINE_MS_MAX - 1);
  assert.equal(expired, false);
  await clock.advance(100);
  assert.equal(expired, true);
});

Deno.test("a dead letter's content is recorded up to a length, and kept in memory beyond it", () => {
  const r = rig();
  const letters = new DeadLetters(r);
  const add = (length: number) =>
    letters.add({ target: "manager:m", cause: "c", message: "x".repeat(length - 2), lasting: true });
  add(DEAD_LETTERS.recorded_bytes_max);
  add(DEAD_LETTERS.recorded_bytes_max + 1);
  assert.deepEqual(r.facts.map(({ data }) => "message" in data), [true, false]);
  assert.ok(letters.list().every((letter) => "message" in letter));
});

Deno.test("a batch takes so many messages, and none after so many facts", async () => {
  const batches: number[] = [];
  const inner = new MemoryLog({ now: () => 0 });
  const log: EventLog = Object.create(inner, {
    append: { value: (batch: Append) => (batches.push(batch.events.length), inner.append(batch)) },
  });
  const { ask, clock, stop } = playground({ world: { log } });
  await clock.until(Promise.all(Array.from({ length: 600 }, () => ask("toys.count.add", { by: 1 }))));
  assert.deepEqual(batches, [
    ENTITY.batch_messages_max,
    ENTITY.batch_messages_max,
    600 - 2 * ENTITY.batch_messages_max,
  ]);
  batches.length = 0;
  await clock.until(Promise.all(Array.from({ length: 4 }, () => ask("toys.count.repeat", { times: 300 }))));
  assert.deepEqual(batches, [600, 600], `none is taken after ${ENTITY.batch_facts_max}`);
  await stop();
});

Deno.test("so many busy entities are passed over in search of an idle one", async () => {
  const inner = new MemoryLog({ now: () => 0 });
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => batch.events[0]!.stream === "toys/idle" ? inner.append(batch) : new Promise(() => {}),
    },
  });
  const most = ENTITIES.passed_over_max;
  for (const [busy, found] of [[most - 1, true], [most, false]] as const) {
    const { ask, answer, entities } = playground({ world: { log }, bounds: { resident_max: busy + 1 } });
    const asked = Array.from({ length: busy }, (_, i) => ask("toys.count.add", { by: 1 }, { id: `b${i}` }));
    await answer("toys.count.add", { by: 1 }, { id: "idle" });
    asked.push(ask("toys.count.add", { by: 1 }, { id: "new" }));
    assert.equal(entities.held("toys/idle") === undefined, found);
  }
});

Deno.test("snapshots that wait are bounded and written together, late or when there are too many", async () => {
  const { clock } = rig();
  const writes: number[] = [];
  const views = new MemoryViews();
  const set = views.setNotes.bind(views);
  views.setNotes = (entries) => (writes.push(entries.length), set(entries));
  const snapshots = new Snapshots({ clock, hash: systemHash, log: new MemoryLog(clock), views });
  const keep = (i: number) =>
    snapshots.keep(`toys/${i}`, toys as Actor, { state: { i }, revision: 1, last: "x", timers: new Map() });
  for (let i = 0; i <= SNAPSHOTS_WAITING_MAX; i++) keep(i);
  assert.deepEqual(writes, [SNAPSHOTS_WAITING_MAX + 1]);
  keep(0);
  keep(0);
  await clock.advance(SNAPSHOTS_BEHIND_MS);
  assert.deepEqual(writes, [SNAPSHOTS_WAITING_MAX + 1, 1]);
  views.setNotes = () => {
    throw new Error("disk full");
  };
  keep(1);
  snapshots.flush();
  assert.equal(snapshots.failed, 1);
});

Deno.test("a manager notes where it is after so many events that it does not hear, and holds so many states", async () => {
  const p = playground();
  const each: ProcessManager<{ n: number }> = {
    name: "each",
    version: 1,
    hears: ["toys.count.added"],
    initial: { n: 0 },
    key: ({ id }) => id,
    react: ({ n }) => ({ state: { n: n + 1 }, effects: [] }),
  };
  const manager = new Manager(each as ProcessManager, { ...p, views: p.world.views, deadLetters: new DeadLetters(p) });
  const stopping = new AbortController();
  const run = manager.run(stopping.signal);
  const append = (type: "toys.count.added" | "toys.count.poisoned", n: number, name: string) =>
    p.clock.until(
      p.log.append({ events: Array.from({ length: n }, (_, i) => outside(type, { by: 1 }, `${name}${i}`, "toys/q")) }),
    );
  const cursor = () => (p.world.views.note("manager/each/cursor") as { size: number } | undefined)?.size;
  await append("toys.count.poisoned", 100, "few");
  assert.equal(cursor(), undefined);
  for (let i = 0; i < MANAGER.quiet_events / 1_000; i++) await append("toys.count.poisoned", 1_000, `p${i}-`);
  await p.clock.settle();
  assert.ok(cursor()! >= MANAGER.quiet_events);
  const held = () => Reflect.get(manager, "states").size as number;
  for (let i = 0; i < MANAGER.states_max / 1_000 + 2; i++) {
    await append("toys.count.added", 1_000, `a${i}-`);
    await p.clock.advance(1);
    assert.ok(held() <= MANAGER.states_max + MANAGER.unnoted_max, `${held()} states in memory`);
  }
  assert.equal(p.world.views.notes("manager/each/state/", 100_000).length, MANAGER.states_max + 2_000);
  stopping.abort();
  await p.clock.until(run);
  await p.stop();
});

Deno.test("an entity's id and a command's are taken up to the byte that still fits a header, and no further", async () => {
  const { answer, log, stop } = playground();
  const add = "toys.count.add";
  const bytes = (text: string) => new TextEncoder().encode(text).length;
  const by = { authtype: "user", authid: "u_1" } as const;
  // Behind the caller, a colon and the id stands the fact's index: at most "/999", with room to spare.
  const most = LIMITS.attribute_bytes_max - 8 - "u_1:".length;
  for (const letter of ["c", "é"]) {
    const longest = letter.repeat(most / bytes(letter));
    assert.equal((await answer(add, { by: 1 }, { command: longest, by })).is, "accepted");
    assert.equal((await answer(add, { by: 1 }, { command: `${longest}c`, by })).is, "invalid");
    const id = letter.repeat((LIMITS.stream_bytes_max - "toys/".length - 1) / bytes(letter));
    assert.equal((await answer(add, { by: 1 }, { id: `${id}c`, by })).is, "accepted");
    assert.equal((await answer(add, { by: 1 }, { id: `${id}cc`, by })).is, "invalid");
  }
  assert.equal(log.size, 4);
  await stop();
});
