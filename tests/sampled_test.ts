import assert from "node:assert/strict";
import { sampling } from "./sampled.ts";

Deno.test("over so many calls every case is taken once, then again; all of them each time where all are asked for", () => {
  const cases = ["a", "b", "c", "d", "e"];
  const some = sampling(3, false);
  assert.deepEqual([1, 2, 3, 4].map(() => some(cases)), [["a", "d"], ["b", "e"], ["c"], ["a", "d"]]);
  const all = sampling(3, true);
  assert.deepEqual([1, 2].map(() => all(cases)), [cases, cases]);
});
