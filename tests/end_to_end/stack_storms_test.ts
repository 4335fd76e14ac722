/** Services that are in the way, and services that are killed, in small numbers; `deno task soak --only services` has the large ones. */
import assert from "node:assert/strict";
import { recoveries } from "./stack_recoveries.ts";
import { storms } from "./stack_storms.ts";

Deno.test("services that end at once, flood the disk, write binary, ignore SIGTERM or fork away are bounded and on record, and harm nobody", async () => {
  const { starts, kept, lost, events } = await storms(30, 50_000_000);
  assert.equal(starts, 31);
  assert.ok(kept > 0 && lost > 0 && kept + lost < 50_100_000, `${kept} bytes kept, ${lost} lost`);
  assert.ok(events <= 31 * 7 + 80, `${events} events`);
});

Deno.test("a service that is killed is back within its back-off schedule, each time", async () => {
  const { kills, down, scheduled } = await recoveries(9, 3);
  assert.equal(kills, 9);
  assert.ok(down.max >= scheduled.p50);
});
