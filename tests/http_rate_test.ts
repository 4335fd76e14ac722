import assert from "node:assert/strict";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { RateLimiter } from "../adapters/http/rate.ts";

Deno.test("of so many callers the budgets are remembered; the one not seen for longest begins anew", () => {
  const limiter = new RateLimiter({ max: 1, window_ms: 1_000 });
  assert.equal(limiter.take("first", 0), 0);
  for (let i = 1; i < HTTP_LIMITS.callers_max; i++) assert.equal(limiter.take(`caller ${i}`, 0), 0);
  assert.equal(limiter.take("first", 0), 1_000);
  assert.equal(limiter.take("one more", 0), 0);
  assert.equal(limiter.take("first", 0), 1_000);
  assert.equal(limiter.take("caller 1", 0), 0);
});
