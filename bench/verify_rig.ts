/** A log verified, and read and parsed alone, each in a process of its own that measures itself. */
import { fileURLToPath } from "node:url";
import { VERIFIER_HEAP } from "../adapters/process/reexec.ts";
import { FILES } from "../adapters/program/files.ts";
import { openBench, quiet, readingEvent } from "./rig.ts";
import type { Measured, Stand } from "./row.ts";

const EVENTS = 1_000_000;
const BATCH = 500;
const TASKSET = "taskset";

const inFolder = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Why nothing can be held to one core here; `undefined` when it can. */
export const withoutTaskset = (): string | undefined => {
  try {
    new Deno.Command(TASKSET, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "taskset is missing (Debian package util-linux)";
    throw error;
  }
};

/** Measures itself, on one core or all. */
const run = async (module: string, args: readonly string[], cores: number): Promise<Measured> => {
  const config = inFolder("../deno.json");
  const deno = [Deno.execPath(), "run", "-q", VERIFIER_HEAP, "-A", "--config", config, inFolder(module), ...args];
  const [command, ...rest] = cores === 1 ? [TASKSET, "-c", "0", ...deno] : deno;
  const { success, stdout, stderr } = await new Deno.Command(command!, { args: rest }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
};

/** Both may use so many cores. */
export const verifying = async (cores: number): Promise<Stand> => {
  const bench = await openBench();
  for (let n = 0; n < EVENTS; n += BATCH) {
    await bench.daybook.append({ events: Array.from({ length: BATCH }, (_, i) => readingEvent(`bench/${i % 64}`)) });
  }
  await quiet(bench);
  await bench.daybook.close();
  const file = `${bench.dir}/data/${FILES.log}`;
  return {
    ours: () => run("verify_process.ts", [file], cores),
    baseline: () => run("baselines/decode.ts", [file, String(cores)], cores),
    close: () => bench.close(),
    abandon: () => Deno.removeSync(bench.dir, { recursive: true }),
  };
};
