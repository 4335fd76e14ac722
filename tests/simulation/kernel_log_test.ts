import assert from "node:assert/strict";
import { simulate } from "./kernel_log.ts";
import { PLANTS } from "./plants.ts";

const SEEDS = 40;
const ROUNDS = 120;

const named = async <T>(seed: number, run: Promise<T>, ground = "memory"): Promise<T> => {
  try {
    return await run;
  } catch (cause) {
    throw new Error(
      `seed ${seed} (deno run -P=test tests/simulation/run.ts --seed ${seed} --rounds ${ROUNDS} --ground ${ground}): ${cause}`,
      { cause },
    );
  }
};

for (const ground of ["memory", "kv"] as const) {
  Deno.test(`nothing acknowledged is lost, doubled or reordered, whatever becomes of the process and its log (${ground})`, async () => {
    const reached: Record<string, number> = {};
    for (let seed = 1; seed <= SEEDS; seed++) {
      const report = await named(seed, simulate(seed, ROUNDS, undefined, ground), ground);
      for (const [fault, times] of Object.entries({ ...report.reached, race: report.racesLost })) {
        reached[fault] = (reached[fault] ?? 0) + times;
      }
    }
    for (const [fault, times] of Object.entries(reached)) {
      assert.ok(times > 0 || (fault === "race" && ground === "kv"), `no seed reached "${fault}"`);
    }
  });
}

Deno.test("the same seed is the same run, to the byte", async () => {
  for (const seed of [4, 12]) {
    assert.deepEqual(await named(seed, simulate(seed, ROUNDS)), await simulate(seed, ROUNDS));
    const onDisk = () => simulate(seed, ROUNDS, undefined, "kv");
    assert.deepEqual(await named(seed, onDisk(), "kv"), await onDisk());
  }
});

for (const plant of PLANTS) {
  Deno.test(`the simulation finds a planted bug: ${plant.replaceAll("_", " ")}`, async () => {
    for (let seed = 1; seed <= 200; seed++) {
      try {
        await simulate(seed, ROUNDS, plant);
      } catch {
        return;
      }
    }
    assert.fail("not found within 200 seeds");
  });
}
