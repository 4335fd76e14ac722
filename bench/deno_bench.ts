/** The suite under `deno bench`: one iteration is one measured piece of work, the baseline beside it in the same group. */
import { type Row, type Stand, suite } from "./suite.ts";

const ITERATIONS = 5;

/** Registers the rows of a group. What a row opens is closed when the process ends: `deno bench` has no hook for it. */
export const benchGroup = (group: Row["group"]): void => {
  for (const row of suite.filter((row) => row.group === group)) {
    const because = row.without?.();
    if (because) {
      console.error(`skipped: ${row.name}: ${because}`);
      continue;
    }
    let stand: Promise<Stand> | undefined;
    let left = 2;
    const measure = (which: "ours" | "baseline") => async (b: Deno.BenchContext) => {
      const at = await (stand ??= row.open());
      b.start();
      await at[which]();
      b.end();
    };
    const runs = { ours: 0, baseline: 0 };
    const counted = (which: "ours" | "baseline") => {
      const run = measure(which);
      return async (b: Deno.BenchContext) => {
        await run(b);
        // `n` iterations and one warm-up; the last one of both closes.
        if (++runs[which] === ITERATIONS + 1 && --left === 0) await (await stand!).close();
      };
    };
    Deno.bench({ name: row.name, group: row.name, n: ITERATIONS, warmup: 1, fn: counted("ours") });
    Deno.bench({
      name: `${row.name}: ${row.against}`,
      group: row.name,
      baseline: true,
      n: ITERATIONS,
      warmup: 1,
      fn: counted("baseline"),
    });
  }
};
