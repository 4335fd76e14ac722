/** Responses that stand, as the door knows them: those whose time is over take no room, whoever they were about. */
import assert from "node:assert/strict";
import { Enforced } from "../adapters/program/threats/enforced.ts";
import type { Event } from "../events/event.ts";

const BEGAN = Date.parse("2026-11-20T00:00:00Z");
const MINUTE_MS = 60_000;

const taken = (response: "block" | "step_up", id: string, until: number): Event =>
  ({
    type: "threats.response.taken",
    data: {
      response,
      subject: { kind: response === "block" ? "address" : "account", id },
      rule: "guessing",
      until: new Date(until).toISOString(),
      step: 0,
    },
  }) as unknown as Event;

const lifted = (id: string): Event =>
  ({
    type: "threats.response.lifted",
    data: { response: "block", subject: { kind: "address", id } },
  }) as unknown as Event;

/** Over a log that is there at the start, and one that comes. */
const given = (before: readonly Event[] = []) => {
  const time = { now: BEGAN };
  let told: (events: readonly Event[]) => void = () => {};
  const enforced = new Enforced({
    log: {
      size: before.length,
      read: () => [before],
      async *hear() {
        for (let size = before.length;;) {
          const { promise, resolve } = Promise.withResolvers<readonly Event[]>();
          told = resolve;
          const events = await promise;
          if (events.length === 0) return;
          yield { events, size: size += events.length };
        }
      },
    } as never,
    views: { note: () => undefined, setNote: () => {} },
    clock: { now: () => time.now } as never,
    never: [],
    pseudonym: (address) => address,
  });
  const from = enforced.begin();
  const run = enforced.child(from).run(new AbortController().signal, undefined as never);
  const tell = async (...events: readonly Event[]) => {
    told(events);
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { enforced, time, tell, end: async () => (await tell(), await run) };
};

Deno.test("addresses whose block is over are forgotten though they never ask again", async () => {
  const { enforced, time, tell, end } = given();
  const many = Array.from({ length: 1_000 }, (_, i) => taken("block", `p_${i}`, BEGAN + MINUTE_MS));
  await tell(...many, taken("step_up", "u_1", BEGAN + MINUTE_MS));
  assert.deepEqual(enforced.blocked("p_7"), { rule: "guessing", ms: MINUTE_MS });
  time.now += 2 * MINUTE_MS;
  await tell(taken("block", "p_last", time.now + 5 * MINUTE_MS));
  assert.equal(enforced.blocked("p_last")?.ms, 5 * MINUTE_MS);
  assert.equal(enforced.isChallenged("u_1"), false);
  await tell(lifted("p_last"));
  assert.equal(enforced.blocking(), false);
  await end();
});

Deno.test("whoever asks has those forgotten whose time is over, so that soon nobody is looked for any more", async () => {
  const { enforced, time, tell, end } = given();
  await tell(taken("block", "p_1", BEGAN + MINUTE_MS), taken("block", "p_2", BEGAN + MINUTE_MS));
  time.now += 2 * MINUTE_MS;
  assert.equal(enforced.blocked("p_3"), undefined);
  assert.equal(enforced.blocking(), false);
  await end();
});

Deno.test("a start takes up the blocks that stand, and none of those that were over before it", async () => {
  const before = [taken("block", "p_1", BEGAN - 1), taken("block", "p_2", BEGAN + 1), taken("block", "p_3", BEGAN)];
  const { enforced, tell, end } = given(before);
  assert.equal(enforced.blocked("p_2")?.ms, 1);
  await tell(lifted("p_2"));
  assert.equal(enforced.blocking(), false);
  await end();
});
