import assert from "node:assert/strict";
import { playground } from "./toy.ts";

const add = "toys.count.add";
const confirm = "toys.count.confirm";

Deno.test("an empty acceptance decided together with others tells the revision it was decided on, none behind it", async () => {
  const { answer, ask, clock, log, stop } = playground();
  await answer(add, { by: 1 });
  const asks = [ask(confirm, {}), ask(add, { by: 2 }), ask(confirm, {}), ask(add, { by: 3 }), ask(confirm, {})];
  const outcomes = await clock.until(Promise.all(asks));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.is === "accepted" && [outcome.revision, outcome.position, outcome.facts.length]),
    [[0, 0, 0], [1, 1, 1], [1, 1, 0], [2, 2, 1], [2, 2, 0]],
  );
  assert.equal(log.size, 3);
  await stop();
});

Deno.test("what is expected after an empty acceptance is refused where another was decided right behind it", async () => {
  const { answer, ask, clock, stop } = playground();
  const [seen] = await clock.until(Promise.all([ask(confirm, {}), ask(add, { by: 2 })]));
  assert.equal(seen!.is === "accepted" && seen!.revision, -1, "there was no event yet");
  assert.deepEqual(await answer(add, { by: 3 }, { expected: -1 }), {
    is: "conflict",
    reason: "revision",
    revision: 0,
  });
  await stop();
});
