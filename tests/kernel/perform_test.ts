/** Effects that fail: what counts as an attempt, and what does not. */
import assert from "node:assert/strict";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import type { Outcome } from "../../actors/kernel/daybook.ts";
import { PERFORM, Performer, type PerformerOptions } from "../../actors/kernel/perform.ts";
import type { Effect } from "../../actors/types.ts";
import { eventAt } from "../contract/views_suite.ts";
import { rig } from "./rig.ts";

const performing = (options: Partial<PerformerOptions>) => {
  const r = rig();
  const deadLetters = new DeadLetters(r);
  const entities = { takes: () => true, ask: () => Promise.reject(new Error("nobody")) };
  const performer = new Performer("echo", { clock: r.clock, random: r.random, entities, deadLetters, ...options });
  const all = (effect: Effect, signal: AbortSignal) =>
    r.clock.until(performer.all([effect], eventAt(0), 0, signal), 24 * 3_600_000);
  return { all, deadLetters };
};

Deno.test("attempts while the log cannot be written, or all is about to stop, leave all others to come", async () => {
  const unavailable = (reason: "log" | "stopping" | "mailbox_full"): Outcome => ({
    is: "unavailable",
    reason,
    retryAfterMs: 1,
  });
  const passing = Array.from({ length: 4 * PERFORM.attempts }, (_, i) => unavailable(i % 2 ? "log" : "stopping"));
  const counting = Array.from({ length: PERFORM.attempts - 1 }, () => unavailable("mailbox_full"));
  const outcomes = [...passing, ...counting, { is: "rejected", code: "no", because: "" } as Outcome];
  const { all, deadLetters } = performing({
    entities: { takes: () => true, ask: () => Promise.resolve(outcomes.shift()!) },
  });
  const command = { type: "toys.count.add", data: { by: 1 } } as const;
  assert.equal(await all({ type: "command", stream: "toys/a", command }, new AbortController().signal), true);
  assert.deepEqual([outcomes.length, deadLetters.size], [0, 0]);
});

Deno.test("a last attempt that ends because it was told to is no dead letter: the next run does it", async () => {
  const stopping = new AbortController();
  const { all, deadLetters } = performing({
    perform: (_effect, { attempt }) => {
      if (attempt === PERFORM.attempts) stopping.abort();
      return Promise.reject(new Error("no"));
    },
  });
  assert.equal(await all({ type: "toys.bell.ring", data: {} }, stopping.signal), false);
  assert.ok(stopping.signal.aborted);
  assert.equal(deadLetters.size, 0);
});
