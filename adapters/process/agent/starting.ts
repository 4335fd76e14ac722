/**
 * Starts programs so that they outlive whoever started them, and finds them again.
 *
 * A program leads a session of its own and writes to a file. A shell stands before it for a moment: it writes its number, which will be
 * the program's, beside the nonce, and becomes the program. So where a start was begun there is a trace of it or there is no program,
 * whenever the agent died: while the shell lives the nonce is in its environment, and before the program lives the number is in the file.
 */
import { spawn } from "node:child_process";
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { bootId, hasNonce, isThere, pids, startedAt, statOf } from "./proc.ts";
import { groupOf, joinGroup, makeGroup, makeHeldGroup, removeGroup } from "./cgroups.ts";
import { environmentOf } from "./environment.ts";
import { fileText } from "./file_text.ts";
import { type Kept, markStart, takeAway } from "./leftovers.ts";
import { type How, how, NONCE, type Output, outputOf, type ProcessOf, type ToAgent } from "./protocol.ts";

type Start = Extract<ToAgent, { ask: "start" }>;
export type Started =
  | { readonly process: ProcessOf; readonly adopted: boolean; readonly kept?: Kept[] }
  | { readonly refused: string };

/**
 * Positional: the trace, the program, its arguments. Nothing is started where the trace cannot be written, nor where another shell has
 * written it (`set -C`): of two that were asked to start the same, by whomever, one becomes the program.
 */
const BEFORE = 'set -C && printf %s "$$" > "$0.pid" && exec "$@"';

/** Positional, after the trace: the group that it joins before it is anything else; that is there already, so not under `set -C`. */
const JOINING = 'printf %s "$$" > "$1/cgroup.procs" && shift && ';

/** What a shell holds itself, and with it the program, to; memory in kibibytes (ulimit of POSIX shells). */
const limited = ({ memory_bytes, open_files, processes }: Start["limits"], grouped: boolean): string =>
  [
    grouped ? JOINING : "",
    memory_bytes === undefined ? "" : `ulimit -v ${Math.ceil(memory_bytes / 1_024)} && `,
    open_files === undefined ? "" : `ulimit -n ${open_files} && `,
    // Shells differ in the letter: dash has -p, where bash has -u and means another thing by -p.
    processes === undefined ? "" : `{ ulimit -u ${processes} 2> /dev/null || ulimit -p ${processes}; } && `,
    BEFORE,
  ].join("");
/** How much later than its trace a program may seem to have started: clocks of the kernel and of files differ by so much. */
const CLOCKS_MS = 2_000;
/** How long one that was just being started takes to show. */
const SETTLE_MS = 150;

/** The program's file, or why it cannot be started. */
export const programFile = (command: string, folder: string, path: string | undefined): { readonly file: string } | {
  readonly refused: string;
} => {
  const places = command.includes("/")
    ? [resolve(folder, command)]
    : (path ?? "").split(delimiter).filter((place) => place !== "").map((place) =>
      join(resolve(folder, place), command)
    );
  let found = false;
  for (const file of places) {
    try {
      if (!statSync(file).isFile()) continue;
      found = true;
      accessSync(file, constants.X_OK);
      return { file };
    } catch {
      continue;
    }
  }
  if (found) return { refused: `the program "${command}" may not be executed` };
  return { refused: `there is no program "${command}"${command.includes("/") ? "" : " on the PATH it is given"}` };
};

export class Starting {
  readonly boot = bootId();
  /** Ends of our own children that nobody has asked for yet. */
  private readonly ends = new Map<string, PromiseWithResolvers<How>>();
  /** By nonce: who asks for the same meanwhile waits. */
  private readonly underWay = new Map<string, Promise<unknown>>();

  /** `own`: the agent's environment. */
  constructor(private readonly own: (name: string) => string | undefined) {}

  /** Once for each nonce, however often it is asked; what stands in the way is a refusal. */
  start(ask: Start): Promise<Started> {
    return this.alone(ask.nonce, async () => {
      const before = await this.found(ask.nonce, ask.traces);
      if (before) return { process: before, adopted: true };
      try {
        return await this.begin(ask);
      } catch (error) {
        return { refused: refusalOf(error) };
      }
    });
  }

  private async alone<T>(nonce: string, body: () => Promise<T>): Promise<T> {
    while (this.underWay.has(nonce)) await this.underWay.get(nonce);
    const done = Promise.withResolvers<void>();
    this.underWay.set(nonce, done.promise);
    try {
      return await body();
    } finally {
      this.underWay.delete(nonce);
      done.resolve();
    }
  }

  private async begin(ask: Start): Promise<Started> {
    const { nonce, command, folder, traces, log, line } = ask;
    if (!isFolder(folder)) return { refused: `there is no folder "${folder}"` };
    const given = environmentOf(ask, this.own);
    if ("refused" in given) return given;
    const program = programFile(command, folder, given.variables.PATH);
    if ("refused" in program) return program;
    const { mark } = ask;
    const taken = mark === undefined ? { kept: [] } : takeAway({ folder, paths: ask.leftovers, mark });
    if ("refused" in taken) return taken;
    if (mark !== undefined) markStart(mark);
    mkdirSync(traces, { recursive: true, mode: 0o700 });
    mkdirSync(dirname(log.path), { recursive: true, mode: 0o700 });
    const output = openSync(log.path, "a", 0o600);
    try {
      const trace = join(traces, nonce);
      // Of a shell that died as it wrote.
      if (fileText(`${trace}.pid`) === "") rmSync(`${trace}.pid`);
      const begun = { boot: this.boot, from: fstatSync(output).size, log, line };
      writeFileSync(`${trace}.json`, JSON.stringify(begun), { mode: 0o600 });
      const group = await makeHeldGroup(nonce, ask.limits);
      if (group !== undefined) writeFileSync(`${trace}.group`, group, { mode: 0o600 });
      const started = await this.spawn(ask, program.file, given.variables, { trace, output, group });
      return "refused" in started || taken.kept.length === 0 ? started : { ...started, kept: [...taken.kept] };
    } finally {
      closeSync(output);
    }
  }

  /** How a process ended that this agent started; `undefined` for others. */
  endOf(nonce: string): Promise<How> | undefined {
    return this.ends.get(nonce)?.promise;
  }

  forget(nonce: string): void {
    this.ends.delete(nonce);
  }

  /**
   * What was started under the nonce, even if it has ended since. `undefined`: nothing was, and of what was asked for until now
   * nothing is on its way.
   */
  find(nonce: string, traces: string): Promise<ProcessOf | undefined> {
    return this.alone(nonce, () => this.found(nonce, traces));
  }

  private async found(nonce: string, traces: string): Promise<ProcessOf | undefined> {
    const trace = join(traces, nonce);
    if (!readJson(`${trace}.json`)) return undefined;
    const found = this.look(nonce, trace);
    if (found) return found;
    await new Promise((settled) => setTimeout(settled, SETTLE_MS));
    return this.look(nonce, trace);
  }

  private look(nonce: string, trace: string): ProcessOf | undefined {
    const written = Number(fileText(`${trace}.pid`) || NaN);
    if (Number.isInteger(written)) {
      const stat = statOf(written);
      const { boot } = readJson(`${trace}.json`) as { readonly boot: string };
      const ours = stat && boot === this.boot && stat.session === written &&
        (hasNonce(written, nonce) || startedAt(stat) <= statSync(`${trace}.pid`).mtimeMs + CLOCKS_MS);
      // It was started and is gone: no process has been running for that long.
      return { nonce, pid: written, boot, ticks: ours ? stat.ticks : 0 };
    }
    for (const pid of pids()) {
      const stat = statOf(pid);
      if (stat && stat.session === pid && stat.state !== "Z" && hasNonce(pid, nonce)) {
        return { nonce, pid, boot: this.boot, ticks: stat.ticks };
      }
    }
    return undefined;
  }

  private spawn(
    { nonce, arguments: given, folder, limits, traces }: Start,
    file: string,
    variables: Readonly<Record<string, string>>,
    { trace, output, group }: { readonly trace: string; readonly output: number; readonly group?: string },
  ): Promise<Started> {
    const started = Promise.withResolvers<Started>();
    const end = Promise.withResolvers<How>();
    const before = group === undefined ? [trace] : [trace, group];
    const child = spawn("/bin/sh", ["-c", limited(limits, group !== undefined), ...before, file, ...given], {
      detached: true, // a session of its own
      stdio: ["ignore", output, output],
      cwd: folder,
      env: { ...variables, [NONCE]: nonce },
    });
    child.on("error", (error) => started.resolve({ refused: refusalOf(error) }));
    child.on("exit", (code, signal) => {
      const how = { code, signal, known: true };
      keepEnd(nonce, traces, how); // nobody may have asked for it yet
      end.resolve(how);
    });
    const { pid } = child;
    if (pid !== undefined) {
      this.ends.set(nonce, end);
      // Not asked for how it ended yet, it is still there, at least as a zombie.
      const ticks = statOf(pid)?.ticks ?? 0;
      started.resolve({ process: { nonce, pid, boot: this.boot, ticks }, adopted: false });
    }
    return started.promise;
  }

  /** Whether it is there now, and the very one. */
  isThere(process: ProcessOf): boolean {
    return isThere(process, this.boot);
  }
}

/** How it ended, where an agent has seen it. */
export const endIn = (nonce: string, traces: string): How | undefined => {
  const parsed = how.safeParse(readJson(join(traces, `${nonce}.end`)));
  return parsed.success ? parsed.data : undefined;
};

/** Before anybody is told, so that it is known although whoever is told dies; where there is no room for it, it is only told. */
export const keepEnd = (nonce: string, traces: string, end: How): void => {
  try {
    writeFileSync(join(traces, `${nonce}.end`), JSON.stringify(end), { mode: 0o600 });
  } catch {
    // a full disk keeps nobody from being told
  }
};

/** Why something could not be started, for people; without the value where the platform tells which one it would not take. */
export const refusalOf = (error: unknown): string =>
  `it cannot be started: ${
    (error instanceof Error ? error.message : String(error)).split(/\n|\. Received /, 1)[0]!.slice(0, 300)
  }`;

const KINDS = ["json", "pid", "end", "group"];

export const forget = (nonce: string, traces: string): void => {
  const group = groupIn(nonce, traces);
  if (group !== undefined) removeGroup(group);
  for (const kind of KINDS) rmSync(join(traces, `${nonce}.${kind}`), { force: true });
};

/** Nonces that there are traces of. */
export const traced = (traces: string): readonly string[] => {
  try {
    return [...new Set(readdirSync(traces).map((name) => name.slice(0, name.lastIndexOf("."))))];
  } catch {
    return []; // nothing was ever started
  }
};

/** Where the output of a start begins in its file. */
export const outputFrom = (nonce: string, traces: string): number =>
  (readJson(join(traces, `${nonce}.json`)) as { readonly from?: number } | undefined)?.from ?? 0;

/** What is done with the output of a start; `undefined` where its trace does not say. */
export const outputIn = (nonce: string, traces: string): Output | undefined =>
  outputOf.safeParse(readJson(join(traces, `${nonce}.json`))).data;

/** The control group that was made for a start. */
export const groupIn = (nonce: string, traces: string): string | undefined =>
  fileText(join(traces, `${nonce}.group`)) || undefined;

/** Makes one for a process that is there, and moves it in; not before a start, which would have to wait for it. */
export const group = async ({ nonce, pid }: ProcessOf, traces: string): Promise<string | undefined> => {
  if (groupOf(pid, nonce) !== undefined) return undefined;
  const path = await makeGroup(nonce);
  if (path === undefined) return undefined;
  try {
    writeFileSync(join(traces, `${nonce}.group`), path, { mode: 0o600 });
  } catch {
    removeGroup(path); // nobody would find it again
    return undefined;
  }
  await joinGroup(path, pid);
  return path;
};

export const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

const readJson = (path: string): unknown => {
  const text = fileText(path);
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // cut off: it was being written, so nothing was started yet
  }
};
