/**
 * Running git: always the same few plumbing commands, with nothing of the user's or the repository's configuration that
 * could change an answer, start a program or reach the network.
 */
import { latin1 } from "./text.ts";

/** What can be wrong with git or a repository; each has its own advice. */
export type GitFaultCode =
  | "git_missing" // no git on the PATH, or no permission to run it
  | "no_such_folder"
  | "not_a_repository"
  | "unsafe" // git refuses the folder because it belongs to somebody else
  | "unknown_range" // a revision that does not exist here
  | "too_many" // more commits than are taken at once
  | "corrupt" // objects that are missing or damaged, so that history cannot be walked
  | "unexpected"; // anything else git said

export class GitFault extends Error {
  override readonly name = "GitFault";
  constructor(readonly code: GitFaultCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Variables that name programs and folders; git gets these alone. Without `PATH` the one of this process counts. */
export type GitEnvironment = Readonly<Record<string, string>>;

// What git is told whatever the machine says: no prompt, no pager, no tracing, no network, plain English.
const FIXED: GitEnvironment = {
  LC_ALL: "C",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_NO_LAZY_FETCH: "1",
  GIT_ALLOW_PROTOCOL: "none",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_CONFIG_COUNT: "0",
  GIT_CONFIG_PARAMETERS: "",
  GIT_PAGER: "cat",
  GIT_TRACE: "0",
  GIT_FLUSH: "0",
};

// An index, grafts or attributes would change the answer, and a monitor of files would be started: none exists there.
const NOWHERE = "daybook.nowhere";

const STDERR_BYTES_MAX = 16_384;
/** Of a short answer; what says more is not the git that we know. */
const ANSWER_BYTES_MAX = 134_217_728;

export interface Answer {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
}

export interface Running {
  readonly stdin: WritableStream<Uint8Array<ArrayBuffer>>;
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Resolves when it has ended and all it said was read. */
  readonly ended: Promise<{ readonly code: number; readonly stderr: string }>;
  kill(): void;
}

const bytes = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });

/** Git in one folder. Before `inside` it looks for the repository as git does, ownership check and all. */
export class Git {
  private constructor(
    private readonly folder: string,
    private readonly settings: readonly string[],
    private readonly env: GitEnvironment,
    private readonly inherit: boolean,
  ) {}

  /** `env`: see `GitEnvironment`; without it git inherits this process's variables, those that mislead it included. */
  static at(folder: string, env?: GitEnvironment): Git {
    return new Git(folder, [], { ...env, ...FIXED }, env === undefined);
  }

  /** The same for a repository that git has found and accepted, from now on without anybody's configuration but its own. */
  inside(gitDir: string): Git {
    const nowhere = `${gitDir}/${NOWHERE}`;
    const settings = [
      "core.fsmonitor=false",
      `core.attributesFile=${nowhere}`,
      "core.bigFileThreshold=512m",
      "i18n.logOutputEncoding=UTF-8",
    ];
    const env = {
      GIT_DIR: gitDir,
      // The git folder itself stands for the work tree: the real one's .gitattributes are of today, not of history.
      GIT_WORK_TREE: gitDir,
      GIT_INDEX_FILE: nowhere,
      GIT_GRAFT_FILE: nowhere,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: nowhere,
    };
    return new Git(gitDir, settings.flatMap((setting) => ["-c", setting]), { ...this.env, ...env }, this.inherit);
  }

  start(args: readonly string[]): Running {
    const command = new Deno.Command("git", {
      args: ["-C", this.folder, "--no-pager", ...this.settings, ...args],
      env: { ...this.env },
      clearEnv: !this.inherit,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const child = this.spawn(command);
    const ended = Promise.all([child.status, collect(child.stderr, STDERR_BYTES_MAX)])
      .then(([{ code }, stderr]) => ({ code, stderr: text.decode(stderr).trim() }));
    return { stdin: child.stdin, stdout: child.stdout, ended, kill: () => end(child) };
  }

  /** For short answers: all of stdout at once. Throws for no answer of git's, `code` tells, but for one over `ANSWER_BYTES_MAX`. */
  async run(args: readonly string[], stdin = ""): Promise<Answer> {
    const running = this.start(args);
    const stdout = collect(running.stdout, ANSWER_BYTES_MAX + 1, running.kill);
    const [answer] = await Promise.all([stdout, feed(running.stdin, stdin)]);
    const ended = await running.ended;
    if (answer.length <= ANSWER_BYTES_MAX) return { stdout: answer, ...ended };
    throw tooLong(args);
  }

  /** For long answers: each line of stdout as it comes, none over `ANSWER_BYTES_MAX`. What `take` throws ends git. */
  async each(args: readonly string[], stdin: string, take: (line: string) => void): Promise<Omit<Answer, "stdout">> {
    const running = this.start(args);
    const read = async () => {
      let rest = "";
      try {
        for await (const chunk of running.stdout) {
          const lines = (rest + latin1(chunk)).split("\n");
          rest = lines.pop()!;
          lines.forEach(take);
          if (rest.length > ANSWER_BYTES_MAX) throw tooLong(args);
        }
      } catch (error) {
        running.kill();
        throw error;
      }
      if (rest !== "") take(rest);
    };
    const [said] = await Promise.allSettled([read(), feed(running.stdin, stdin)]);
    const ended = await running.ended;
    if (said.status === "rejected") throw said.reason;
    return ended;
  }

  private spawn(command: Deno.Command): Deno.ChildProcess {
    try {
      return command.spawn();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        throw new GitFault("git_missing", "git is not installed, or not on the PATH", { cause: error });
      }
      if (error instanceof Deno.errors.NotCapable) {
        throw new GitFault("git_missing", "git may not be run: --allow-run=git is missing", { cause: error });
      }
      throw error;
    }
  }
}

const tooLong = ([command]: readonly string[]): GitFault =>
  new GitFault("unexpected", `git ${command} says more than ${ANSWER_BYTES_MAX} bytes, which git does not`);

/** Writes and closes; a reader that went away is no error here, for its exit code tells. */
const feed = async (stdin: WritableStream<Uint8Array<ArrayBuffer>>, content: string): Promise<void> => {
  const writer = stdin.getWriter();
  try {
    if (content !== "") await writer.write(bytes.encode(content));
    await writer.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
};

const collect = async (
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  max: number,
  full = () => {},
): Promise<Uint8Array<ArrayBuffer>> => {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (size >= max) continue; // read on, so that the writer is not stopped
    chunks.push(chunk.subarray(0, max - size));
    size += chunks.at(-1)!.length;
    if (size === max) full();
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
};

const end = (child: Deno.ChildProcess): void => {
  try {
    child.kill("SIGTERM");
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
};
