/** `import git` and `import github`. */
import type { Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { count, duration, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { GitImport, Runtime, Target } from "../runtime.ts";
import { ImportFault } from "../runtime.ts";
import { withWriter, type Writer } from "../writer.ts";
import { OPERATOR } from "./send.ts";

export const targetOf = (writer: Writer): Target => writer.is === "local" ? writer.daybook : writer.remote;

export const importGit: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const path = pathOf(call, call.args[0]!);
  const name = text(call, "name");
  if (name !== undefined && !/^[\w.-]{1,200}$/.test(name)) {
    throw new Usage(`--name takes letters, digits, dots, dashes and underscores, not ${JSON.stringify(name)}`);
  }
  const began = clock.monotonic();
  const progress = progressBar("importing", { io, clock, quiet: call.json });
  const done = await withWriter(call, runtime, async (writer) => {
    const outcome = await runtime.importGit(targetOf(writer), path, { name, range: text(call, "range") }, progress.on);
    progress.end();
    await caughtUp(writer, runtime);
    return outcome;
  });
  io.out(
    call.json
      ? `${JSON.stringify({ ok: true, ...done })}\n`
      : describeImport(done, { runtime, elapsed: clock.monotonic() - began }),
  );
  return 0;
};

/** So that the views show what was imported, and the next reader need not fold it. */
export const caughtUp = async (writer: Writer, runtime: Runtime): Promise<void> => {
  if (writer.is !== "local" || writer.daybook.log.size === 0) return;
  const { daybook } = writer;
  const wait = daybook.log.size - 1;
  for (const { name, state } of daybook.status().projections) {
    if (state !== "stopped") {
      await daybook.view(name, { limit: 1, wait, deadline: CATCH_UP_MS }).catch(() =>
        runtime.io.err(`${name} is still behind; it goes on at the next start\n`)
      );
    }
  }
};
const CATCH_UP_MS = 600_000;

/** What came of an import, in two or three lines. */
export const describeImport = (
  done: GitImport,
  { runtime: { io }, elapsed }: { runtime: Runtime; elapsed: number },
): string => {
  const c = palette(io);
  const rate = elapsed > 0 ? ` (${count(Math.round(done.events / elapsed * 1_000))} events/s)` : "";
  const lines = [
    done.empty
      ? `${safe(done.stream)}: the repository has no commits yet`
      : `${c.bold(safe(done.stream))}: ${count(done.commits)} commits, ${count(done.branches)} branches; ${
        count(done.events)
      } new events, ${count(done.duplicates)} known already, in ${duration(elapsed)}${rate}`,
  ];
  if (done.shallow) lines.push(c.yellow("the clone is shallow: its history begins where the clone was cut"));
  for (const problem of done.problems) lines.push(c.yellow(safe(problem)));
  return `${lines.join("\n")}\n`;
};

const BATCH = 500;

export const importGithub: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const file = call.args[0]!;
  const content = file === "-" ? await io.readInput() : await io.readText(pathOf(call, file));
  const began = clock.monotonic();
  const bodies = bodiesOf(content, file);
  const progress = progressBar("importing", { io, clock, quiet: call.json });
  const sum = await withWriter(call, runtime, async (writer) => {
    let [accepted, duplicates] = [0, 0];
    for (const [i, body] of bodies.entries()) {
      const events = await runtime.githubPush(body).catch((error) => {
        if (error instanceof ImportFault) {
          throw new ImportFault("usage", `${file}, body ${i + 1} of ${bodies.length}: ${error.message}`);
        }
        throw error;
      });
      for (let from = 0; from < events.length; from += BATCH) {
        const taken = await targetOf(writer).ingest(events.slice(from, from + BATCH), OPERATOR);
        if (!taken.ok) throw new ImportFault("usage", `${file}, body ${i + 1} of ${bodies.length}: ${refusal(taken)}`);
        accepted += taken.accepted;
        duplicates += taken.duplicates;
      }
      progress.on({ done: i + 1, total: bodies.length, unit: "bodies" });
    }
    progress.end();
    await caughtUp(writer, runtime);
    return { accepted, duplicates };
  });
  if (call.json) io.out(`${JSON.stringify({ ok: true, bodies: bodies.length, ...sum })}\n`);
  else {io.out(
      `${count(bodies.length)} bodies: ${count(sum.accepted)} new events, ${count(sum.duplicates)} known already, in ${
        duration(clock.monotonic() - began)
      }\n`,
    );}
  return 0;
};

export const refusal = (refused: Exclude<Awaited<ReturnType<Target["ingest"]>>, { ok: true }>): string => {
  switch (refused.conflict) {
    case "invalid":
      return `event ${refused.index}: ${refused.code}: ${
        refused.issues.map(({ path, message }) => `${path || "/"}: ${message}`).join("; ")
      }`;
    case "id":
      return `the event ${refused.id} of ${refused.source} is in the log with other content, at position ${refused.position}`;
    case "revision":
      return `${refused.stream} is at revision ${refused.revision}`;
  }
};

/** One JSON value, an array of them, or one a line; each body as its own text, for its numbers' sake. */
const bodiesOf = (content: string, file: string): readonly string[] => {
  const whole = parsed(content);
  if (whole !== undefined) return Array.isArray(whole) ? whole.map((body) => JSON.stringify(body)) : [content];
  const lines = content.split(/\r?\n/).map((line, i) => ({ line: line.trim(), number: i + 1 })).filter(({ line }) =>
    line !== ""
  );
  if (lines.length === 0) throw new Usage(`${file} is empty`);
  const wrong = lines.find(({ line }) => parsed(line) === undefined);
  if (wrong) throw new Usage(`${file}, line ${wrong.number}: not JSON`);
  return lines.map(({ line }) => line);
};

const parsed = (content: string): unknown => {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
};
