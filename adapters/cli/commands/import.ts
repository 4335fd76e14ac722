/** `import git` and `import github`. */
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import { CanonicalError, parseIJson } from "../../../events/canonical.ts";
import { LIMITS } from "../../../events/log.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { count, counted, duration, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime, Target } from "../runtime.ts";
import { type GitImport, ImportFault } from "../imports.ts";
import { caughtUp } from "../catch_up.ts";
import { withWriter, type Writer } from "../writer.ts";

/**
 * Through a running server, what the log has already is read from the folder. An import may have the folder for long, so others
 * that write ask it meanwhile.
 */
export const withTarget = <T>(
  call: Call,
  runtime: Runtime,
  work: (target: Target, writer: Writer) => Promise<T>,
): Promise<T> =>
  withWriter(call, runtime, async (writer) => {
    if (writer.is === "local") {
      await answering(writer.daybook, call, runtime);
      return await work(writer.daybook, writer);
    }
    const { remote } = writer;
    const log = await runtime.reader(call.data);
    try {
      return await work(
        {
          ingest: (events, by) => remote.ingest(events, by),
          ask: (ask) => remote.ask(ask),
          view: (name, query) => remote.view(name, query),
          log,
        },
        writer,
      );
    } finally {
      await log.close();
    }
  });

/** Where it cannot answer, others wait until it has ended. */
const answering = async (daybook: Daybook, { data }: Call, runtime: Runtime): Promise<void> => {
  try {
    await runtime.serveInside(daybook, data);
  } catch (error) {
    runtime.io.err(
      `nobody else can write meanwhile: ${safe(error instanceof Error ? error.message : String(error))}\n`,
    );
  }
};

export const importGit: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const path = pathOf(call, call.args[0]!);
  const name = text(call, "name");
  if (name !== undefined && !/^[\w.-]{1,200}$/.test(name)) {
    throw new Usage(`--name takes letters, digits, dots, dashes and underscores, not ${JSON.stringify(name)}`);
  }
  const range = text(call, "range");
  // Before anything is opened: what cannot be imported makes no data folder.
  await runtime.checkGit(path, { range, data: call.data });
  const began = clock.monotonic();
  const progress = progressBar("importing", { io, clock, quiet: call.json });
  // Ended in the midst, it tells so, and what came in is there; the next import goes on behind it.
  const stop = new AbortController();
  const forget = io.onStop(() => stop.abort());
  const done = await withTarget(call, runtime, async (target, writer) => {
    const options = { name, range, signal: stop.signal };
    const outcome = await runtime.importGit(target, path, options, progress.on).finally(() => {
      progress.end();
      forget();
    });
    await settled(writer, runtime);
    return outcome;
  });
  io.out(
    call.json
      ? `${JSON.stringify({ ok: done.problems.length === 0, ...done })}\n`
      : describeImport(done, { runtime, elapsed: clock.monotonic() - began }),
  );
  // The history is not whole: all that could be read is there, and the next import tries the rest again.
  return done.problems.length === 0 ? 0 : 1;
};

/** So that the views show what was imported, and the next reader need not fold it. */
export const settled = async (writer: Writer, { io, clock }: Runtime): Promise<void> => {
  const behind = writer.is === "local" ? await caughtUp(writer.daybook, clock) : [];
  if (behind.length > 0) io.err(`${behind.join(", ")}: not caught up; \`status\` tells more\n`);
};

/** What came of an import, in two or three lines. */
const describeImport = (
  done: GitImport,
  { runtime: { io }, elapsed }: { runtime: Runtime; elapsed: number },
): string => {
  const c = palette(io);
  const rate = elapsed > 0 ? ` (${count(Math.round(done.events / elapsed * 1_000))} events/s)` : "";
  const lines = [
    done.empty
      ? `${safe(done.stream)}: the repository has no commits yet`
      : done.events === 0
      ? `${c.bold(safe(done.stream))}: nothing new; ${counted(done.branches, "branch", "branches")}, in ${
        duration(elapsed)
      }`
      : `${c.bold(safe(done.stream))}: ${counted(done.commits, "new commit")}, ${
        counted(done.branches, "branch", "branches")
      }; ${counted(done.events, "new event")}, ${count(done.duplicates)} known already, in ${duration(elapsed)}${rate}`,
  ];
  if (done.shallow) lines.push(c.yellow("the clone is shallow: its history begins where the clone was cut"));
  for (const problem of done.problems) lines.push(c.yellow(safe(problem)));
  return `${lines.join("\n")}\n`;
};

export const importGithub: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const file = call.args[0]!;
  const content = file === "-" ? await io.readInput() : await io.readText(pathOf(call, file));
  const began = clock.monotonic();
  const bodies = bodiesOf(content, file);
  const placed = async <T>(i: number, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof ImportFault)) throw error;
      throw new ImportFault(error.kind, `${file}, body ${i + 1} of ${bodies.length}: ${error.message}`);
    }
  };
  const sum = { commits: 0, known: 0, moves: 0, notes: [] as string[] };
  const note = (i: number, text: string) => sum.notes.push(`${file}, body ${i + 1} of ${bodies.length}: ${text}`);
  const pushes: number[] = [];
  // Before anything is opened: what cannot be imported makes no data folder.
  for (const [i, body] of bodies.entries()) {
    const because = await placed(i, runtime.checkPush(body));
    if (because === undefined) pushes.push(i);
    else note(i, because);
  }
  if (pushes.length > 0) {
    const progress = progressBar("importing", { io, clock, quiet: call.json });
    await withTarget(call, runtime, async (target, writer) => {
      for (const [at, i] of pushes.entries()) {
        const done = await placed(i, runtime.importPush(target, bodies[i]!));
        sum.commits += done.commits;
        sum.known += done.known;
        sum.moves += done.moves;
        if (done.note !== undefined) note(i, done.note);
        progress.on({ done: at + 1, total: pushes.length, unit: "bodies" });
      }
      progress.end();
      await settled(writer, runtime);
    });
  }
  if (call.json) io.out(`${JSON.stringify({ ok: true, bodies: bodies.length, ...sum })}\n`);
  else {
    for (const note of sum.notes) io.out(`${safe(note)}\n`);
    io.out(
      `${count(bodies.length)} bodies: ${count(sum.commits)} new commits, ${count(sum.known)} known already, ` +
        `${count(sum.moves)} branch moves, in ${duration(clock.monotonic() - began)}\n`,
    );
  }
  return 0;
};

/** One JSON value, an array of them, or one a line; each body as its own text. Throws `Usage` for what is no I-JSON. */
const bodiesOf = (content: string, file: string): readonly string[] => {
  const whole = parsed(content);
  if (whole.ok) return Array.isArray(whole.value) ? whole.value.map((body) => JSON.stringify(body)) : [content];
  if (whole.code !== "malformed") throw new Usage(`${file}: ${whole.because}`);
  const lines = content.split(/\r?\n/).map((line, i) => ({ line: line.trim(), number: i + 1 })).filter(({ line }) =>
    line !== ""
  );
  if (lines.length === 0) throw new Usage(`${file} is empty`);
  for (const { line, number } of lines) {
    const one = parsed(line);
    if (!one.ok) throw new Usage(`${file}, line ${number}: ${one.because}`);
  }
  return lines.map(({ line }) => line);
};

const parsed = (
  content: string,
): { readonly ok: true; readonly value: unknown } | {
  readonly ok: false;
  readonly code: string;
  readonly because: string;
} => {
  try {
    return { ok: true, value: parseIJson(content, LIMITS.data_depth_max) };
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error;
    const { code, path, message } = error;
    return { ok: false, code, because: code === "malformed" ? "not JSON" : `${path || "/"}: ${message}` };
  }
};
