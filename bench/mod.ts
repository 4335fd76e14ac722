/**
 * `deno task bench`: without `--compare` every suite under `deno bench`, with the arguments that follow; with it the table of
 * ours beside the baselines, see `compare.ts`. Both record the run with its samples in a log.
 */
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../adapters/process/reexec.ts";
import { compare, USAGE } from "./compare.ts";
import { type Destination, documentOf, record } from "./record.ts";
import { readSamples, type Sampled, SAMPLES } from "./samples.ts";

const inFolder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

interface Run {
  readonly code: number;
  readonly sampled: readonly Sampled[];
}

const benchmarks = async (args: readonly string[]): Promise<Run> => {
  const samples = await Deno.makeTempFile({ prefix: "daybook-bench-" });
  try {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bench",
        "-q",
        V8_FLAGS,
        "-P=bench",
        "--config",
        inFolder("../deno.json"),
        ...args,
        inFolder("."),
      ],
      env: { [SAMPLES]: samples },
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    return { code, sampled: await readSamples(samples) };
  } finally {
    await Deno.remove(samples);
  }
};

interface Given {
  readonly rest: readonly string[];
  readonly data: Destination;
  readonly recorded: boolean;
}

/** Takes out what is for us alone; the rest is for whoever measures. */
const given = (args: readonly string[]): Given | string => {
  const rest: string[] = [];
  let [data, recorded]: [Destination, boolean] = [undefined, true];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--no-record") recorded = false;
    else if (arg === "--data" || arg.startsWith("--data=")) {
      data = arg === "--data" ? args[++i] : arg.slice("--data=".length);
      if (!data || data.startsWith("-")) return "--data takes the path of a folder";
    } else rest.push(arg);
  }
  return { rest, data, recorded };
};

/** Runs what the arguments ask for; the exit code. */
const bench = async (args: readonly string[]): Promise<number> => {
  if (args.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  const taken = given(args);
  if (typeof taken === "string") {
    console.error(`${taken}\n${USAGE}`);
    return 2;
  }
  const { rest, data, recorded } = taken;
  const time = new Date().toISOString();
  const { code, sampled } = rest.includes("--compare") ? await compare(rest) : await benchmarks(rest);
  if (!recorded || sampled.length === 0) return code;
  const written = await record(await documentOf(sampled, time), data);
  return code === 0 ? written : code;
};

if (import.meta.main) Deno.exit(await bench(Deno.args));
