import assert from "node:assert/strict";
import { FAULTS } from "../../adapters/simulation/faults.ts";
import { runLog } from "./log_simulation.ts";

Deno.test("the log keeps its promises under any seed, through crashes and failing disks", async () => {
  const first = Number(Deno.env.get("DAYBOOK_SIM_SEED") ?? 1);
  const reached: Record<string, number> = {};
  let segments = 0;
  let repeated = 0;
  let blobs = 0;
  for (let seed = first; seed < first + 16; seed++) {
    const run = await runLog(seed);
    for (const [fault, times] of Object.entries(run.faults)) reached[fault] = (reached[fault] ?? 0) + times;
    segments = Math.max(segments, run.segments);
    repeated += run.repeated;
    blobs += run.blobs;
  }
  // A fault that no seed reaches proves nothing.
  for (const fault of FAULTS) {
    // The log has no views.
    assert.ok(fault.startsWith("views_") || (reached[fault] ?? 0) > 0, `no seed reached ${fault}`);
  }
  assert.ok(
    segments > 4 && repeated > 0 && blobs > 100,
    `${segments} segments, ${repeated} repeats, ${blobs} blobs`,
  );
});

Deno.test("a log that lies sealed keeps them, too", async () => {
  const first = Number(Deno.env.get("DAYBOOK_SIM_SEED") ?? 1);
  let segments = 0;
  for (let seed = first; seed < first + 4; seed++) {
    segments = Math.max(segments, (await runLog(seed, { atRest: true })).segments);
  }
  assert.ok(segments > 4, `${segments} segments`);
});

Deno.test("the same seed plays the same history", async () => {
  const played = await runLog(7);
  assert.deepEqual(await runLog(7), played);
  assert.deepEqual(await runLog(7, { atRest: true }), played);
});
