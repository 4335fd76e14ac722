/** What one append leaves in the group that it does not go into. */
import assert from "node:assert/strict";
import { type Ground, Group, type Waiting } from "../../adapters/kv/group.ts";
import { prepare } from "../../adapters/kv/place.ts";
import { type Appended, LogFault } from "../../events/log.ts";
import { event } from "./log_contract.ts";

const waiting = (...ids: readonly (string | number)[]) => {
  const { promise, resolve, reject } = Promise.withResolvers<Appended>();
  const entries = prepare({ events: ids.map((id) => event(id)) });
  const bytes = entries.reduce((sum, { partBytes }) => sum + partBytes, 0);
  return { promise, append: { entries, expected: [], bytes, resolve, reject } satisfies Waiting };
};

Deno.test("an append whose second event cannot be looked for leaves nothing of its first, and the next one goes in", async () => {
  const ground: Ground = {
    size: 7,
    head: () => -1,
    findStored(_source, id) {
      if (id === "broken") throw new LogFault("io", "the page cannot be read");
      return undefined;
    },
    fingerprintOf: () => 1,
  };
  const group = new Group(ground);
  const [before, broken, after] = [waiting("before"), waiting("fine", "broken"), waiting("fine")];
  for (const { append } of [before, broken, after]) group.take(append);
  await assert.rejects(broken.promise, /cannot be read/);
  assert.deepEqual(group.entries.map(({ event: { id }, position, revision }) => [id, position, revision]), [[
    "before",
    7,
    0,
  ], ["fine", 8, 1]]);
  assert.deepEqual(group.riding.map(({ waiting, accepted }) => [waiting, accepted]), [[before.append, 1], [
    after.append,
    1,
  ]]);
});
