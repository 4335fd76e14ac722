/** What the benchmarks over HTTP need: the real program and the baselines, each in a process of its own, and wrk to ask them. */
import { fileURLToPath } from "node:url";
import { Program } from "../tests/end_to_end/program.ts";
import type { Measured, Stand } from "./row.ts";

const BASELINES = new URL("./baselines/", import.meta.url);
const inFolder = (name: string): string => fileURLToPath(new URL(name, BASELINES));
const WRK = "wrk";
const SECONDS = 3;

/** Why rows that need wrk cannot run here; `undefined` when they can. Where CI says it is CI, it must be there. */
export const withoutWrk = (): string | undefined => {
  try {
    new Deno.Command(WRK, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
    return undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (Deno.env.get("CI") === "true") throw new Error("wrk is missing: apt-get install wrk", { cause: error });
    return "wrk is missing (Debian package wrk)";
  }
};

/** A script of the baselines that listens. */
class Baselines {
  private constructor(private readonly child: Deno.ChildProcess, readonly url: string) {}

  static async start(script: string): Promise<Baselines> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "--no-prompt", "--allow-net=127.0.0.1:0", "--ignore-env", inFolder(script)],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let out = "";
    for (;;) {
      const { value, done } = await lines.read();
      if (done) throw new Error("the baselines ended before they listened");
      const url = /listening on (\S+)\n/.exec(out += value)?.[1];
      if (url === undefined) continue;
      await lines.cancel();
      return new Baselines(child, url);
    }
  }

  get pid(): number {
    return this.child.pid;
  }

  async stop(): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.status;
  }
}

let runs = 0;

/** Asks one route; every request must be answered with success. */
type Asking = (url: string, token: string, events: number) => Promise<Measured>;

/** 64 connections for so many seconds. */
export const byWrk: Asking = async (url, token, events) => {
  const run = (Date.now() % 0x10_0000_0000).toString(16).padStart(9, "0") +
    (runs++ % 0x1_0000).toString(16).padStart(5, "0");
  const { stdout, stderr, code } = await new Deno.Command(WRK, {
    args: ["-t2", "-c64", `-d${SECONDS}s`, "-s", inFolder("post.lua"), url, "--", token, run, String(events)],
  }).output();
  const said = new TextDecoder().decode(stdout);
  const line = said.split("\n").find((line) => line.startsWith("{"));
  if (code !== 0 || line === undefined) throw new Error(`wrk: ${said}${new TextDecoder().decode(stderr)}`);
  const { requests, us, p99_us, errors } = JSON.parse(line);
  if (errors > 0) throw new Error(`wrk: ${errors} requests failed: ${said}`);
  return { units: requests * events, ms: us / 1_000, p99: p99_us / 1_000 };
};

const FIXED_EVENTS = 6_400;
const CLIENTS = 64;

/** As many events each time, by 64 clients of this process: its own cost is part of both sides. */
export const byFetch: Asking = async (url, token, events) => {
  const run = `${Date.now()}-${runs++}`;
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": `application/cloudevents${events > 1 ? "-batch" : ""}+json`,
  };
  let left = FIXED_EVENTS / events;
  const began = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (left-- > 0) {
      const made = Array.from({ length: events }, (_, i) => listed(`${run}.${left}.${i}`));
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(events > 1 ? made : made[0]) });
      if (!response.ok) throw new Error(await response.text());
      await response.body?.cancel();
    }
  }));
  return { units: FIXED_EVENTS, ms: performance.now() - began };
};

/** As in `post.lua`. */
const listed = (id: string) => ({
  specversion: "1.0",
  id,
  source: `bench/${id.length}`,
  type: "commits.changes.listed",
  time: "2026-01-01T00:00:00Z",
  data: {
    files: [{ added: 12, deleted: 3, path: "adapters/http/server.ts", status: "M" }],
    part: 0,
    sha: "1".repeat(40),
  },
});

const quiet = async ({ url, token }: Program): Promise<void> => {
  for (;;) {
    const response = await fetch(`${url}/status`, { headers: { authorization: `Bearer ${token}` } });
    const { projections } = await response.json() as { projections: { lag: number; state: string }[] };
    if (projections.every(({ lag, state }) => lag === 0 || state === "stopped")) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** `start` as it is shipped, and a baseline's route, asked in turns. */
export const ingesting = async (events: number, route: "/nothing" | "/events", ask: Asking): Promise<Stand> => {
  const dir = await Deno.makeTempDir({ prefix: "daybook-bench-" });
  const program = await Program.start(`${dir}/data`);
  const baselines = await Baselines.start("http.ts");
  return {
    ours: () => ask(`${program.url}/events`, program.token, events),
    rest: () => quiet(program),
    baseline: () => ask(`${baselines.url}${route}`, program.token, events),
    abandon() {
      for (const { pid } of [program, baselines]) Deno.kill(pid, "SIGKILL");
      Deno.removeSync(dir, { recursive: true });
    },
    async close() {
      await baselines.stop();
      await program.end("SIGTERM");
      await Deno.remove(dir, { recursive: true });
    },
  };
};

/** The same program with telemetry on, its spans and metrics sent to a receiver that lets them go, and without. */
export const traced = async (ask: Asking): Promise<Stand> => {
  const dir = await Deno.makeTempDir({ prefix: "daybook-bench-" });
  const receiver = await Baselines.start("listen.ts");
  const telling = await Program.start(`${dir}/telling`, {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_SERVICE_NAME: "daybook",
  });
  const silent = await Program.start(`${dir}/silent`);
  return {
    ours: () => ask(`${telling.url}/events`, telling.token, 1),
    async rest() {
      await quiet(telling);
      await quiet(silent);
    },
    baseline: () => ask(`${silent.url}/events`, silent.token, 1),
    abandon() {
      for (const { pid } of [telling, silent, receiver]) Deno.kill(pid, "SIGKILL");
      Deno.removeSync(dir, { recursive: true });
    },
    async close() {
      await telling.end("SIGTERM");
      await silent.end("SIGTERM");
      await receiver.stop();
      await Deno.remove(dir, { recursive: true });
    },
  };
};
