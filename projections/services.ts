/** Services as history tells them: how each instance stands and came there, and what the services of each stack are. */
import { z } from "zod";
import type { Event } from "../events/event.ts";
import { condition, findingCheck, findingSeverity, restartPolicy, type ServiceFact } from "../events/services.ts";
import type { Projection } from "./projection.ts";

type ServiceEvent = Event<ServiceFact>;
type InstanceEvent = Extract<
  ServiceEvent,
  { readonly type: `services.${"instance" | "health" | "resources"}.${string}` }
>;

type FindingEvent = Extract<ServiceEvent, { readonly type: `services.finding.${string}` }>;

const count = z.int().nonnegative();
const state = z.enum([
  "pending",
  "waiting",
  "starting",
  "running",
  "healthy",
  "unhealthy",
  "stopping",
  "backoff",
  "failed",
  "completed",
  "stopped",
  "skipped",
]);

const boardRow = z.strictObject({
  stack: z.string(),
  service: z.string(),
  replica: count,
  state,
  since: z.string(),
  /** Why it is so, or what it waits for. */
  because: z.string().optional(),
  pid: count.optional(),
  nonce: z.string().optional(),
  /** Whether anything but its being there says that it is healthy. */
  probed: z.boolean().optional(),
  /** Of its process. */
  started: z.string().optional(),
  starts: count,
  adopted: count,
  failures: count,
  /** How its last process ended. */
  last_exit: z.string().optional(),
});
type BoardRow = z.output<typeof boardRow>;

const INSTANCE = [
  "services.instance.queued",
  "services.instance.announced",
  "services.resources.lacked",
  "services.instance.started",
  "services.instance.refused",
  "services.instance.line_matched",
  "services.health.confirmed",
  "services.health.lost",
  "services.instance.stop_requested",
  "services.instance.stop_expired",
  "services.instance.exited",
  "services.instance.delayed",
  "services.instance.completed",
  "services.instance.failed",
  "services.instance.stopped",
  "services.instance.skipped",
] as const satisfies readonly ServiceFact["type"][];

const stackOf = ({ stream }: { readonly stream: string }): string => stream.slice(stream.indexOf("/") + 1);

const exit = ({ code, signal, known }: { code: number | null; signal: string | null; known: boolean }): string =>
  !known ? "unknown" : signal ?? `code ${code}`;

export const servicesBoard: Projection<BoardRow, ServiceFact> = {
  name: "services.board",
  version: 1,
  about: "How every instance of every service stands. Key: {stack}/{service}/{replica}.",
  hears: INSTANCE,
  row: boardRow,
  initial: {
    stack: "",
    service: "",
    replica: 0,
    state: "pending",
    since: "",
    starts: 0,
    adopted: 0,
    failures: 0,
  },
  indexes: ["stack", "service", "state", "failures"],
  columns: ["state", "since", "because", "pid", "starts", "last_exit"],
  keys: (event) => {
    const { service, replica } = (event as InstanceEvent).data;
    return [`${stackOf(event)}/${service}/${replica}`];
  },
  apply(row, event) {
    const { type, data, time } = event as InstanceEvent;
    const { service, replica } = data;
    const of = { ...row, stack: stackOf(event), service, replica };
    const { because: _, ...rest } = of;
    const now = (state: BoardRow["state"], because?: string): BoardRow => ({
      ...rest,
      state,
      since: time,
      ...(because === undefined ? {} : { because }),
    });
    const gone = (row: BoardRow): BoardRow => {
      const { pid: _p, nonce: _n, started: _s, probed: _h, ...left } = row;
      return left;
    };
    switch (type) {
      case "services.instance.queued":
        return now("waiting", `for ${data.for.join(", ")}`);
      case "services.instance.announced":
        return { ...now("starting"), nonce: data.nonce, starts: row.starts + 1 };
      case "services.resources.lacked":
        return { ...of, because: `waits for ${data.resource}: needs ${data.needed}, free ${data.free}` };
      case "services.instance.started": {
        const before = of.state === "stopping" ? of : now("running");
        return { ...before, pid: data.pid, started: time, adopted: row.adopted + (data.adopted ? 1 : 0) };
      }
      case "services.instance.refused":
        return { ...gone(of), last_exit: data.because, failures: row.failures + 1 };
      case "services.instance.line_matched":
        return of;
      case "services.health.confirmed":
        return { ...now("healthy"), probed: data.probed };
      case "services.health.lost":
        return now("unhealthy", `${data.probe}: ${data.because}`);
      case "services.instance.stop_requested":
        return now("stopping", data.because);
      case "services.instance.stop_expired":
        return { ...of, because: "it did not stop in time" };
      case "services.instance.exited": {
        const failed = of.state !== "stopping" && !(data.known && data.code === 0);
        return { ...gone(of), last_exit: exit(data), failures: row.failures + (failed ? 1 : 0) };
      }
      case "services.instance.delayed":
        return now("backoff", `restart ${data.attempt} at ${new Date(data.until_ms).toISOString()}`);
      case "services.instance.completed":
        return now("completed");
      case "services.instance.failed":
        return now("failed", data.because);
      case "services.instance.stopped":
        return gone(now("stopped"));
      case "services.instance.skipped":
        return now("skipped", data.because);
    }
  },
};

const definitionRow = z.strictObject({
  stack: z.string(),
  service: z.string(),
  program: z.string(),
  wanted: z.boolean(),
  replicas: count,
  restart: restartPolicy,
  needs: z.array(z.strictObject({ service: z.string(), condition, required: z.boolean() })),
  probes: z.array(z.string()),
  digest: z.string(),
  schedule: z.string().optional(),
  /** When its stated time came last. */
  triggered: z.string().optional(),
  /** Of the last change that took the place of what ran. */
  update: z.enum(["begun", "completed", "reverted", "failed"]).optional(),
});

export const servicesDefinitions: Projection<z.output<typeof definitionRow>, ServiceFact> = {
  name: "services.definitions",
  version: 1,
  about: "The services of each stack and what they need: the graph. Key: {stack}/{service}.",
  hears: [
    "services.service.defined",
    "services.service.removed",
    "services.service.wanted",
    "services.service.unwanted",
    "services.service.triggered",
    "services.update.begun",
    "services.update.completed",
    "services.update.reverted",
    "services.update.failed",
  ],
  row: definitionRow,
  initial: {
    stack: "",
    service: "",
    program: "",
    wanted: false,
    replicas: 1,
    restart: "no",
    needs: [],
    probes: [],
    digest: "",
  },
  indexes: ["stack", "wanted"],
  columns: ["program", "wanted", "replicas", "restart", "probes", "update"],
  keys: (event) => [`${stackOf(event)}/${(event.data as { readonly service: string }).service}`],
  apply(row, event) {
    switch (event.type) {
      case "services.service.defined": {
        const { service, program, replicas, restart, needs, probes, digest, schedule } = event.data;
        const { schedule: _, ...rest } = row;
        const stack = stackOf(event);
        const timed = schedule === undefined ? {} : { schedule };
        return { ...rest, stack, service, program, replicas, restart: restart.policy, needs, probes, digest, ...timed };
      }
      case "services.service.removed":
        return undefined;
      case "services.service.wanted":
        return { ...row, wanted: true };
      case "services.service.unwanted":
        return { ...row, wanted: false };
      case "services.service.triggered":
        return { ...row, triggered: new Date(event.data.due_ms).toISOString() };
      case "services.update.begun":
        return { ...row, update: "begun" };
      case "services.update.completed":
        return { ...row, update: "completed" };
      case "services.update.reverted":
        return { ...row, update: "reverted", digest: event.data.to };
      case "services.update.failed":
        return { ...row, update: "failed" };
      default:
        return row;
    }
  },
};

const findingRow = z.strictObject({
  stack: z.string(),
  service: z.string(),
  replica: count,
  check: findingCheck,
  severity: findingSeverity,
  /** What is done about it: told, or the start is refused. */
  policy: z.enum(["warn", "refuse"]),
  because: z.string(),
  since: z.string(),
});

export const servicesFindings: Projection<z.output<typeof findingRow>, ServiceFact> = {
  name: "services.findings",
  version: 1,
  about: "What is not as safe about services as it could be. Key: {stack}/{service}/{replica}/{check}.",
  hears: ["services.finding.reported", "services.finding.cleared"],
  row: findingRow,
  initial: {
    stack: "",
    service: "",
    replica: 0,
    check: "secret_readable",
    severity: "low",
    policy: "warn",
    because: "",
    since: "",
  },
  indexes: ["stack", "service", "check", "severity", "policy"],
  columns: ["severity", "policy", "because", "since"],
  keys(event) {
    const { service, replica, check } = (event as FindingEvent).data;
    return [`${stackOf(event)}/${service}/${replica}/${check}`];
  },
  apply(row, event) {
    const { type, data, time } = event as FindingEvent;
    if (type === "services.finding.cleared") return undefined;
    return { ...data, stack: stackOf(event), since: row.since === "" ? time : row.since };
  },
};

export const servicesViews = [servicesBoard, servicesDefinitions, servicesFindings];
