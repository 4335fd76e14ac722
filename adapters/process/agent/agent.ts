/**
 * The agent: the one process that starts programs, signals them and reads `/proc`, for which Deno asks all permissions
 * (`docs/decisions/`). It has no network and no keys, listens to nobody but the Daybook that started it, and ends with it. What it
 * started goes on.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import { environmentOf } from "./environment.ts";
import { freeIn, remainsOf, statOf } from "./proc.ts";
import { type Answer, type Asks, type FromAgent, PROTOCOL, type ToAgent, toAgent } from "./protocol.ts";
import { forget, programFile, refusalOf, Starting, traced } from "./starting.ts";
import { end, Watching } from "./watching.ts";

const say = (said: FromAgent): void => {
  const line = Buffer.from(`${JSON.stringify(said)}\n`);
  try {
    for (let at = 0; at < line.length;) at += writeSync(1, line, at);
  } catch {
    Deno.exit(0); // nobody listens any more
  }
};

const own = (name: string) => Deno.env.get(name);
const starting = new Starting(own);
const watching = new Watching(starting, say);

const answer = (ask: ToAgent): Answer<Asks> | Promise<Answer<Asks>> => {
  switch (ask.ask) {
    case "start":
      return starting.start(ask);
    case "find":
      return starting.find(ask.nonce, ask.traces).then((found) => found ? { process: found } : {});
    case "watch":
      watching.watch(ask);
      return {};
    case "end": {
      // Between this look and the signal another process would have to get the same number.
      if (!starting.isThere(ask.process)) return { sent: false };
      const sent = end(-ask.process.pid, ask.signal);
      if (ask.signal === "SIGKILL") { for (const { pid } of remainsOf(ask.process, true)) end(pid, "SIGKILL"); }
      return { sent };
    }
    case "run":
      return run(ask);
    case "free":
      return freeIn(ask.folder);
    case "usage":
      return {
        usage: ask.processes.filter((each) => starting.isThere(each)).map((each) => {
          const all = [statOf(each.pid), ...remainsOf(each, true)].filter((stat) => stat !== undefined);
          return {
            nonce: each.nonce,
            rss_bytes: all.reduce((sum, { rss_bytes }) => sum + rss_bytes, 0),
            cpu_ms: Math.round(all.reduce((sum, { cpu_ms }) => sum + cpu_ms, 0)),
            processes: all.length,
          };
        }),
      };
    case "forget":
      for (const nonce of ask.nonces) forget(nonce, ask.traces);
      return {};
    case "clean":
      for (const nonce of traced(ask.traces)) if (!ask.keep.includes(nonce)) forget(nonce, ask.traces);
      return {};
    case "ping":
      return {};
  }
};

/** Runs a program to its end, which is at the latest when its time is over. What it writes is nobody's: it may hold secrets. */
const run = async (ask: Extract<ToAgent, { ask: "run" }>): Promise<Answer<"run">> => {
  const { command, arguments: given, folder, timeout_ms } = ask;
  const environment = environmentOf(ask, own);
  const program = "refused" in environment ? environment : programFile(command, folder, environment.variables.PATH);
  if ("refused" in environment || "refused" in program) {
    const { refused } = program as { readonly refused: string };
    return { code: null, timed_out: false, because: refused };
  }
  const done = Promise.withResolvers<Answer<"run">>();
  const child = begun(program.file, given, { folder, variables: environment.variables });
  if ("refused" in child) return { code: null, timed_out: false, because: child.refused };
  let timed_out = false;
  const late = setTimeout(() => {
    timed_out = true;
    if (child.pid !== undefined) end(-child.pid, "SIGKILL");
  }, timeout_ms);
  const over = (code: number | null, because: string) => {
    clearTimeout(late);
    done.resolve({ code, timed_out, because });
  };
  child.on("error", (error) => over(null, refusalOf(error)));
  child.on("exit", (code, signal) => over(code, signal === null ? `code ${code}` : `${signal} ended it`));
  return await done.promise;
};

const begun = (
  file: string,
  given: readonly string[],
  { folder, variables }: { readonly folder: string; readonly variables: Readonly<Record<string, string>> },
): ChildProcess | { readonly refused: string } => {
  try {
    return spawn(file, [...given], { detached: true, stdio: "ignore", cwd: folder, env: { ...variables } });
  } catch (error) {
    return { refused: refusalOf(error) };
  }
};

const hear = async (line: string): Promise<void> => {
  const ask = toAgent.parse(JSON.parse(line));
  try {
    say({ id: ask.id, answer: await answer(ask) });
  } catch (error) {
    say({ id: ask.id, failed: error instanceof Error ? error.message : String(error) });
  }
};

// A terminal interrupts all that belong to it; whoever started the agent may need it to stop what runs. It ends with its input.
for (const signal of ["SIGINT", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});

say({ said: "ready", boot: starting.boot });
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  if (rest.length > PROTOCOL.line_max) Deno.exit(2);
  for (const line of lines) {
    hear(line).catch(() => Deno.exit(2)); // it does not speak as we do
  }
}
watching.close();
Deno.exit(0);
