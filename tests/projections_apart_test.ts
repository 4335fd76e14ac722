import assert from "node:assert/strict";
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { lineToWorker } from "../adapters/system/thread.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Child } from "../actors/kernel/child.ts";
import { ProjectionsApart } from "../actors/kernel/project_apart.ts";
import { feedOf } from "../actors/kernel/project_feed.ts";
import { type FromProjections, PROJECTIONS_APART, type ToProjections } from "../actors/kernel/project_line.ts";
import { Supervisor } from "../actors/kernel/supervisor.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { rig } from "./kernel/rig.ts";
import { counted, counts, logOf, named, played, recorded } from "./projections_given.ts";
import type { Settings } from "./projections_apart_worker.ts";
import { until } from "./until.ts";

/** Runs a child as a supervisor would: again after every crash. */
const supervised = (child: Child) => {
  const stopping = new AbortController();
  const crashes: string[] = [];
  const run = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await child.run(stopping.signal, { path: `projections:${child.id}`, ready() {} });
        if (child.restart !== "permanent") return;
      } catch (error) {
        crashes.push((error as Error).message);
      }
    }
  })();
  return {
    crashes,
    async stop() {
      stopping.abort();
      await run;
    },
  };
};

const worker = () =>
  lineToWorker<ToProjections, FromProjections>(
    new Worker(new URL("./projections_apart_worker.ts", import.meta.url), { type: "module" }),
  );

Deno.test("projections in a thread of their own catch up, follow, survive its death, and close in order", async () => {
  const path = Deno.makeTempDirSync();
  const log = logOf();
  await counted(log, 3_000);
  const settings: Settings = { path, log: `${path}/log`, die: `${path}/die` };
  Deno.writeFileSync(settings.log, new Uint8Array(log.size));
  const views = new SqliteViews({ path, write: false });
  let opened = 0;
  const apart = new ProjectionsApart({
    projections: [counts],
    connect: worker,
    settings,
    feed: feedOf(log),
    clock: systemClock,
    record: () => {},
    onOpened: () => void opened++,
  });
  const children = apart.children.map(supervised);
  assert.equal(await apart.wait("tests.counts", 2_999, 60_000), "reached");
  assert.equal(views.list("tests.counts", {}).size, 3_000);
  assert.equal(apart.states()[0]!.size, 3_000);

  await counted(log, 100);
  assert.equal(await apart.wait("tests.counts", 3_099, 60_000), "reached");
  const sum = () =>
    views.list("tests.counts", {}).rows.reduce((sum, { row }) => sum + (row as { count: number }).count, 0);
  assert.equal(sum(), 3_100);

  Deno.writeFileSync(settings.log, new Uint8Array(log.size));
  Deno.writeTextFileSync(settings.die, "");
  await counted(log, 10);
  assert.equal(await apart.wait("tests.counts", 3_109, 60_000), "reached");
  assert.equal(opened, 2);
  assert.equal(children[0]!.crashes.length, 1);
  assert.match(children[0]!.crashes[0]!, /dies as it was told/);
  assert.deepEqual(children[1]!.crashes, [], "a projection outlives the thread it ran in");
  assert.equal(sum(), 3_110);

  for (const child of children.toReversed()) await child.stop();
  assert.equal(children[0]!.crashes.length, 1);

  // The next process, whose thread has not begun yet.
  const next = new ProjectionsApart({
    projections: [counts],
    connect: worker,
    settings,
    stored: views.stores(),
    feed: feedOf(log),
    clock: systemClock,
    record: () => {},
  });
  const { state, size, lag } = next.states()[0]!;
  assert.deepEqual([state, size, lag], ["catching_up", 3_110, 0]);
  views.close();
  Deno.removeSync(path, { recursive: true });
});

Deno.test("what happens in the thread is told: crashes, stops, facts, unknown projections", async () => {
  const log = logOf();
  const thread = played();
  const { facts, record } = recorded();
  const other = named(counts, { name: "tests.other" });
  const apart = new ProjectionsApart({
    projections: [counts, other],
    connect: () => thread.line,
    settings: {},
    feed: feedOf(log),
    clock: systemClock,
    record,
  });
  const children = apart.children.map(supervised);
  thread.say({ from: "opened" });
  await until("the next start", () => thread.sent.filter(({ to }) => to === "start").length === 2);
  thread.say({ from: "ended", name: "tests.counts", cause: "disk full" });
  await until("the next start", () => thread.sent.filter(({ to }) => to === "start").length === 3);
  assert.deepEqual(children[1]!.crashes, ["disk full"]);

  const fact = {
    type: "kernel.projection.stopped",
    data: { projection: "tests.other", version: 1, position: 4, cause: "bad" },
  } as const;
  const waiting = apart.wait("tests.other", 4, 60_000);
  thread.say({ from: "fact", fact, child: "projections:tests.other" });
  const state = {
    name: "tests.other",
    version: 1,
    state: "stopped",
    size: 4,
    lag: 9,
    stoppedAt: { position: 4, cause: "bad", of: "event" },
  } as const;
  thread.say({ from: "state", state, served: 4 });
  thread.say({ from: "ended", name: "tests.other" });
  assert.equal(await waiting, "stopped");
  assert.deepEqual(facts, [{ fact, child: "projections:tests.other" }]);
  assert.deepEqual(apart.states()[1], { ...state, lag: 0 });

  const stopped = children[1]!.stop();
  assert.deepEqual(thread.sent.at(-1), { to: "stop", name: "tests.counts" });
  thread.say({ from: "ended", name: "tests.counts" });
  await stopped;
  const closed = children[0]!.stop();
  assert.deepEqual(thread.sent.at(-1), { to: "close" });
  thread.say({ from: "closed" });
  await closed;
  assert.equal(thread.cuts(), 1);
  await children[2]!.stop();
});

Deno.test("a thread that falls silent, or does not close, is cut off", async () => {
  const clock = new SimulatedClock({ next: () => 0.5 });
  const thread = played();
  const apart = new ProjectionsApart({
    projections: [],
    connect: () => thread.line,
    settings: {},
    feed: feedOf(logOf()),
    clock,
    record: () => {},
  });
  const stopping = new AbortController();
  const run = (signal: AbortSignal) => apart.children[0]!.run(signal, { path: "projections:thread", ready() {} });
  const silent = assert.rejects(run(stopping.signal), /silent for 30000 ms/);
  thread.say({ from: "opened" });
  for (let ms = 0; ms < PROJECTIONS_APART.silent_ms; ms += 10_000) {
    await clock.advance(10_000);
    if (ms === 0) thread.say({ from: "beat" });
  }
  assert.equal(thread.cuts(), 0, "a beat counts");
  await clock.advance(12_000);
  await silent;
  assert.equal(thread.cuts(), 1);

  const slow = assert.rejects(run(stopping.signal), /did not close in time/);
  thread.say({ from: "opened" });
  stopping.abort();
  await clock.advance(PROJECTIONS_APART.close_ms + 1);
  await slow;
  assert.equal(thread.cuts(), 2);
});

Deno.test("news of a growing log are gathered, a reader who waits is told of at once, and again after a restart", async () => {
  const clock = new SimulatedClock({ next: () => 0.5 });
  const growing = { size: 5, waiting: [] as (() => void)[] };
  const threads = [played(), played()];
  let started = 0;
  const apart = new ProjectionsApart({
    projections: [counts],
    connect: () => threads[started++]!.line,
    settings: {},
    feed: {
      get size() {
        return growing.size;
      },
      grown: () => new Promise((resolve) => void growing.waiting.push(resolve)),
    },
    clock,
    record: () => {},
  });
  const grow = (by: number) => {
    growing.size += by;
    for (const look of growing.waiting.splice(0)) look();
  };
  const children = apart.children.map(supervised);
  const [first, second] = threads as [ReturnType<typeof played>, ReturnType<typeof played>];
  first.say({ from: "opened" });
  await clock.settle();
  const news = () => first.sent.filter(({ to }) => to === "grown").length;
  assert.equal(news(), 1);
  for (let ms = 0; ms < PROJECTIONS_APART.news_ms; ms++) {
    grow(1);
    await clock.advance(1);
  }
  assert.equal(news(), 2, "at once, and then after a while");
  grow(1);
  await clock.settle();
  assert.equal(news(), 2);

  const waiting = apart.wait("tests.counts", growing.size - 1, 60_000);
  const hurry = { to: "hurry", name: "tests.counts", position: growing.size - 1, ms: 60_000 } as const;
  assert.deepEqual(first.sent.slice(-2), [{ to: "grown", size: growing.size }, hurry]);
  await apart.wait("tests.counts", growing.size - 1, 0);
  assert.equal(first.sent.filter(({ to }) => to === "hurry").length, 1, "told once");
  first.die("gone");
  await clock.settle();
  second.say({ from: "opened" });
  await clock.settle();
  assert.deepEqual(second.sent.filter(({ to }) => to === "hurry"), [hurry]);
  const state = { name: "tests.counts", version: 1, state: "live", size: growing.size, lag: 0 } as const;
  second.say({ from: "state", state, served: growing.size });
  assert.equal(await waiting, "reached");

  const stopped = children.map((child) => child.stop());
  second.say({ from: "ended", name: "tests.counts" });
  second.say({ from: "closed" });
  await clock.advance(1);
  await Promise.all(stopped);
});

Deno.test("a thread that does not open in time is cut off, and another one starts", async () => {
  const r = rig();
  const threads: ReturnType<typeof played>[] = [];
  const connect = () => {
    const thread = played();
    threads.push(thread);
    return thread.line;
  };
  const { children } = new ProjectionsApart({
    projections: [],
    connect,
    settings: {},
    feed: feedOf(logOf()),
    clock: r.clock,
    record: () => {},
  });
  const restarts = { max: 3, within: 600_000 };
  const supervisor = new Supervisor({ id: "root", strategy: "one_for_one", restarts, children }, r);
  const stop = new AbortController();
  const run = supervisor.run(stop.signal).catch(() => {});
  for (let ms = 0; ms < PROJECTIONS_APART.open_ms - 1; ms += 1_000) {
    // It loads, and says that it lives.
    await r.clock.advance(Math.min(1_000, PROJECTIONS_APART.open_ms - 1 - ms));
    threads[0]!.say({ from: "beat" });
  }
  assert.deepEqual([threads.length, threads[0]!.sent.map(({ to }) => to)], [1, ["open"]]);
  await r.clock.advance(1);
  assert.deepEqual(threads[0]!.sent.map(({ to }) => to), ["open", "close"]);
  await r.clock.advance(PROJECTIONS_APART.close_ms + 1_000);
  assert.equal(threads[0]!.cuts(), 1);
  await r.clock.advance(1_000);
  assert.equal(threads.length, 2);
  stop.abort();
  await r.clock.until(run);
});
