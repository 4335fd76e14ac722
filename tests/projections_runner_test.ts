import assert from "node:assert/strict";
import { openDaybook } from "../main.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { systemClock } from "../adapters/system/world.ts";
import { Projector, type ProjectorOptions } from "../actors/kernel/project.ts";
import { feedOf } from "../actors/kernel/project_feed.ts";
import type { Event } from "../events/event.ts";
import { LogFault } from "../events/log.ts";
import { auditTrail } from "../projections/audit.ts";
import { folder } from "../projections/fold.ts";
import type { AnyProjection } from "../projections/projection.ts";
import type { Views, ViewStore } from "../projections/views.ts";
import { counted, counts, logOf, named, newEvent, recorded, running } from "./projections_given.ts";
import { until, within } from "./until.ts";

const BOUNDS = { batch_events: 50, batch_ms: 5, rows_cached: 3, events_cached: 200 };

const projector = (options: Partial<ProjectorOptions> & Pick<ProjectorOptions, "projections" | "feed" | "views">) =>
  new Projector({ clock: systemClock, record: () => {}, bounds: BOUNDS, ...options });

const total = (views: Views, name = "tests.counts") =>
  views.list(name, {}).rows.reduce((sum, { row }) => sum + (row as { count: number }).count, 0);

Deno.test("a projection catches up, follows, and tells when a position is there", async () => {
  const log = logOf();
  await counted(log, 500);
  const views = new MemoryViews();
  const projections = projector({ projections: [counts], feed: feedOf(log), views });
  assert.equal(projections.states()[0]!.state, "catching_up");
  const run = running(projections.children);
  assert.equal(await projections.wait("tests.counts", 499, 60_000), "reached");
  assert.deepEqual(projections.states(), [{ name: "tests.counts", version: 1, state: "live", size: 500, lag: 0 }]);
  const waiting = projections.wait("tests.counts", 502, 60_000);
  await counted(log, 3);
  assert.equal(await waiting, "reached");
  assert.equal(total(views), 503);
  assert.equal(await projections.wait("tests.counts", 503, 5), "late");
  assert.equal(await projections.wait("tests.unknown", 0, 5), "unknown");
  assert.equal(await projections.wait("tests.counts", 503, 5_000, AbortSignal.abort()), "late");
  await run.stop();
  assert.deepEqual(run.crashes, []);
});

Deno.test("one projection's batches are bounded by events, and appends get through between them", async () => {
  const log = logOf();
  await counted(log, 1_500);
  const sizes: number[] = [];
  const views = new MemoryViews();
  const seen: number[] = [];
  const projections = projector({
    projections: [named(counts, { apply: (row) => slow(row) })],
    feed: feedOf(log),
    views,
    bounds: { ...BOUNDS, batch_ms: 1 },
    onState: ({ size }) => sizes.push(size),
  });
  const slow = (row: unknown) => {
    for (const until = performance.now() + 0.02; performance.now() < until;);
    return { count: (row as { count: number }).count + 1, sum: 0 };
  };
  const run = running(projections.children);
  const each = async () => {
    await counted(log, 1);
    seen.push(projections.states()[0]!.size);
    return projections.states()[0]!;
  };
  await until("it has caught up", each, ({ size }) => size >= 1_500, { every_ms: 0 });
  await projections.wait("tests.counts", log.size - 1, 60_000);
  assert.equal(total(views), log.size);
  for (let i = 1; i < sizes.length; i++) assert.ok(sizes[i]! - sizes[i - 1]! <= BOUNDS.batch_events);
  assert.ok(new Set(seen).size > 10, `appends came through at ${new Set(seen).size} sizes only`);
  await run.stop();
});

/** Events decoded for three projections of 1,000 events. */
const decoded = async (events_cached: number): Promise<number> => {
  const log = logOf();
  await counted(log, 1_000);
  let reads = 0;
  const feed = feedOf(log);
  const counting = {
    ...feed,
    get size() {
      return log.size;
    },
    *read(range: { from?: number }): Iterable<readonly Event[]> {
      for (const batch of log.read(range)) {
        reads += batch.length;
        yield batch;
      }
    },
  };
  const views = new MemoryViews();
  const projections = projector({
    projections: ["a", "b", "c"].map((id) => named(counts, { name: `tests.${id}` })),
    feed: counting,
    views,
    bounds: { ...BOUNDS, batch_events: 256, batch_ms: 60_000, events_cached },
  });
  const run = running(projections.children);
  for (const id of ["a", "b", "c"]) await projections.wait(`tests.${id}`, 999, 60_000);
  assert.equal(total(views, "tests.c"), 1_000);
  await run.stop();
  return reads;
};

Deno.test("several projections share decoded batches of the log, up to a number of events", async () => {
  const shared = await decoded(1_000);
  assert.ok(shared < 2_000, `${shared} events were decoded for 3,000 folds`);
  assert.ok(await decoded(10) >= 3_000, "what is not kept is decoded again");
});

Deno.test("a poison event stops only its projection, before it, with position and cause", async () => {
  const log = logOf();
  await counted(log, 120);
  await log.append({ events: [newEvent("tests.item.poisoned", { key: "k0", by: 0 })] });
  await counted(log, 30);
  const views = new MemoryViews();
  const { facts, record } = recorded();
  const fine = named(counts, { name: "tests.fine", hears: ["tests.item.counted"] });
  const projections = projector({ projections: [counts, fine], feed: feedOf(log), views, record });
  const run = running(projections.children);
  assert.equal(await projections.wait("tests.fine", 150, 60_000), "reached");
  assert.equal(await projections.wait("tests.counts", 150, 60_000), "stopped");
  await run.ended(0);
  const [state, other] = projections.states();
  const cause = "RangeError: cannot count k0";
  assert.deepEqual(state, {
    name: "tests.counts",
    version: 1,
    state: "stopped",
    size: 120,
    lag: 31,
    stoppedAt: { position: 120, cause, of: "event" },
  });
  assert.equal(other!.state, "live");
  assert.equal(total(views), 120);
  assert.deepEqual(facts, [{
    fact: { type: "kernel.projection.stopped", data: { projection: "tests.counts", version: 1, position: 120, cause } },
    child: "projections:tests.counts",
  }]);
  await run.stop();
  assert.deepEqual(run.crashes, []);
});

Deno.test("a projection that skips records what it skipped, and never its own skipping", async () => {
  const log = logOf();
  await counted(log, 10);
  await log.append({
    events: [newEvent("tests.item.poisoned", { key: "k0", by: 0 }), newEvent("kernel.projection.skipped", {})],
  });
  await counted(log, 10);
  const { facts, record } = recorded();
  const views = new MemoryViews();
  const skipping = named(counts, {
    poison: "skip",
    hears: "*",
    apply(row, event, key, read) {
      if (event.type === "kernel.projection.skipped") throw new Error("nor this");
      return counts.apply(row as never, event as never, key, read as never);
    },
  });
  const projections = projector({ projections: [skipping], feed: feedOf(log), views, record });
  const run = running(projections.children);
  assert.equal(await projections.wait("tests.counts", 21, 60_000), "reached");
  assert.equal(total(views), 20);
  assert.deepEqual(facts.map(({ fact }) => fact.type), ["kernel.projection.skipped"]);
  assert.deepEqual((facts[0]!.fact.data as { position: number }).position, 10);
  await run.stop();
});

Deno.test("a poison event among the shapes of one recorded event leaves no trace of any of them", async () => {
  const log = logOf();
  await counted(log, 3, 1);
  const feed = feedOf(log);
  // As an upcast would: the last event becomes two, of which the second cannot be folded.
  const doubling = {
    ...feed,
    get size() {
      return log.size;
    },
    *read(range: { from?: number }): Iterable<readonly Event[]> {
      for (const batch of log.read(range)) {
        yield batch.flatMap((event) =>
          event.position === 2 ? [event, { ...event, type: "tests.item.poisoned" as const }] : [event]
        );
      }
    },
  };
  const views = new MemoryViews();
  const projections = projector({ projections: [counts], feed: doubling, views });
  const run = running(projections.children);
  await run.ended(0);
  assert.equal(projections.states()[0]!.size, 2);
  assert.deepEqual(views.row("tests.counts", "k0").row?.row, { count: 2, sum: 1 });
  await run.stop();
});

Deno.test("the shapes of one recorded event are folded together, however small a transaction is", async () => {
  const log = logOf();
  await counted(log, 20);
  const feed = feedOf(log);
  const doubling = {
    ...feed,
    get size() {
      return log.size;
    },
    *read(range: { from?: number }): Iterable<readonly Event[]> {
      for (const batch of log.read(range)) yield batch.flatMap((event) => [event, event]);
    },
  };
  const views = new MemoryViews();
  const bounds = { ...BOUNDS, batch_events: 1 };
  const projections = projector({ projections: [counts], feed: doubling, views, bounds });
  const run = running(projections.children);
  assert.equal(await projections.wait("tests.counts", 19, 60_000), "reached");
  assert.equal(total(views), 40);
  await run.stop();
});

Deno.test("a row is set once by an event, whatever shapes it has and however often a key is named", async () => {
  const log = logOf();
  await counted(log, 1, 1);
  const [event] = [...log.read({})].flat();
  const folded = (changes: Partial<AnyProjection>, times: number) => {
    const set: unknown[] = [];
    const rows = {
      get: () => undefined,
      set: ({ key, row }: { key: string; row: unknown }) => void set.push([key, row]),
    };
    const fold = folder(named(counts, changes), rows);
    for (let i = 0; i < times; i++) fold(event!);
    return set;
  };
  const row = { count: 1, sum: 0 };
  assert.deepEqual(folded({ appendOnly: true, keys: ({ position }) => [String(position)] }, 2), [["0", row]]);
  assert.deepEqual(folded({ keys: () => ["a", "b", "a"] }, 1), [["a", row], ["b", row]]);
});

for (
  const [what, changes] of Object.entries<Partial<AnyProjection>>({
    "no JSON": { apply: (row, { position }) => ({ ...row as object, sum: position === 60 ? NaN : 0 }) },
    "a promise": {
      apply: (row, { position }) => position === 60 ? Promise.resolve(row) : { ...row as object, sum: 1 },
    },
    "one that has no text": {
      text: (_row, _key, { position }) => {
        if (position >= 60) throw new Error("no words");
        return "counted";
      },
    },
  })
) {
  Deno.test(`a row that is ${what} stops its projection before its event, with what came before, whatever the batch`, async () => {
    const log = logOf();
    await counted(log, 120);
    const views = new SqliteViews({ path: ":memory:" });
    const { facts, record } = recorded();
    const projections = projector({ projections: [named(counts, changes)], feed: feedOf(log), views, record });
    const run = running(projections.children);
    assert.equal(await projections.wait("tests.counts", 119, 5_000), "stopped");
    await run.ended(0);
    const { state, size, stoppedAt } = projections.states()[0]!;
    assert.deepEqual([state, size, stoppedAt?.position, stoppedAt?.of], ["stopped", 60, 60, "event"]);
    assert.equal(views.digest("tests.counts").size, 60);
    assert.equal(views.list("tests.counts", {}).rows.length, 7);
    assert.deepEqual(facts.map(({ fact }) => fact.type), ["kernel.projection.stopped"]);
    await run.stop();
    assert.deepEqual(run.crashes, []);
    views.close();
  });
}

for (const [of, keys] of [["many rows", 7], ["the only row", 1]] as const) {
  Deno.test(`a projection that skips goes on behind a row that is no JSON, of ${of}, and keeps nothing of it`, async () => {
    const log = logOf();
    await counted(log, 120, keys);
    const views = new SqliteViews({ path: ":memory:" });
    const { facts, record } = recorded();
    const skipping = named(counts, {
      poison: "skip",
      keys: (event) => ["all", (event.data as { key: string }).key],
      apply: (row, event, key, read) =>
        event.position === 60 && key !== "all" ? NaN : counts.apply(row as never, event as never, key, read as never),
    });
    const projections = projector({ projections: [skipping], feed: feedOf(log), views, record });
    const run = running(projections.children);
    assert.equal(await projections.wait("tests.counts", 119, 5_000), "reached");
    assert.equal((views.row("tests.counts", "all").row!.row as { count: number }).count, 119);
    assert.equal(total(views), 2 * 119);
    assert.deepEqual(facts.map(({ fact: { data } }) => (data as { position: number }).position), [60]);
    await run.stop();
    views.close();
  });
}

Deno.test("an event that cannot be read stops projections before it, with what came before, and is no crash", async () => {
  const log = logOf();
  await counted(log, 120);
  const feed = feedOf(log);
  const newer = {
    ...feed,
    get size() {
      return log.size;
    },
    *read({ from = 0 }: { from?: number }): Iterable<readonly Event[]> {
      for (let next = from; next < 70; next++) yield* log.read({ from: next, until: next + 1 });
      throw new LogFault("newer", "position 70: a shape of tomorrow");
    },
  };
  const views = new MemoryViews();
  const { facts, record } = recorded();
  const projections = projector({ projections: [counts], feed: newer, views, record });
  const run = running(projections.children);
  assert.equal(await projections.wait("tests.counts", 119, 5_000), "stopped");
  await run.ended(0);
  const stoppedAt = { position: 70, cause: "LogFault: position 70: a shape of tomorrow", of: "event" };
  assert.deepEqual(projections.states()[0]!.stoppedAt, stoppedAt);
  assert.equal(total(views), 70);
  assert.deepEqual(facts.map(({ fact }) => fact.type), ["kernel.projection.stopped"]);
  await run.stop();
  assert.deepEqual(run.crashes, []);
});

Deno.test("a new version is built beside the old one while appends go on, and takes its place when it has caught up", async () => {
  const log = logOf();
  await counted(log, 2_000);
  const views = new MemoryViews();
  const first = projector({ projections: [counts], feed: feedOf(log), views });
  const before = running(first.children);
  await first.wait("tests.counts", 1_999, 60_000);
  await before.stop();

  const second = named(counts, {
    version: 2,
    apply: (row) => ({ count: (row as { count: number }).count + 2, sum: 0 }),
  });
  const sums: number[] = [];
  const projections = projector({
    projections: [second],
    feed: feedOf(log),
    views,
    onState: () => sums.push(total(views)),
  });
  const run = running(projections.children);
  const each = async () => {
    await counted(log, 5);
    return projections.states()[0]!;
  };
  await until("it is live", each, ({ state }) => state === "live", { every_ms: 0 });
  await projections.wait("tests.counts", log.size - 1, 60_000);
  assert.equal(total(views), 2 * log.size);
  const stores = views.stores().map(({ name, version, size, served, rows }) => ({ name, version, size, served, rows }));
  assert.deepEqual(stores, [{ name: "tests.counts", version: 2, size: log.size, served: true, rows: 7 }]);
  const swap = sums.findIndex((sum) => sum !== 2_000);
  assert.ok(swap > 10, "readers saw the old version while the new one was built");
  assert.ok(sums[swap]! >= 4_000, "and never one that was behind it");
  await run.stop();
});

Deno.test("while a new version is built, waiting goes by what readers see", async () => {
  const log = logOf();
  await counted(log, 10);
  const views = new MemoryViews();
  const first = projector({ projections: [counts], feed: feedOf(log), views });
  const before = running(first.children);
  await first.wait("tests.counts", 9, 60_000);
  await before.stop();
  await counted(log, 1);
  const poisoned = named(counts, {
    version: 2,
    apply() {
      throw new Error("never");
    },
  });
  const projections = projector({ projections: [poisoned], feed: feedOf(log), views });
  const run = running(projections.children);
  await run.ended(0);
  assert.equal(await projections.wait("tests.counts", 9, 60_000), "reached");
  assert.equal(await projections.wait("tests.counts", 10, 60_000), "stopped");
  assert.equal(total(views), 10);
  await run.stop();
});

Deno.test("a run that crashed goes on from what was committed", async () => {
  const log = logOf();
  await counted(log, 300);
  const views = new MemoryViews();
  let broken = true;
  const store = views.open(counts);
  const failing: ViewStore = {
    name: store.name,
    version: store.version,
    get size() {
      return store.size;
    },
    get: (key) => store.get(key),
    commit(changes, size) {
      if (broken && size > 100) throw new Error("database or disk is full");
      store.commit(changes, size);
    },
  };
  views.open = () => failing as typeof store;
  const projections = projector({
    projections: [counts],
    feed: feedOf(log),
    views,
    bounds: { ...BOUNDS, batch_ms: 60_000 },
  });
  const first = running(projections.children);
  await first.ended(0);
  assert.match(String(first.crashes[0]), /disk is full/);
  await first.stop();
  assert.equal(total(views), 100);
  broken = false;
  const second = running(projections.children);
  await projections.wait("tests.counts", 299, 60_000);
  assert.equal(total(views), 300);
  await second.stop();
});

Deno.test("who waits for a view when the daybook closes is told at once, and who reads one afterwards that it is closed", async () => {
  const daybook = await openDaybook({ data: ":memory:", projections: [counts as AnyProjection] });
  const wait = daybook.log.size + 1_000_000;
  const waiting = ["tests.counts", "audit.trail"].flatMap((name) => [
    assert.rejects(daybook.view(name, { wait, deadline: 3_600_000 }), { name: "ViewQuestion", code: "not_yet" }),
    assert.rejects(daybook.row(name, "k1", { wait, deadline: Infinity }), { name: "ViewQuestion", code: "not_yet" }),
  ]);
  await daybook.close();
  await within("they are told", Promise.all(waiting), { seconds: 10 });
  const closed = { name: "LogFault", kind: "closed" };
  await assert.rejects(daybook.view("tests.counts"), closed);
  await assert.rejects(daybook.view("tests.counts", { wait, deadline: 3_600_000 }), closed);
  await assert.rejects(daybook.row("tests.counts", "k1"), closed);
  await daybook.close();
});

Deno.test("the audit trail finds events by stream, type, actor, correlation, time and words, and no sealed text", async () => {
  const log = logOf();
  const event = (changes: object, data: unknown) => ({ ...newEvent("tests.item.changed", data), ...changes });
  await log.append({
    events: [
      event({ id: "one", authid: "u_ann" }, { path: "src/main.c", note: { by: "sealed:1:u_ann:c2VjcmV0" } }),
      event({ id: "two", stream: "tests/two", correlationid: "work" }, ["Käfer", 404, null, true]),
      event(
        { id: "three", type: "tests.item.gone", subject: "branch/x", correlationid: "work", causationid: "two" },
        undefined,
      ),
    ],
  });
  const path = Deno.makeTempDirSync();
  const views = new SqliteViews({ path });
  const projections = projector({ projections: [auditTrail], feed: feedOf(log), views });
  const run = running(projections.children);
  await projections.wait("audit.trail", 2, 60_000);
  const ids = (query: Parameters<Views["list"]>[1]) =>
    views.list("audit.trail", query).rows.map(({ row }) => (row as { id: string }).id);
  assert.deepEqual(ids({}), ["one", "two", "three"]);
  assert.deepEqual(ids({ descending: true, limit: 1 }), ["three"]);
  assert.deepEqual(ids({ where: { stream: "tests/two" } }), ["two"]);
  assert.deepEqual(ids({ where: { type: "tests.item.changed", actor: "u_ann" } }), ["one"]);
  assert.deepEqual(ids({ where: { correlation: "work" } }), ["two", "three"]);
  assert.deepEqual(ids({ where: { correlation: "one" } }), ["one"]);
  assert.deepEqual(ids({ text: "kafer 404" }), ["two"]);
  assert.deepEqual(ids({ text: "MAIN.C" }), ["one"]);
  assert.deepEqual(ids({ text: "gone branch" }), ["three"]);
  assert.deepEqual(ids({ text: "c2VjcmV0" }), []);
  assert.deepEqual(ids({ text: "sealed" }), []);
  assert.deepEqual(ids({ from: 1, until: 2 }), ["two"]);
  assert.deepEqual(ids({ at: 0 }), ["one"]);
  assert.deepEqual(views.row("audit.trail", "2").row?.row, {
    stream: "tests/one",
    revision: 1,
    type: "tests.item.gone",
    id: "three",
    source: "/tests",
    subject: "branch/x",
    time: "2026-01-01T00:00:00.000Z",
    recordedat: [...log.read({ from: 2 })][0]![0]!.recordedat,
    authtype: "system",
    actor: "s_tests",
    correlation: "work",
    cause: "two",
  });
  await run.stop();
  views.close();
  Deno.removeSync(path, { recursive: true });
});
