/** The real program in its own process, and what a client needs to talk to it. */
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { ended, heard, signal, stopped } from "../until.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

// With the flags of the tasks that start it (docs/decisions/0071-appends-go-first.md).
const DENO = ["run", "-q", V8_FLAGS, "-A", "--config", CONFIG];
const LISTENING = /listening on (\S+)\n/;
/** What `Program.start` throws for one that was killed on its way. */
export const DIED_EARLY = /ended before it listened \(SIGKILL\)/;

interface Starting {
  /** A program that takes the folder as its argument, instead. */
  readonly other?: URL;
  /** A module that is run before it. */
  readonly preload?: URL;
  /** Arguments of `start`. */
  readonly more?: readonly string[];
  /** A program that becomes it, with its arguments, such as a tracer's. */
  readonly under?: readonly string[];
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const command = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { preload, under = [] }: Pick<Starting, "preload" | "under"> = {},
) => {
  const [first = Deno.execPath(), ...rest] = under;
  const before = under.length === 0 ? [] : [...rest, Deno.execPath()];
  return new Deno.Command(first, {
    args: [...before, ...DENO, ...(preload ? ["--preload", fileURLToPath(preload)] : []), ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
};

/** Runs one command of the command line to its end. */
export const run = (...args: readonly string[]): Promise<Ran> => runAs({}, ...args);

export const runAs = (
  { env, ...as }: Pick<Starting, "under"> & { readonly env?: Readonly<Record<string, string>> },
  ...args: readonly string[]
): Promise<Ran> => ended(args.join(" "), command([MAIN, ...args], env, as).spawn());

export class Program {
  private constructor(
    private readonly child: Deno.ChildProcess,
    readonly url: string,
    readonly token: string,
    private readonly draining: Promise<unknown>,
    private readonly said: { err: string },
  ) {}

  /** Starts the server on a free port and waits for its line. */
  static async start(
    data: string,
    env: Readonly<Record<string, string>> = {},
    { other, more = [], ...as }: Starting = {},
  ): Promise<Program> {
    const args = other ? [fileURLToPath(other), data] : [MAIN, "start", "--data", data, "--port", "0", ...more];
    const child = command(args, env, as).spawn();
    const said = { err: "" };
    const errors = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) said.err += text;
    })();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const out = await heard("the program listens", lines, (text) => LISTENING.test(text)).catch(async (error) => {
      signal(child, "SIGKILL");
      await errors;
      const { signal: by, code } = await child.status;
      throw new Error(`the program ended before it listened (${by ?? code}): ${error.message}${said.err}`);
    });
    const rest = (async () => {
      while (!(await lines.read()).done);
    })();
    const token = (await Deno.readTextFile(`${data}/first-token`)).trim();
    return new Program(child, LISTENING.exec(out)![1]!, token, Promise.all([errors, rest]), said);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Resolves when it has ended, however. */
  get died(): Promise<Deno.CommandStatus> {
    return this.child.status;
  }

  /** Sends a signal and waits for the end. */
  async end(signal: Deno.Signal): Promise<Ran> {
    const { code } = await stopped(this.child, signal, () => this.said.err);
    await this.draining;
    return { code, out: "", err: this.said.err };
  }
}
