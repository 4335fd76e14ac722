/** Time to the line `listening on`, of the program as it is started by its task and of a script that only listens. */
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../adapters/process/reexec.ts";
import { openBench, quiet, readingEvent } from "./rig.ts";
import type { Measured, Stand } from "./row.ts";

/** How many events the log has that is started on. */
export const EVENTS = "DAYBOOK_BENCH_EVENTS";
const EVENTS_DEFAULT = 100_000;
const BATCH = 500;

const inFolder = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export const eventsAsked = (): number => {
  const asked = Deno.env.get(EVENTS);
  if (asked === undefined) return EVENTS_DEFAULT;
  if (/^[1-9]\d{0,8}$/.test(asked)) return Number(asked);
  throw new Error(`${EVENTS}: expected a number of events, found "${asked}"`);
};

/** Starts, waits for the line, ends it. */
const started = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Measured> => {
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-prompt", "--config", inFolder("../deno.json"), ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let out = "";
  while (!out.includes("listening on ")) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`${args.join(" ")} ended before it listened: ${out}`);
    out += value;
  }
  const ms = performance.now() - began;
  child.kill("SIGTERM");
  await lines.cancel();
  await child.status;
  return { units: 1, ms };
};

const baseline = (): Promise<Measured> => started(["--allow-net=127.0.0.1:0", inFolder("baselines/listen.ts")]);

/** With grants enough that the program does not start itself once more to get them, as its task has for the default folder. */
const program = (data: string): Promise<Measured> =>
  started([V8_FLAGS, "-A", inFolder("../main.ts"), "start", "--data", data, "--port", "0"], { NO_COLOR: "1" });

/** Each time in a folder that is not there yet. */
export const startingCold = async (): Promise<Stand> => {
  const dir = await Deno.makeTempDir({ prefix: "daybook-bench-" });
  let round = 0;
  return {
    ours: () => program(`${dir}/data${round++}`),
    baseline,
    close: () => Deno.remove(dir, { recursive: true }),
    abandon: () => Deno.removeSync(dir, { recursive: true }),
  };
};

/** On a log of many events whose views have caught up. */
export const startingFull = async (): Promise<Stand> => {
  const bench = await openBench();
  const events = eventsAsked();
  for (let n = 0; n < events; n += BATCH) {
    await bench.daybook.append({
      events: Array.from({ length: Math.min(BATCH, events - n) }, (_, i) => readingEvent(`bench/${i % 64}`)),
    });
  }
  await quiet(bench);
  await bench.daybook.close();
  return {
    ours: () => program(`${bench.dir}/data`),
    baseline,
    close: () => bench.close(),
    abandon: () => Deno.removeSync(bench.dir, { recursive: true }),
  };
};
