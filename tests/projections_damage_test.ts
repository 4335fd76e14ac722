/** Views whose file is damaged, lost or full while it is in use: nobody is told less than the truth, and they are built again. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Projector, UNWRITABLE } from "../actors/kernel/project.ts";
import { ProjectionsApart } from "../actors/kernel/project_apart.ts";
import { feedOf } from "../actors/kernel/project_feed.ts";
import { type Parts, System } from "../actors/kernel/system.ts";
import { Supervisor } from "../actors/kernel/supervisor.ts";
import type { Aside, Connection } from "../adapters/sqlite/connection.ts";
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import type { KernelFact } from "../events/kernel.ts";
import type { ControlKernelFact } from "../events/kernel_controls.ts";
import { catalogue } from "../events/catalogue.ts";
import { ViewQuestion, ViewsFault } from "../projections/views.ts";
import { change, items } from "./contract/views_suite.ts";
import { rig } from "./kernel/rig.ts";
import { counted, counts, logOf, newEvent, played, recorded } from "./projections_given.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

/** All but the first page, which keeps the file one of SQLite's. */
const overwrite = (file: string) => {
  using opened = Deno.openSync(file, { write: true });
  const { size } = opened.statSync();
  opened.seekSync(4_096, Deno.SeekMode.Start);
  opened.writeSync(new Uint8Array(size - 4_096).fill(0x5a));
};

const spoilt: readonly (readonly [string, (file: string) => void, RegExp])[] = [
  ["overwritten", overwrite, /views\.db: database disk image is malformed/],
  ["deleted", (file) => Deno.removeSync(file), /views\.db: the file was deleted/],
  ["cut short", (file) => Deno.truncateSync(file, 8_192), /malformed|cut short from \d+ to 8192 bytes/],
  ["emptied", (file) => Deno.truncateSync(file, 0), /malformed|not a database|cut short from \d+ to 0 bytes/],
  ["replaced by another", (file) => {
    Deno.copyFileSync(file, `${file}.copy`);
    Deno.renameSync(`${file}.copy`, file);
  }, /views\.db: the file was replaced/],
  ["without its write-ahead log", (file) => Deno.removeSync(`${file}-wal`), /views\.db-wal: the file was deleted/],
];

/** Rows that fill some hundred pages of the file itself. */
const filled = (path: string) => {
  const views = new SqliteViews({ path });
  views.open(items).commit(
    Array.from({ length: 3_000 }, (_, i) => change(i, `k${i}`, { title: `row ${i} ${"x".repeat(100)}` })),
    3_000,
  );
  views.close();
};

for (const [label, spoil, because] of spoilt) {
  Deno.test(`views whose file is ${label} while it is in use say so, and are empty and whole once they are renewed`, () =>
    inFolder((path) => {
      filled(path);
      const asides: Aside[] = [];
      const views = new SqliteViews({ path, lookEvery: 0, onAside: (aside) => asides.push(aside) });
      const told: ViewsFault[] = [];
      views.onDamaged = (fault) => void told.push(fault);
      assert.equal(views.row("tests.items", "k1").size, 3_000);
      spoil(`${path}/views.db`);
      const damaged = (error: unknown) =>
        error instanceof ViewsFault && error.kind === "damaged" && because.test(error.message);
      assert.throws(() => {
        views.list("tests.items", { limit: 1_000, sort: "title" });
        views.digest("tests.items");
      }, damaged);
      assert.throws(() => views.row("tests.items", "k1"), damaged, "until it is renewed nothing is read");
      assert.throws(() => views.stores(), damaged);
      assert.equal(told.length, 1, "told once");
      views.renew();
      assert.deepEqual(asides.map(({ path }) => path), [`${path}/views.db`]);
      const store = views.open(items);
      assert.equal(store.size, 0);
      store.commit([change(0, "a", { title: "new" })], 1);
      assert.deepEqual(views.list("tests.items", {}).rows.map(({ key }) => key), ["a"]);
      views.close();
      assert.equal(Deno.lstatSync(`${path}/views.db`).isFile, true);
    }));
}

Deno.test("a walk over rows that meets a page which cannot be read fails, and is never a shorter list or another digest", () =>
  inFolder((path) => {
    const ledger = { ...items, name: "tests.ledger", appendOnly: true } as const;
    const first = new SqliteViews({ path });
    first.open(ledger).commit(
      Array.from({ length: 3_000 }, (_, i) => change(i, String(i), { title: `row ${i} ${"x".repeat(100)}` })),
      3_000,
    );
    first.close();
    using file = Deno.openSync(`${path}/views.db`, { write: true });
    const { size } = file.statSync();
    file.seekSync(Math.floor(size / 8_192) * 4_096, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(8_192).fill(0x5a));
    for (
      const read of [
        (views: SqliteViews) => views.digest("tests.ledger"),
        (views: SqliteViews) => {
          for (let from = 0; from < 3_000; from += 1_000) views.list("tests.ledger", { from, limit: 1_000 });
        },
      ]
    ) {
      const views = new SqliteViews({ path, readOnly: true });
      assert.throws(() => read(views), (error) => error instanceof ViewsFault && error.kind === "damaged");
      views.close();
      assert.equal([...Deno.readDirSync(path)].some(({ name }) => name.endsWith(".damaged")), false, "it only looked");
    }
  }));

Deno.test("a row that is not JSON any more is damage, whoever reads it", () =>
  inFolder((path) => {
    filled(path);
    const db = new DatabaseSync(`${path}/views.db`);
    db.exec("UPDATE c1 SET row = '{\"title\":' || x'00' WHERE key = 'k7'");
    db.close();
    const views = new SqliteViews({ path });
    const damaged = (error: unknown) => error instanceof ViewsFault && /not JSON/.test(error.message);
    assert.throws(() => views.open(items).get("k7"), damaged);
    assert.throws(() => views.row("tests.items", "k7"), damaged);
    views.close();
  }));

Deno.test("notes that were damaged and cannot be opened anew are a fault of the views, until they can be", () =>
  inFolder((folder) => {
    const [data, away] = [`${folder}/data`, `${folder}/away`];
    Deno.mkdirSync(data);
    const first = new SqliteViews({ path: data });
    first.setNotes(Array.from({ length: 200 }, (_, i) => [`snapshot/x/${i}`, "n".repeat(500)] as const));
    first.close();
    const views = new SqliteViews({ path: data });
    overwrite(`${data}/notes.db`);
    const fault = (kind: ViewsFault["kind"]) => (error: unknown) => error instanceof ViewsFault && error.kind === kind;
    assert.throws(() => views.notes("snapshot/", 1_000), fault("damaged"));
    Deno.renameSync(data, away);
    for (const _ of [1, 2]) assert.throws(() => views.note("snapshot/x/1"), fault("unwritable"));
    Deno.renameSync(away, data);
    assert.equal(views.note("snapshot/x/1"), undefined, "begun anew");
    views.close();
  }));

Deno.test("notes that are damaged while in use are begun anew, and each of their followers is told so once", () =>
  inFolder((path) => {
    const asides: Aside[] = [];
    const first = new SqliteViews({ path });
    for (const who of ["timers/standing/a", "manager/one/cursor", "snapshot/x/1"]) {
      first.setNotes(Array.from({ length: 200 }, (_, i) => [`${who}${i}`, "n".repeat(500)] as const));
    }
    first.close();
    const views = new SqliteViews({ path, onAside: (aside) => asides.push(aside) });
    overwrite(`${path}/notes.db`);
    const damaged = (error: unknown) => error instanceof ViewsFault && error.kind === "damaged";
    assert.throws(() => views.notes("timers/standing/", 1_000), damaged);
    assert.deepEqual(views.notes("timers/standing/", 10), [], "begun anew");
    assert.equal(asides.length, 1);
    assert.throws(
      () => views.setNote("manager/one/cursor", 5),
      damaged,
      "what it holds in memory goes with lost notes",
    );
    assert.throws(() => views.note("manager/two/cursor"), damaged);
    assert.throws(() => views.note("snapshot/x/1"), damaged);
    views.setNotes([["manager/one/cursor", 1], ["manager/two/cursor", 2]]);
    assert.deepEqual([views.note("manager/one/cursor"), views.note("manager/two/cursor")], [1, 2]);
    assert.equal(views.note("snapshot/x/1"), undefined);
    views.close();
  }));

Deno.test("projections beside the log stand still when their views are damaged, and build them again while appends go on", () =>
  inFolder(async (path) => {
    const log = logOf();
    await counted(log, 5_000, 900);
    const views = new SqliteViews({ path, lookEvery: 0 });
    const facts: (KernelFact | ControlKernelFact)[] = [];
    const projector = new Projector({
      projections: [counts],
      feed: feedOf(log),
      views,
      clock: systemClock,
      record: (fact) => void facts.push(fact),
    });
    views.onDamaged = (fault) => projector.damaged(fault);
    const supervisor = new Supervisor({
      id: "projections",
      strategy: "one_for_one",
      restarts: { max: 3, within: 60_000 },
      children: projector.children,
    }, {
      clock: systemClock,
      random: systemRandom,
      recorder: { record: (fact) => void facts.push(fact), flush: () => Promise.resolve() },
    });
    const stop = new AbortController();
    const run = supervisor.run(stop.signal);
    assert.equal(await projector.wait("tests.counts", 4_999, 60_000), "reached");
    const { kept: _, ...before } = views.digest("tests.counts");
    Deno.removeSync(`${path}/views.db`);
    assert.throws(() => views.list("tests.counts", {}), /the file was deleted/);
    await until("a restart", () => facts.some(({ type }) => type === "kernel.child.restarted"));
    await counted(log, 10, 900);
    assert.equal(await projector.wait("tests.counts", 5_009, 60_000), "reached");
    assert.deepEqual(views.digest("tests.counts", 4_999), before);
    assert.equal(projector.states()[0]!.state, "live");
    assert.equal(projector.known("tests.counts"), undefined);
    const cause = "views.db: the file was deleted";
    assert.deepEqual(
      facts.filter(({ type }) => type !== "kernel.child.started").map(({ type, data }) => [type, data]),
      [
        ["kernel.projection.stopped", { projection: "tests.counts", version: 1, position: 5_000, cause }],
        ["kernel.child.crashed", {
          child: "projections:file",
          cause,
          ran_ms: (facts.find(({ type }) => type === "kernel.child.crashed")!.data as { ran_ms: number }).ran_ms,
        }],
        ["kernel.child.restarted", {
          child: "projections:file",
          kind: "worker",
          order: 1,
          because: "projections:file",
          restarts: 1,
        }],
      ],
    );
    stop.abort();
    await run;
    views.close();
  }));

Deno.test("a writer that meets damage in a row it folds onto does not take the event for poison", () =>
  inFolder(async (path) => {
    const log = logOf();
    await counted(log, 3_000, 900);
    const first = new SqliteViews({ path });
    const { record } = recorded();
    const build = new Projector({ projections: [counts], feed: feedOf(log), views: first, clock: systemClock, record });
    const building = new AbortController();
    const built = build.children[0]!.run(building.signal, { path: "p", ready() {} });
    assert.equal(await build.wait("tests.counts", 2_999, 60_000), "reached");
    building.abort();
    await built;
    first.close();
    overwrite(`${path}/views.db`);
    const damaged: string[] = [];
    const views = new SqliteViews({ path });
    const { facts, record: recordAgain } = recorded();
    const projector = new Projector({
      projections: [{ ...counts, poison: "skip" }],
      feed: feedOf(log),
      views,
      clock: systemClock,
      record: recordAgain,
      onDamaged: (cause) => void damaged.push(cause),
    });
    const stop = new AbortController();
    const run = projector.children[0]!.run(stop.signal, { path: "p", ready() {} });
    await log.append({ events: [newEvent("tests.item.counted", { key: "k1", by: 1 })] });
    await until("damage is told", () => damaged.length > 0);
    assert.match(damaged[0]!, /malformed/);
    assert.deepEqual(facts, [], "whoever is told records it");
    stop.abort();
    await run;
    views.close();
  }));

Deno.test("a full disk stops a projection visibly, once told, and it goes on by itself when there is room", async () => {
  const r = rig();
  const log = logOf();
  await counted(log, 50);
  const views = new MemoryViews();
  const open = views.open.bind(views);
  let full = true;
  let tries = 0;
  views.open = (projection) => {
    const store = open(projection);
    const commit = store.commit.bind(store);
    store.commit = (changes, size) => {
      tries++;
      if (full) throw new ViewsFault("unwritable", "views.db: database or disk is full");
      commit(changes, size);
    };
    return store;
  };
  const { facts, record } = recorded();
  const projector = new Projector({ projections: [counts], feed: feedOf(log), views, clock: r.clock, record });
  const stop = new AbortController();
  const run = projector.children[0]!.run(stop.signal, { path: "p", ready() {} });
  await r.clock.advance(0);
  const stoppedAt = { position: 0, cause: "views.db: database or disk is full", of: "views" } as const;
  assert.deepEqual([projector.states()[0]!.state, projector.states()[0]!.stoppedAt], ["stopped", stoppedAt]);
  assert.equal(await projector.wait("tests.counts", 10, 60_000), "stopped");
  const before = tries;
  await r.clock.advance(UNWRITABLE.first_ms + 2 * UNWRITABLE.first_ms + 1);
  assert.equal(tries, before + 2, "again after one second, then after two");
  await r.clock.advance(600_000);
  assert.ok(tries >= before + 20, "never given up");
  assert.equal(projector.states()[0]!.state, "stopped");
  full = false;
  await r.clock.advance(UNWRITABLE.last_ms);
  assert.deepEqual([projector.states()[0]!.state, projector.states()[0]!.size], ["live", 50]);
  assert.deepEqual(facts.map(({ fact }) => fact), [{
    type: "kernel.projection.stopped",
    data: { projection: "tests.counts", version: 1, position: 0, cause: stoppedAt.cause },
  }]);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("what a fold cannot read is no fault of the event: the projection is not stopped at it, but goes on when it can be read", async () => {
  const r = rig();
  const log = logOf();
  await counted(log, 50);
  const views = new MemoryViews();
  const open = views.open.bind(views);
  let unreadable = true;
  views.open = (projection) => {
    const store = open(projection);
    const get = store.get.bind(store);
    store.get = (key) => {
      if (unreadable) throw new ViewsFault("unwritable", "views.db: disk I/O error");
      return get(key);
    };
    return store;
  };
  const { record } = recorded();
  const projector = new Projector({ projections: [counts], feed: feedOf(log), views, clock: r.clock, record });
  const stop = new AbortController();
  const run = projector.children[0]!.run(stop.signal, { path: "p", ready() {} });
  await r.clock.advance(0);
  assert.equal(projector.states()[0]!.stoppedAt?.of, "views");
  unreadable = false;
  await r.clock.advance(UNWRITABLE.first_ms);
  assert.deepEqual([projector.states()[0]!.state, projector.states()[0]!.size], ["live", 50]);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("SQLite's full disk is a fault that may be tried again; nothing of the transaction stays, and what lay aside makes room", () =>
  inFolder((path) => {
    Deno.writeTextFileSync(`${path}/views.db`, "not a database at all, ".repeat(500));
    const views = new SqliteViews({ path });
    const store = views.open(items);
    store.commit([change(0, "a", { title: "one" })], 1);
    assert.ok(Deno.statSync(`${path}/views.db.aside`).isFile);
    const { db } = (views as unknown as { writer: Connection }).writer;
    db.exec("PRAGMA max_page_count = 1");
    const many = Array.from({ length: 500 }, (_, i) => change(1, `k${i}`, { title: "x".repeat(2_000) }));
    const unwritable = (error: unknown) => error instanceof ViewsFault && error.kind === "unwritable";
    assert.throws(() => store.commit(many, 2), unwritable);
    assert.throws(() => Deno.statSync(`${path}/views.db.aside`), Deno.errors.NotFound);
    assert.deepEqual([store.size, views.list("tests.items", {}).rows.length], [1, 1]);
    db.exec("PRAGMA max_page_count = 1000000");
    store.commit(many, 2);
    assert.equal(views.list("tests.items", {}).size, 2);
    views.close();
  }));

Deno.test("readers of a view that is not begun yet, or not where it was, are told that it is behind, not that there is none", async () => {
  const log = logOf();
  const views = new MemoryViews();
  const known: { size?: number } = {};
  const projector = { states: () => [], known: () => known.size, wait: () => Promise.resolve("reached" as const) };
  const parts = {
    catalogue: catalogue(),
    actors: [],
    projections: [counts],
    log,
    views,
    projector,
  } as unknown as Parts;
  const system = new System(parts);
  const refused = (code: string) => (error: unknown) => error instanceof ViewQuestion && error.code === code;
  await assert.rejects(system.view("tests.counts"), refused("rebuilding"));
  await assert.rejects(system.row("tests.counts", "k1"), refused("rebuilding"));
  await assert.rejects(system.view("tests.none"), refused("unknown_view"));
  views.open(counts).commit([{ key: "k1", row: { count: 1, sum: 1 }, position: 0 }], 1);
  assert.equal((await system.view("tests.counts")).size, 1);
  known.size = 5;
  await assert.rejects(system.view("tests.counts"), refused("rebuilding"));
  await assert.rejects(system.row("tests.counts", "k1", { wait: 0 }), refused("rebuilding"));
});

/** Projections in threads that a test plays, under a supervisor with a budget. */
const supervised = async (max: number, onOpened = () => {}) => {
  const r = rig();
  const threads: ReturnType<typeof played>[] = [];
  const log = logOf();
  await counted(log, 10);
  const apart = new ProjectionsApart({
    projections: [counts],
    connect: () => {
      const thread = played();
      threads.push(thread);
      return thread.line;
    },
    settings: {},
    feed: feedOf(log),
    clock: r.clock,
    record: (fact) => r.recorder.record(fact),
    onOpened,
  });
  const supervisor = new Supervisor({
    id: "projections",
    strategy: "one_for_one",
    restarts: { max, within: 60_000 },
    children: apart.children,
  }, r);
  const stop = new AbortController();
  let fell: unknown;
  const run = supervisor.run(stop.signal).catch((error) => void (fell = error));
  const opened = async () => {
    await r.clock.settle();
    threads.at(-1)!.say({ from: "opened" });
    await r.clock.settle();
  };
  return { r, threads, apart, stop, run, opened, supervisor, fell: () => fell };
};

/** The tree is told to stop, and its second thread ends. */
const ended = async ({ r, threads, stop, run }: Awaited<ReturnType<typeof supervised>>): Promise<void> => {
  stop.abort();
  await r.clock.settle();
  threads[1]!.say({ from: "ended", name: "tests.counts" });
  await r.clock.settle();
  threads[1]!.say({ from: "closed" });
  await r.clock.until(run);
};

const live = (size: number) =>
  ({ from: "state", state: { name: "tests.counts", version: 1, state: "live", size, lag: 0 }, served: size }) as const;

Deno.test("a thread whose views are damaged is closed and another begins anew; until it is where it was nobody is shown less", async () => {
  const given = await supervised(3);
  const { r, threads, apart, opened } = given;
  await opened();
  threads[0]!.say(live(10));
  const waiting = apart.wait("tests.counts", 10, 60_000);
  // A reader and the writer both find it; it counts once.
  apart.damaged(new ViewsFault("damaged", "views.db: the file was deleted"));
  threads[0]!.say({ from: "damaged", cause: "views.db: database disk image is malformed" });
  assert.equal(await waiting, "stopped");
  const stoppedAt = { position: 10, cause: "views.db: the file was deleted", of: "views" } as const;
  assert.deepEqual([apart.states()[0]!.state, apart.states()[0]!.stoppedAt], ["stopped", stoppedAt]);
  assert.deepEqual(threads[0]!.sent.filter(({ to }) => to === "close").length, 1);
  threads[0]!.say({ from: "closed" });
  await opened();
  assert.equal(threads.length, 2);
  assert.ok(threads[1]!.sent.some(({ to }) => to === "start"), "the projection goes on in the next thread");
  assert.equal(apart.known("tests.counts"), 10, "also before the next thread has said how far it is");
  threads[1]!.say({ ...live(4), state: { ...live(4).state, state: "catching_up" } });
  assert.deepEqual([apart.states()[0]!.state, apart.known("tests.counts")], ["rebuilding", 10]);
  threads[1]!.say(live(11));
  assert.deepEqual([apart.states()[0]!.state, apart.known("tests.counts")], ["live", undefined]);
  const said = r.facts.filter(({ type }) => type !== "kernel.child.started");
  assert.deepEqual(said.map(({ type }) => type), [
    "kernel.projection.stopped",
    "kernel.child.crashed",
    "kernel.child.restarted",
  ]);
  assert.deepEqual(said[0]!.data, {
    projection: "tests.counts",
    version: 1,
    position: 10,
    cause: "views.db: the file was deleted",
  });
  await ended(given);
});

Deno.test("views that are gone when the thread has just opened them are lost like any others", async () => {
  let gone = true;
  const given = await supervised(3, () => {
    if (gone) throw new ViewsFault("damaged", "views.db: unable to open database file");
  });
  const { r, threads, apart, opened } = given;
  await opened();
  assert.equal(apart.states()[0]!.stoppedAt?.cause, "views.db: unable to open database file");
  threads[0]!.say({ from: "closed" });
  gone = false;
  await opened();
  threads[1]!.say(live(10));
  assert.equal(apart.states()[0]!.state, "live");
  assert.equal(r.facts.filter(({ type }) => type === "kernel.child.crashed").length, 1);
  await ended(given);
});

Deno.test("a disk that damages whatever is built on it spends the budget of restarts, and then the projections are visibly down", async () => {
  const { r, threads, apart, run, opened, supervisor, fell } = await supervised(2);
  for (let i = 0; i < 3; i++) {
    await opened();
    threads.at(-1)!.say({ from: "damaged", cause: "views.db: disk I/O error" });
    threads.at(-1)!.say({ from: "closed" });
    await r.clock.settle();
  }
  await r.clock.until(run);
  assert.match(String(fell()), /more than 2 times within 60000 ms: views\.db: disk I\/O error/);
  assert.equal(threads.length, 3);
  assert.equal(supervisor.tree().state, "down");
  assert.equal(apart.states()[0]!.state, "stopped");
  assert.equal(r.facts.filter(({ type }) => type === "kernel.child.gave_up").length, 1);
});
