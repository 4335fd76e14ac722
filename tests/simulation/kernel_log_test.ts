import assert from "node:assert/strict";
import { missed, simulate } from "./kernel_log.ts";
import { GROUND_OF, PLANTS } from "./plants.ts";

/** On the disk, and in memory, which is the same with fewer faults; `deno task sim --seeds 1000` and `deno task soak` run more of both. */
const SEEDS = { kv: 100, memory: 30 } as const;
/** Where it is sealed, which is the other once more. */
const SEALED_SEEDS = 8;
/** A planted bug must be found within so many. */
const PLANT_SEEDS = 1_000;
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
    for (let seed = 1; seed <= SEEDS[ground]; seed++) {
      const report = await named(seed, simulate(seed, ROUNDS, undefined, ground), ground);
      for (const [fault, times] of Object.entries(report.reached)) reached[fault] = (reached[fault] ?? 0) + times;
    }
    assert.deepEqual(missed(reached, ground), [], "no seed reached");
    console.log(`${SEEDS[ground]} seeds on ${ground}; reached: ${JSON.stringify(reached)}`);
  });
}

Deno.test("nor where the log lies sealed", async () => {
  for (let seed = 1; seed <= SEALED_SEEDS; seed++) {
    await named(seed, simulate(seed, ROUNDS, undefined, "sealed"), "sealed");
  }
});

Deno.test("the same seed is the same run, to the byte", async () => {
  for (const seed of [4, 12]) {
    assert.deepEqual(await named(seed, simulate(seed, ROUNDS)), await simulate(seed, ROUNDS));
    const onDisk = () => simulate(seed, ROUNDS, undefined, "kv");
    assert.deepEqual(await named(seed, onDisk(), "kv"), await onDisk());
  }
});

for (const plant of PLANTS) {
  Deno.test(`the simulation finds a planted bug: ${plant.replaceAll("_", " ")}`, async () => {
    for (let seed = 1; seed <= PLANT_SEEDS; seed++) {
      try {
        await simulate(seed, ROUNDS, plant, GROUND_OF[plant]);
      } catch (error) {
        const said = error instanceof Error ? error.message.split("\n")[0] : error;
        return console.log(`${plant}: found by seed ${seed}: ${said}`);
      }
    }
    assert.fail(`not found within ${PLANT_SEEDS} seeds`);
  });
}
