/** Windows slide exactly, as long as callers are told apart; beyond that they share, and it is said how many did. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { type Arrivals, rateHeaders, RateLimiter } from "../adapters/http/rate.ts";

/** What a sliding window is, with nothing clever about it. */
class Oracle {
  private readonly admitted = new Map<string, number[]>();
  constructor(private readonly max: number, private readonly window: number) {}
  take(caller: string, at: number): number {
    const inside = (this.admitted.get(caller) ?? []).filter((time) => time > at - this.window);
    this.admitted.set(caller, inside);
    if (inside.length >= this.max) return inside[0]! + this.window - at;
    inside.push(at);
    return 0;
  }
}

const ARRIVALS = 1_000_000;
const random = (seed: number) => () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;

Deno.test("a million random arrivals are answered as by an oracle, to the millisecond, and nobody shares", () => {
  const next = random(20_261_120);
  let [differences, refused, done] = [0, 0, 0];
  for (const [max, window_ms, callers] of [[5, 1_000, 40], [100, 60_000, 12], [1, 7, 3], [20, 1_000, 500]] as const) {
    const limiter = new RateLimiter({ max, window_ms }, { keys_max: callers });
    const oracle = new Oracle(max, window_ms);
    let at = 0;
    for (let i = 0; i < ARRIVALS / 4; i++, done++) {
      // Bursts and rests around what is allowed.
      if (next() < 0.7) at += Math.floor(next() * (next() < 0.01 ? 2 * window_ms : 2 * window_ms / max / callers + 1));
      const caller = `c${Math.floor(next() ** 2 * callers)}`;
      const [ours, theirs] = [limiter.take(caller, at + next() * 0.999), oracle.take(caller, at)];
      if (ours !== theirs) differences++;
      if (theirs > 0) refused++;
    }
    assert.equal(limiter.counts.shared, 0);
  }
  assert.deepEqual([done, differences], [ARRIVALS, 0]);
  assert.ok(refused > ARRIVALS / 20 && refused < ARRIVALS / 1.1, `${refused} refused`);
});

Deno.test("what take says to wait is right: a millisecond before it is refused, then it is not; for several at once, too", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 10 }),
    fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 4 })), { maxLength: 40 }),
    fc.integer({ min: 1, max: 10 }),
    (max, steps, asked) => {
      const count = Math.min(asked, max);
      const limiter = new RateLimiter({ max, window_ms: 500 });
      let at = 0;
      for (const [step, several] of steps) if (several <= max) limiter.take("a", at += step, several);
      const wait = limiter.wait("a", at, count);
      if (wait > 1) assert.ok(limiter.wait("a", at + wait - 1, count) > 0);
      assert.equal(limiter.take("a", at + wait, count), 0);
    },
  ));
});

Deno.test("who asks for more at once than there ever is waits a window, whether or not they came before", () => {
  const limiter = new RateLimiter({ max: 3, window_ms: 1_000 });
  assert.deepEqual([limiter.wait("a", 0, 4), limiter.take("a", 0, 4)], [1_000, 1_000]);
  limiter.take("a", 100, 2);
  assert.deepEqual([limiter.wait("a", 900, 4), limiter.take("a", 900, 4)], [1_000, 1_000]);
  assert.equal(limiter.take("a", 900), 0);
});

Deno.test("beyond the callers that are told apart new ones share a tenth, which is counted; who rests makes room", () => {
  const limiter = new RateLimiter({ max: 30, window_ms: 1_000 });
  for (let i = 0; i < HTTP_LIMITS.callers_max; i++) assert.equal(limiter.take(`caller ${i}`, i % 2), 0);
  assert.equal(limiter.keys, HTTP_LIMITS.callers_max);
  const answers = [1, 2, 3, 4].map((n) => limiter.take(`new ${n}`, 5));
  assert.deepEqual(answers, [0, 0, 0, 1_000]);
  assert.deepEqual(limiter.counts, { shared: 4, refused: 1 });
  // The known ones have what they had.
  for (let i = 0; i < 29; i++) assert.equal(limiter.take("caller 7", 6), 0);
  assert.ok(limiter.take("caller 7", 6) > 0);
  assert.equal(limiter.take("new 4", 1_500), 0);
  assert.equal(limiter.counts.shared, 4);
});

Deno.test("only the first refusal of a row is a crossing, and the first after a window without one", () => {
  const crossed: string[] = [];
  const limiter = new RateLimiter({ max: 2, window_ms: 1_000 }, { crossed: (caller) => crossed.push(caller) });
  for (const at of [0, 1, 2, 3, 900, 1_100, 1_101, 1_102]) limiter.take("a", at);
  assert.deepEqual(crossed, ["a"]);
  for (const at of [3_000, 3_001, 3_002, 3_003]) limiter.take("a", at);
  assert.deepEqual(crossed, ["a", "a"]);
  limiter.take("a", 4_001, 2);
  limiter.take("a", 4_003);
  assert.deepEqual(crossed, ["a", "a", "a"], "a window behind the one before");
});

Deno.test("of callers that share none is said to have crossed", () => {
  const crossed: string[] = [];
  const limiter = new RateLimiter({ max: 1, window_ms: 1_000 }, {
    keys_max: 1,
    crossed: (caller) => crossed.push(caller),
  });
  assert.deepEqual(["a", "b", "c", "a"].map((caller) => limiter.take(caller, 0)), [0, 0, 1_000, 1_000]);
  assert.deepEqual([crossed, limiter.counts], [["a"], { shared: 2, refused: 2 }]);
});

Deno.test("what a caller uses is told ahead in steps, up to the limit and no further before the next turn", () => {
  const told: number[] = [];
  const limiter = new RateLimiter({ max: 100, window_ms: 1_000 }, { ahead: (_, used) => told.push(used) });
  const use = (at: number) => {
    for (let i = 0; i < 100; i++) assert.equal(limiter.take("a", at), 0);
    return told.splice(0);
  };
  const steps = Array.from({ length: 50 }, (_, i) => 2 * (i + 1));
  assert.deepEqual([use(0), use(1_000)], [steps, []]);
  limiter.turn();
  assert.deepEqual(use(2_000), steps);
});

Deno.test("what was before is taken up when its caller comes, and no longer than it counts", () => {
  const first = new RateLimiter({ max: 3, window_ms: 1_000 });
  for (const at of [100, 200, 300]) first.take("a", at);
  const state = new Map<string, Arrivals>(first.state(400));
  assert.deepEqual(state.get("a"), [[100, 1], [200, 1], [300, 1]]);
  const second = new RateLimiter({ max: 3, window_ms: 1_000 });
  second.resume(400, (caller) => state.get(caller));
  assert.equal(second.take("a", 500), 600);
  assert.equal(second.take("b", 500), 0);
  assert.equal(second.take("a", 1_100), 0);
  assert.equal(second.take("a", 1_101), 99);
  const late = new RateLimiter({ max: 1, window_ms: 1_000 });
  late.resume(400, () => [[1_400, 1]]);
  assert.equal(late.take("a", 1_400), 0);
});

Deno.test("the headers say what is allowed, what is left and when there will be more", () => {
  const rate = { max: 100, window_ms: 60_000 };
  const limiter = new RateLimiter(rate);
  assert.deepEqual(rateHeaders("user", rate, limiter.left("a", 0)), {
    "ratelimit-policy": '"user";q=100;w=60',
    "ratelimit": '"user";r=100;t=0',
  });
  for (let i = 0; i < 100; i++) limiter.take("a", i);
  assert.equal(rateHeaders("user", rate, limiter.left("a", 30_000))["ratelimit"], '"user";r=0;t=30');
});
