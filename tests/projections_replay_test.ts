import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { MemoryViews } from "../adapters/memory/views.ts";
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { systemClock } from "../adapters/system/world.ts";
import { Projector } from "../actors/kernel/project.ts";
import { feedOf } from "../actors/kernel/project_feed.ts";
import { replay } from "../actors/kernel/replay.ts";
import { auditTrail } from "../projections/audit.ts";
import type { AnyProjection } from "../projections/projection.ts";
import type { Views } from "../projections/views.ts";
import { inFolder } from "./folder_given.ts";
import { counted, counts, logOf, named, newEvent, primitives, running } from "./projections_given.ts";

const newest = named(counts, { name: "tests.newest", history: "none" });
const all: readonly AnyProjection[] = [counts, newest, auditTrail];

const projected = async (views: Views, events: number, projections = all) => {
  const log = logOf();
  await counted(log, events);
  const projector = new Projector({ projections, feed: feedOf(log), views, clock: systemClock, record: () => {} });
  const run = running(projector.children);
  for (const { name } of projections) assert.equal(await projector.wait(name, events - 1, 60_000), "reached");
  await run.stop();
  return log;
};

for (
  const [label, open] of [["memory", () => new MemoryViews()], [
    "sqlite",
    () => new SqliteViews({ path: ":memory:" }),
  ]] as const
) {
  Deno.test(`replay finds the rows that ${label} views hold, however they were batched`, async () => {
    const views = open();
    const log = await projected(views, 1_234);
    const steps: number[] = [];
    const done = replay({ log, projections: all, primitives, views, onProgress: (done) => steps.push(done) });
    assert.equal(done.ok, true);
    assert.equal(done.size, 1_234);
    assert.deepEqual(
      done.views.map(({ name, version, size, rows, equal }) => ({ name, version, size, rows, equal })),
      [
        { name: "tests.counts", version: 1, size: 1_234, rows: 7, equal: true },
        { name: "tests.newest", version: 1, size: 1_234, rows: 7, equal: true },
        { name: "audit.trail", version: 1, size: 1_234, rows: 1_234, equal: true },
      ],
    );
    assert.equal(steps.at(-1), 1_234);
    views.close();
  });

  Deno.test(`replay compares ${label} views as of a size, and says where it cannot`, async () => {
    const views = open();
    const log = await projected(views, 300);
    const done = replay({ log, projections: all, primitives, views, until: 100 });
    assert.deepEqual(done.views.map(({ size, equal, uncompared }) => [size, equal, uncompared]), [
      [100, true, undefined],
      [100, undefined, "no_history"],
      [100, true, undefined],
    ]);
    assert.equal(done.ok, true);
    views.close();
  });

  Deno.test(`replay folds to what ${label} views have, when the log has more`, async () => {
    const views = open();
    const log = await projected(views, 50);
    await counted(log, 25);
    const done = replay({ log, projections: all, primitives, views });
    assert.deepEqual(done.views.map(({ size, equal }) => [size, equal]), [[50, true], [50, true], [50, true]]);
    views.close();
  });
}

Deno.test("replay finds a stored row that is not what the log says", async () => {
  const views = new MemoryViews();
  const log = await projected(views, 100);
  const store = views.open(counts);
  store.commit([{ key: "k3", row: { count: 99, sum: 0 }, position: 99 }], 100);
  const done = replay({ log, projections: all, primitives, views });
  assert.deepEqual(done.views.map(({ equal }) => equal), [false, true, true]);
  assert.equal(done.ok, false);
});

Deno.test("replay is not well where a view that is stored cannot be read, and compares the others", async () => {
  const views = new MemoryViews();
  const log = await projected(views, 100);
  const damaged: Pick<Views, "digest" | "stores"> = {
    stores: () => views.stores(),
    digest(name, at) {
      if (name === "tests.counts") throw new Error("database disk image is malformed");
      return views.digest(name, at);
    },
  };
  const done = replay({ log, projections: all, primitives, views: damaged });
  assert.deepEqual(done.views.map(({ equal, uncompared }) => equal ?? uncompared), ["unreadable", true, true]);
  assert.match(done.views[0]!.because!, /malformed/);
  assert.equal(done.ok, false);
});

Deno.test("replay tells rows that were changed in the file, and a digest that was, from those that the program wrote", () =>
  inFolder(async (path) => {
    const open = () => new SqliteViews({ path, notes: false });
    let views = open();
    const log = await projected(views, 300, [counts, newest]);
    const forged = (sql: string) => {
      views.close();
      const file = new DatabaseSync(`${path}/views.db`);
      file.exec(sql);
      file.close();
      views = open();
      return replay({ log, projections: [counts, newest], primitives, views });
    };
    const honest = replay({ log, projections: [counts, newest], primitives, views });
    assert.deepEqual(honest.views.map(({ equal, kept }) => [equal, kept]), [[true, undefined], [true, undefined]]);
    const { digest } = honest.views[0]!;
    const rows = forged(`UPDATE c1 SET row = '{"count":43,"sum":0}' WHERE key = 'k1'`).views[0]!;
    assert.deepEqual([rows.equal, rows.digest, rows.kept?.digest], [false, digest, digest]);
    assert.notEqual(rows.stored?.digest, digest);
    const sum = forged("UPDATE stores SET rows = 8 WHERE name = 'tests.newest'").views[1]!;
    assert.deepEqual([sum.equal, sum.stored?.digest === sum.digest, sum.kept?.rows], [false, true, 8]);
    views.close();
  }));

Deno.test("replay leaves alone what another version stored, and what is not stored", async () => {
  const views = new MemoryViews();
  const log = await projected(views, 10, [counts]);
  const done = replay({ log, projections: [named(counts, { version: 2 }), newest], primitives, views });
  assert.deepEqual(done.views.map(({ uncompared }) => uncompared), ["not_replayable", "not_stored"]);
  assert.equal(done.ok, true);
  const alone = replay({ log, projections: [counts], primitives });
  assert.deepEqual(alone.views.map(({ equal, uncompared }) => [equal, uncompared]), [[undefined, undefined]]);
});

Deno.test("replay names the event that it cannot fold, unless the projection skips it", async () => {
  const log = logOf();
  await counted(log, 3);
  await log.append({ events: [newEvent("tests.item.poisoned", { key: "k0", by: 1 })] });
  await counted(log, 3);
  assert.throws(() => replay({ log, projections: [counts], primitives }), /position 3 cannot be folded/);
  assert.equal(replay({ log, projections: [named(counts, { poison: "skip" })], primitives }).views[0]!.size, 7);
});
