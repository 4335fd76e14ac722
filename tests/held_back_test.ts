/** Threads that begin once somebody was told where the server listens. */
import assert from "node:assert/strict";
import type { Child } from "../actors/kernel/child.ts";
import { heldBack } from "../adapters/program/held_back.ts";

const self = { path: "a:b", ready: () => {} };

const given = () => {
  const did: string[] = [];
  const child: Child = {
    id: "b",
    restart: "permanent",
    grace: 1,
    run(signal, { path }) {
      did.push(`began ${path}`);
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(void did.push("ended"))));
    },
  };
  return { child, did };
};

Deno.test("a child that is held back begins when it may, and a restart waits no more", async () => {
  // given
  const { child, did } = given();
  const { promise, resolve } = Promise.withResolvers<void>();
  const held = heldBack(child, promise);
  assert.deepEqual([held.id, held.restart, held.grace], ["b", "permanent", 1]);
  for (const _run of [1, 2]) {
    // when
    const stop = new AbortController();
    const running = held.run(stop.signal, self);
    await Promise.resolve();
    if (did.length === 0) did.push("may"), resolve();
    await new Promise((done) => setTimeout(done));
    stop.abort();
    await running;
  }
  // then
  assert.deepEqual(did, ["may", "began a:b", "ended", "began a:b", "ended"]);
});

Deno.test("a child that is stopped while it is held back never begins", async () => {
  const { child, did } = given();
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = new AbortController();
  const running = heldBack(child, promise).run(stop.signal, self);
  stop.abort();
  await running;
  resolve();
  await promise;
  assert.deepEqual(did, []);
});

Deno.test("nothing holds back where nothing is to be waited for", () => {
  const { child } = given();
  assert.equal(heldBack(child, undefined), child);
});
