/**
 * A run of the benchmarks into a log: as `deno bench --json` would print it, with the samples and what is known of the machine,
 * handed to `import bench`, which takes the folder's lock or goes through a running server.
 */
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import type { Sampled } from "./samples.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const PROJECT = "daybook";

const git = async (...args: string[]): Promise<string | undefined> => {
  try {
    const { success, stdout } = await new Deno.Command("git", { args, cwd: ROOT, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

/** What was measured, and on what; the commit is unknown outside a repository. */
const environment = async () => {
  const commit = await git("rev-parse", "HEAD");
  const changed = commit === undefined ? undefined : await git("status", "--porcelain");
  return {
    cores: navigator.hardwareConcurrency,
    kernel: `${Deno.build.os} ${release()}`,
    ...(commit === undefined ? {} : { commit }),
    ...(changed === undefined ? {} : { dirty: changed !== "" }),
  };
};

/** Nearest rank: the smallest sample that so many percent of all do not exceed. */
const percentile = (sorted: readonly number[], percent: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)]!;

const figuresOf = (samples: readonly number[]) => {
  const sorted = samples.toSorted((a, b) => a - b);
  const of = (percent: number) => percentile(sorted, percent);
  const avg = samples.reduce((sum, ns) => sum + ns, 0) / samples.length;
  const percentiles = { p50: of(50), p75: of(75), p99: of(99), p995: of(99.5), p999: of(99.9) };
  return { n: samples.length, min: sorted[0]!, max: sorted.at(-1)!, avg, ...percentiles, samples };
};

/** As `deno bench --json` has it, and more: see `adapters/deno_bench/report.ts`. */
export const documentOf = async (sampled: readonly Sampled[], time: string): Promise<string> =>
  JSON.stringify({
    version: 1,
    runtime: `Deno/${Deno.version.deno} ${Deno.build.target}`,
    cpu: cpus()[0]?.model || "unknown",
    time,
    environment: await environment(),
    benches: sampled.filter(({ failed, samples }) => failed || samples.length > 0).map((one) => ({
      origin: `file:///${one.file}`,
      group: one.group,
      name: one.name,
      baseline: one.baseline,
      results: [one.failed ? { failed: {} } : { ok: figuresOf(one.samples) }],
    })),
  });

/** Where to; `undefined`: where the command line would look, `DAYBOOK_DATA` or `.daybook`. */
export type Destination = string | undefined;

/** What took minutes to measure is not lost for a log that another has; how it is recorded later. */
const kept = async (document: string): Promise<string> => {
  try {
    const path = await Deno.makeTempFile({ prefix: "daybook-bench-", suffix: ".json" });
    await Deno.writeTextFile(path, document);
    return `; later: deno task import bench ${path} --project ${PROJECT}`;
  } catch (error) {
    return `, nor kept: ${(error as Error).message}`;
  }
};

/** Says on standard error what came of it; the exit code. */
export const record = async (document: string, data: Destination): Promise<number> => {
  const where = data === undefined ? [] : ["--data", data];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--config", `${ROOT}deno.json`, `${ROOT}main.ts`, "import", "bench", "-"].concat(
      ["--project", PROJECT, ...where],
    ),
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  // It may end before it has read all; its exit code tells.
  await writer.write(new TextEncoder().encode(document)).then(() => writer.close()).catch(() => {});
  const { code, stdout } = await child.output();
  if (code === 0) console.error(`recorded: ${new TextDecoder().decode(stdout).trim()}`);
  else console.error(`the run was not recorded${await kept(document)}`);
  return code;
};
