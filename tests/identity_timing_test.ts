import assert from "node:assert/strict";
import { seededRandom } from "../adapters/simulation/random.ts";
import { mannWhitney, signinTiming } from "./soak/signin_timing.ts";

const normal = (random: () => number, shift: number) =>
  Array.from({ length: 500 }, () => {
    const [u, v] = [1 - random(), random()];
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v) + shift;
  });

Deno.test("the test of Mann and Whitney tells a shifted distribution from an equal one, and knows the textbook's figure", () => {
  const random = seededRandom(3);
  const draw = () => random.next();
  assert.ok(mannWhitney(normal(draw, 0), normal(draw, 0)) > 0.01);
  assert.ok(mannWhitney(normal(draw, 0), normal(draw, 0.3)) < 0.001);
  assert.equal(mannWhitney([1, 1, 1], [1, 1, 1]).toFixed(6), Number.NaN.toFixed(6), "nothing to rank");
  // Two samples without overlap of four values each: U = 0, z = 2.309.
  assert.equal(mannWhitney([1, 2, 3, 4], [5, 6, 7, 8]).toFixed(3), "0.021");
});

Deno.test("how long a refused sign-in takes does not tell whether somebody has the name", async () => {
  // Of 2,000 tries, `deno task soak` asks for p > 0.01; of these few, on a machine that does other things as well, for what chance hardly ever does.
  const { tries, p, median_ms, least_ms } = await signinTiming({ tries: 80 });
  const { known, unknown } = median_ms;
  console.log(
    `${tries} tries: p = ${p.toFixed(4)}, medians ${known.toFixed(1)} ms with and ${
      unknown.toFixed(1)
    } ms without an account, ` +
      `a hash takes ${least_ms.toFixed(1)} ms at most`,
  );
  assert.ok(p > 1e-5, `p = ${p}, medians ${JSON.stringify(median_ms)}`);
});
