/** Processes of process-compose (https://f1bonacc1.github.io/process-compose/) as services of ours. */
import {
  defined,
  environmentOf,
  type Fields,
  needsOf,
  type Part,
  replicasOf,
  shell,
  shown,
  signalOf,
  textOf,
} from "./stack_import_parts.ts";

const CONDITIONS = {
  process_started: "started",
  process_healthy: "healthy",
  process_completed: "completed",
  process_completed_successfully: "completed_successfully",
  process_log_ready: "log_ready",
};

/** Where what ours say stands in theirs. */
export const PROCESS_ORIGINS: Readonly<Record<string, string>> = {
  "depends_on": "depends_on",
  "environment": "environment",
  "hooks.before_stop": "shutdown.command",
  "probes.liveness": "liveness_probe",
  "probes.liveness.failures": "liveness_probe.failure_threshold",
  "probes.liveness.initial_delay_ms": "liveness_probe.initial_delay_seconds",
  "probes.liveness.interval_ms": "liveness_probe.period_seconds",
  "probes.liveness.successes": "liveness_probe.success_threshold",
  "probes.liveness.timeout_ms": "liveness_probe.timeout_seconds",
  "probes.readiness": "readiness_probe",
  "probes.readiness.failures": "readiness_probe.failure_threshold",
  "probes.readiness.initial_delay_ms": "readiness_probe.initial_delay_seconds",
  "probes.readiness.interval_ms": "readiness_probe.period_seconds",
  "probes.readiness.successes": "readiness_probe.success_threshold",
  "probes.readiness.timeout_ms": "readiness_probe.timeout_seconds",
  "ready_line": "ready_log_line",
  "replicas": "replicas",
  "restart.first_ms": "availability.backoff_seconds",
  "restart.max": "availability.max_restarts",
  "stop.grace_ms": "shutdown.timeout_seconds",
  "working_folder": "working_dir",
};

const seconds = (part: Part | undefined, key: string): number | undefined => {
  const value = part?.take(key) ?? undefined;
  if (typeof value === "number") return Math.round(value * 1_000);
  if (value !== undefined) part!.note([key], `${shown(value)} is no number of seconds`);
  return undefined;
};

const commandOf = (part: Part | undefined): Fields | undefined => {
  const value = part?.take("command") ?? undefined;
  if (typeof value === "string") return shell(value);
  if (value !== undefined) part!.note(["command"], `${shown(value)} is no command`);
  return undefined;
};

const probeOf = (service: Part, key: string): Fields | undefined => {
  const part = service.part(key);
  if (!part) return undefined;
  const http = part.part("http_get");
  const exec = part.part("exec");
  const [port, scheme, status] = ["port", "scheme", "status_code"].map((name) => http?.take(name) ?? undefined);
  const asked = defined({
    exec: commandOf(exec),
    http: http && defined({
      port: typeof port === "string" && /^\d{1,5}$/.test(port) ? Number(port) : port,
      path: http.take("path") ?? undefined,
      scheme: typeof scheme === "string" ? scheme.toLowerCase() : scheme,
      status: status === undefined ? undefined : [status],
    }),
  });
  const probe = defined({
    ...asked,
    interval_ms: seconds(part, "period_seconds") ?? 10_000,
    timeout_ms: seconds(part, "timeout_seconds") ?? 1_000,
    initial_delay_ms: seconds(part, "initial_delay_seconds"),
    failures: part.take("failure_threshold") ?? undefined,
    successes: part.take("success_threshold") ?? undefined,
  });
  const host = http?.take("host") ?? undefined;
  if (host !== undefined && host !== "127.0.0.1" && host !== "localhost") http!.no("host", "probes ask this machine");
  for (const each of [http, exec, part]) each?.done();
  if (Object.keys(asked).length > 0) return probe;
  service.note([key], "asks nothing that can be asked here");
  return undefined;
};

const RESTARTS: Readonly<Record<string, string>> = {
  no: "no",
  always: "always",
  on_failure: "on_failure",
  exit_on_failure: "on_failure",
};

const restartOf = (part: Part | undefined): Fields => {
  const restart = part?.take("restart") ?? "no";
  const policy = typeof restart === "string" && Object.hasOwn(RESTARTS, restart) ? RESTARTS[restart] : undefined;
  if (restart === "exit_on_failure") {
    part!.note(["restart"], "nothing ends all the others: it is started again on failure");
  }
  if (policy === undefined) part!.note(["restart"], `${shown(restart)} is not known here: it is not started again`);
  const max = part?.take("max_restarts") ?? undefined;
  if (max === 0) part!.note(["max_restarts"], "0 is without end there: say restart.max");
  return defined({
    policy: policy ?? "no",
    first_ms: seconds(part, "backoff_seconds"),
    max: max === 0 ? undefined : max,
  });
};

export const fromProcess = (part: Part): Fields => {
  const command = commandOf(part);
  const availability = part.part("availability");
  const shutdown = part.part("shutdown");
  const stop = { signal: signalOf(shutdown, "signal") };
  const restart = restartOf(availability);
  const before_stop = commandOf(shutdown);
  if (before_stop) shutdown!.note(["command"], `${stop.signal ?? "SIGTERM"} follows when it has ended`);
  part.no("log_location", "each instance writes to a file below the data folder (`logs` shows it)");
  const disabled = part.take("disabled") ?? false;
  if (typeof disabled !== "boolean") part.note(["disabled"], `${shown(disabled)} is neither true nor false`);
  const line = part.take("ready_log_line") ?? undefined;
  const service = defined({
    ...command,
    working_folder: textOf(part, "working_dir"),
    environment: environmentOf(part),
    depends_on: needsOf(part, CONDITIONS),
    probes: defined({ readiness: probeOf(part, "readiness_probe"), liveness: probeOf(part, "liveness_probe") }),
    // A part of a line there, a regular expression here.
    ready_line: typeof line === "string" ? line.replaceAll(/[\^$\\.*+?()[\]{}|]/g, "\\$&") : line,
    restart,
    stop: defined({ ...stop, grace_ms: seconds(shutdown, "timeout_seconds") }),
    hooks: before_stop && { before_stop },
    ...replicasOf(part.take("replicas")),
    ...(disabled === true ? { enabled: false } : {}),
  });
  part.take("description");
  for (const each of [availability, shutdown, part]) each?.done();
  return service;
};
