/** The suite under `deno bench`: one iteration is one fixed piece of work, the baseline beside it in the same group. */
import { type Row, type Stand, suite } from "./suite.ts";

const ITERATIONS = 5;
const WARMUP = 1;
/** Of one function: `deno bench` calls it once more, to see whether it is asynchronous. */
const CALLS = 1 + WARMUP + ITERATIONS;

/** Registers the rows of a group. */
export const benchGroup = (group: Row["group"]): void => {
  for (const row of suite.filter((row) => row.group === group)) {
    const because = row.without?.();
    if (because) console.error(`skipped: ${row.name}: ${because}`);
    else register(row);
  }
};

const register = (row: Row): void => {
  let stand: Promise<Stand> | undefined;
  // `deno bench` has no hook for the end: the last call of the last of both closes. With a filter there may be no such call.
  let left = 2 * CALLS;
  let open: Stand | undefined;
  addEventListener("unload", () => open?.abandon?.());
  const run = (which: "ours" | "baseline") => async (b: Deno.BenchContext) => {
    const at = open = await (stand ??= (row.openFixed ?? row.open)());
    b.start();
    await at[which]();
    b.end();
    if (which === "ours") await at.rest?.();
    if (--left > 0) return;
    open = undefined;
    await at.close();
  };
  const options = { group: row.name, n: ITERATIONS, warmup: WARMUP };
  Deno.bench({ ...options, name: row.name, fn: run("ours") });
  Deno.bench({ ...options, name: `${row.name}: ${row.against}`, baseline: true, fn: run("baseline") });
};
