/**
 * This program once more, with exactly the permissions that what was typed needs.
 *
 * The parent may start nothing but its own binary. It forwards signals, takes over the exit code and does nothing else.
 */

export interface Permissions {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly net: readonly string[];
  /** Names or paths of programs. */
  readonly run: readonly string[];
  /** Variables that may be read; all others look unset. */
  readonly env: readonly string[];
  /** Has threads that work behind the appends. */
  readonly threads?: true;
  /** May do the same once more. */
  readonly again?: true;
  /** May start the agent, which is this program's own binary. */
  readonly agent?: true;
  /** Hashes so much that it is worth to let V8 make wide vectors. */
  readonly wide?: true;
}

/** Put before the arguments with the number of the process in its chain, so that a missing permission cannot make one without end. */
export const GENERATION = "--generation=";
/** One that may read the configuration, and one that may do what it says. */
export const GENERATIONS_MAX = 2;

/** After it, where the second process may make a copy of what it reads; only whoever grants it knows the name. */
const SCRATCH = "--scratch=";

/** What is for us among the arguments, and the rest. */
export const generationOf = (
  args: readonly string[],
): { readonly generation: number; readonly scratch?: string; readonly typed: readonly string[] } => {
  const [first, second] = args;
  if (!first?.startsWith(GENERATION)) return { generation: 0, typed: args };
  const generation = Number(first.slice(GENERATION.length));
  return second?.startsWith(SCRATCH)
    ? { generation, scratch: second.slice(SCRATCH.length), typed: args.slice(2) }
    : { generation, typed: args.slice(1) };
};

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A permission cannot be said on the command line: Deno separates paths by commas and knows no escape. */
export class Unsayable extends Error {
  override readonly name = "Unsayable";
}

/**
 * Whether all of it is granted already, as far as it can be. Asks by name, so `env` has no patterns. A program that is not on
 * the PATH cannot be granted: who may not start this program again goes on without, and whoever runs that one says that it
 * is missing.
 */
export const granted = ({ read, write, net, run, env, agent }: Permissions): boolean => {
  const has = (descriptor: Deno.PermissionDescriptor) => Deno.permissions.querySync(descriptor).state === "granted";
  if (agent && !has({ name: "run", command: Deno.execPath() })) return false;
  return read.every((path) => has({ name: "read", path })) && write.every((path) => has({ name: "write", path })) &&
    net.every((host) => has({ name: "net", host })) && env.every((variable) => has({ name: "env", variable })) &&
    (run.every((command) => has({ name: "run", command })) || !has({ name: "run", command: Deno.execPath() }));
};

/**
 * Of every process of this program, as in the tasks of deno.json, and for the same reasons: docs/decisions/0071-appends-go-first.md for
 * those that write, and for the others because code that was compiled under other flags is compiled again
 * (docs/decisions/0072-a-start-loads-what-it-uses.md).
 */
export const V8_FLAGS = "--v8-flags=--no-allocation-site-pretenuring";
/** Who only reads has a small nursery: docs/decisions/0074-who-reads-keeps-its-memory.md. */
const READER_HEAP = `${V8_FLAGS},--max-semi-space-size=4`;
/**
 * Who verifies hashes in vectors of 256 bits, where the build is known to make them; another would not start with the flag:
 * docs/decisions/0197-twice-as-many-hashes-where-vectors-are-wide.md.
 */
export const VERIFIER_HEAP = Deno.build.os === "linux" && Deno.build.arch === "x86_64"
  ? `${READER_HEAP},--experimental-wasm-revectorize`
  : READER_HEAP;
const PRIORITY = "--allow-sys=setPriority";

/** The arguments of `deno` for the second process. Never `-A`; what is not needed is not there. */
export const argumentsOf = (
  main: string,
  args: readonly string[],
  { permissions, generation, self, scratch }: {
    permissions: Permissions;
    generation: number;
    self: string;
    scratch?: string;
  },
): readonly string[] => {
  const flag = (name: string, values: readonly string[]): readonly string[] => {
    const comma = values.find((value) => value.includes(","));
    if (comma !== undefined) throw new Unsayable(`a path with a comma cannot be granted: ${comma}`);
    return values.length > 0 ? [`--allow-${name}=${values.join(",")}`] : [];
  };
  const { read, write, net, env } = permissions;
  const run = permissions.again || permissions.agent ? [...permissions.run, self] : permissions.run;
  return [
    "run",
    "--quiet",
    ...(permissions.threads ? [V8_FLAGS, PRIORITY] : [permissions.wide ? VERIFIER_HEAP : READER_HEAP]),
    "--no-prompt",
    ...flag("read", read),
    ...flag("write", write),
    ...flag("net", net),
    ...flag("run", run),
    "--ignore-env",
    ...flag("env", env),
    main,
    `${GENERATION}${generation}`,
    ...(scratch === undefined ? [] : [`${SCRATCH}${scratch}`]),
    ...args,
  ];
};

/** Runs it to its end; the answer is its exit code, 128 + n if a signal n ended it. */
export const reexecute = async (args: readonly string[]): Promise<number> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const forward = FORWARDED.map((signal) => {
    const send = () => {
      try {
        child.kill(signal);
      } catch {
        // It has ended already; its code is on the way.
      }
    };
    Deno.addSignalListener(signal, send);
    return () => Deno.removeSignalListener(signal, send);
  });
  try {
    return (await child.status).code;
  } finally {
    for (const forget of forward) forget();
  }
};

const WATCH_MS = 250;

/** Calls once when the process that started us has died without a word (kill -9): what it stood for is to end too. */
export const onOrphaned = (call: () => void): () => void => {
  const parent = Deno.ppid;
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    call();
  }, WATCH_MS);
  Deno.unrefTimer(timer);
  return () => clearInterval(timer);
};
