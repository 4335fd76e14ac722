/**
 * The agent: the one process that starts programs, signals them and reads `/proc`, for which Deno asks all permissions
 * (`docs/decisions/0151-one-process-may-do-everything.md`). It has no network and no keys, listens to nobody but the Daybook that
 * started it, and ends with it. What it started goes on.
 */
import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import { setImmediate } from "node:timers";
import { variablesOf } from "../variables.ts";
import { groupOf, sweepGroups } from "./cgroups.ts";
import { inspect } from "./inspect.ts";
import { freeIn, type Present, present, remainsOf } from "./proc.ts";
import { type Answer, type Asks, type FromAgent, type ProcessOf, PROTOCOL, type ToAgent, toAgent } from "./protocol.ts";
import { endProbes, endRuns, run } from "./running.ts";
import { listeningOf, Networks } from "./sockets.ts";
import { forget, programFile, Starting, traced } from "./starting.ts";
import { usageOf } from "./usage.ts";
import { end, Watching } from "./watching.ts";

const say = (said: FromAgent): void => {
  const line = Buffer.from(`${JSON.stringify(said)}\n`);
  try {
    for (let at = 0; at < line.length;) at += writeSync(1, line, at);
  } catch {
    endProbes();
    Deno.exit(0); // nobody listens any more
  }
};

const own = variablesOf(Deno.env);
const starting = new Starting(own);
const watching = new Watching(starting, say);

/** So long one look at all processes is good enough for whoever only counts them. */
const GOOD_MS = 200;
let looked: { readonly at: number; readonly all: readonly Present[] } | undefined;
const lately = (): readonly Present[] => {
  const at = performance.now();
  if (!looked || at - looked.at > GOOD_MS) looked = { at, all: present() };
  return looked.all;
};

const networks = new Networks(GOOD_MS);

/** A process that is there, and all that belongs to it. */
const allOf = (process: ProcessOf): readonly number[] => {
  const group = groupOf(process.pid, process.nonce);
  return [process.pid, ...remainsOf(process, { known: true, group, among: lately() }).map(({ pid }) => pid)];
};

const letGo = (nonce: string, traces: string): void => {
  watching.letGo(nonce);
  forget(nonce, traces);
};

const answer = (ask: ToAgent): Answer<Asks> | Promise<Answer<Asks>> => {
  switch (ask.ask) {
    case "start":
      return starting.start(ask).then((started) => {
        if ("process" in started) watching.hold(started.process, ask.traces);
        return started;
      });
    case "find":
      return starting.find(ask.nonce, ask.traces).then((process) => {
        if (!process) return {};
        watching.hold(process, ask.traces);
        return { process };
      });
    case "watch":
      watching.watch(ask);
      return {};
    case "end": {
      // Between this look and the signal another process would have to get the same number.
      if (!starting.isThere(ask.process)) return { sent: false };
      const group = groupOf(ask.process.pid, ask.process.nonce);
      const sent = end(-ask.process.pid, ask.signal);
      if (ask.signal === "SIGKILL") {
        for (const { pid } of remainsOf(ask.process, { known: true, group })) end(pid, "SIGKILL");
      }
      return { sent };
    }
    case "tell":
      return { sent: starting.isThere(ask.process) && end(ask.process.pid, ask.signal) };
    case "run":
      return run(ask, own);
    case "look": {
      const { command, folder, path, inherited } = ask;
      const found = programFile(command, folder, inherited ? own("PATH") : path);
      return "refused" in found ? found : {};
    }
    case "inspect":
      return inspect(ask, own);
    case "listening":
      return { sockets: starting.isThere(ask.process) ? listeningOf(allOf(ask.process), networks) : [] };
    case "free":
      return freeIn(ask.folder);
    case "usage": {
      const among = lately();
      return { usage: ask.processes.filter((each) => starting.isThere(each)).map((each) => usageOf(each, among)) };
    }
    case "forget":
      for (const nonce of ask.nonces) letGo(nonce, ask.traces);
      return {};
    case "clean":
      endRuns(ask.traces);
      sweepGroups();
      for (const nonce of traced(ask.traces)) if (!ask.keep.includes(nonce)) letGo(nonce, ask.traces);
      return {};
    case "ping":
      return {};
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
    // Starting a program takes a while; what was started before is told of, and looked after, meanwhile.
    await new Promise(setImmediate);
  }
}
watching.close();
endProbes();
Deno.exit(0);
