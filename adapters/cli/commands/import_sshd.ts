/** `import sshd`: logs of OpenSSH's server; each as a whole or not at all. */
import type { Run } from "../call.ts";
import { pathOf, text } from "../call.ts";
import { bytes, count, counted, duration, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { ImportFault, type SshdFiles, type SshdImport } from "../runtime.ts";
import { settled, withTarget } from "./import.ts";

export const importSshd: Run = async (call, runtime) => {
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
    const found = await runtime.checkSshd(paths, text(call, "zone"), progress.on, signal);
    if (signal.aborted) throw new ImportFault("stopped", "stopped before anything was imported");
    if (found.files.length === 0) {
      const more = found.refused > 1 ? `; and ${found.refused - 1} more files` : "";
      throw new ImportFault("usage", found.problems[0] + more);
    }
    const done = await withTarget(call, runtime, async (target, writer) => {
      const done = await runtime.importSshd(target, found, progress.on, signal);
      progress.end();
      await settled(writer, runtime);
      return done;
    });
    const ok = found.refused === 0 && done.problems.length === 0 && !done.stopped;
    const told = summary(found, done);
    if (call.json) io.out(`${JSON.stringify({ ok, ...told })}\n`);
    else {
      const c = palette(io);
      const { events, signins, lines, files, known, problems, refused, stopped } = told;
      const out = [
        `${c.bold(counted(events, "new event"))} of ${counted(signins, "message")} about sign-ins in ${
          counted(lines, "line")
        } of ${counted(files, "file")} (${bytes(found.bytes)}), ${count(known)} known already, in ${
          duration(clock.monotonic() - began)
        }`,
        ...problems.map((problem) => c.yellow(`left out: ${safe(problem)}`)),
      ];
      if (refused > problems.length) out.push(c.yellow(`left out: ${counted(refused - problems.length, "file")} more`));
      if (stopped) out.push(c.yellow("stopped; the same import again goes on from here"));
      io.out(`${out.join("\n")}\n`);
    }
    return ok ? 0 : 1;
  } finally {
    progress.end();
    forget();
  }
};

const summary = (found: SshdFiles, { lines, signins, events, known, problems, stopped }: SshdImport) => ({
  files: found.files.length - problems.length,
  refused: found.refused + problems.length,
  lines,
  signins,
  events,
  known,
  stopped,
  problems: [...found.problems, ...problems],
});
