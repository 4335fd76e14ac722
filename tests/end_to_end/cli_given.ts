/** The real program in processes of its own, in folders of its own. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { ALL } from "../sampled.ts";
import { ended, heard, signal, stopped } from "../until.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const main = `${root}main.ts`;

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Place {
  readonly dir: string;
  /** Data folder, not made yet. */
  readonly data: string;
}

/** A fresh folder, removed afterwards. */
export const withPlace = async (test: (place: Place) => Promise<void>): Promise<void> => {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "daybook-cli-" }));
  try {
    await test({ dir, data: `${dir}/data` });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
};

/** What a process started with no more than this must ask a second one for; the same as the tasks grant. */
const narrow = (grants: readonly string[] = []): readonly string[] => [
  "run",
  V8_FLAGS,
  ...grants,
  "--quiet",
  "--no-prompt",
  "--ignore-env",
  "--allow-env=NO_COLOR,INIT_CWD,TMPDIR,DAYBOOK_*",
  // As the tasks: its own source and the default configuration.
  `--allow-read=${["config", "actors", "adapters", "events", "projections"].map((name) => root + name)}`,
  `--allow-run=${Deno.execPath()}`,
  main,
];

/** A process that need not ask a second one. */
const WIDE = ["run", V8_FLAGS, "-A", "--quiet", "--no-prompt", main];

export interface HowTo {
  readonly cwd?: string;
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  /** Permissions beyond those that every command is started with here; where they are given, if it be none, it is started with no more. */
  readonly grants?: readonly string[];
  /** A program that starts the command with less than this process may do, and its arguments. */
  readonly under?: readonly string[];
}

/** Ways in which commands were started already. */
const ways = new Set<string>();

/**
 * With what a command is started. The first time it is typed so (by its words, its options, and how) as people start it: with little, and
 * a second process has what this command may do. After that with everything, which is one process and half of the time.
 * `DAYBOOK_TEST_ALL=true`: always as people do.
 */
const grantsFor = (args: readonly string[], { cwd, stdin, env = {}, grants, under }: HowTo): readonly string[] => {
  const words = args.filter((arg) => /^(--)?[a-z-]+$/.test(arg));
  const way = JSON.stringify([words, cwd === undefined, stdin === undefined, Object.keys(env).sort()]);
  const isKnown = ways.has(way);
  ways.add(way);
  return isKnown && !ALL && !grants && !under ? WIDE : narrow(grants);
};

/** A command as a person types it. */
export const command = (args: readonly string[], how: HowTo) => started(narrow(how.grants), args, how);

const started = (
  program: readonly string[],
  args: readonly string[],
  { cwd = root, stdin, env = {}, under = [] }: HowTo,
) =>
  new Deno.Command(under[0] ?? Deno.execPath(), {
    args: [...under.length > 0 ? [...under.slice(1), Deno.execPath()] : [], ...program, ...args],
    cwd,
    // What the runner was started in says nothing of where the command stands.
    env: { NO_COLOR: "1", INIT_CWD: cwd, DAYBOOK_DATA: "", ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  });

/** Types a command and waits for its end. */
export const run = async (args: readonly string[], how: HowTo = {}): Promise<Ran> => {
  const child = started(grantsFor(args, how), args, how).spawn();
  if (how.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(how.stdin));
    await writer.close();
  }
  return await ended(args.join(" "), child);
};

/** The document a command prints with `--json`; anything else in its output fails the test. */
export const document = async <T = Record<string, unknown>>(
  args: readonly string[],
  how: HowTo = {},
): Promise<T & { readonly exit: number }> => {
  const { code, out, err } = await run([...args, "--json"], how);
  try {
    return { ...JSON.parse(out), exit: code };
  } catch {
    assert.fail(`${args.join(" ")}: not one document: ${out}\n${err}`);
  }
};

export interface Started {
  readonly url: string;
  readonly token: string;
  readonly child: Deno.ChildProcess;
  /** Ends it as a person would, and tells how it ended. */
  stop(name?: Deno.Signal): Promise<Ran>;
}

/** `start` on a free port, until its line is there. */
export const start = async (data: string, args: readonly string[] = []): Promise<Started> => {
  const child = command(["start", "--data", data, "--port", "0", ...args], {}).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const errors = new Response(child.stderr).text();
  let out = await heard("start is ready", reader, (text) => text.includes("\n")).catch(async (error) => {
    signal(child, "SIGKILL");
    throw new Error(`${error.message}\n${await errors}`);
  });
  const rest = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return out;
      out += value;
    }
  })();
  const url = /^listening on (http:\/\/\S+)\n$/.exec(out)?.[1];
  assert.ok(url, out);
  return {
    url,
    token: (await Deno.readTextFile(`${data}/first-token`)).trim(),
    child,
    async stop(name = "SIGTERM") {
      const { code } = await stopped(child, name);
      return { code, out: await rest, err: await errors };
    },
  };
};

/** A small git repository with two commits; undefined where there is no git. */
export const repository = async (dir: string): Promise<string | undefined> => {
  const git = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("git", {
      args: [
        "-C",
        dir,
        "-c",
        "user.name=Ann Example",
        "-c",
        "user.email=ann@example.org",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "commit.gpgsign=false",
        ...args,
      ],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  };
  await Deno.mkdir(dir, { recursive: true });
  try {
    await git("init", "-q");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  for (const [name, content] of [["a.txt", "one\n"], ["b.txt", "one\ntwo\n"]] as const) {
    await Deno.writeTextFile(`${dir}/${name}`, content);
    await git("add", ".");
    await git("commit", "-q", "-m", `Adds ${name}`);
  }
  return dir;
};

/** A folder and everything in it: name, mode, size, time of change and SHA-256, for telling that nothing was touched. */
export const fingerprint = async (dir: string): Promise<readonly string[]> => {
  const names = [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
  return await Promise.all([".", ...names].map(async (name) => {
    const { size, mtime, mode, isFile } = await Deno.stat(`${dir}/${name}`);
    const bytes = isFile ? await Deno.readFile(`${dir}/${name}`) : new Uint8Array();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    return `${name} ${mode?.toString(8)} ${size} ${mtime?.getTime()} ${hash}`;
  }));
};
