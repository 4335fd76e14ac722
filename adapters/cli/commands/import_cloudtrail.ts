/** `import cloudtrail`: log files of AWS CloudTrail; each as a whole or not at all. */
import type { Run } from "../call.ts";
import { pathOf } from "../call.ts";
import { bytes, count, counted, duration, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { ImportFault } from "../runtime.ts";
import { settled, withTarget } from "./import.ts";

export const importCloudtrail: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const began = clock.monotonic();
  const progress = progressBar("importing", { io, clock, quiet: call.json });
  // Ended in the midst, it tells so, and what came in is there; the next import goes on behind it.
  const stop = new AbortController();
  const forget = io.onStop(() => stop.abort());
  const { signal } = stop;
  try {
    const paths = call.args.map((path) => pathOf(call, path));
    // Before anything is opened: what cannot be imported makes no data folder.
    const found = await runtime.checkCloudtrail(paths, progress.on, signal);
    if (signal.aborted) throw new ImportFault("stopped", "stopped before anything was imported");
    if (found.files.length === 0) {
      const [first = "no log files of CloudTrail, *.json or *.json.gz, are there"] = found.problems;
      throw new ImportFault("usage", first + (found.refused > 1 ? `; and ${found.refused - 1} more files` : ""));
    }
    const done = await withTarget(call, runtime, async (target, writer) => {
      const done = await runtime.importCloudtrail(target, found, progress.on, signal);
      progress.end();
      await settled(writer, runtime);
      return done;
    });
    const problems = [...found.problems, ...done.problems];
    const refused = found.refused + done.problems.length;
    const files = found.files.length - done.problems.length;
    const { records, events, known, notTaken, stopped } = done;
    const ok = refused === 0 && !stopped;
    if (call.json) {
      const told = { files, refused, digests: found.digests, records, events, known, notTaken, stopped, problems };
      io.out(`${JSON.stringify({ ok, ...told })}\n`);
    } else {
      const c = palette(io);
      const lines = [
        `${c.bold(counted(events, "new event"))} of ${counted(records, "record")} in ${counted(files, "file")} (${
          bytes(found.bytes)
        }), ${count(known)} known already, in ${duration(clock.monotonic() - began)}`,
      ];
      if (notTaken > 0) lines.push(`${counted(notTaken, "value")} that look like secrets were not taken`);
      if (found.digests > 0) lines.push(`${counted(found.digests, "digest file")} passed over`);
      for (const problem of problems) lines.push(c.yellow(`left out: ${safe(problem)}`));
      const untold = refused - problems.length;
      if (untold > 0) lines.push(c.yellow(`left out: ${counted(untold, "file")} more`));
      if (stopped) lines.push(c.yellow("stopped; the same import again goes on from here"));
      io.out(`${lines.join("\n")}\n`);
    }
    return ok ? 0 : 1;
  } finally {
    progress.end();
    forget();
  }
};
