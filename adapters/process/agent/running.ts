/**
 * Programs that are run to their end: hooks and `exec` probes. Each leads a session of its own and carries its number in its environment,
 * so that the next agent finds those that outlived the one that ran them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { environmentOf } from "./environment.ts";
import { environOf, pids, statOf } from "./proc.ts";
import type { Answer, ToAgent } from "./protocol.ts";
import { isFolder, programFile, refusalOf } from "./starting.ts";
import { end } from "./watching.ts";

type Run = Extract<ToAgent, { ask: "run" }>;

/** The variable that carries on whose behalf it is run, and its number. */
const RUN = "DAYBOOK_RUN";

/** Positional: on whose behalf, the program, its arguments. The shell becomes the program, and its number the program's. */
const BEFORE = `${RUN}="$0/$$"; exec "$@"`;

/** Runs it to its end, which is at the latest when its time is over. What it writes is nobody's: it may hold secrets. */
export const run = async (ask: Run, own: (name: string) => string | undefined): Promise<Answer<"run">> => {
  const { command, folder, timeout_ms } = ask;
  // The platform would say that there is no /bin/sh.
  if (!isFolder(folder)) return { code: null, timed_out: false, because: `there is no folder "${folder}"` };
  const environment = environmentOf(ask, own);
  const program = "refused" in environment ? environment : programFile(command, folder, environment.variables.PATH);
  if ("refused" in environment || "refused" in program) {
    const { refused } = program as { readonly refused: string };
    return { code: null, timed_out: false, because: refused };
  }
  const done = Promise.withResolvers<Answer<"run">>();
  const child = begun(program.file, ask, environment.variables);
  if ("refused" in child) return { code: null, timed_out: false, because: child.refused };
  if (ask.probe && child.pid !== undefined) probes.add(child.pid);
  let timed_out = false;
  const late = setTimeout(() => {
    timed_out = true;
    if (child.pid !== undefined) end(-child.pid, "SIGKILL");
  }, timeout_ms);
  const over = (code: number | null, because: string) => {
    clearTimeout(late);
    if (child.pid !== undefined) probes.delete(child.pid);
    done.resolve({ code, timed_out, because });
  };
  child.on("error", (error) => over(null, refusalOf(error)));
  child.on("exit", (code, signal) => over(code, signal === null ? `code ${code}` : `${signal} ended it`));
  return await done.promise;
};

/** Leaders of the sessions of probes that run. */
const probes = new Set<number>();

/** For the agent's own end: nobody would end them when their time is over. */
export const endProbes = (): void => {
  for (const pid of probes) end(-pid, "SIGKILL");
};

const begun = (
  file: string,
  { arguments: given, folder, traces }: Run,
  variables: Readonly<Record<string, string>>,
): ChildProcess | { readonly refused: string } => {
  try {
    return spawn("/bin/sh", ["-c", BEFORE, traces, file, ...given], {
      detached: true,
      stdio: "ignore",
      cwd: folder,
      env: { ...variables, [RUN]: traces },
    });
  } catch (error) {
    return { refused: refusalOf(error) };
  }
};

/** Ends all that was run on behalf of these traces: whoever asked for it is gone. What a program of them left behind on purpose stays. */
export const endRuns = (traces: string): void => {
  for (const pid of pids()) {
    if (statOf(pid)?.session !== pid) continue;
    const whose = environOf(pid)?.find((line) => line.startsWith(`${RUN}=`))?.slice(RUN.length + 1);
    if (whose === traces || whose === `${traces}/${pid}`) end(-pid, "SIGKILL");
  }
};
