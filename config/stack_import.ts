/**
 * Stacks written for others: process-compose (https://f1bonacc1.github.io/process-compose/) and compose files
 * (https://github.com/compose-spec/compose-spec), to ours, with everything named that has no place in ours. Nothing is read here.
 */
import { stringify } from "yaml";
import { type Problem, YamlText } from "./yaml_text.ts";

export interface Unmapped {
  /** Line in the file. */
  readonly line: number;
  /** Dotted. */
  readonly path: string;
  readonly because: string;
}

export type Imported =
  | {
    readonly ok: true;
    readonly kind: "process-compose" | "compose";
    /** Of a stack, as `parseStack` reads it. */
    readonly yaml: string;
    readonly services: number;
    readonly unmapped: readonly Unmapped[];
  }
  | { readonly ok: false; readonly problems: readonly Problem[] };

type Map_ = Readonly<Record<string, unknown>>;
const isMap = (value: unknown): value is Map_ => typeof value === "object" && value !== null && !Array.isArray(value);
const record = (value: unknown): Map_ => isMap(value) ? value : {};

/** What is taken over from a part, and what is left. */
class Part {
  private readonly left: Set<string>;

  constructor(
    private readonly of: Map_,
    private readonly path: readonly string[],
    private readonly say: (path: readonly string[], because: string) => void,
  ) {
    this.left = new Set(Object.keys(of));
  }

  take(key: string): unknown {
    this.left.delete(key);
    return this.of[key];
  }

  part(key: string): Part | undefined {
    const value = this.take(key);
    return isMap(value) ? new Part(value, [...this.path, key], this.say) : undefined;
  }

  /** It was understood, and there is nothing like it here. */
  no(key: string, because: string): void {
    if (this.take(key) !== undefined) this.say([...this.path, key], because);
  }

  /** Of what is taken over: in what it is not as it was. */
  note(path: readonly string[], because: string): void {
    this.say([...this.path, ...path], because);
  }

  done(): void {
    for (const key of this.left) this.say([...this.path, key], "has no place here");
  }
}

const seconds = (part: Part | undefined, key: string): number | undefined => {
  const value = part?.take(key);
  if (typeof value === "number") return Math.round(value * 1_000);
  if (value !== undefined) part!.note([key], `${value} is no number of seconds`);
  return undefined;
};

const SPAN = /(\d+(?:\.\d+)?)(us|ms|s|m|h)/g;
const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** `1m30s` as compose writes it, in ms. */
const span = (part: Part, key: string): number | undefined => {
  const value = part.take(key);
  if (typeof value !== "string" || value.replace(SPAN, "") !== "" || value === "") {
    if (value !== undefined) part.note([key], `${value} is no span of time such as 1m30s`);
    return undefined;
  }
  return Math.round([...value.matchAll(SPAN)].reduce((sum, [, n, unit]) => sum + Number(n) * UNITS[unit!]!, 0));
};

/** A dollar sign is one in ours only when it is written twice. */
const literal = (text: string): string => text.replaceAll("$", "$$$$");

/** `["A=b"]` or `{ A: b }`; a name without a value is one of the environment. */
const environmentOf = (value: unknown): Map_ | undefined => {
  if (value === undefined) return undefined;
  const pairs = Array.isArray(value)
    ? value.map(String).map((pair) =>
      pair.includes("=") ? [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)] : [pair, null]
    )
    : Object.entries(record(value));
  return Object.fromEntries(pairs.map(([name, value]) => [
    name,
    value === null ? { env: name } : typeof value === "string" ? literal(value) : value,
  ]));
};

const defined = (map: Map_): Map_ => Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
const shell = (command: string): Map_ => ({ command: "/bin/sh", arguments: ["-c", literal(command)] });

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
/** As ours are written. */
const nameOf = (name: string): string => {
  const plain = name.toLowerCase().replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "").slice(0, 63);
  return NAME.test(plain) ? plain : `s-${plain}`.slice(0, 62) + "0";
};

const needsOf = (
  value: unknown,
  conditions: Readonly<Record<string, string>>,
  say: (name: string, found: string) => void,
) => {
  if (Array.isArray(value)) {
    return Object.fromEntries(value.map((name) => [nameOf(String(name)), { condition: "started" }]));
  }
  if (!isMap(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).map(([name, need]) => {
      const { condition = "", required } = record(need) as { readonly condition?: string; readonly required?: boolean };
      const ours = conditions[condition];
      if (ours === undefined && condition !== "") say(name, condition);
      return [
        nameOf(name),
        defined({ condition: ours ?? "started", required: required === false ? false : undefined }),
      ];
    }),
  );
};

const PROCESS_CONDITIONS = {
  process_started: "started",
  process_healthy: "healthy",
  process_completed: "completed",
  process_completed_successfully: "completed_successfully",
  process_log_ready: "log_ready",
};
const SERVICE_CONDITIONS = {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed_successfully",
};
const SIGNALS: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  9: "SIGKILL",
  10: "SIGUSR1",
  12: "SIGUSR2",
  15: "SIGTERM",
};

const processProbe = (part: Part | undefined): Map_ | undefined => {
  if (!part) return undefined;
  const http = part.part("http_get");
  const exec = part.part("exec");
  const command = exec?.take("command");
  const port = Number(http?.take("port"));
  const probe = defined({
    exec: typeof command === "string" ? shell(command) : undefined,
    http: http ? defined({ port, path: http.take("path"), scheme: http.take("scheme") }) : undefined,
    interval_ms: seconds(part, "period_seconds") ?? 10_000,
    timeout_ms: seconds(part, "timeout_seconds") ?? 1_000,
    initial_delay_ms: seconds(part, "initial_delay_seconds"),
    failures: part.take("failure_threshold"),
    successes: part.take("success_threshold"),
  });
  const host = http?.take("host");
  if (host !== undefined && host !== "127.0.0.1" && host !== "localhost") http!.no("host", "probes ask this machine");
  for (const each of [http, exec, part]) each?.done();
  return probe;
};

const fromProcess = (part: Part): Map_ => {
  const command = part.take("command");
  const availability = part.part("availability");
  const shutdown = part.part("shutdown");
  const restart = availability?.take("restart");
  const signal = shutdown?.take("signal");
  const ours = typeof signal === "number" ? SIGNALS[signal] : undefined;
  if (signal !== undefined && ours === undefined) shutdown!.note(["signal"], `${signal} is not sent here: SIGTERM is`);
  const max = availability?.take("max_restarts");
  if (max === 0) availability!.note(["max_restarts"], "0 is without end there: say restart.max");
  const stop = shutdown?.take("command");
  const log = part.take("log_location");
  if (log !== undefined) {
    part.no("log_location", "each instance writes to a file below the data folder (`logs` shows it)");
  }
  if (restart === "exit_on_failure") {
    availability!.no("restart", "nothing ends all the others: it is started again on failure");
  }
  const service = defined({
    ...(typeof command === "string" ? shell(command) : {}),
    working_folder: part.take("working_dir"),
    environment: environmentOf(part.take("environment")),
    enabled: part.take("disabled") === true ? false : undefined,
    depends_on: needsOf(
      part.take("depends_on"),
      PROCESS_CONDITIONS,
      (name, found) => part.note(["depends_on", name], `${found} is not known here: started is enough`),
    ),
    probes: defined({
      readiness: processProbe(part.part("readiness_probe")),
      liveness: processProbe(part.part("liveness_probe")),
    }),
    ready_line: part.take("ready_log_line"),
    restart: defined({
      policy: restart === undefined || restart === "no" ? "no" : restart === "always" ? "always" : "on_failure",
      first_ms: seconds(availability, "backoff_seconds"),
      max: max || undefined,
    }),
    stop: defined({
      signal: ours,
      grace_ms: seconds(shutdown, "timeout_seconds"),
    }),
    hooks: typeof stop === "string" ? { before_stop: shell(stop) } : undefined,
    replicas: part.take("replicas"),
  });
  part.take("description");
  for (const each of [availability, shutdown, part]) each?.done();
  return service;
};

const composeProbe = (part: Part | undefined): Map_ | undefined => {
  if (!part || part.take("disable") === true) return undefined;
  const test = part.take("test");
  const [kind, ...words] = Array.isArray(test) ? test.map(String) : ["CMD-SHELL", String(test)];
  const exec = kind === "CMD"
    ? { command: literal(words[0] ?? ""), arguments: words.slice(1).map(literal) }
    : shell(words[0] ?? "");
  const probe = defined({
    exec: kind === "NONE" ? undefined : exec,
    interval_ms: span(part, "interval") ?? 30_000,
    timeout_ms: span(part, "timeout") ?? 30_000,
    failures: part.take("retries") ?? 3,
  });
  const period = span(part, "start_period");
  part.take("start_interval");
  part.done();
  return kind === "NONE" ? undefined : period === undefined ? probe : { ...probe, initial_delay_ms: period };
};

const words = (value: unknown): readonly string[] | undefined =>
  Array.isArray(value)
    ? value.map((word) => literal(String(word)))
    : typeof value === "string"
    ? ["/bin/sh", "-c", literal(value)]
    : undefined;

/** That of the program itself; `NaN` where it is not one. */
const portOf = (port: unknown): number =>
  Number(isMap(port) ? port.target : String(port).split(":").at(-1)!.replace(/\/.*$/, ""));
const shown = (value: unknown): string => isMap(value) ? JSON.stringify(value) : String(value);

const fromCompose = (part: Part): Map_ | undefined => {
  const program = [...words(part.take("entrypoint")) ?? [], ...words(part.take("command")) ?? []];
  part.no(
    "image",
    program.length > 0
      ? "programs are run as they are, not in containers"
      : "there is no container to take its program from: say command",
  );
  part.no("build", "nothing is built");
  const deploy = part.part("deploy");
  const [policy, max] = String(part.take("restart") ?? "no").split(":");
  const ports = part.take("ports");
  const own = Array.isArray(ports) ? ports.map(portOf).filter((port) => port > 0) : [];
  if (Array.isArray(ports)) {
    for (const port of ports) if (!(portOf(port) > 0)) part.note(["ports"], `${shown(port)} is not one port`);
  }
  const service = defined({
    command: program[0],
    arguments: program.length > 1 ? program.slice(1) : undefined,
    working_folder: part.take("working_dir"),
    environment: environmentOf(part.take("environment")),
    ports: own.length > 0
      ? Object.fromEntries(own.map((port, i) => [i === 0 ? "main" : `port-${i}`, port]))
      : undefined,
    depends_on: needsOf(
      part.take("depends_on"),
      SERVICE_CONDITIONS,
      (name, found) => part.note(["depends_on", name], `${found} is not known here: started is enough`),
    ),
    probes: defined({ readiness: composeProbe(part.part("healthcheck")) }),
    restart: defined({
      policy: policy === "always"
        ? "always"
        : policy === "unless-stopped"
        ? "unless_stopped"
        : policy === "on-failure"
        ? "on_failure"
        : "no",
      max: max === undefined ? undefined : Number(max),
    }),
    stop: defined({ signal: part.take("stop_signal"), grace_ms: span(part, "stop_grace_period") }),
    replicas: deploy?.take("replicas") ?? part.take("scale"),
  });
  part.take("container_name");
  for (const each of [deploy, part]) each?.done();
  return program.length > 0 ? service : undefined;
};

/** `file` is only a name for messages. */
export const importStack = (text: string, file: string): Imported => {
  const source = new YamlText(text, file);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const read = source.value();
  if (!read.ok) return { ok: false, problems: [read.problem] };
  const whole = record(read.value);
  const kind = isMap(whole.processes) ? "process-compose" : isMap(whole.services) ? "compose" : undefined;
  if (kind === undefined) {
    const expected = "processes, of process-compose, or services, of compose";
    return {
      ok: false,
      problems: [{ file, line: 1, column: 1, path: "", expected, found: Object.keys(whole).join(", ") || "nothing" }],
    };
  }
  const unmapped: Unmapped[] = [];
  const say = (path: readonly string[], because: string) => {
    unmapped.push({ line: source.place(path, true).line ?? 1, path: path.join("."), because });
  };
  const key = kind === "compose" ? "services" : "processes";
  const names = new Map<string, string>();
  const services: Record<string, Map_> = {};
  for (const [name, stated] of Object.entries(record(whole[key]))) {
    const ours = nameOf(name);
    const twice = names.get(ours);
    if (twice !== undefined) {
      say([key, name], `is called ${ours} here, as ${twice} is`);
      continue;
    }
    names.set(ours, name);
    const part = new Part(record(stated), [key, name], say);
    const service = kind === "compose" ? fromCompose(part) : fromProcess(part);
    if (service?.command === undefined) say([key, name], "has no command, so it is left out");
    else services[ours] = service;
  }
  for (const name of Object.keys(whole)) {
    if (name !== key && name !== "version" && name !== "name") say([name], "has no place here");
  }
  const stack = typeof whole.name === "string" ? { stack: { name: nameOf(whole.name) } } : {};
  const yaml = stringify({ ...stack, services }, { lineWidth: 0 });
  return { ok: true, kind, yaml, services: Object.keys(services).length, unmapped };
};
