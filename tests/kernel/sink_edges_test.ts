/** Sinks: what is passed only when it is on record, and what becomes of connections. */
import assert from "node:assert/strict";
import type { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import type { SinkOptions } from "../../actors/kernel/sink.ts";
import { Later } from "../../actors/kernel/transport.ts";
import { Receiver, world } from "./sink_given.ts";

Deno.test("no place is passed before the dead letters of what lies there are on record", async () => {
  const cases: Record<string, (receiver: Receiver) => Partial<SinkOptions>> = {
    "refused by the receiver": (receiver) => {
      receiver.refuses = () => true;
      return {};
    },
    "nothing that can be said": () => ({
      line: () => {
        throw new Error("cannot say it");
      },
    }),
    "refused in front of a failure": (receiver) => {
      receiver.answers = true;
      receiver.refuses = () => true;
      receiver.each = ({ position }) => {
        if (position === 1) throw new Error("it has gone");
      };
      return {};
    },
    "tried often enough": (receiver) => {
      receiver.misfortune = (act) => {
        if (act === "send") throw new Error("no");
      };
      return { retry: { first_ms: 100, max_ms: 100, attempts_max: 2 } };
    },
  };
  for (const [name, behave] of Object.entries(cases)) {
    const w = world();
    await w.append(2);
    const receiver = new Receiver();
    const written = Promise.withResolvers<void>();
    const deadLetters: DeadLetters = Object.create(w.deadLetters, { recorded: { value: () => written.promise } });
    const { sink, stop } = await w.start(receiver, { ...behave(receiver), deadLetters });
    await w.clock.advance(500);
    assert.ok(w.deadLetters.size > 0, name);
    assert.equal(sink.place.size, 0, name);
    written.resolve();
    await w.clock.advance(500);
    assert.ok(sink.place.size > 0, name);
    await stop();
  }
});

Deno.test("what a sink does not hear is no dead letter where it gives up what is first in line", async () => {
  const w = world();
  await w.append(3, "others.thing.seen");
  await w.append(1);
  const receiver = new Receiver();
  receiver.misfortune = (act) => {
    if (act === "send") throw new Error("no");
  };
  const { stop } = await w.start(receiver, { retry: { first_ms: 100, max_ms: 100, attempts_max: 1 } });
  await w.clock.advance(1_000);
  assert.deepEqual(w.deadLetters.list().map(({ message }) => message), [{ position: 3 }]);
  await stop();
});

Deno.test("a receiver that asks for too little time is tried less and less often all the same", async () => {
  const w = world();
  const receiver = new Receiver();
  let tries = 0;
  receiver.misfortune = (act) => {
    if (act !== "send") return;
    tries++;
    throw new Later(1, "busy");
  };
  await w.append(1);
  const { stop } = await w.start(receiver);
  await w.clock.advance(60_000);
  assert.ok(tries < 30, `${tries} attempts in a minute`);
  await stop();
});

Deno.test("a letter is delivered when the receiver is sure to have it, and its connection is closed either way", async () => {
  const w = world();
  const receiver = new Receiver();
  receiver.refuses = () => true;
  await w.append(1);
  const { stop } = await w.start(receiver);
  await w.clock.settle();
  receiver.refuses = () => false;
  receiver.misfortune = (act) => {
    if (act === "settle") throw new Error("lost");
  };
  const [letter] = w.deadLetters.list();
  assert.deepEqual(await w.deadLetters.redrive(letter!.id), { is: "failed", cause: "lost" });
  receiver.misfortune = () => {};
  assert.deepEqual(await w.deadLetters.redrive(letter!.id), { is: "delivered" });
  assert.deepEqual([receiver.connections, receiver.closed], [3, 2]);
  await stop();
  assert.equal(receiver.closed, 3);
});

Deno.test("a connection on which the receiver has answered at the end takes no more", async () => {
  const w = world();
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 100, stays: false });
  const { stop } = await w.start(receiver);
  for (let i = 1; i <= 3; i++) {
    await w.append(1);
    await w.clock.advance(1_000);
    assert.deepEqual([receiver.connections, receiver.closed], [i, i]);
  }
  await stop();
});

Deno.test("a sink that is told to stop makes sure of what it has handed over, so that the next does not send it again", async () => {
  const w = world();
  const receiver = new Receiver();
  Object.assign(receiver, { settleMs: 1_000, stays: false });
  const first = await w.start(receiver);
  await w.append(5);
  await first.stop();
  const second = await w.start(receiver);
  await w.clock.advance(5_000);
  assert.deepEqual([receiver.taken, first.sink.counts.delivered], [w.ours(), 5]);
  await second.stop();
});

Deno.test("a place beyond the end of the log, as where a backup was restored, is its end: what comes then is delivered", async () => {
  const w = world();
  w.views.setNote("sink/siem/cursor", { size: 100 });
  await w.append(5);
  const receiver = new Receiver();
  const { sink, stop } = await w.start(receiver);
  assert.equal(sink.place.size, w.log.size);
  await w.append(3);
  await w.clock.settle();
  assert.deepEqual(receiver.taken, w.ours().slice(5));
  await stop();
});

Deno.test("an outage in which the clock was set back lasted no time, and not less", async () => {
  const w = world();
  const receiver = new Receiver();
  let down = true;
  receiver.misfortune = () => {
    if (down) throw new Error("connection refused");
  };
  const { stop } = await w.start(receiver);
  await w.append(1);
  await w.clock.advance(1_000);
  w.clock.jump(-3_600_000);
  down = false;
  await w.clock.advance(10_000);
  await stop();
  const [recovered] = w.facts("kernel.sink.recovered");
  assert.equal((recovered!.data as { failed_ms: number }).failed_ms, 0);
});
