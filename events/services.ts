/**
 * Services: programs that are started in order, kept healthy and stopped. Stream: `services/{stack}`, one for a whole stack, because
 * who may start depends on all the others.
 *
 * A start is announced before it happens. The announcement's nonce is in the child's environment too, so that whoever comes after a
 * crash finds the child, or knows that there is none. Commands, arguments and environments may hold secrets: recorded are a digest of
 * them and the program's name.
 */
import { z } from "zod";
import { type Domain, unchanged } from "./catalogue.ts";
import type { Facts, FactSchemas, FactType } from "./event.ts";

export const SERVICE_LIMITS = {
  name_chars_max: 63,
  /** Services of one stack. */
  services_max: 300,
  /** Instances of one stack: services times their replicas. */
  instances_max: 300,
  /** Dependencies of one service. */
  needs_max: 100,
  cause_chars_max: 500,
} as const;

/** Lower case, as a DNS label (RFC 1035 section 2.3.1) with `_` besides. */
export const serviceName = z.string().max(SERVICE_LIMITS.name_chars_max).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/);
const count = z.int().nonnegative();
/** Ms since 1970, as far as a date can be (ECMA-262, 21.4.1.1). */
const instant = z.int().nonnegative().max(8_640_000_000_000_000);
const ms = z.int().nonnegative().max(31 * 86_400_000);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const nonce = z.string().min(1).max(100);
const because = z.string().min(1).max(SERVICE_LIMITS.cause_chars_max);
/** Names of signals, as `kill -l` has them with SIG before. */
export const signalName = z.enum([
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGKILL",
]);

/** What must be true of another service before this one starts. */
export const condition = z.enum(["started", "healthy", "log_ready", "completed", "completed_successfully"]);
export const restartPolicy = z.enum(["no", "on_failure", "always", "unless_stopped"]);
export const probeName = z.enum(["startup", "readiness", "liveness"]);

/** What is looked at before a start and while something runs. */
export const findingCheck = z.enum([
  "secret_readable",
  "secret_missing",
  "url_plain",
  "runs_as_root",
  "certificate_expired",
  "certificate_expiring",
  "certificate_unfit",
  "listens_everywhere",
  "limit_not_held",
]);
export const findingSeverity = z.enum(["low", "medium", "high"]);

/** As much of a service as deciding about it needs. */
export const serviceSpec = z.strictObject({
  service: serviceName,
  /** Of all that the process is started with; another digest is another service. */
  digest,
  /** File name of the program alone. */
  program: z.string().min(1).max(255),
  needs: z.array(z.strictObject({
    service: serviceName,
    condition,
    /** False: where that one is left out or has failed, it is not waited for. */
    required: z.boolean(),
  })).max(SERVICE_LIMITS.needs_max),
  replicas: count.min(1).max(SERVICE_LIMITS.instances_max),
  restart: z.strictObject({
    policy: restartPolicy,
    /** Restarts one after another without having been well for `reset_ms` between; then it has failed. */
    max: count.max(1_000_000),
    first_ms: ms,
    last_ms: ms,
    /** Part of the wait that chance adds or takes, in percent. */
    jitter: count.max(100),
    reset_ms: ms,
  }),
  stop: z.strictObject({
    signal: signalName,
    grace_ms: ms,
    /** Told to stop for so long before it gets the signal, so that those who use it can let go. */
    drain_ms: ms.optional(),
  }),
  /** How a changed one takes its place. */
  update: z.strictObject({
    /** Instances that may be missing meanwhile. */
    max_unavailable: count.min(1).max(SERVICE_LIMITS.instances_max),
    /** Well for so long, and the next one's turn comes. */
    healthy_ms: ms,
    /** Not all are well within so long, and it is undone. */
    deadline_ms: ms,
    rollback: z.boolean(),
  }),
  /** Cron, in UTC, for one that runs at stated times and not before. */
  schedule: z.string().min(1).max(200).optional(),
  /** Which probes it has. */
  probes: z.array(probeName).max(3),
  /** Whether a line of its output says that it is ready. */
  ready_line: z.boolean(),
});

const instance = { service: serviceName, replica: count.max(SERVICE_LIMITS.instances_max - 1) };
/** A process, so that no other one with its number is mistaken for it. */
const process = {
  nonce,
  pid: count.min(1),
  /** Of the machine's present run: `/proc/sys/kernel/random/boot_id`. */
  boot: z.string().min(1).max(100),
  /** When the kernel started it, in clock ticks since boot: field 22 of `/proc/PID/stat` (proc(5)). */
  ticks: count,
};

export const serviceFacts = {
  "services.service.defined": serviceSpec,
  "services.service.removed": z.strictObject({ service: serviceName }),
  "services.stack.applied": z.strictObject({
    /** In an order in which none comes before what it needs. */
    services: z.array(serviceName).max(SERVICE_LIMITS.services_max),
    profile: z.string().min(1).max(63).nullable(),
    /** `ready`: each starts as soon as it may. `batches`: with the others of its depth. `sequential`: one after another. */
    order: z.enum(["ready", "batches", "sequential"]),
  }),
  /** The time of one that runs at stated times has come, ms since 1970; `running`: it still ran, so nothing is started. */
  "services.service.triggered": z.strictObject({ service: serviceName, due_ms: instant, running: z.boolean() }),
  /** A changed service takes the place of what runs, one instance after another. Digests. */
  "services.update.begun": z.strictObject({ service: serviceName, from: digest, to: digest, until_ms: instant }),
  "services.update.completed": z.strictObject({ service: serviceName, to: digest }),
  /** The service before takes its place again, and this one is not tried again by itself. */
  "services.update.reverted": z.strictObject({ service: serviceName, from: digest, to: digest, because }),
  /** It did not become well and is not to be undone: what has been replaced stays so. */
  "services.update.failed": z.strictObject({ service: serviceName, to: digest, because }),
  "services.service.wanted": z.strictObject({ service: serviceName }),
  /** `asked`: a person stopped it. `shutdown`: everything is stopped. `profile`: the profile that is run has no use for it. */
  "services.service.unwanted": z.strictObject({
    service: serviceName,
    because: z.enum(["asked", "shutdown", "removed", "profile"]),
  }),
  "services.instance.queued": z.strictObject({ ...instance, for: z.array(serviceName).max(SERVICE_LIMITS.needs_max) }),
  "services.instance.announced": z.strictObject({ ...instance, nonce, digest, attempt: count }),
  /** What a start waits for: bytes of memory or disk, or cores. */
  "services.resources.lacked": z.strictObject({
    ...instance,
    nonce,
    resource: z.enum(["memory", "cpus", "disk"]),
    needed: z.number().nonnegative(),
    free: z.number().nonnegative(),
  }),
  /** `adopted`: it was found running. */
  "services.instance.started": z.strictObject({ ...instance, ...process, at_ms: instant, adopted: z.boolean() }),
  "services.instance.refused": z.strictObject({ ...instance, nonce, because }),
  "services.instance.line_matched": z.strictObject({ ...instance, nonce }),
  /** `probed` false: nothing probes it, it runs. */
  "services.health.confirmed": z.strictObject({ ...instance, nonce, probed: z.boolean(), at_ms: instant }),
  "services.health.lost": z.strictObject({ ...instance, nonce, probe: probeName, because }),
  "services.instance.stop_requested": z.strictObject({
    ...instance,
    nonce,
    because: z.enum(["asked", "shutdown", "removed", "profile", "restart", "changed", "unhealthy"]),
    /** The signal that ends it at once is due then. Milliseconds since 1970. */
    until_ms: instant,
  }),
  "services.instance.stop_expired": z.strictObject({ ...instance, nonce }),
  "services.instance.exited": z.strictObject({
    ...instance,
    nonce,
    /** `null`: a signal ended it, or nobody knows. */
    code: z.int().nullable(),
    signal: z.string().max(20).nullable(),
    /** False: it is gone, and how it ended was not seen. */
    known: z.boolean(),
  }),
  /** What an instance has taken since its start, as far as it was looked at: hourly, and when it has ended. */
  "services.usage.measured": z.strictObject({
    ...instance,
    nonce,
    samples: count,
    rss_peak_bytes: count,
    /** Address space of the process that had most. */
    space_peak_bytes: count.optional(),
    cpu_ms: count,
    /** Thousandths of a core, the most between two looks. */
    cpus_peak_milli: count,
  }),
  /** Something about an instance is not as safe as it could be. `policy`: what is done about it. Nothing secret is in it. */
  "services.finding.reported": z.strictObject({
    ...instance,
    check: findingCheck,
    severity: findingSeverity,
    policy: z.enum(["warn", "refuse"]),
    because,
  }),
  "services.finding.cleared": z.strictObject({ ...instance, check: findingCheck }),
  /** Output that could not be kept: more than its files hold came at once, or they could not be written. Summed up for a while. */
  "services.output.lost": z.strictObject({ ...instance, nonce, bytes: count.min(1) }),
  "services.instance.delayed": z.strictObject({ ...instance, attempt: count, until_ms: instant }),
  "services.instance.completed": z.strictObject(instance),
  "services.instance.failed": z.strictObject({ ...instance, because }),
  "services.instance.stopped": z.strictObject(instance),
  "services.instance.skipped": z.strictObject({ ...instance, because }),
} satisfies FactSchemas;

export type ServiceFact = Facts<typeof serviceFacts>;
export type ServiceSpec = z.output<typeof serviceSpec>;
export type Condition = z.output<typeof condition>;
export type SignalName = z.output<typeof signalName>;
export type ProbeName = z.output<typeof probeName>;
export type FindingCheck = z.output<typeof findingCheck>;
export type Finding = Omit<Extract<ServiceFact, { type: "services.finding.reported" }>["data"], "service" | "replica">;

const ABOUT: Readonly<Record<keyof typeof serviceFacts, string>> = {
  "services.service.defined": "What a service is: what it needs, how it is restarted and stopped.",
  "services.service.removed": "A service is no longer in its stack.",
  "services.stack.applied": "Which services a stack has, in order.",
  "services.service.triggered": "The time of a service that runs at stated times has come.",
  "services.update.begun": "A changed service begins to take the place of what runs.",
  "services.update.completed": "All instances of a changed service are well.",
  "services.update.reverted": "A changed service did not become well; the one before takes its place again.",
  "services.update.failed": "A changed service did not become well, and is not to be undone.",
  "services.service.wanted": "A service is to run.",
  "services.service.unwanted": "A service is not to run any more.",
  "services.instance.queued": "An instance waits for what it needs.",
  "services.instance.announced": "An instance is about to be started; its nonce finds it.",
  "services.resources.lacked": "A start waits for memory, cores or room on the disk.",
  "services.instance.started": "An instance runs: its process.",
  "services.instance.refused": "A process could not be started.",
  "services.instance.line_matched": "The line of output that says an instance is ready.",
  "services.health.confirmed": "An instance is well, or runs and nothing probes it.",
  "services.health.lost": "A probe of an instance has failed as often as it may.",
  "services.instance.stop_requested": "An instance is told to stop.",
  "services.instance.stop_expired": "An instance did not stop in time and is killed.",
  "services.instance.exited": "A process has ended.",
  "services.usage.measured": "What an instance has taken of memory and CPU.",
  "services.finding.reported": "Something about an instance is not as safe as it could be.",
  "services.finding.cleared": "What was found about an instance is no longer so.",
  "services.output.lost": "Output of an instance could not be kept.",
  "services.instance.delayed": "A restart waits.",
  "services.instance.completed": "An instance has done its work.",
  "services.instance.failed": "An instance will not be started again by itself.",
  "services.instance.stopped": "An instance is stopped because it was asked to.",
  "services.instance.skipped": "An instance is not started, because what it needs will not come.",
};

/** Those of a check: the second version knows `limit_not_held`. */
const SECOND: ReadonlySet<string> = new Set<keyof typeof serviceFacts>([
  "services.finding.reported",
  "services.finding.cleared",
]);

export const services: Domain = {
  name: "services",
  facts: Object.fromEntries(
    Object.entries(serviceFacts).map(([type, schema]) => [
      type,
      {
        schema,
        kind: "decided" as const,
        ...(SECOND.has(type) ? { version: 2, upcasts: [unchanged(type as FactType)] } : {}),
        about: ABOUT[type as keyof typeof serviceFacts],
      },
    ]),
  ),
};
