/** `run.ts --seed N [--seeds N] [--rounds N] [--ground memory|kv|sealed]`: kernel and log under one seed or many; exits 1 with the seed that failed. */
import { parseArgs } from "node:util";
import { type Ground, GROUNDS, missed, simulate } from "./kernel_log.ts";

const USAGE = "deno task sim [--seed N] [--seeds N] [--rounds N] [--ground memory|kv|sealed]";

/** A run that did not begin is no seed that failed. */
const wrong = (because: string): never => {
  console.error(`${because}\n${USAGE}`);
  Deno.exit(2);
};

const given = () => {
  try {
    return parseArgs({
      options: {
        seed: { type: "string", default: "1" },
        seeds: { type: "string", default: "1" },
        rounds: { type: "string", default: "500" },
        ground: { type: "string", default: "kv" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return wrong((error as Error).message);
  }
};
const values = given();
if (values.help) {
  console.log(USAGE);
  Deno.exit(0);
}

const whole = (name: "seed" | "seeds" | "rounds"): number => {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  return wrong(`--${name}: expected a whole number from 1, not "${values[name]}"`);
};
const [first, seeds, rounds] = [whole("seed"), whole("seeds"), whole("rounds")];

const ground = GROUNDS.find((ground): ground is Ground => ground === values.ground) ??
  wrong(`--ground: expected ${GROUNDS.join(", ")}, not "${values.ground}"`);
const reached: Record<string, number> = {};
for (let seed = first; seed < first + seeds; seed++) {
  try {
    const report = await simulate(seed, rounds, undefined, ground);
    for (const [fault, times] of Object.entries(report.reached)) reached[fault] = (reached[fault] ?? 0) + times;
    if (seeds === 1) console.log(JSON.stringify(report, null, 2));
  } catch (error) {
    console.error(`seed ${seed} failed; repeat with --seed ${seed} --rounds ${rounds} --ground ${ground}`);
    console.error(error);
    Deno.exit(1);
  }
}
console.log(`${seeds} seeds of ${rounds} commands held; faults dealt: ${JSON.stringify(reached)}`);
const never = missed(reached, ground);
if (seeds >= 100 && never.length > 0) {
  console.error(`no seed reached: ${never.join(", ")}`);
  Deno.exit(1);
}
