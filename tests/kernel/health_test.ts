import assert from "node:assert/strict";
import type { Event } from "../../events/event.ts";
import { FactRecorder } from "../../actors/kernel/recorder.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { healthChildren, healthTree } from "../../projections/health.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { Puppet, rig } from "./rig.ts";

/** Rows of a projection over a log, working rows left out, checked against their schema. */
const folded = (projection: AnyProjection, log: MemoryLog) => {
  const rows = new Map<string, unknown>();
  const fold = folder(projection, {
    get: (key) => rows.get(key),
    set: ({ key, row }) => row === undefined ? rows.delete(key) : rows.set(key, projection.row.parse(row)),
  });
  for (const page of log.read({})) for (const event of page as readonly Event[]) fold(event);
  return Object.fromEntries([...rows].filter(([key]) => !key.startsWith("~")).sort()) as Record<
    string,
    Record<string, unknown>
  >;
};

/** Each run of a process draws other ids. */
let runs = 0;

/** One run of a process with a small tree. */
const start = async (log: MemoryLog, r = rig(++runs)) => {
  const recorder = new FactRecorder({ ...r, log });
  const leaf = new Puppet("leaf", []);
  const other = new Puppet("other", [], { deaf: true, grace: 10 });
  const inner = new Supervisor({
    id: "inner",
    strategy: "one_for_one",
    restarts: { max: 2, within: 1_000 },
    children: [leaf],
  }, { ...r, recorder });
  const root = new Supervisor({
    id: "root",
    strategy: "one_for_one",
    restarts: { max: 2, within: 1_000 },
    children: [inner, other],
  }, { ...r, recorder });
  const clean = recorder.begin({ version: "1.2.3", root: "root" });
  const stopping = new AbortController();
  const run = root.run(stopping.signal);
  await r.clock.settle();
  const stop = async () => {
    stopping.abort();
    await r.clock.until(run);
    return await r.clock.until(recorder.end(root.abandoned, 1_000));
  };
  return { ...r, leaf, clean, stop, recorder };
};

Deno.test("the tree of the present run is a view, parents before children", async () => {
  const log = new MemoryLog({ now: () => 0 });
  const p = await start(log);
  p.leaf.crash(new Error("boom"));
  await p.clock.settle();
  const tree = folded(healthTree as AnyProjection, log);
  assert.deepEqual(
    Object.entries(tree).map(([key, { depth, state, restarts, kind }]) =>
      `${key} ${depth} ${state} ${restarts} ${kind}`
    ),
    [
      "root 0 running 0 supervisor",
      "root:inner 1 running 0 supervisor",
      "root:inner:leaf 2 running 1 worker",
      "root:other 1 running 0 worker",
    ],
  );
  assert.equal(tree["root:inner:leaf"]!.cause, "boom");
  assert.equal(tree["root:inner:leaf"]!.parent, "root:inner");
  await p.stop();
  const after = folded(healthTree as AnyProjection, log);
  assert.deepEqual(Object.values(after).map(({ state }) => state), ["stopped", "stopped", "stopped", "abandoned"]);
});

Deno.test("a run that ended without a word is closed by the next, which knows it was not clean", async () => {
  const log = new MemoryLog({ now: () => 0 });
  const first = await start(log);
  assert.equal(first.clean, true);
  assert.equal(first.recorder.waiting, 0);
  const second = await start(log); // the first never stopped
  assert.equal(second.clean, false);
  assert.deepEqual(Object.keys(folded(healthTree as AnyProjection, log)), [
    "root",
    "root:inner",
    "root:inner:leaf",
    "root:other",
  ]);
  await second.stop();
  const recorder = new FactRecorder({ ...rig(++runs), log });
  assert.equal(recorder.begin({ version: "1", root: "new" }), true);
  await recorder.flush();
  assert.deepEqual(Object.keys(folded(healthTree as AnyProjection, log)), ["new"]);
});

Deno.test("how each child has fared is kept over all runs; what was open when a process died is lost", async () => {
  const log = new MemoryLog({ now: () => 0 });
  const first = await start(log);
  first.leaf.crash(new Error("one"));
  await first.clock.settle();
  const recorder = new FactRecorder({ ...rig(++runs), log });
  recorder.begin({ version: "1", root: "root" });
  await recorder.flush();
  const lost = folded(healthChildren as AnyProjection, log);
  assert.deepEqual(Object.entries(lost).map(([key, { state }]) => `${key} ${state}`), [
    "root running",
    "root:inner lost",
    "root:inner:leaf lost",
    "root:other lost",
  ]);
  const again = await start(log);
  again.leaf.crash(new Error("two"));
  await again.clock.settle();
  await again.stop();
  const { "root:inner:leaf": leaf, "root:other": other } = folded(healthChildren as AnyProjection, log);
  assert.deepEqual([leaf!.starts, leaf!.restarts, leaf!.crashes, leaf!.cause, leaf!.state], [
    4,
    2,
    2,
    "two",
    "stopped",
  ]);
  assert.deepEqual([other!.state, other!.abandoned], ["abandoned", 1]);
});

Deno.test("what a supervisor gave up on is down in the views", async () => {
  const log = new MemoryLog({ now: () => 0 });
  const p = await start(log);
  const crash = async () => {
    p.leaf.crash();
    await p.clock.settle();
  };
  for (let i = 0; i < 3; i++) await crash();
  const { "root:inner": inner } = folded(healthChildren as AnyProjection, log);
  assert.deepEqual([inner!.gave_up, inner!.crashes, inner!.restarts, inner!.state], [1, 1, 1, "running"]);
  for (let i = 0; i < 6; i++) await crash();
  await p.clock.settle();
  for (const view of [healthChildren, healthTree]) {
    const rows = folded(view as AnyProjection, log);
    assert.deepEqual(
      ["root", "root:inner", "root:inner:leaf"].map((path) => rows[path]!.state),
      ["down", "down", "down"],
      view.name,
    );
  }
  const { "root:inner": given } = folded(healthChildren as AnyProjection, log);
  assert.deepEqual([given!.gave_up, given!.crashes], [3, 3]);

  // What was down when the next run starts was not lost.
  const recorder = new FactRecorder({ ...rig(++runs), log });
  recorder.begin({ version: "1", root: "new" });
  await recorder.flush();
  assert.equal(folded(healthChildren as AnyProjection, log)["root:inner:leaf"]!.state, "down");
});
