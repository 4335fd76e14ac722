/**
 * `deno task bench`: without `--compare` every suite under `deno bench`, with the arguments that follow; with it the table of
 * ours beside the baselines, see `compare.ts`.
 */
import { fileURLToPath } from "node:url";
import { compare, USAGE } from "./compare.ts";

const inFolder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const benchmarks = async (args: readonly string[]): Promise<number> => {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["bench", "-q", "-P=bench", "--config", inFolder("../deno.json"), ...args, inFolder(".")],
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  return code;
};

/** Runs what the arguments ask for; the exit code. */
const bench = async (args: readonly string[]): Promise<number> => {
  if (args.includes("--help")) console.log(USAGE);
  else if (args.includes("--compare")) return await compare(args);
  else return await benchmarks(args);
  return 0;
};

if (import.meta.main) Deno.exit(await bench(Deno.args));
