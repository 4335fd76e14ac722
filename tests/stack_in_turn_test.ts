/** Changes of one stack that are asked for at once, in turn and bounded. */
import assert from "node:assert/strict";
import { CHANGES, InTurn } from "../adapters/program/in_turn.ts";

Deno.test("one after another, as they were asked for, whatever becomes of those before; too many are refused", async () => {
  const turns = new InTurn();
  const first = Promise.withResolvers<void>();
  const order: number[] = [];
  const all = Array.from({ length: CHANGES.waiting_max + 1 }, (_, n) =>
    turns.run(async () => {
      if (n === 0) await first.promise;
      order.push(n);
      if (n === 3) throw new Error("not this one");
      return n;
    }));
  await assert.rejects(turns.run(() => Promise.resolve()), /^Refused: 32 changes of the services are waiting already/);
  assert.deepEqual(order, []);
  first.resolve();
  const settled = await Promise.allSettled(all);
  assert.deepEqual(settled.map(({ status }) => status === "rejected").indexOf(true), 3);
  assert.deepEqual(order, all.map((_, n) => n));
  assert.equal(await turns.run(() => Promise.resolve("there is room again")), "there is room again");
});
