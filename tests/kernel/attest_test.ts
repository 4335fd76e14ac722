import assert from "node:assert/strict";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { ATTEST, Attester, FAILED_LOOK_MS, LOOK_MS } from "../../actors/kernel/attest.ts";
import { attestationsIn } from "../../actors/kernel/attestations.ts";
import { Projector } from "../../actors/kernel/project.ts";
import { feedOf } from "../../actors/kernel/project_feed.ts";
import { replay, replayAttested } from "../../actors/kernel/replay.ts";
import { kernelFacts } from "../../events/kernel.ts";
import { type Append, LogFault } from "../../events/log.ts";
import { DIGEST_METHOD } from "../../projections/digest.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { counted, counts, named, newEvent, primitives, running } from "../projections_given.ts";
import { rig } from "./rig.ts";

const HOUR = 3_600_000;

/** A log, its views and who attests them, in virtual time. */
const world = (projections: readonly AnyProjection[] = [counts]) => {
  const { clock, random } = rig();
  const log = new MemoryLog(clock);
  const views = new MemoryViews();
  const start = (log_: Pick<MemoryLog, "size" | "append" | "read" | "follow"> = log) => {
    const projector = new Projector({ projections, feed: feedOf(log), views, clock, record: () => {} });
    const attester = new Attester({
      log: log_,
      views,
      projections,
      clock,
      random,
      bounds: { events_min: 100, ms: HOUR },
    });
    return running([...projector.children.filter(({ id }) => id !== "file"), attester]);
  };
  const attested = () => attestationsIn(log, log.size);
  const told = () => attested().map(({ position, projection, size }) => [position, projection, size]);
  return { clock, log, views, projections, start, attested, told };
};

const ended = async (clock: { until<T>(done: Promise<T>): Promise<T> }, run: { stop(): Promise<void> }) =>
  await clock.until(run.stop());

Deno.test("a view is attested when enough events have come since, and not before", async () => {
  const { clock, log, start, attested } = world();
  const run = start();
  await counted(log, 99);
  await clock.advance(10 * LOOK_MS);
  assert.equal(attested().length, 0);
  await counted(log, 1);
  await clock.advance(10 * LOOK_MS);
  const [first, ...more] = attested();
  assert.deepEqual([first!.position, first!.projection, first!.version, first!.size, more.length], [
    100,
    "tests.counts",
    1,
    100,
    0,
  ]);
  assert.deepEqual([first!.rows, first!.method], [7, DIGEST_METHOD]);
  const [event] = [...log.read({ from: 100 })].flat();
  assert.deepEqual([event!.stream, event!.authid], ["kernel/projection:tests.counts", "kernel"]);
  kernelFacts["kernel.projection.attested"].parse(event!.data);
  await counted(log, 100);
  await clock.advance(10 * LOOK_MS);
  assert.deepEqual(attested().map(({ size }) => size), [100, 201]);
  await ended(clock, run);
});

Deno.test("with fewer events, but any, a view is attested after an hour; a log that nothing is written to does not grow", async () => {
  const { clock, log, start, told } = world([counts, named(counts, { name: "tests.others" })]);
  const run = start();
  await counted(log, 3);
  await clock.advance(HOUR - LOOK_MS);
  assert.equal(log.size, 3);
  await clock.advance(2 * LOOK_MS);
  assert.deepEqual(told(), [[3, "tests.counts", 3], [4, "tests.others", 3]]);
  // A month of nothing.
  for (let day = 0; day < 30; day++) await clock.advance(24 * HOUR);
  assert.equal(log.size, 5);
  await counted(log, 1);
  await clock.advance(3 * LOOK_MS);
  assert.deepEqual(told().slice(2), [[6, "tests.counts", 6], [7, "tests.others", 6]]);
  await clock.advance(24 * HOUR);
  assert.equal(log.size, 8);
  await ended(clock, run);
});

Deno.test("a clock that was years ahead and is set back attests every hour again, in that run and the next", async () => {
  const YEARS = 10 * 365 * 24 * HOUR;
  const { clock, log, start, attested } = world();
  clock.jump(YEARS);
  let run = start();
  await counted(log, 3);
  await clock.advance(HOUR + 2 * LOOK_MS);
  assert.equal(attested().length, 1);
  clock.jump(-YEARS);
  for (const among of ["the same run", "the next"]) {
    if (among === "the next") {
      await ended(clock, run);
      run = start();
    }
    const before = attested().length;
    for (let hour = 0; hour < 3; hour++) {
      await counted(log, 1);
      await clock.advance(HOUR + 3 * LOOK_MS);
    }
    assert.ok(attested().length - before >= 3 && attested().length - before <= 4, among);
  }
  await ended(clock, run);
});

Deno.test("an empty log stays empty", async () => {
  const { clock, log, start } = world();
  const run = start();
  for (let day = 0; day < 30; day++) await clock.advance(24 * HOUR);
  assert.equal(log.size, 0);
  await ended(clock, run);
});

Deno.test("a run goes on from what was attested before it, and lives too short to attest anything do not", async () => {
  const { clock, log, start, told } = world([counts, named(counts, { name: "tests.others" })]);
  await counted(log, 150);
  for (let life = 0; life < 50; life++) {
    const run = start();
    await clock.advance(LOOK_MS / 2);
    await ended(clock, run);
  }
  assert.equal(log.size, 150);
  for (let life = 0; life < 5; life++) {
    const run = start();
    await clock.advance(10 * LOOK_MS);
    await ended(clock, run);
  }
  assert.deepEqual(told(), [[150, "tests.counts", 150], [151, "tests.others", 150]]);
  await counted(log, 1);
  const run = start();
  await clock.advance(HOUR);
  await clock.advance(HOUR);
  assert.deepEqual(told().slice(2), [[153, "tests.counts", 153], [154, "tests.others", 153]]);
  await ended(clock, run);
});

Deno.test("a view that is built again is not attested below what was, nor is one of a version that nobody builds", async () => {
  const { clock, log, views, start, told } = world();
  await counted(log, 200);
  const first = start();
  await clock.advance(10 * LOOK_MS);
  await ended(clock, first);
  assert.equal(told().length, 1);
  views.renew();
  views.open(counts).commit([], 120);
  const alone = new AbortController();
  const { random } = rig();
  const bounds = { events_min: 10, ms: HOUR };
  const attester = new Attester({ log, views, projections: [counts], clock, random, bounds });
  const run = attester.run(alone.signal, { path: "attester", ready() {} });
  await counted(log, 50);
  await clock.advance(2 * HOUR);
  assert.equal(told().length, 1, "it is behind");
  views.renew();
  views.open(named(counts, { version: 2 })).commit([], 250);
  await clock.advance(2 * HOUR);
  assert.equal(told().length, 1, "it is another version");
  alone.abort();
  await clock.until(run);
});

Deno.test("what was attested of an earlier version does not count for a new one", async () => {
  const { clock, log, views, start, told } = world();
  await counted(log, 150);
  const first = start();
  await clock.advance(10 * LOOK_MS);
  await ended(clock, first);
  assert.deepEqual(told(), [[150, "tests.counts", 150]]);
  const newer = named(counts, { version: 2 });
  const projector = new Projector({ projections: [newer], feed: feedOf(log), views, clock, record: () => {} });
  const bounds = { events_min: 100, ms: HOUR };
  const { random } = rig(2);
  const attester = new Attester({ log, views, projections: [newer], clock, random, bounds });
  const second = running([...projector.children.filter(({ id }) => id !== "file"), attester]);
  await clock.advance(10 * LOOK_MS);
  assert.deepEqual(attestationsIn(log, log.size).map(({ version, size }) => [version, size]), [[1, 150], [2, 151]]);
  await ended(clock, second);
});

Deno.test("while the log cannot be written nothing is lost but time", async () => {
  const { clock, log, start, told } = world();
  let full = true;
  const disk = {
    get size() {
      return log.size;
    },
    append: (batch: Append) => full ? Promise.reject(new LogFault("full", "the disk is full")) : log.append(batch),
    read: log.read.bind(log),
    follow: log.follow.bind(log),
  };
  await counted(log, 100);
  const run = start(disk);
  await clock.advance(HOUR);
  assert.deepEqual([told(), run.crashes], [[], []]);
  full = false;
  await clock.advance(FAILED_LOOK_MS + LOOK_MS);
  assert.deepEqual(told(), [[100, "tests.counts", 100]]);
  await ended(clock, run);
});

/** A fold that looks at something besides row and event: how often it was called. */
const restless = (): AnyProjection => {
  let calls = 0;
  return named(counts, {
    name: "tests.restless",
    apply: (row, event, key, read) => {
      const applied = counts.apply(row as never, event as never, key, read as never);
      return ++calls === 130 ? { ...applied!, sum: applied!.sum + 1 } : applied;
    },
  });
};

Deno.test("a projection that is not deterministic is caught at the next attestation, and only it", async () => {
  const projections = [counts, restless()];
  const { clock, log, views, start, attested } = world(projections);
  const run = start();
  for (let round = 0; round < 3; round++) {
    await counted(log, 100);
    await clock.advance(10 * LOOK_MS);
  }
  await ended(clock, run);
  const sizes = attested().filter(({ projection }) => projection === "tests.restless").map(({ size }) => size);
  assert.deepEqual(sizes, [100, 202, 304]);
  const done = replay({ log, projections, primitives, views, attested: true });
  assert.equal(done.ok, false);
  assert.deepEqual(
    done.attestations.map(({ projection, size, outcome }) => [projection, size, outcome]),
    [
      ["tests.counts", 100, "equal"],
      ["tests.restless", 100, "equal"],
      ["tests.counts", 202, "equal"],
      ["tests.restless", 202, "differs"],
      ["tests.counts", 304, "equal"],
      ["tests.restless", 304, "differs"],
    ],
  );
  assert.deepEqual(done.views.map(({ name, equal }) => [name, equal]), [["tests.counts", true], [
    "tests.restless",
    false,
  ]]);
  // And by who has the events alone.
  const events = () => [...log.read({})].flat();
  const again = replayAttested({ events, projections, primitives });
  assert.deepEqual([again.ok, again.size], [false, log.size]);
  assert.deepEqual(again.attestations, done.attestations);
  const honest = replayAttested({ events, projections: [counts], primitives });
  assert.deepEqual([honest.ok, honest.attestations.map(({ outcome }) => outcome)], [
    true,
    ["equal", "not_replayable", "equal", "not_replayable", "equal", "not_replayable"],
  ]);
});

Deno.test("an attestation of what came after it, by another method or of another version is told apart", async () => {
  const { log } = world();
  await counted(log, 10);
  const { rows, digest } = replay({ log, projections: [counts], primitives }).views[0]!;
  const say = async (changes: object) => {
    const data = { projection: "tests.counts", version: 1, size: 10, rows, digest, method: DIGEST_METHOD, ...changes };
    kernelFacts["kernel.projection.attested"].parse(data);
    await log.append({ events: [newEvent("kernel.projection.attested", data, "kernel/projection:tests.counts")] });
  };
  await say({});
  await say({ size: 13 });
  await say({ method: "md5" });
  await say({ version: 2 });
  await say({ rows: 8 });
  await say({ digest: `${"A".repeat(43)}=` });
  const outcomes = (until?: number) =>
    replay({ log, projections: [counts], primitives, attested: true, until }).attestations.map(({ outcome }) =>
      outcome
    );
  assert.deepEqual(outcomes(), ["equal", "differs", "not_replayable", "not_replayable", "differs", "differs"]);
  assert.deepEqual(outcomes(12), ["equal", "differs"]);
  assert.equal(replay({ log, projections: [counts], primitives, attested: true, until: 11 }).ok, true);
});

Deno.test("the kernel attests after 10,000 events or an hour", () => {
  assert.deepEqual(ATTEST, { events_min: 10_000, ms: HOUR });
});
