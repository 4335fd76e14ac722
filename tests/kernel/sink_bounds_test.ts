/** What a sink hands over at once, and before it makes sure of what the receiver has. */
import assert from "node:assert/strict";
import { SINK } from "../../actors/kernel/sink.ts";
import { pause } from "../../actors/kernel/world.ts";
import { Receiver, world } from "./sink_given.ts";

Deno.test("a hand-over has so many characters and no more, but for an event that is longer by itself", async () => {
  const w = world();
  const receiver = new Receiver();
  const sizes: number[] = [];
  receiver.misfortune = (act) => void (act === "send" && sizes.push(0));
  receiver.each = ({ text }) => void (sizes[sizes.length - 1]! += text.length);
  const most = SINK.batch_chars_max;
  const lengths = [most / 2, most / 2, 1, most + 1, 1, most];
  await w.append(lengths.length);
  const { stop } = await w.start(receiver, { line: ({ position }) => "x".repeat(lengths[position]!) });
  assert.deepEqual(sizes, [most, 1, most + 1, 1, most]);
  await stop();
});

Deno.test("after so many events on one connection it is made sure of what the receiver has", async () => {
  const w = world();
  for (let i = 0; i < 11; i++) await w.append(1_000);
  const receiver = new Receiver();
  receiver.settleMs = 1_000_000;
  const settled: number[] = [];
  receiver.misfortune = (act) => void (act === "settle" && settled.push(receiver.taken.length));
  const { sink, stop } = await w.start(receiver, { batchEventsMax: 1_000 });
  await w.clock.until((async () => {
    while (receiver.taken.length < 11_000) await pause(w.clock, 1);
  })());
  assert.deepEqual([settled, sink.unsettled], [[SINK.unsettled_max], 1_000]);
  await stop();
});
