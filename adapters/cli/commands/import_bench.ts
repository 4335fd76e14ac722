/** `import bench`: benchmark runs out of files; all are read before the first is appended. */
import { basename } from "node:path";
import type { Incoming } from "../../../actors/kernel/daybook.ts";
import { isRecorded } from "../../../actors/kernel/kept.ts";
import type { Call, Run } from "../call.ts";
import { moment, pathOf, text, Usage } from "../call.ts";
import { counted, duration, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime, Target } from "../runtime.ts";
import { type BenchRun, ImportFault } from "../imports.ts";
import { settled, withTarget } from "./import.ts";
import { OPERATOR } from "./send.ts";

/** Parts of a run that are appended together: each is an entry, and the log takes 720,000 bytes of them at once. */
const PARTS_AT_ONCE = 8;

export const importBench: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const began = clock.monotonic();
  const read = await readAll(call, runtime);
  const progress = progressBar("importing", { io, clock, quiet: call.json });
  const sum = { runs: 0, known: 0, series: 0, failed: 0, events: 0 };
  await withTarget(call, runtime, async (target, writer) => {
    for (const [i, run] of read.entries()) {
      const added = await record(target, run);
      sum.events += added;
      if (added > 0) {
        sum.runs++;
        sum.series += run.series;
        sum.failed += run.failed;
      } else if (run.events.length > 0) sum.known++;
      progress.on({ done: i + 1, total: read.length, unit: "files" });
    }
    progress.end();
    await settled(writer, runtime);
  });
  if (call.json) io.out(`${JSON.stringify({ ok: true, files: read.length, ...sum })}\n`);
  else {
    for (const [i, run] of read.entries()) {
      if (run.events.length === 0) io.out(`${safe(call.args[i]!)}: no benchmarks in it\n`);
    }
    io.out(
      `${counted(sum.runs, "new run")} of ${counted(sum.series, "series", "series")} (${sum.failed} failed), ` +
        `${sum.known} known already, in ${duration(clock.monotonic() - began)}\n`,
    );
  }
  return 0;
};

const readAll = async (call: Call, runtime: Runtime): Promise<readonly BenchRun[]> => {
  const options = optionsOf(call, runtime);
  if (call.args.indexOf("-") !== call.args.lastIndexOf("-")) throw new Usage("standard input can be read once");
  const runs: BenchRun[] = [];
  for (const file of call.args) {
    const content = file === "-" ? await runtime.io.readInput() : await runtime.io.readText(pathOf(call, file));
    if (content.trim() === "") throw new Usage(`${file === "-" ? "standard input" : file} is empty`);
    runs.push(
      await runtime.benchRun(content, options).catch((error) => {
        throw error instanceof ImportFault ? new ImportFault(error.kind, `${file}: ${error.message}`) : error;
      }),
    );
  }
  return runs;
};

const optionsOf = (call: Call, { clock }: Runtime): Parameters<Runtime["benchRun"]>[1] => {
  const named = text(call, "project");
  if (named !== undefined && !/^[\w.:/@~%+-]{1,400}$/.test(named)) {
    throw new Usage(`--project takes a name or a URL, not ${JSON.stringify(named)}`);
  }
  // Whatever a folder is called; a file system lets no name be longer than an event's source.
  const project = named ?? (encodeURIComponent(basename(call.cwd).toWellFormed()) || "benchmarks");
  const commit = text(call, "commit");
  if (commit !== undefined && !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) {
    throw new Usage(`--commit takes a full object name, 40 or 64 hexadecimal digits, not ${JSON.stringify(commit)}`);
  }
  return { project, time: timeOf(call) ?? new Date(clock.now()).toISOString(), ...(commit ? { commit } : {}) };
};

const timeOf = (call: Call): string | undefined => {
  const given = text(call, "time");
  if (given === undefined) return undefined;
  const when = moment(given, "--time");
  if ("time" in when) return when.time;
  throw new Usage(`--time takes an RFC 3339 time such as 2026-11-20T09:00:00Z, not ${JSON.stringify(given)}`);
};

/** How many events were new. Somebody else may import the same run while we look, so each conflict drops one and goes on. */
const record = async (target: Target, { events }: BenchRun): Promise<number> => {
  let added = 0;
  for (let at = 0; at < events.length; at += PARTS_AT_ONCE) {
    let left: readonly Incoming[] = events.slice(at, at + PARTS_AT_ONCE).filter((event) =>
      !isRecorded(target.log, event)
    );
    while (left.length > 0) {
      const taken = await target.ingest(left, OPERATOR);
      if (taken.ok) {
        added += taken.accepted;
        break;
      }
      if (taken.conflict !== "id") throw new ImportFault("io", `a run could not be recorded: ${JSON.stringify(taken)}`);
      left = left.filter(({ id }) => id !== taken.id);
    }
  }
  return added;
};
