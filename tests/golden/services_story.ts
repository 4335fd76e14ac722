/** A stack of services: starts, waits, ends, changes, in every form that readers tell apart. */
import type { NewEvent } from "../../events/log.ts";
import type { ServiceFact, ServiceSpec } from "../../events/services.ts";

type Told = (at: number) => NewEvent;

const digest = (n: number): string => String(n).repeat(64);

const spec = (service: string, more: Partial<ServiceSpec> = {}): ServiceFact => ({
  type: "services.service.defined",
  data: {
    service,
    digest: digest(1),
    program: service,
    needs: [],
    replicas: 1,
    restart: { policy: "on_failure", max: 3, first_ms: 500, last_ms: 30_000, jitter: 20, reset_ms: 60_000 },
    stop: { signal: "SIGTERM", grace_ms: 10_000 },
    update: { max_unavailable: 1, healthy_ms: 1_000, deadline_ms: 300_000, rollback: true },
    probes: [],
    ready_line: false,
    ...more,
  },
});

const of = (service: string, replica = 0) => ({ service, replica });
const begun = Date.UTC(2026, 0, 1, 9);

const announced = (
  service: string,
  nonce: string,
  more: { attempt?: number; to?: number; replica?: number } = {},
): ServiceFact => ({
  type: "services.instance.announced",
  data: { ...of(service, more.replica), nonce, digest: digest(more.to ?? 1), attempt: more.attempt ?? 0 },
});
const started = (service: string, nonce: string, more: { adopted?: boolean; replica?: number } = {}): ServiceFact => ({
  type: "services.instance.started",
  data: {
    ...of(service, more.replica),
    nonce,
    pid: 4_000 + nonce.length,
    boot: "0d3c7a52-9f5c-4c0b-8f4e-0a6f1c9f3f00",
    ticks: 123_456,
    at_ms: begun,
    adopted: more.adopted ?? false,
  },
});
const confirmed = (service: string, nonce: string, probed = true, replica = 0): ServiceFact => ({
  type: "services.health.confirmed",
  data: { ...of(service, replica), nonce, probed, at_ms: begun + 1_000 },
});
const exited = (
  service: string,
  nonce: string,
  how: { code: number | null; signal: string | null; known: boolean },
): ServiceFact => ({
  type: "services.instance.exited",
  data: { ...of(service), nonce, ...how },
});
const failed = { code: 1, signal: null, known: true };

const STORY: readonly (readonly ServiceFact[])[] = [
  [
    spec("db", { probes: ["readiness", "liveness"], ready_line: true }),
    spec("api", {
      replicas: 2,
      needs: [
        { service: "db", condition: "healthy", required: true },
        { service: "mail", condition: "started", required: false },
      ],
    }),
    spec("mail", { restart: { policy: "no", max: 0, first_ms: 0, last_ms: 0, jitter: 0, reset_ms: 0 } }),
    spec("report", { schedule: "0 3 * * *" }),
    spec("large"),
    spec("late", { needs: [{ service: "mail", condition: "completed_successfully", required: true }] }),
    {
      type: "services.stack.applied",
      data: { services: ["db", "mail", "report", "large", "api", "late"], profile: "full", order: "ready" },
    },
    ...["db", "mail", "report", "large", "api", "late"].map((service): ServiceFact => ({
      type: "services.service.wanted",
      data: { service },
    })),
    announced("db", "n-db"),
    announced("mail", "n-mail"),
    announced("large", "n-large"),
    { type: "services.instance.queued", data: { ...of("api"), for: ["db"] } },
    { type: "services.instance.queued", data: { ...of("api", 1), for: ["db"] } },
    { type: "services.instance.queued", data: { ...of("late"), for: ["mail"] } },
  ],
  [
    {
      type: "services.resources.lacked",
      data: { ...of("large"), nonce: "n-large", resource: "memory", needed: 2 ** 40, free: 2 ** 33 },
    },
    {
      type: "services.instance.refused",
      data: { ...of("mail"), nonce: "n-mail", because: 'there is no program "mail" on the PATH it is given' },
    },
    {
      type: "services.instance.failed",
      data: { ...of("mail"), because: 'there is no program "mail" on the PATH it is given' },
    },
    { type: "services.instance.skipped", data: { ...of("late"), because: "mail will not be completed successfully" } },
  ],
  [
    {
      type: "services.finding.reported",
      data: {
        ...of("db"),
        check: "runs_as_root",
        severity: "medium",
        policy: "warn",
        because: "it is started as root",
      },
    },
    {
      type: "services.finding.reported",
      data: {
        ...of("api", 1),
        check: "secret_missing",
        severity: "high",
        policy: "refuse",
        because: "JWT_SECRET_KEY is required and not set",
      },
    },
  ],
  [{ type: "services.finding.cleared", data: { ...of("api", 1), check: "secret_missing" } }],
  [started("db", "n-db", { adopted: true })],
  [{ type: "services.instance.line_matched", data: { ...of("db"), nonce: "n-db" } }],
  [confirmed("db", "n-db"), announced("api", "n-api"), announced("api", "n-api-1", { replica: 1 })],
  [started("api", "n-api"), confirmed("api", "n-api", false)],
  [started("api", "n-api-1", { replica: 1 }), confirmed("api", "n-api-1", false, 1)],
  [
    {
      type: "services.health.lost",
      data: { ...of("db"), nonce: "n-db", probe: "liveness", because: "no answer within 1000 ms" },
    },
    {
      type: "services.instance.stop_requested",
      data: { ...of("db"), nonce: "n-db", because: "unhealthy", until_ms: begun + 20_000 },
    },
  ],
  [{ type: "services.instance.stop_expired", data: { ...of("db"), nonce: "n-db" } }],
  [
    exited("db", "n-db", { code: null, signal: "SIGKILL", known: true }),
    { type: "services.instance.delayed", data: { ...of("db"), attempt: 1, until_ms: begun + 21_000 } },
  ],
  [announced("db", "n-db-2", { attempt: 1 })],
  [started("db", "n-db-2"), confirmed("db", "n-db-2")],
  // A change that is undone, and one that is not.
  [
    {
      type: "services.update.begun",
      data: { service: "db", from: digest(1), to: digest(2), until_ms: begun + 300_000 },
    },
    spec("db", { digest: digest(2), probes: ["readiness", "liveness"], ready_line: true }),
    {
      type: "services.instance.stop_requested",
      data: { ...of("db"), nonce: "n-db-2", because: "changed", until_ms: begun + 40_000 },
    },
  ],
  [exited("db", "n-db-2", { code: 0, signal: null, known: true }), announced("db", "n-db-3", { to: 2 })],
  [exited("db", "n-db-3", failed), {
    type: "services.instance.failed",
    data: { ...of("db"), because: "it ended with 1, after 3 restarts" },
  }, {
    type: "services.update.reverted",
    data: { service: "db", from: digest(2), to: digest(1), because: "an instance has failed" },
  }, announced("db", "n-db-4")],
  [started("db", "n-db-4"), confirmed("db", "n-db-4")],
  [
    {
      type: "services.update.begun",
      data: { service: "db", from: digest(1), to: digest(3), until_ms: begun + 600_000 },
    },
    spec("db", { digest: digest(3) }),
    {
      type: "services.instance.stop_requested",
      data: { ...of("db"), nonce: "n-db-4", because: "changed", until_ms: begun + 50_000 },
    },
  ],
  [exited("db", "n-db-4", { code: null, signal: null, known: false }), announced("db", "n-db-5", { to: 3 })],
  [started("db", "n-db-5"), confirmed("db", "n-db-5", false), {
    type: "services.update.completed",
    data: { service: "db", to: digest(3) },
  }],
  // One that is not to be undone, and did not become well.
  [{ type: "services.update.failed", data: { service: "db", to: digest(3), because: "an instance has failed" } }],
  [
    { type: "services.service.triggered", data: { service: "report", due_ms: begun + 1_000, running: false } },
    announced("report", "n-report"),
  ],
  [started("report", "n-report"), confirmed("report", "n-report", false)],
  [
    exited("report", "n-report", { code: 0, signal: null, known: true }),
    {
      type: "services.instance.completed",
      data: of("report"),
    },
    { type: "services.output.lost", data: { ...of("report"), nonce: "n-report", bytes: 5_000_000 } },
    {
      type: "services.usage.measured",
      data: {
        ...of("report"),
        nonce: "n-report",
        samples: 3,
        rss_peak_bytes: 41_000_000,
        cpu_ms: 250,
        cpus_peak_milli: 800,
      },
    },
  ],
  [
    { type: "services.service.unwanted", data: { service: "api", because: "asked" } },
    { type: "services.service.unwanted", data: { service: "late", because: "removed" } },
    {
      type: "services.instance.stop_requested",
      data: { ...of("api"), nonce: "n-api", because: "asked", until_ms: begun + 70_000 },
    },
    { type: "services.service.removed", data: { service: "late" } },
  ],
  [exited("api", "n-api", { code: 143, signal: null, known: true }), {
    type: "services.instance.stopped",
    data: of("api"),
  }],
];

/** One step each. */
export const servicesStory = (): readonly (readonly Told[])[] => {
  let n = 0;
  return STORY.map((facts) =>
    facts.map((fact): Told => {
      const id = `u_golden:services-${n++}/0`;
      return (at) => ({
        ...fact,
        id,
        source: "services/golden",
        stream: "services/golden",
        authtype: "user",
        authid: "u_golden",
        time: new Date(at).toISOString(),
        version: 1,
      });
    })
  );
};
