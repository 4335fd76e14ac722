/** Changes of one stack that are asked for at once, in turn and bounded. */
import assert from "node:assert/strict";
import { InTurn, WAITING_MAX } from "../adapters/program/in_turn.ts";

Deno.test("one after another, as they were asked for, whatever becomes of those before; too many are refused", async () => {
  const turns = new InTurn();
  const first = Promise.withResolvers<void>();
  const order: number[] = [];
  const all = Array.from({ length: WAITING_MAX + 1 }, (_, n) =>
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

Deno.test("who goes away while waiting is told so at once, does nothing later and keeps no place from others", async () => {
  const turns = new InTurn();
  const first = Promise.withResolvers<string>();
  const under = turns.run(() => first.promise);
  const away = new AbortController();
  const done: string[] = [];
  const waiting = Array.from(
    { length: WAITING_MAX },
    () => turns.run(() => Promise.resolve(done.push("of those")), away.signal),
  );
  const settling = Promise.allSettled(waiting);
  away.abort(new Error("gone"));
  for (const one of await settling) assert.match(`${one.status === "rejected" && one.reason}`, /gone/);
  const next = turns.run(() => Promise.resolve(done.push("the next")));
  first.resolve("the first");
  assert.equal(await under, "the first");
  await next;
  assert.deepEqual(done, ["the next"]);
});
