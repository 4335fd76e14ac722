import assert from "node:assert/strict";
import { SimulatedClock, Stalled } from "../../adapters/simulation/clock.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { Faults } from "../../adapters/simulation/faults.ts";
import { SimulatedDisk, SimulatedStore } from "../../adapters/simulation/store.ts";
import { pause } from "../../actors/kernel/world.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("the seeded random repeats itself for a seed and differs for another", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return [random.next(), random.id(), random.between(3, 9), random.split().next()];
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  assert.match(seededRandom(1).id(), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

Deno.test("the seeded random is spread evenly", () => {
  const random = seededRandom(42);
  const counts = new Array(10).fill(0);
  for (let i = 0; i < 10_000; i++) counts[random.between(0, 10)]++;
  for (const count of counts) assert.ok(count > 850 && count < 1150, String(counts));
});

Deno.test("simulated timers fire in order of time, and cancelled ones never", async () => {
  const clock = new SimulatedClock(seededRandom(1));
  const fired: string[] = [];
  clock.schedule(20, () => fired.push(`b${clock.monotonic()}`));
  clock.schedule(10, () => fired.push(`a${clock.monotonic()}`));
  clock.schedule(15, () => fired.push("never"))();
  await clock.advance(19);
  assert.deepEqual(fired, ["a10"]);
  await clock.advance(1);
  assert.deepEqual(fired, ["a10", "b20"]);
});

Deno.test("timers of the same time fire in an order that the seed draws", async () => {
  const order = async (seed: number) => {
    const clock = new SimulatedClock(seededRandom(seed));
    let fired = "";
    for (const name of "abcdef") clock.schedule(5, () => fired += name);
    await clock.advance(5);
    return fired;
  };
  assert.equal(await order(3), await order(3));
  const seen = new Set(await Promise.all([1, 2, 3, 4, 5].map(order)));
  assert.ok(seen.size > 1, [...seen].join(" "));
});

Deno.test("waiting for what no timer can bring is a stall with a reason, not a hang", async () => {
  const clock = new SimulatedClock(seededRandom(1));
  await assert.rejects(clock.until(new Promise(() => {})), Stalled);
  const forever = () => void clock.schedule(1_000, forever);
  forever();
  await assert.rejects(clock.until(new Promise(() => {}), 10_000), /not settled within 10000 ms/);
  assert.equal(await clock.until(pause(clock, 500).then(() => "done")), "done");
});

Deno.test("the wall clock may jump while what is scheduled keeps its delay", async () => {
  const clock = new SimulatedClock(seededRandom(1), 1_000_000);
  let fired = false;
  clock.schedule(100, () => fired = true);
  clock.jump(-50_000);
  assert.equal(clock.now(), 950_000);
  await clock.advance(99);
  assert.equal(fired, false);
  await clock.advance(1);
  assert.equal(fired, true);
});

Deno.test("a crashed process's timers never fire", async () => {
  const clock = new SimulatedClock(seededRandom(1));
  const share = clock.share();
  let fired = 0;
  share.clock.schedule(1, () => fired++);
  share.end();
  share.clock.schedule(1, () => fired++);
  await clock.advance(10);
  assert.equal(fired, 0);
});

const opened = (seed: number, chances = {}) => {
  const random = seededRandom(seed);
  const clock = new SimulatedClock(random);
  const faults = new Faults(random.split(), chances);
  const disk = new SimulatedDisk();
  let deaths = 0;
  const open = () => {
    const store: SimulatedStore = new SimulatedStore(disk, {
      clock,
      random,
      faults,
      died: () => {
        deaths++;
        store.crash();
      },
    });
    return store;
  };
  return { clock, faults, disk, open, deaths: () => deaths };
};

Deno.test("the simulated store lists in order, both ways, and checks absence", async () => {
  const { clock, open } = opened(1);
  const store = open();
  const puts = [30, 10, 20].map((n) => [["a", n], bytes(String(n))] as const);
  assert.equal(await clock.until(store.commit({ absent: ["a", 10], puts })), true);
  assert.equal(await clock.until(store.commit({ absent: ["a", 10], puts: [[["a", 40], bytes("no")]] })), false);
  assert.deepEqual([...store.list({ prefix: ["a"] })].map(([n]) => n), [10, 20, 30]);
  assert.deepEqual([...store.list({ prefix: ["a"], from: 10, until: 30, backward: true })].map(([n]) => n), [20, 10]);
  assert.deepEqual([...store.list({ prefix: ["a"], backward: true, limit: 1 })].map(([n]) => n), [30]);
  await clock.until(store.commit({ puts: [], deletes: [["a", 20]] }));
  assert.equal(store.get(["a", 20]), undefined);
  assert.equal(store.bytes(), 4);
});

Deno.test("every injected fault is reached and does what it says", async () => {
  for (const fault of ["slow", "locked", "full", "io_before", "io_after", "crash_before", "crash_after"] as const) {
    const { clock, faults, disk, open, deaths } = opened(5, { [fault]: 1 });
    const outcome = open().commit({ puts: [[["k", 1], bytes("v")]] }).then((ok) => ok, (error) => error.kind);
    await clock.advance(2_000);
    const died = fault.startsWith("crash");
    assert.equal(deaths(), died ? 1 : 0);
    if (!died) assert.equal(await outcome, fault === "slow" ? true : fault.startsWith("io") ? "io" : fault);
    assert.equal(disk.has(["k", 1]), fault === "slow" || fault.endsWith("after"), fault);
    assert.ok(faults.reached[fault] > 0);
  }
});

Deno.test("a disk that fails while it flushes takes nothing more; what it had may be there after the process or not", async () => {
  const outcomes = new Set<boolean>();
  for (let seed = 0; seed < 20; seed++) {
    const { clock, faults, disk, open } = opened(seed, { flush: 1 });
    const store = open();
    const kindOf = (commit: Promise<boolean>) => commit.then((ok) => ok, (error) => error.kind);
    assert.equal(await clock.until(kindOf(store.commit({ puts: [[["k", 1], bytes("v")]] }))), "fenced");
    faults.chances = {};
    assert.equal(await clock.until(kindOf(store.commit({ puts: [[["k", 2], bytes("v")]] }))), "fenced");
    assert.ok(store.broken && !disk.has(["k", 1]));
    await store.close();
    assert.equal(disk.has(["k", 2]), false);
    outcomes.add(disk.has(["k", 1]));
    assert.equal(await clock.until(open().commit({ puts: [[["k", 3], bytes("v")]] })), true);
  }
  assert.equal(outcomes.size, 2);
});

Deno.test("a commit on its way when the process dies is there or not, as the seed decides, and is never answered", async () => {
  const outcomes = new Set<boolean>();
  for (let seed = 0; seed < 20; seed++) {
    const { clock, disk, open } = opened(seed);
    const store = open();
    let answered = false;
    store.commit({ puts: [[["k", 1], bytes("v")], [["k", 2], bytes("v")]] }).finally(() => answered = true);
    store.crash();
    await clock.advance(1_000);
    assert.equal(answered, false);
    assert.equal(disk.has(["k", 1]), disk.has(["k", 2]));
    outcomes.add(disk.has(["k", 1]));
  }
  assert.equal(outcomes.size, 2);
});
