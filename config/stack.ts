/**
 * A stack of services: from a YAML text to services that can be run, or to every reason why not: file, line, path, what was expected.
 * The text is `daybook.yaml` or any other file with the sections `stack` and `services`; only these two are looked at here.
 *
 * In `command`, `arguments`, `environment`, `working_folder`, `leftovers`, files of `tls` and the commands of probes and hooks these
 * stand for what they say: `${replica}`, `${ports.NAME}` and `${tls.KIND}` (its own), `${services.NAME.host}` and
 * `${services.NAME.ports.PORT}` (of a service it depends on, its first replica), `${services.NAME.addresses.PORT}` (of all its replicas,
 * `host:port` with commas between). A dollar sign that is meant is `$$`. Nothing is read here; the file's text is handed in.
 */
import { z } from "zod";
import { faultsOf, foundAt, foundText, type Shape, shownPath } from "./problems.ts";
import { schema as sections } from "./schema.ts";
import { said } from "./selectors.ts";
import { policies, policy } from "./stack_checks.ts";
import { type Problem, valueAt, YamlText } from "./yaml_text.ts";

export { type Problem, problemsText, problemText } from "./yaml_text.ts";

export const STACK_LIMITS = {
  file_chars_max: 1_048_576,
  instances_max: 300,
  text_chars_max: 4_096,
  list_max: 100,
} as const;

const DAY_MS = 86_400_000;
const text = z.string().max(STACK_LIMITS.text_chars_max);
const name = said(
  /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/,
  "a name of at most 63 small letters, digits, - and _",
);
const variable = said(/^[A-Za-z_][A-Za-z0-9_]*$/, "a variable's name: letters, digits and _");
const secret = z.union([z.strictObject({ env: text.min(1) }), z.strictObject({ file: text.min(1) })]);
const list = <T extends z.ZodType>(one: T) => z.array(one).max(STACK_LIMITS.list_max);
const count = (min: number, max: number, standard: number) => z.int().min(min).max(max).default(standard);
const section = <T extends z.core.$ZodLooseShape>(shape: T) => z.strictObject(shape).prefault({} as never);

export const PROFILES = ["minimal", "development", "full", "testing"] as const;

const CONDITIONS = ["started", "healthy", "log_ready", "completed", "completed_successfully"] as const;

const needShape = z.strictObject({
  condition: z.enum(CONDITIONS).optional(),
  /** False: left out or failed, it is not waited for. */
  required: z.boolean().default(true),
});

const port = z.union([z.int().min(1).max(65_535), z.literal("random")]).meta({
  expected: "a port from 1 to 65535, or random",
});

/** A number, or the name of one of the service's own ports. */
const portReference = z.union([z.int().min(1).max(65_535), name]).meta({
  expected: "a port, or the name of one in ports",
});

/** Host names as in certificates. */
const reachedBy = said(
  /^(?:[a-z0-9*](?:[a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:.]+)$/,
  "a host name in lower case, or an address",
);

const tls = z.strictObject({
  /** Where it speaks TLS: looked at while it runs. */
  port: portReference.optional(),
  /** What its certificate must be for. */
  name: reachedBy.default("localhost"),
  /** Files, PEM, from the working folder; looked at before a start. */
  certificate: text.min(1).optional(),
  key: text.min(1).optional(),
  /** Authorities that must have signed it. */
  authority: text.min(1).optional(),
  /** Instead of files: names and addresses that the folder's own authority certifies, and renews. */
  issued: list(reachedBy).min(1).optional(),
  /** How it is told of a renewed one: a signal, or by a restart. */
  renewed: z.enum(["SIGHUP", "SIGUSR1", "SIGUSR2", "restart", "nothing"]).default("restart"),
}).refine(({ certificate, key, issued }) => issued === undefined || certificate === undefined && key === undefined, {
  error: "certificate and key, or issued, not both",
}).refine(({ port, certificate, issued }) => port !== undefined || certificate !== undefined || issued !== undefined, {
  error: "one of port, certificate and issued",
});

const exec = z.strictObject({ command: text.min(1), arguments: list(text).default([]) });
const http = z.strictObject({
  port: portReference,
  path: said(/^\/\S*$/, "a path that begins with /").default("/"),
  scheme: z.enum(["http", "https"]).default("http"),
  /** Any of these is well. Default: 200 to 399. */
  status: list(z.int().min(100).max(599)).optional(),
});
const tcp = z.strictObject({ port: portReference });

/** Run to its end beside the service, with its folder and environment. */
const hook = exec.extend({ timeout_ms: count(10, 3_600_000, 30_000) });

const probe = z.strictObject({
  exec: exec.optional(),
  http: http.optional(),
  tcp: tcp.optional(),
  interval_ms: count(50, DAY_MS, 1_000),
  timeout_ms: count(10, 600_000, 1_000),
  initial_delay_ms: count(0, DAY_MS, 0),
  /** So often in a row, and it is so. */
  failures: count(1, 1_000, 3),
  successes: count(1, 1_000, 1),
}).refine(({ exec, http, tcp }) => [exec, http, tcp].filter((each) => each !== undefined).length === 1, {
  error: "one of exec, http and tcp",
});

const service = z.strictObject({
  enabled: z.boolean().default(true),
  command: text.min(1),
  arguments: list(text).default([]),
  working_folder: text.min(1).default("."),
  environment: z.record(variable, z.union([text, z.int(), z.boolean(), secret])).default({}),
  /** What of Daybook's own environment it gets too. */
  inherit: list(variable).default(["PATH", "HOME", "LANG", "TZ"]),
  ports: z.record(name, port).default({}),
  depends_on: z.union([list(name), z.record(name, needShape)]).default([]),
  probes: section({ startup: probe.optional(), readiness: probe.optional(), liveness: probe.optional() }),
  /** Variables without which, or with nothing in them, it is not to be started. */
  requires: list(variable).default([]),
  tls: tls.optional(),
  /** Instead of what the stack says. */
  checks: policies,
  /** Where it tells metrics of its own, in Prometheus' text format. */
  metrics: z.strictObject({
    port: portReference,
    path: said(/^\/\S*$/, "a path that begins with /").default("/metrics"),
    scheme: z.enum(["http", "https"]).default("http"),
    interval_ms: count(100, DAY_MS, 15_000),
    timeout_ms: count(10, 600_000, 5_000),
    /** A larger answer, or one of more series, is taken as none. */
    bytes_max: count(1_024, 67_108_864, 1_048_576),
    series_max: count(1, 100_000, 2_000),
  }).optional(),
  /** A regular expression; the first line of output it matches says that the service is ready. */
  ready_line: text.min(1).optional(),
  restart: section({
    policy: z.enum(["no", "on_failure", "always", "unless_stopped"]).default("on_failure"),
    max: count(0, 1_000_000, 10),
    first_ms: count(0, DAY_MS, 500),
    last_ms: count(0, DAY_MS, 30_000),
    /** In percent of the wait, either way. */
    jitter: count(0, 100, 20),
    /** Well for so long, and earlier restarts are forgotten. */
    reset_ms: count(0, DAY_MS, 60_000),
  }),
  stop: section({
    signal: z.enum(["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"]).default("SIGTERM"),
    grace_ms: count(0, DAY_MS, 10_000),
    /** Told to stop so long before it gets the signal, and no longer healthy for anybody. */
    drain_ms: count(0, DAY_MS, 0),
  }),
  replicas: count(1, STACK_LIMITS.instances_max, 1),
  /** How a changed service takes the place of what runs. */
  update: section({
    /** Instances that may be missing meanwhile. */
    max_unavailable: count(1, STACK_LIMITS.instances_max, 1),
    /** Well for so long, and the next one's turn comes. */
    healthy_ms: count(0, DAY_MS, 1_000),
    /** Not all well within so long, and it is undone. */
    deadline_ms: count(1_000, DAY_MS, 300_000),
    rollback: z.boolean().default(true),
  }),
  /**
   * Around an instance. One before a start that fails is a start that fails; one before a stop has as long as the service has to stop;
   * what the others come to is told and changes nothing. After a crash of ours one may be run again.
   */
  hooks: section({
    before_start: hook.optional(),
    after_start: hook.optional(),
    before_stop: hook.optional(),
    after_stop: hook.optional(),
  }),
  resources: section({
    /** What must be free before a start, beyond what those that run still may take of what they need. */
    needs: section({
      memory_bytes: z.int().min(0).max(2 ** 50).default(0),
      /** Of this machine's cores; a half is one. */
      cpus: z.number().min(0).max(10_000).default(0),
      /** In the file system of the working folder. */
      disk_bytes: z.int().min(0).max(2 ** 60).default(0),
    }),
    /** Where it is not: wait until it is, or fail and say what was needed and what was free. */
    when_short: z.enum(["wait", "fail"]).default("wait"),
    /** What it may take, held by the kernel: each of its processes (setrlimit(2)), or all together by a control group (cgroups(7)). */
    limits: section({
      /** Address space of a process. */
      memory_bytes: z.int().min(1_048_576).max(2 ** 50).optional(),
      /** Memory in use of all together; who takes more is ended. Where there are control groups. */
      resident_bytes: z.int().min(1_048_576).max(2 ** 50).optional(),
      /** Of this machine's cores; a half is one. Where there are control groups. */
      cpus: z.number().min(0.01).max(10_000).optional(),
      open_files: z.int().min(3).max(1_048_576).optional(),
      processes: z.int().min(1).max(4_194_304).optional(),
    }),
  }),
  /** What it may have left behind in its folder, taken away before a start: pid files, sockets, temporary folders. */
  leftovers: list(text.min(1)).default([]),
  /** Cron, five fields or six with seconds, in UTC: it runs at these times and not before; missed times are made up for once. */
  schedule: text.min(1).max(200).optional(),
  /** Default: in all of them. */
  profiles: list(z.enum(PROFILES)).optional(),
  log: section({
    /** A file above so many bytes is set aside, and the program goes on with an empty one. */
    bytes_max: count(4_096, 1_099_511_627_776, 16_777_216),
    /** Files set aside that are kept. */
    keep: count(0, 100, 3),
  }),
});

const schema = z.object({
  stack: section({
    name: name.default("main"),
    /** False: nothing is started, stopped or looked at. */
    enabled: z.boolean().default(true),
    /** `ready`: each starts as soon as it may. `batches`: with the others of its depth. `sequential`: one after another. */
    order: z.enum(["ready", "batches", "sequential"]).default("ready"),
    /** What becomes of them when Daybook is told to stop: they go on and are found again, or are stopped first. */
    on_exit: z.enum(["leave", "stop"]).default("leave"),
    checks: section({
      /** Of all findings. Default: `warn`, and `refuse` where a required secret is missing. */
      policy: policy.optional(),
      findings: policies,
      /** A certificate that ends within so long is told of. */
      expiring_days: count(0, 3_650, 14),
      /** How often is looked at what runs. */
      every_ms: count(100, DAY_MS, 60_000),
    }),
  }),
  services: z.record(name, service).default({}),
});

type Stated = z.output<typeof service>;
export type ProbeSettings = z.output<typeof probe>;

export interface ServiceSettings extends Omit<Stated, "depends_on"> {
  readonly name: string;
  readonly needs: readonly {
    readonly service: string;
    readonly condition: typeof CONDITIONS[number];
    readonly required: boolean;
  }[];
}

export interface StackSettings {
  readonly name: string;
  readonly enabled: boolean;
  readonly checks: z.output<typeof schema>["stack"]["checks"];
  readonly order: "ready" | "batches" | "sequential";
  readonly on_exit: "leave" | "stop";
  /** In the order of the file; those not enabled are not there. */
  readonly services: readonly ServiceSettings[];
}

export type ParsedStack =
  /** `problemAt`: with its place in the file, for what is found out later. */
  | {
    readonly ok: true;
    readonly stack: StackSettings;
    readonly problemAt: (fault: StackFault) => Problem;
    /** That it speaks of no services, where it was named as a file of them. */
    readonly missing: Problem | undefined;
  }
  | { readonly ok: false; readonly problems: readonly Problem[] };

let shape: Shape | undefined;
export const shapeOfStack = (): Shape => shape ??= z.toJSONSchema(schema, { io: "input" }) as Shape;

/** What only the services together can get wrong; `path` below `services`. */
export interface StackFault {
  readonly path: readonly string[];
  readonly expected: string;
  readonly found: string;
}

/** Reads a stack. `file` is only a name for messages. `check` is asked when each service by itself is as it must be. */
export const parseStack = (
  text: string,
  file: string,
  check: (stack: StackSettings) => readonly StackFault[] = () => [],
): ParsedStack => {
  const top = { file, line: 1, column: 1, path: "" } as const;
  const refused = (...problems: readonly Problem[]): ParsedStack => ({ ok: false, problems });
  if (text.length > STACK_LIMITS.file_chars_max) {
    const expected = `at most ${STACK_LIMITS.file_chars_max} characters`;
    return refused({ ...top, expected, found: `${text.length} characters` });
  }
  const source = new YamlText(text, file);
  if (source.problems.length > 0) return refused(...source.problems);
  const value = source.value();
  if (!value.ok) return refused(value.problem);
  const parsed = schema.safeParse(value.value);
  if (!parsed.success) {
    return refused(
      ...parsed.error.issues.flatMap((issue) => faultsOf(issue, shapeOfStack(), "a map with services")).map((
        fault,
      ) => ({
        ...source.place(fault.path, fault.key ?? false),
        path: shownPath(fault).join("."),
        expected: fault.expected,
        found: foundAt(valueAt(value.value, fault.path), fault),
        ...(fault.meant === undefined ? {} : { meant: fault.meant }),
      })),
    );
  }
  // A configuration may hold the services; a map of something else holds none, and nothing would be started by it.
  const foreign = Object.keys(value.value ?? {}).filter((key) => !Object.hasOwn(sections.shape, key));
  if (foreign.length > 0) {
    const expected = "stack, services or another section of the configuration";
    return refused(...foreign.map((key) => ({ ...source.place([key], true), path: key, expected, found: `"${key}"` })));
  }
  const stack = stackOf(parsed.data);
  const faults = [...faultsIn(stack, new Set(Object.keys(parsed.data.services))), ...check(stack)];
  const problemAt = ({ path, expected, found }: StackFault): Problem => {
    const at = ["services", ...path];
    return { ...source.place(at, true), path: at.join("."), expected, found };
  };
  if (faults.length > 0) return refused(...faults.map(problemAt));
  const stated = Object.hasOwn(value.value ?? {}, "services");
  const missing = stated ? undefined : { ...top, path: "services", expected: "a map of services", found: "nothing" };
  return { ok: true, stack, problemAt, missing };
};

const stackOf = ({ stack, services }: z.output<typeof schema>): StackSettings => ({
  ...stack,
  services: Object.entries(services).filter(([, { enabled }]) => enabled).map(([name, { depends_on, ...rest }]) => ({
    ...rest,
    name,
    needs:
      (Array.isArray(depends_on)
        ? depends_on.map((service) => [service, { required: true }] as const)
        : Object.entries(depends_on)).map(([service, need]) => {
          const { condition = "healthy", required } = need as z.output<typeof needShape>;
          return { service, condition, required };
        }),
  })),
});

/** `stated`: with those that are not enabled. */
const faultsIn = ({ services }: StackSettings, stated: ReadonlySet<string>): readonly StackFault[] => {
  const ports = new Map<number, string>();
  const faults = services.flatMap((service) => [
    ...needFaults(service, services, stated),
    ...portFaults(service, ports),
    ...namedPortFaults(service),
    ...runFaults(service),
  ]);
  const instances = services.reduce((sum, { replicas }) => sum + replicas, 0);
  if (instances > STACK_LIMITS.instances_max) {
    const expected = `at most ${STACK_LIMITS.instances_max} instances in all`;
    faults.push({ path: [], expected, found: String(instances) });
  }
  return faults;
};

const needFaults = (
  { name, needs }: ServiceSettings,
  services: readonly ServiceSettings[],
  stated: ReadonlySet<string>,
): readonly StackFault[] => {
  const faults: StackFault[] = [];
  if (needs.length > STACK_LIMITS.list_max) {
    const expected = `at most ${STACK_LIMITS.list_max} services`;
    faults.push({ path: [name, "depends_on"], expected, found: String(needs.length) });
  }
  for (const { service, condition, required } of needs) {
    const path = [name, "depends_on", service];
    const needed = services.find((other) => other.name === service);
    if (service === name) faults.push({ path, expected: "another service", found: "itself" });
    else if (!needed && stated.has(service)) {
      if (!required) continue;
      faults.push({ path, expected: "one that is enabled, or required: false", found: `"${service}"` });
    } else if (!needed) {
      const others = services.flatMap((other) => other.name === name ? [] : [other.name]);
      const expected = others.length > 0 ? `one of ${others.join(", ")}` : "another service, of which there is none";
      faults.push({ path, expected, found: `"${service}"` });
    } else if (condition === "log_ready" && !needed.ready_line) {
      faults.push({ path, expected: `a ready_line in "${service}"`, found: "none" });
    }
  }
  return faults;
};

/** `taken`: by the services before, and by this one from now on. */
const portFaults = ({ name, ports, replicas }: ServiceSettings, taken: Map<number, string>): readonly StackFault[] => {
  const faults: StackFault[] = [];
  for (const [port, number] of Object.entries(ports)) {
    if (number === "random") continue;
    const path = [name, "ports", port];
    const before = taken.get(number);
    if (before !== undefined) {
      faults.push({ path, expected: "a port of its own", found: `${number}, as "${before}" has` });
    }
    if (replicas > 1) faults.push({ path, expected: "random, for several replicas", found: String(number) });
    taken.set(number, name);
  }
  return faults;
};

/** Of ports that are named and are none of the service. */
const namedPortFaults = ({ name, ports, tls, probes, metrics }: ServiceSettings): readonly StackFault[] => {
  const named = [
    { path: [name, "tls", "port"], port: tls?.port },
    ...Object.entries(probes).map(([kind, probe]) => ({
      path: [name, "probes", kind],
      port: probe?.http?.port ?? probe?.tcp?.port,
    })),
    { path: [name, "metrics", "port"], port: metrics?.port },
  ];
  return named.flatMap(({ path, port }) =>
    typeof port !== "string" || Object.hasOwn(ports, port)
      ? []
      : [{ path, expected: "a port of the service", found: `"${port}"` }]
  );
};

/** Of when it runs, what it leaves behind, and how it is known to be ready. */
const runFaults = (
  { name, schedule, restart, leftovers, replicas, ready_line }: ServiceSettings,
): readonly StackFault[] => {
  const faults: StackFault[] = [];
  if (schedule !== undefined && (restart.policy === "always" || restart.policy === "unless_stopped")) {
    const expected = "no or on_failure, for one that runs at stated times";
    faults.push({ path: [name, "restart", "policy"], expected, found: restart.policy });
  }
  for (const [at, path] of leftovers.entries()) {
    const shared = replicas > 1 && !path.includes("${replica}");
    if (!shared && !leadsOut(path)) continue;
    const expected = shared ? "${replica} in it, for several replicas" : "a path inside of the working folder";
    faults.push({ path: [name, "leftovers", String(at)], expected, found: foundText(path) });
  }
  if (ready_line !== undefined && !isPattern(ready_line)) {
    faults.push({ path: [name, "ready_line"], expected: "a regular expression", found: foundText(ready_line) });
  }
  return faults;
};

/** A path that leads out of the folder it counts from. */
const leadsOut = (path: string): boolean => {
  let depth = 0;
  for (const step of path.split("/")) {
    if (step === "..") depth--;
    else if (step !== "" && step !== ".") depth++;
    if (depth < 0) return true;
  }
  return path.startsWith("/") || depth === 0;
};

const isPattern = (text: string): boolean => {
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false;
  }
};
