/** Imports of files, each as a whole or not at all. */
import type { Call, Run } from "../call.ts";
import { pathOf } from "../call.ts";
import { bytes, count, counted, duration, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime, Target } from "../runtime.ts";
import { ImportFault } from "../imports.ts";
import type { OnProgress } from "../io.ts";
import { settled, withTarget } from "./import.ts";

interface Found {
  readonly files: readonly unknown[];
  readonly problems: readonly string[];
  readonly refused: number;
  readonly bytes: number;
}

interface Done {
  readonly events: number;
  readonly known: number;
  readonly problems: readonly string[];
  readonly stopped: boolean;
}

interface Kind<F extends Found, D extends Done> {
  /** Looks through the files and keeps nothing. */
  check(runtime: Runtime, call: Call, paths: readonly string[], on: OnProgress, signal: AbortSignal): Promise<F>;
  take(runtime: Runtime, target: Target, found: F, on: OnProgress, signal: AbortSignal): Promise<D>;
  /** What was looked for, where nothing of it is there. */
  readonly nothing: string;
  /** What was counted in the files, for people; their number follows. */
  counts(done: D): string;
  notes(found: F, done: D): readonly string[];
  /** What is counted beside what every kind counts. */
  told(found: F, done: D): Readonly<Record<string, number>>;
}

export const importFiles = <F extends Found, D extends Done>(kind: Kind<F, D>): Run => async (call, runtime) => {
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
    const found = await kind.check(runtime, call, paths, progress.on, signal);
    if (signal.aborted) throw new ImportFault("stopped", "stopped before anything was imported");
    if (found.files.length === 0) {
      const [first = kind.nothing] = found.problems;
      throw new ImportFault("usage", first + (found.refused > 1 ? `; and ${found.refused - 1} more files` : ""));
    }
    const done = await withTarget(call, runtime, async (target, writer) => {
      const done = await kind.take(runtime, target, found, progress.on, signal);
      progress.end();
      await settled(writer, runtime);
      return done;
    });
    const { events, known, stopped } = done;
    const files = found.files.length - done.problems.length;
    const refused = found.refused + done.problems.length;
    const problems = [...found.problems, ...done.problems];
    const ok = refused === 0 && !stopped;
    if (call.json) {
      const told = { files, refused, ...kind.told(found, done), events, known, stopped, problems };
      io.out(`${JSON.stringify({ ok, ...told })}\n`);
    } else {
      const c = palette(io);
      const out = [
        `${c.bold(counted(events, "new event"))} of ${kind.counts(done)} ${counted(files, "file")} (${
          bytes(found.bytes)
        }), ${count(known)} known already, in ${duration(clock.monotonic() - began)}`,
        ...kind.notes(found, done),
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
