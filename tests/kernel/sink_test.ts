/** Sinks under virtual time: at least once and in order, whatever the receiver does, and nobody waits for a stuck one. */
import assert from "node:assert/strict";
import { SINK } from "../../actors/kernel/sink.ts";
import { Later, NotNow } from "../../actors/kernel/transport.ts";
import { pause } from "../../actors/kernel/world.ts";
import type { Event } from "../../events/event.ts";
import type { Range } from "../../events/log.ts";
import { ViewsFault } from "../../projections/views.ts";
import { Receiver, world } from "./sink_given.ts";

Deno.test("a sink delivers what it hears from the beginning, then live, and notes its place behind it", async () => {
  const w = world();
  await w.append(25);
  const receiver = new Receiver();
  const { sink, stop } = await w.start(receiver);
  await w.append(3, "others.thing.seen");
  await w.append(2);
  assert.deepEqual(receiver.taken, w.ours());
  assert.deepEqual([sink.counts.delivered, sink.lag, sink.place.failing], [27, 0, false]);
  await stop();
  assert.deepEqual(w.views.note("sink/siem/cursor"), { size: w.log.size });
  assert.deepEqual(w.facts("kernel.sink.added").map(({ data }) => data), [{ sink: "siem", from: 0 }]);
  // The next run goes on there.
  await w.append(1);
  const again = await w.start(receiver);
  await w.clock.settle();
  assert.deepEqual(receiver.taken, w.ours());
  await again.stop();
});

Deno.test("a new sink may begin at the end, and a place that is lost is where it began", async () => {
  const w = world();
  await w.append(5);
  const receiver = new Receiver();
  const first = await w.start(receiver, { from: "end" });
  await w.append(2);
  await first.stop();
  assert.deepEqual(receiver.taken, w.ours().slice(5));
  w.views.setNote("sink/siem/cursor", undefined);
  await w.append(1);
  const second = await w.start(receiver, { from: "end" });
  await w.clock.settle();
  assert.deepEqual(receiver.first, w.ours().slice(5), "nothing between was lost with the place");
  await second.stop();
});

Deno.test("an outage is told once and its end once, however many attempts it takes, and nothing is missing", async () => {
  const w = world();
  const receiver = new Receiver();
  let down = true;
  receiver.misfortune = () => {
    if (down) throw new Error("connection refused");
  };
  const { sink, stop } = await w.start(receiver);
  await w.append(30);
  await w.clock.advance(60_000);
  assert.ok(sink.counts.failed > 10 && sink.place.failing && sink.lag >= 30);
  down = false;
  await w.clock.advance(10_000);
  await w.clock.until(w.recorder.flush());
  assert.deepEqual(receiver.taken, w.ours());
  const [failed, ...more] = w.facts("kernel.sink.failed");
  assert.deepEqual([failed!.data, more], [{ sink: "siem", cause: "connection refused", size: 1 }, []]);
  const [recovered, ...others] = w.facts("kernel.sink.recovered");
  const { attempts, failed_ms } = recovered!.data as { attempts: number; failed_ms: number };
  assert.deepEqual([attempts, others, sink.place.failing], [sink.counts.failed, [], false]);
  assert.ok(failed_ms >= 60_000, `${failed_ms}`);
  assert.equal(recovered!.stream, "kernel/sink:siem");
  await stop();
});

Deno.test("what was handed over and not made sure of is handed over again: after a failure, a loss and a crash", async () => {
  const w = world();
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 500, stays: false });
  const { sink, stop } = await w.start(receiver);
  await w.append(4);
  assert.deepEqual([receiver.taken.length, sink.counts.delivered, sink.lag > 0], [4, 0, true]);
  receiver.leave();
  await w.clock.advance(200);
  assert.deepEqual([receiver.taken.length, receiver.connections], [8, 2]);
  await w.clock.advance(500);
  assert.deepEqual([sink.counts.delivered, sink.lag], [4, 0]);
  await w.append(3);
  // A crash: the run is never heard of again.
  const notes = w.views.note("sink/siem/cursor");
  const second = await w.start(receiver);
  await w.clock.settle();
  assert.equal(receiver.taken.length, 8 + 3 + 3);
  assert.deepEqual(w.views.note("sink/siem/cursor"), notes);
  await second.stop();
  await stop();
});

Deno.test("what the receiver never takes is a dead letter that names the event, and can be redriven", async () => {
  const w = world();
  const receiver = new Receiver();
  await w.append(5);
  receiver.refuses = ({ position }) => position === 2;
  const { sink, stop } = await w.start(receiver, {
    line(event) {
      if (event.position === 3) throw new Error("cannot say it");
      return event.id;
    },
  });
  await w.clock.settle();
  assert.deepEqual(receiver.taken, [0, 1, 4]);
  assert.deepEqual(w.deadLetters.list().map(({ target, cause, message }) => [target, cause, message]), [
    ["sink:siem", "cannot say it", { position: 3 }],
    ["sink:siem", "not that one", { position: 2 }],
  ]);
  const [, letter] = w.deadLetters.list();
  assert.deepEqual((await w.deadLetters.redrive(letter!.id)).is, "failed");
  receiver.refuses = () => false;
  assert.deepEqual((await w.deadLetters.redrive(letter!.id)).is, "delivered");
  assert.deepEqual([receiver.taken, sink.place.refused], [[0, 1, 4, 2], 2]);
  await stop();
});

Deno.test("an event that cannot be read now is waited for, and no dead letter; nothing behind it goes in front", async () => {
  const w = world();
  const receiver = new Receiver();
  await w.append(5);
  let readable = false;
  const { sink, stop } = await w.start(receiver, {
    line(event) {
      if (event.position === 3 && !readable) throw new NotNow("another process has the keys");
      return event.id;
    },
  });
  await w.clock.advance(60_000);
  assert.deepEqual([w.deadLetters.list(), sink.place.failing, receiver.taken.includes(4)], [[], true, false]);
  const [failed] = w.facts("kernel.sink.failed");
  assert.match((failed!.data as { cause: string }).cause, /another process has the keys/);
  readable = true;
  await w.clock.advance(120_000);
  assert.deepEqual([receiver.first, w.deadLetters.list(), sink.place.failing], [w.ours(), [], false]);
  await stop();
});

Deno.test("what lies in front of an event that cannot be read now goes out once, and attempts at that are none of the receiver's", async () => {
  const w = world();
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 100, stays: false });
  await w.append(35);
  let readable = false;
  const { sink, stop } = await w.start(receiver, {
    line(event) {
      if (event.position === 25 && !readable) throw new NotNow("another process has the keys");
      return event.id;
    },
    retry: { first_ms: 100, max_ms: 5_000, attempts_max: 3 },
  });
  await w.clock.advance(60_000);
  assert.deepEqual([receiver.taken, sink.place.settled, w.deadLetters.list()], [w.ours().slice(0, 25), 25, []]);
  readable = true;
  await w.clock.advance(10_000);
  assert.deepEqual([receiver.taken, w.deadLetters.list(), sink.place.failing], [w.ours(), [], false]);
  await stop();
});

Deno.test("receivers that refuse everything cost a letter for each event, and what tells of a letter becomes none", async () => {
  const w = world();
  const receiver = new Receiver();
  let asked = 0;
  receiver.refuses = () => ++asked < 1_000;
  const [one, other] = [await w.start(receiver, { types: [] }), await w.start(receiver, { types: [], name: "other" })];
  await w.append(5);
  await w.clock.advance(60_000);
  const { size } = w.log;
  await w.clock.advance(600_000);
  assert.equal(w.log.size, size, "the log is at rest");
  const [told, ours] = [w.facts("kernel.message.dead_lettered"), new Set(w.ours())];
  assert.equal(
    told.filter(({ data }) => ours.has((data as { message: { position: number } }).message.position)).length,
    10,
  );
  assert.ok(told.length < 20, `${told.length} letters`);
  assert.deepEqual([one.sink.lag, other.sink.lag], [0, 0]);
  await one.stop();
  await other.stop();
});

Deno.test("an event is a dead letter once, however often what lies around it is handed over again", async () => {
  const w = world();
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 100, stays: false });
  await w.append(6);
  receiver.refuses = ({ position }) => position === 4;
  let attempts = 0;
  receiver.misfortune = (act) => {
    if (act === "settle" && ++attempts <= 5) throw new Error("gone");
  };
  const { sink, stop } = await w.start(receiver, {
    line(event) {
      if (event.position === 1) throw new Error("cannot say it");
      return event.id;
    },
  });
  await w.clock.advance(60_000);
  assert.deepEqual([attempts, receiver.first, w.deadLetters.list().length, sink.place.refused], [
    6,
    [0, 2, 3, 5],
    2,
    2,
  ]);
  await stop();
});

Deno.test("a sink that failed when its run ended is failing until it delivers again, and its end is told", async () => {
  const w = world();
  const receiver = new Receiver();
  let down = true;
  receiver.misfortune = () => {
    if (down) throw new Error("connection refused");
  };
  const first = await w.start(receiver);
  await w.append(1);
  await w.clock.advance(1_000);
  await first.stop();
  await w.clock.advance(3_600_000);
  const second = await w.start(receiver);
  await w.clock.advance(10_000);
  assert.equal(second.sink.place.failing, true);
  down = false;
  await w.clock.advance(10_000);
  await w.clock.until(w.recorder.flush());
  assert.equal(w.facts("kernel.sink.failed").length, 1);
  const [recovered] = w.facts("kernel.sink.recovered");
  assert.ok((recovered!.data as { failed_ms: number }).failed_ms > 3_600_000);
  assert.equal(second.sink.place.failing, false);
  await second.stop();
});

Deno.test("what one event has become goes in one hand-over, each part told from the others", async () => {
  const w = world();
  await w.append(3);
  // An old shape that is read as three events, more than go in one hand-over.
  const split = (page: readonly Event[]) =>
    page.flatMap((event) => event.position === 1 ? [event, event, event] : [event]);
  const log = {
    get size() {
      return w.log.size;
    },
    read: (range: Range) => w.log.read(range),
    async *follow(from: number, signal: AbortSignal) {
      for await (const page of w.log.follow(from, signal)) yield split(page);
    },
  };
  const batches: string[][] = [];
  const receiver = new Receiver();
  const { stop } = await w.start({
    async connect() {
      const inner = await receiver.connect();
      return {
        ...inner,
        send(parcels, signal) {
          batches.push(parcels.map(({ position, part }) => `${position}.${part}`));
          return inner.send(parcels, signal);
        },
      };
    },
  }, { log, batchEventsMax: 2 });
  await w.clock.settle();
  assert.deepEqual(batches, [["0.0", "1.0", "1.1", "1.2"], ["2.0"]]);
  await stop();
});

Deno.test("with a bound on attempts what is first in line becomes dead letters, and the rest is tried", async () => {
  const w = world();
  const receiver = new Receiver();
  await w.append(25);
  let attempts = 0;
  receiver.misfortune = (act) => {
    if (act === "send" && ++attempts <= 3) throw new Error("no");
  };
  const { stop } = await w.start(receiver, { retry: { first_ms: 100, max_ms: 100, attempts_max: 3 } });
  await w.clock.advance(10_000);
  assert.deepEqual(receiver.taken, w.ours().slice(10));
  assert.equal(w.deadLetters.list().length, 10);
  await stop();
});

Deno.test("a place that cannot be noted is not the receiver's failure: nothing becomes a dead letter, and all goes on", async () => {
  const w = world();
  const receiver = new Receiver();
  let full = true;
  const views = {
    note: (key: string) => w.views.note(key),
    setNote(key: string, value: unknown) {
      if (full) throw new ViewsFault("unwritable", "the disk is full");
      w.views.setNote(key, value);
    },
  };
  w.views.setNote("sink/siem/cursor", { size: 0 });
  await w.append(100);
  const { sink, stop } = await w.start(receiver, { views, retry: { first_ms: 100, max_ms: 100, attempts_max: 2 } });
  await w.clock.advance(10_000);
  assert.equal(w.deadLetters.list().length, 0);
  assert.deepEqual([sink.place.failing, sink.counts.failed], [true, 0]);
  full = false;
  await w.append(1);
  await w.clock.advance(1_000);
  assert.deepEqual(receiver.first, w.ours());
  assert.equal(sink.place.failing, false);
  await stop();
  assert.deepEqual(w.views.note("sink/siem/cursor"), { size: w.log.size });
});

Deno.test("a receiver that never answers holds up its own sink alone, and is given up after its time", async () => {
  const w = world();
  const [stuck, well] = [new Receiver(), new Receiver()];
  let released = () => {};
  stuck.misfortune = (act) => act === "send" ? new Promise<void>((resolve) => released = resolve) : undefined;
  const one = await w.start(stuck, { name: "stuck" });
  const other = await w.start(well, { name: "well" });
  await w.append(10);
  assert.deepEqual(well.taken, w.ours());
  assert.equal(other.sink.lag, 0);
  await w.clock.advance(2_000);
  await w.clock.until(w.recorder.flush());
  assert.deepEqual(
    w.facts("kernel.sink.failed").map(({ data }) => data),
    [{ sink: "stuck", cause: "the receiver has not answered within 1000 ms", size: 2 }],
  );
  await w.append(5);
  assert.deepEqual(well.taken, w.ours());
  stuck.misfortune = () => {};
  released();
  await w.clock.advance(5_000);
  assert.deepEqual(stuck.first, w.ours());
  await other.stop();
  await one.stop();
});

Deno.test("a sink that is told to stop while the receiver is stuck ends within its grace, and tells of no failure", async () => {
  const w = world();
  const receiver = new Receiver();
  receiver.misfortune = (act) => act === "send" ? new Promise<void>(() => {}) : undefined;
  const { stop } = await w.start(receiver, { deliverMs: 600_000 });
  await w.append(1);
  const began = w.clock.monotonic();
  await stop();
  assert.ok(w.clock.monotonic() - began < SINK.grace_ms);
  assert.deepEqual(w.facts("kernel.sink.failed"), []);
});

Deno.test("a receiver that asks for time is given it, within the longest pause", async () => {
  const w = world();
  const receiver = new Receiver();
  let tries = 0;
  receiver.misfortune = (act) => {
    if (act === "send" && ++tries === 1) throw new Later(3_000, "busy");
    if (act === "send" && tries === 2) throw new Later(999_000, "busy");
  };
  await w.append(1);
  const { stop } = await w.start(receiver);
  await w.clock.advance(2_900);
  assert.equal(tries, 1);
  await w.clock.advance(200);
  assert.equal(tries, 2);
  await w.clock.advance(5_000);
  assert.deepEqual([tries, receiver.taken.length], [3, 1]);
  await stop();
});

Deno.test("a receiver that takes so many in a while is given what comes next, and what it refused is a letter once", async () => {
  const w = world();
  await w.append(100);
  const receiver = new Receiver();
  receiver.answers = true;
  let since = -Infinity;
  let within = 0;
  receiver.each = () => {
    const now = w.clock.monotonic();
    if (now - since >= 10_000) [since, within] = [now, 0];
    if (++within > 7) throw new Later(1_000, "too many");
  };
  receiver.refuses = ({ position }) => position % 10 === 3;
  const { sink, stop } = await w.start(receiver, {
    batchEventsMax: 100,
    retry: { first_ms: 100, max_ms: 5_000, attempts_max: 40 },
  });
  await w.clock.advance(200_000);
  assert.deepEqual(receiver.taken, w.ours().filter((position) => position % 10 !== 3));
  assert.deepEqual([sink.lag, sink.counts.delivered, w.deadLetters.list().length], [0, 90, 10]);
  const recovered = w.facts("kernel.sink.recovered").map(({ data }) => (data as { attempts: number }).attempts);
  assert.deepEqual([w.facts("kernel.sink.failed").length, recovered.length], [1, 1]);
  await stop();
});

Deno.test("a receiver that takes its time with each has it for each, however many are handed over", async () => {
  const w = world();
  await w.append(50);
  const receiver = new Receiver();
  receiver.answers = true;
  receiver.each = () => pause(w.clock, 600);
  const { sink, stop } = await w.start(receiver, { batchEventsMax: 50, deliverMs: 1_000 });
  await w.clock.advance(40_000);
  assert.deepEqual([receiver.taken, sink.lag, w.facts("kernel.sink.failed")], [w.ours(), 0, []]);
  await stop();
});

Deno.test("a receiver that reads slowly, and answers only at the end of a connection, is given less on each", async () => {
  const w = world();
  await w.append(600);
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 100, stays: false });
  let handed = 0;
  receiver.each = () => void handed++;
  receiver.misfortune = (act) => {
    if (act === "connect") handed = 0;
    if (act === "settle") return pause(w.clock, handed * 20);
  };
  const { sink, stop } = await w.start(receiver, { batchEventsMax: 500 });
  await w.clock.advance(120_000);
  assert.deepEqual([receiver.first, sink.lag], [w.ours(), 0]);
  assert.ok(receiver.taken.length < 4 * 600, `${receiver.taken.length} events were handed over for 600`);
  // And more again where that is well.
  receiver.misfortune = () => {};
  const before = receiver.connections;
  await w.append(300);
  await w.clock.advance(60_000);
  assert.deepEqual([receiver.first.length, sink.lag], [900, 0]);
  assert.ok(receiver.connections - before < 12, `${receiver.connections - before} connections`);
  await stop();
});

Deno.test("what was handed over before a hand-over that fails comes again where nothing of it was made sure of", async () => {
  const w = world();
  await w.append(40);
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 100, stays: false });
  let sends = 0;
  receiver.misfortune = (act) => {
    if (act !== "send" || ++sends !== 3) return;
    receiver.taken.length = 0; // it had read it, and done nothing with it
    throw new Error("it has gone");
  };
  const { sink, stop } = await w.start(receiver);
  await w.clock.advance(20_000);
  assert.deepEqual([receiver.taken, sink.counts.delivered, sink.lag], [w.ours(), 40, 0]);
  await stop();
});

Deno.test("under chance every event is delivered at least once, in order, and the place is never ahead of the receiver", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const w = world(seed);
    const receiver = new Receiver();
    const kind = w.random.next();
    let lucky = false;
    receiver.answers = kind < 0.25;
    receiver.each = () => {
      if (!lucky && w.random.next() < 0.02) throw new Error("not that one now");
    };
    Object.assign(receiver, kind < 0.5 ? { settleMs: 0, stays: true } : { settleMs: 200, stays: false });
    receiver.misfortune = (act) => {
      if (lucky || w.random.next() > 0.2) return;
      if (w.random.next() < 0.3 && act !== "connect") return new Promise<void>(() => {});
      throw new Error(`no ${act}`);
    };
    let running = await w.start(receiver);
    for (let turn = 0; turn < 30; turn++) {
      const drawn = w.random.next();
      if (drawn < 0.5) await w.append(1 + Math.floor(w.random.next() * 15));
      else if (drawn < 0.6) await w.append(3, "others.thing.seen");
      else if (drawn < 0.7) receiver.leave();
      else if (drawn < 0.8) {
        await running.stop();
        if (w.random.next() < 0.3) w.views.setNote("sink/siem/cursor", undefined);
        running = await w.start(receiver);
      } else await w.clock.advance(w.random.next() * 2_000);
      const { size } = (w.views.note("sink/siem/cursor") as { size: number } | undefined) ?? { size: 0 };
      const missing = w.ours().filter((position) => position < size && !receiver.taken.includes(position));
      assert.deepEqual(missing, [], `seed ${seed}: noted and not delivered`);
    }
    lucky = true;
    await w.clock.advance(20_000);
    assert.deepEqual(receiver.first, w.ours(), `seed ${seed}`);
    assert.equal(running.sink.place.failing, false, `seed ${seed}`);
    await running.stop();
    const turns = [...w.log.read({ types: ["kernel.sink.failed", "kernel.sink.recovered"] })].flat();
    const before = turns.filter(({ type }) => type === "kernel.sink.recovered").length;
    assert.ok(before <= turns.length - before, `seed ${seed}: it recovers from what it told`);
  }
});
