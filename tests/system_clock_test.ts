/** The real clock's way of calling later. */
import assert from "node:assert/strict";
import { systemClock } from "../adapters/system/world.ts";

const after = (ms: number) => new Promise<void>((resolve) => void systemClock.schedule(ms, resolve));

Deno.test("what is scheduled for now comes after what is due already, in order, and can be taken back", async () => {
  const seen: string[] = [];
  systemClock.schedule(0, () => seen.push("first"));
  const cancel = systemClock.schedule(0, () => seen.push("taken back"));
  systemClock.schedule(-5, () => seen.push("second"));
  queueMicrotask(() => seen.push("microtask"));
  cancel();
  await after(0);
  assert.deepEqual(seen, ["microtask", "first", "second"]);
});

Deno.test("who asks for the next turn again and again holds up neither timers nor the disk", async () => {
  let done = false;
  let turns = 0;
  const again = (): void => {
    turns++;
    if (!done) systemClock.schedule(0, again);
  };
  again();
  await after(5);
  await Deno.stat(".");
  done = true;
  await after(0);
  assert.ok(turns > 1);
});
