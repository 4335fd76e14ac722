/** The suite under `deno bench`: one iteration is one fixed piece of work, the baseline beside it in the same group. */
import { appendSample, seriesOf } from "./samples.ts";
import { suite } from "./suite.ts";
import type { Row, Stand } from "./row.ts";

const ITERATIONS = 5;
const WARMUP = 1;

/** Registers the rows of a group. */
export const benchGroup = (group: Row["group"]): void => {
  for (const row of suite.filter((row) => row.group === group)) {
    const because = row.without?.();
    if (because) console.error(`skipped: ${row.name}: ${because}`);
    else register(row);
  }
};

/** Where the row under way stands. `deno bench` has no hook for the end of a row: the next one, or the end of all, closes it. */
let under: { readonly row: Row; readonly stand: Promise<Stand> } | undefined;
let listening = false;

const standOf = async (row: Row): Promise<Stand> => {
  if (under?.row !== row) {
    const before = under;
    under = undefined;
    await (await before?.stand)?.close();
    const stand = (row.openFixed ?? row.open)();
    under = { row, stand };
    const open = await stand;
    if (!listening) addEventListener("unload", () => abandon?.());
    listening = true;
    abandon = () => open.abandon?.();
  }
  return await under!.stand;
};
let abandon: (() => void) | undefined;

const register = (row: Row): void => {
  const run = (which: "ours" | "baseline") => {
    const series = seriesOf(row.name, row.against)[which];
    // `deno bench` calls once to see whether it is asynchronous, then to warm up.
    let unmeasured = 1 + WARMUP;
    const fn = async (b: Deno.BenchContext) => {
      const at = await standOf(row);
      b.start();
      const began = performance.now();
      try {
        await at[which]();
      } catch (error) {
        appendSample({ ...series, failed: true });
        throw error;
      }
      const ns = Math.round((performance.now() - began) * 1e6);
      b.end();
      if (unmeasured-- <= 0) appendSample({ ...series, ns });
      await at.rest?.();
    };
    Deno.bench({ ...series, n: ITERATIONS, warmup: WARMUP, fn });
  };
  run("ours");
  run("baseline");
};
