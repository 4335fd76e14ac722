/**
 * What is said between Daybook and the agent that starts programs: one JSON document a line, over the agent's standard input and output.
 * Both ends parse what they hear by these schemas; a line that is none of them ends the agent.
 */
import { z } from "zod";

export const PROTOCOL = {
  /** Characters of one line. */
  line_max: 1_048_576,
  arguments_max: 1_000,
  watched_max: 1_000,
  /** Places where one process listens that are told. */
  sockets_max: 1_000,
} as const;

const count = z.int().nonnegative();
const nonce = z.string().min(1).max(100).regex(/^[A-Za-z0-9_.-]+$/);
const signal = z.enum(["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"]);

/** See `services.instance.started`. */
const processOf = z.strictObject({ nonce, pid: count.min(1), boot: z.string().min(1).max(100), ticks: count });
export type ProcessOf = z.output<typeof processOf>;

const program = {
  command: z.string().min(1),
  arguments: z.array(z.string()).max(PROTOCOL.arguments_max),
  folder: z.string().min(1),
  /** Secrets are only pointed at: the agent fetches them, and nobody else sees them. */
  environment: z.record(
    z.string(),
    z.union([z.string(), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })]),
  ),
  /** Variables of the agent's own environment that it gets too. */
  inherit: z.array(z.string().min(1)).max(1_000),
};
export type Environment = Readonly<Record<string, string | { readonly env: string } | { readonly file: string }>>;

/** File a program's output goes to, and within which bounds it is kept. */
const log = z.strictObject({ path: z.string().min(1), bytes_max: count, keep: count });
/** A regular expression; absent where no line is waited for. */
const line = z.string().optional();
/** What is done with a program's output from its start on. */
export const outputOf = z.object({ log, line });
export type Output = z.output<typeof outputOf>;

/** What only a control group holds it to. */
const held = z.strictObject({ cpus: z.number().positive().optional(), resident_bytes: count.optional() });

/** Where the traces of a start lie: `{folder}/{nonce}`; they are what is left of it when all who knew are dead. */
const traces = z.string().min(1);

export const toAgent = z.discriminatedUnion("ask", [
  z.strictObject({
    ask: z.literal("start"),
    id: count,
    nonce,
    ...program,
    limits: z.strictObject({
      memory_bytes: count.optional(),
      open_files: count.optional(),
      processes: count.optional(),
      ...held.shape,
    }),
    /** Taken away before, as far as they are its own; below the folder. */
    leftovers: z.array(z.string().min(1)).max(PROTOCOL.arguments_max),
    /** File whose time says when it was started last; absent where nothing is to be taken away. */
    mark: z.string().min(1).optional(),
    traces,
    log,
    line,
  }),
  z.strictObject({ ask: z.literal("find"), id: count, nonce, traces }),
  z.strictObject({
    ask: z.literal("watch"),
    id: count,
    process: processOf,
    traces,
    log,
    line,
  }),
  /** To its whole group, to end it. */
  z.strictObject({ ask: z.literal("end"), id: count, process: processOf, signal }),
  /** To itself alone, to tell it something. */
  z.strictObject({ ask: z.literal("tell"), id: count, process: processOf, signal }),
  /** A probe ends with the agent, for its answer is of no use then; a hook goes on. */
  z.strictObject({
    ask: z.literal("run"),
    id: count,
    ...program,
    traces,
    timeout_ms: count,
    probe: z.boolean().optional(),
  }),
  /** Whether there is such a program on that PATH, or the agent's own. */
  z.strictObject({
    ask: z.literal("look"),
    id: count,
    command: z.string().min(1),
    folder: z.string().min(1),
    path: z.string().optional(),
    inherited: z.boolean(),
  }),
  /** What of its environment and files would be seen by others, is missing or goes out in the clear; before a start. */
  z.strictObject({
    ask: z.literal("inspect"),
    id: count,
    ...program,
    requires: z.array(z.string().min(1)).max(PROTOCOL.arguments_max),
    held,
    /** Files, PEM. */
    tls: z.strictObject({
      certificate: z.string().min(1).optional(),
      key: z.string().min(1).optional(),
      authority: z.string().min(1).optional(),
    }),
  }),
  /** Where a program and all it has started listen. */
  z.strictObject({ ask: z.literal("listening"), id: count, process: processOf }),
  /** What is free, for a program in that folder. */
  z.strictObject({ ask: z.literal("free"), id: count, folder: z.string().min(1) }),
  z.strictObject({ ask: z.literal("usage"), id: count, processes: z.array(processOf).max(PROTOCOL.watched_max) }),
  /** How these ended is on record: nothing needs to be known of them any more. */
  z.strictObject({ ask: z.literal("forget"), id: count, traces, nonces: z.array(nonce).max(PROTOCOL.watched_max) }),
  /** Of all others than these nothing needs to be known, and what was run for whoever asked before is ended. */
  z.strictObject({ ask: z.literal("clean"), id: count, traces, keep: z.array(nonce).max(PROTOCOL.watched_max) }),
  z.strictObject({ ask: z.literal("ping"), id: count }),
]);
export type ToAgent = z.output<typeof toAgent>;

/** `known` false: it is gone, and nobody saw how. */
export const how = z.strictObject({ code: z.int().nullable(), signal: z.string().nullable(), known: z.boolean() });
export type How = z.output<typeof how>;

/** Who has counted it: the process's control group, or whoever read `/proc`. */
const countedBy = z.enum(["cgroup", "proc"]);
export type CountedBy = z.output<typeof countedBy>;

export const answers = {
  start: z.union([
    z.strictObject({
      process: processOf,
      adopted: z.boolean(),
      /** Leftovers that are not its own. */
      kept: z.array(z.strictObject({ path: z.string(), because: z.string() })).optional(),
    }),
    z.strictObject({ refused: z.string().min(1) }),
  ]),
  /** Absent: it was not started. A start that was asked for before is awaited. */
  find: z.strictObject({ process: processOf.optional() }),
  watch: z.strictObject({}),
  /** False: it is gone, or another process has its number. */
  end: z.strictObject({ sent: z.boolean() }),
  tell: z.strictObject({ sent: z.boolean() }),
  /** `code` null: it could not be run, or a signal ended it; `because` says which. */
  run: z.strictObject({ code: z.int().nullable(), timed_out: z.boolean(), because: z.string() }),
  look: z.strictObject({ refused: z.string().min(1).optional() }),
  inspect: z.union([
    z.strictObject({
      /** Whether it would run as root. */
      root: z.boolean(),
      /** Variables of `requires` that are not there, or empty. */
      missing: z.array(z.string()),
      /** Files with secrets that everybody may read. */
      readable: z.array(z.string()),
      /** URLs without TLS, in variables and arguments; nothing of them but scheme, host and port. */
      plain: z.array(z.strictObject({ where: z.string(), url: z.string(), loopback: z.boolean() })),
      /** PEM, nothing where it cannot be read. */
      certificate: z.string().optional(),
      authority: z.string().optional(),
      /** Why it would not be held to `held`, if so. */
      unheld: z.string().min(1).optional(),
      /** Whether the key is the certificate's; nothing where none is given. */
      fits: z.boolean().optional(),
    }),
    z.strictObject({ refused: z.string().min(1) }),
  ]),
  listening: z.strictObject({
    sockets: z.array(z.strictObject({ address: z.string(), port: count })).max(PROTOCOL.sockets_max),
  }),
  free: z.strictObject({ memory_bytes: count, cpus: count, disk_bytes: count }),
  usage: z.strictObject({
    /** Bytes in memory and CPU time in ms of the process and all below it; absent where it is gone. */
    usage: z.array(z.strictObject({
      nonce,
      rss_bytes: count,
      /** Address space of the process that has most. */
      space_bytes: count,
      cpu_ms: count,
      processes: count,
      cpu_from: countedBy,
      memory_from: countedBy,
    })),
  }),
  forget: z.strictObject({}),
  clean: z.strictObject({}),
  ping: z.strictObject({}),
} as const;
export type Asks = keyof typeof answers;
export type Answer<A extends Asks> = z.output<typeof answers[A]>;
/** What was found by an inspection that could be made. */
export type Inspected = Exclude<Answer<"inspect">, { readonly refused: string }>;

export const fromAgent = z.union([
  z.strictObject({ id: count, answer: z.unknown() }),
  z.strictObject({ id: count, failed: z.string() }),
  z.strictObject({ said: z.literal("ready"), boot: z.string().min(1) }),
  z.strictObject({ said: z.literal("exited"), nonce, how }),
  z.strictObject({ said: z.literal("line"), nonce }),
  /** So much of its output could not be kept. */
  z.strictObject({ said: z.literal("lost"), nonce, bytes: count.min(1) }),
]);
export type FromAgent = z.output<typeof fromAgent>;

/** The variable that carries the nonce. */
export const NONCE = "DAYBOOK_NONCE";
