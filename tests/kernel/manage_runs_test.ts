/** Process managers: one after another of a key, and each counted once, whatever becomes of a run. */
import assert from "node:assert/strict";
import { echo, lockedNotes, managed } from "./manage_given.ts";

Deno.test("effects of one key are done one after another, however many wait", async () => {
  const under: string[] = [];
  const ends: (() => void)[] = [];
  const m = await managed({
    perform: ({ data }) => {
      under.push((data as { note: string }).note);
      return new Promise((resolve) => ends.push(resolve));
    },
  });
  await m.add(1, "a");
  await m.add(1, "b");
  await m.clock.settle();
  ends[0]!();
  await m.clock.settle();
  await m.add(1, "c");
  await m.clock.settle();
  assert.deepEqual(under, ["a", "b"]);
  ends[1]!();
  await m.clock.settle();
  assert.deepEqual(under, ["a", "b", "c"]);
  ends[2]!();
  await m.stop();
});

Deno.test("a manager that is told to stop waits for what is being done, and the next does not do it again", async () => {
  const end = Promise.withResolvers<void>();
  const m = await managed({ perform: () => end.promise });
  await m.add(1, "n");
  const stopped = m.stop();
  await m.clock.settle();
  assert.equal(m.ended(), "running");
  end.resolve();
  await stopped;
  const next = await managed({ log: m.log, views: m.views, seed: 2 });
  assert.deepEqual(next.rung, []);
  await next.stop();
});

Deno.test("what was taken in a run that failed is taken once by the next run of the same manager", async () => {
  const { views, state } = lockedNotes();
  const m = await managed({ views });
  await m.add(1);
  state.locked = true;
  await m.add(2);
  await m.clock.settle();
  assert.match(m.ended(), /database is locked/);
  state.locked = false;
  const again = new AbortController();
  const run = m.child.run(again.signal);
  await m.clock.settle();
  assert.equal(m.sum(), 3);
  again.abort();
  await m.clock.until(run);
  await m.stop();
});

Deno.test("a version that is gone back to, after one that ended in the midst of folding anew, folds anew as well", async () => {
  const { views, state } = lockedNotes();
  const first = await managed({ views });
  for (let i = 1; i <= 3; i++) await first.add(i);
  await first.stop();
  const halting: typeof echo = {
    ...echo,
    version: 2,
    react: (...args) => {
      state.locked = true;
      return echo.react(...args);
    },
  };
  const second = await managed({ log: first.log, views, manager: halting, seed: 2 });
  assert.match(second.ended(), /database is locked/);
  state.locked = false;
  await second.stop();
  const third = await managed({ log: first.log, views, seed: 3 });
  await third.add(10);
  await third.clock.settle();
  assert.equal(third.sum(), 16);
  await third.stop();
});
