/** Waiting for projections ends: with those that get on, without those that do not. */
import assert from "node:assert/strict";
import type { Daybook, ProjectionState } from "../actors/kernel/daybook.ts";
import { caughtUp, STALL_MS } from "../adapters/cli/catch_up.ts";

/** Time passes by itself; each look at the projections is one step of theirs. */
const waiting = async (step: (n: number) => readonly Partial<ProjectionState>[]) => {
  let [now, looks] = [0, 0];
  const clock = {
    now: () => now,
    monotonic: () => now,
    schedule: (ms: number, call: () => void) => (now += ms, queueMicrotask(call), () => {}),
  };
  const daybook = { log: { size: 10 }, status: () => ({ projections: step(looks++) }) } as unknown as Daybook;
  return { behind: await caughtUp(daybook, clock), now };
};

Deno.test("projections are waited for as long as they get on", async () => {
  const { behind, now } = await waiting((
    n,
  ) => [{ name: "a", state: "live", size: Math.floor(n / 400) }, { name: "b", state: "live", size: 10 }]);
  assert.deepEqual(behind, []);
  assert.ok(now > 5 * STALL_MS);
});

Deno.test("a projection that stands still is named after a while, a stopped one at once", async () => {
  const still = await waiting(
    () => [{ name: "a", state: "catching_up", size: 3 }, { name: "b", state: "stopped", size: 5 }],
  );
  assert.deepEqual(still.behind, ["a", "b"]);
  assert.ok(still.now > STALL_MS && still.now < 2 * STALL_MS);
  assert.deepEqual(await waiting(() => [{ name: "b", state: "stopped", size: 5 }]), { behind: ["b"], now: 0 });
});
