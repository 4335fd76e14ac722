/** When services are due that run at stated times. */
import assert from "node:assert/strict";
import { cronFault, dueAfter, dueSince, keepTimes } from "../adapters/program/stack/schedule.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { seededRandom } from "../adapters/simulation/random.ts";

const MIDNIGHT = Date.UTC(2026, 0, 1);

Deno.test("times are cron's, in UTC, and what is none says why", () => {
  assert.equal(dueAfter("*/5 * * * *", MIDNIGHT), MIDNIGHT + 300_000);
  assert.equal(dueAfter("0 3 * * *", MIDNIGHT + 3 * 3_600_000), MIDNIGHT + 27 * 3_600_000);
  assert.equal(cronFault("*/10 * * * * *"), undefined);
  assert.match(cronFault("61 * * * *")!, /minute: 61/);
  assert.match(cronFault("soon")!, /exactly five, six, or seven/);
  assert.equal(cronFault("0 0 31 2 *"), "never comes");
});

Deno.test("each time comes once; after an outage, and after the clock was set forward, the newest of those that were missed", async () => {
  const clock = new SimulatedClock(seededRandom(1), MIDNIGHT);
  const stop = new AbortController();
  let since = MIDNIGHT - 3_600_000;
  const due: number[] = [];
  const kept = keepTimes(() => [{ service: "job", cron: "*/10 * * * *", since }], {
    clock,
    due: (_, at) => {
      due.push((since = at) - MIDNIGHT);
      return Promise.resolve();
    },
    signal: stop.signal,
  });
  await clock.advance(1_200_500);
  assert.deepEqual(due, [0, 600_000, 1_200_000]);
  clock.jump(3_600_000);
  await clock.advance(2_000);
  assert.deepEqual(due.slice(3), [4_800_000]);
  clock.jump(-7_200_000);
  await clock.advance(600_000);
  assert.equal(due.length, 4, "what has been is not again");
  stop.abort();
  await clock.until(kept);
});

Deno.test("times are due since one was wanted or due last; what a clock told that was far ahead and is set back does not count", () => {
  const day = 86_400_000;
  const since = (last: number | undefined, wanted: number) => dueSince({ last, wanted }, MIDNIGHT);
  assert.equal(since(undefined, MIDNIGHT - 5), MIDNIGHT - 5);
  assert.equal(since(MIDNIGHT - 3, MIDNIGHT - 5), MIDNIGHT - 3);
  assert.equal(since(MIDNIGHT - 5, MIDNIGHT - 3), MIDNIGHT - 3);
  assert.equal(since(MIDNIGHT + 5, MIDNIGHT), MIDNIGHT + 5, "nothing comes twice");
  assert.equal(since(undefined, MIDNIGHT + 2 * day), MIDNIGHT);
  assert.equal(since(MIDNIGHT - 5, MIDNIGHT + 2 * day), MIDNIGHT - 5);
});

Deno.test("times that are none are passed over, and the others come", async () => {
  const clock = new SimulatedClock(seededRandom(1), MIDNIGHT);
  const stop = new AbortController();
  const due: string[] = [];
  const since = MIDNIGHT - 1;
  const all = ["garbage", "0 0 31 2 *", "0 0 * * *"].map((cron, n) => ({ service: `job-${n}`, cron, since }));
  const kept = keepTimes(() => all.filter(({ service }) => !due.includes(service)), {
    clock,
    due: (service) => {
      due.push(service);
      return Promise.resolve();
    },
    signal: stop.signal,
  });
  await clock.advance(2_000);
  assert.deepEqual(due, ["job-2"]);
  stop.abort();
  await clock.until(kept);
});
