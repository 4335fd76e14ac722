import assert from "node:assert/strict";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { Projector } from "../actors/kernel/project.ts";
import { feedOf } from "../actors/kernel/project_feed.ts";
import { PACE, type Pace, PACE_AWAITED, type Paced, Pacer } from "../actors/kernel/project_pace.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { counted, counts, logOf, named, running } from "./projections_given.ts";

const simulated = () => new SimulatedClock({ next: () => 0.5 });

/** Projections that take `ms` of the thread for each transaction, and a log that grows by `rate` events a second. */
const stand = ({ ms, rate, projections = 3, pace = PACE }: {
  readonly ms: number;
  readonly rate: number;
  readonly projections?: number;
  readonly pace?: Pace;
}) => {
  const clock = simulated();
  const feed = { size: 0 };
  const pacer = new Pacer(clock, feed, pace);
  const stopping = new AbortController();
  const worked: number[] = [];
  let busy = 0;
  const paced = Array.from({ length: projections }, () => ({ size: 0, lag: 0, hurried: false }));
  const follow = async (one: { size: number; lag: number; hurried: boolean }, i: number) => {
    worked[i] = 0;
    while (!stopping.signal.aborted) {
      one.lag = feed.size - one.size;
      if (one.lag === 0) {
        await clockPause(clock, 1);
        continue;
      }
      await pacer.take(one, stopping.signal);
      if (stopping.signal.aborted) return;
      one.size = feed.size;
      worked[i]!++;
      busy += ms;
      await clockPause(clock, ms);
      pacer.spent(ms);
    }
  };
  const runs = paced.map(follow);
  return {
    clock,
    paced,
    pacer,
    worked,
    busy: () => busy,
    async pass(duration: number) {
      for (let t = 0; t < duration; t += 10) {
        feed.size += rate / 100;
        for (const one of paced) one.lag = feed.size - one.size;
        await clock.advance(10);
      }
    },
    async stop() {
      stopping.abort();
      await clock.advance(ms + 10);
      await Promise.all(runs);
    },
  };
};

const clockPause = (clock: SimulatedClock, ms: number) =>
  new Promise<void>((resolve) => void clock.schedule(ms, resolve));

for (
  const [name, rate, share] of [["grows fast", 6_000, PACE.share], ["has a burst", 200_000, PACE.burst_share]] as const
) {
  Deno.test(`while the log ${name} all projections together take their share of a core, in turns`, async () => {
    const at = stand({ ms: 40, rate });
    await at.pass(1_000 + PACE.burst_rest_ms); // until it is known to grow fast
    const before = [at.busy(), ...at.worked];
    await at.pass(30_000);
    const busy = at.busy() - before[0]!;
    assert.ok(busy <= 30_000 * share + 80, `${busy} ms of 30,000`);
    assert.ok(busy >= 30_000 * share * 0.8, `${busy} ms of 30,000`);
    const turns = at.worked.map((count, i) => count - before[i + 1]!);
    assert.ok(Math.max(...turns) - Math.min(...turns) <= 1, `turns ${turns}`);
    await at.stop();
  });
}

Deno.test("a burst has the machine to itself at first, and the next one again", async () => {
  const at = stand({ ms: 1, rate: 20_000, projections: 1 });
  for (let burst = 0; burst < 2; burst++) {
    await at.pass(PACE.window_ms); // it is known
    const before = at.worked[0]!;
    await at.pass(PACE.burst_rest_ms - PACE.window_ms);
    assert.equal(at.worked[0], before);
    await at.pass(3 * PACE.window_ms); // looked at once a window
    assert.ok(at.worked[0]! > before, "one that lasts has their share");
    await at.clock.advance(2 * PACE.window_ms);
    assert.equal(at.paced[0]!.lag, 0, "after it they follow");
  }
  await at.stop();
});

Deno.test("when a burst is over nobody rests on as if it went on", async () => {
  const at = stand({ ms: 200, rate: 200_000, projections: 1 });
  await at.pass(1_000);
  assert.equal(at.worked[0], 1);
  const quiet = at.clock.monotonic();
  while (at.worked[0] === 1) await at.clock.advance(10);
  const waited = at.clock.monotonic() - quiet;
  assert.ok(waited <= 2 * PACE.window_ms, `${waited} ms, of a rest of ${200 / PACE.burst_share}`);
  await at.stop();
});

Deno.test("those that a program waits for take a whole core, in turns, though the log grows fast", async () => {
  const at = stand({ ms: 10, rate: 200_000, pace: PACE_AWAITED });
  await at.pass(1_000);
  const before = [at.busy(), ...at.worked];
  await at.pass(10_000);
  const busy = at.busy() - before[0]!;
  assert.ok(busy >= 9_800 && busy <= 10_020, `${busy} ms of 10,000`);
  const turns = at.worked.map((count, i) => count - before[i + 1]!);
  assert.ok(Math.max(...turns) - Math.min(...turns) <= 1, `turns ${turns}`);
  await at.stop();
});

Deno.test("a reader who waits is not made to rest, and others go on resting", async () => {
  const at = stand({ ms: 10, rate: 6_000 });
  await at.pass(1_000);
  const before = [...at.worked];
  at.paced[1]!.hurried = true;
  at.pacer.look();
  await at.pass(1_000);
  const turns = at.worked.map((count, i) => count - before[i]!);
  assert.ok(turns[1]! >= 90, `the hurried one had ${turns[1]} turns`);
  assert.ok(turns[0]! + turns[2]! <= 1_000 * PACE.share / 10 + 2, `the others had ${turns[0]! + turns[2]!}`);
  await at.stop();
});

Deno.test("events that come slowly are gathered, the first at once", async () => {
  const at = stand({ ms: 1, rate: 100, projections: 1 });
  await at.pass(20);
  assert.equal(at.worked[0], 1);
  await at.pass(10_000);
  const turns = at.worked[0]!;
  assert.ok(turns <= 10_000 / PACE.gather_ms + 2 && turns >= 10_000 / PACE.gather_ms - 5, `${turns} turns`);
  await at.stop();
});

Deno.test("when the log is quiet a projection that is behind goes on without rest", async () => {
  const clock = simulated();
  const feed = { size: 1_000_000 };
  const pacer = new Pacer(clock, feed, PACE);
  const paced = { lag: 1_000_000, hurried: false } satisfies Paced;
  const signal = new AbortController().signal;
  for (let i = 0; i < 100; i++) {
    await pacer.take(paced, signal);
    pacer.spent(60);
  }
  assert.equal(clock.monotonic(), 0, "no time was spent resting");
  // A burst, and it rests; one window later it does not any more.
  feed.size += PACE.fast_events;
  let resting = true;
  const turn = pacer.take(paced, signal).then(() => resting = false);
  await clock.advance(60 * (1 / PACE.share - 1) - 1);
  assert.ok(resting);
  await clock.advance(1);
  assert.ok(!resting);
  await turn;
  pacer.spent(60);
  await clock.advance(PACE.window_ms * 1.2);
  const before = clock.monotonic();
  await pacer.take(paced, signal);
  assert.equal(clock.monotonic(), before);
});

Deno.test("one event fewer within the window is not fast", async () => {
  const clock = simulated();
  const feed = { size: 0 };
  const pacer = new Pacer(clock, feed, PACE);
  const paced = { lag: PACE.gather_events, hurried: false };
  const signal = new AbortController().signal;
  feed.size = PACE.fast_events - 1;
  await pacer.take(paced, signal);
  pacer.spent(1_000);
  await pacer.take(paced, signal);
  assert.equal(clock.monotonic(), 0);
  feed.size++;
  pacer.spent(100);
  const turn = pacer.take(paced, signal);
  await clock.until(turn);
  assert.equal(clock.monotonic(), 300);
});

Deno.test("a projection that is stopped while it rests leaves at once, and its turn goes to the next", async () => {
  const clock = simulated();
  const feed = { size: 0 };
  const pacer = new Pacer(clock, feed, PACE);
  feed.size = 100_000;
  pacer.spent(1_000);
  const stopping = new AbortController();
  const first = pacer.take({ lag: 100_000, hurried: false }, stopping.signal);
  const second = pacer.take({ lag: 100_000, hurried: false }, new AbortController().signal);
  stopping.abort();
  await first;
  assert.equal(clock.monotonic(), 0);
  await clock.until(second);
  assert.ok(clock.monotonic() <= 3_000);
  await pacer.take({ lag: 1, hurried: false }, stopping.signal); // one that was stopped before
});

Deno.test("lag is visible while projections give way, and whoever waits for a position gets it at once", async () => {
  const clock = simulated();
  const log = logOf();
  const views = new MemoryViews();
  const pace = { ...PACE, gather_ms: 60_000, gather_events: 1_000_000 };
  const other = named(counts, { name: "tests.other" });
  const projections = new Projector({
    projections: [counts, other],
    feed: feedOf(log),
    views,
    clock,
    record: () => {},
    pace,
  });
  const run = running(projections.children);
  await counted(log, 10);
  await clock.advance(10);
  assert.deepEqual(projections.states().map(({ lag }) => lag), [0, 0]);
  await counted(log, 500);
  await clock.advance(1_000);
  assert.deepEqual(projections.states().map(({ lag, state }) => [lag, state]), [[500, "live"], [500, "live"]]);
  assert.equal(await clock.until(projections.wait("tests.counts", 509, 1_000), 100), "reached");
  assert.deepEqual(projections.states().map(({ lag }) => lag), [0, 500]);
  await clock.advance(pace.gather_ms);
  assert.deepEqual(projections.states().map(({ lag }) => lag), [0, 0]);
  const stopped = run.stop();
  await clock.advance(1);
  await stopped;
  assert.deepEqual(run.crashes, []);
});

Deno.test("a reader who waited in vain for what never came hurries nobody any more", async () => {
  const clock = simulated();
  const log = logOf();
  const pace = { ...PACE, gather_ms: 60_000, gather_events: 1_000_000 };
  const projections = new Projector({
    projections: [counts],
    feed: feedOf(log),
    views: new MemoryViews(),
    clock,
    record: () => {},
    pace,
  });
  const run = running(projections.children);
  await counted(log, 10);
  await clock.advance(10);
  const late = projections.wait("tests.counts", Number.MAX_SAFE_INTEGER, 1_000);
  await counted(log, 1);
  await clock.advance(10);
  assert.equal(projections.states()[0]!.lag, 0, "while it waits");
  assert.equal(await clock.until(late), "late");
  await counted(log, 5);
  await clock.advance(1_000);
  assert.equal(projections.states()[0]!.lag, 5);
  assert.equal(await clock.until(projections.wait("tests.counts", 15, 1_000), 100), "reached");
  const stopped = run.stop();
  await clock.advance(1);
  await stopped;
  assert.deepEqual(run.crashes, []);
});
