/** Services of compose files (https://github.com/compose-spec/compose-spec) as services of ours. */
import {
  defined,
  environmentOf,
  type Fields,
  isMap,
  needsOf,
  type Part,
  plain,
  replicasOf,
  shell,
  shown,
  signalOf,
  textOf,
} from "./stack_import_parts.ts";

const CONDITIONS = {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed_successfully",
};

/** Where what ours say stands in theirs; of several places, by `|`, the first that is there. */
export const COMPOSE_ORIGINS: Readonly<Record<string, string>> = {
  "arguments": "entrypoint|command",
  "command": "entrypoint|command",
  "depends_on": "depends_on",
  "environment": "environment",
  "ports": "ports",
  "probes.readiness": "healthcheck",
  "probes.readiness.exec": "healthcheck.test",
  "probes.readiness.failures": "healthcheck.retries",
  "probes.readiness.initial_delay_ms": "healthcheck.start_period",
  "probes.readiness.interval_ms": "healthcheck.interval",
  "probes.readiness.timeout_ms": "healthcheck.timeout",
  "replicas": "scale|deploy.replicas",
  "resources.limits.cpus": "cpus|deploy.resources.limits.cpus",
  "resources.limits.resident_bytes": "mem_limit|deploy.resources.limits.memory",
  "resources.needs.cpus": "deploy.resources.reservations.cpus",
  "resources.needs.memory_bytes": "deploy.resources.reservations.memory",
  "restart": "restart",
  "stop.grace_ms": "stop_grace_period",
  "working_folder": "working_dir",
};

const SPAN = /(\d+(?:\.\d+)?)(us|ms|s|m|h)/g;
const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** `1m30s` as compose writes it, in ms. */
const span = (part: Part, key: string): number | undefined => {
  const value = part.take(key) ?? undefined;
  if (typeof value !== "string" || value.replace(SPAN, "") !== "" || value === "") {
    if (value !== undefined) part.note([key], `${shown(value)} is no span of time such as 1m30s`);
    return undefined;
  }
  return Math.round([...value.matchAll(SPAN)].reduce((sum, [, n, unit]) => sum + Number(n) * UNITS[unit!]!, 0));
};

/** Words as a shell would see them, for compose starts no shell; `undefined` where a quotation has no end. */
const split = (text: string): readonly string[] | undefined => {
  const words: string[] = [];
  let word: string | undefined;
  for (let rest = text; rest !== "";) {
    const [all, space, single, double, escaped, other] =
      /^(\s+)|^'([^']*)'|^"((?:[^"\\]|\\[^])*)"|^\\([^])|^([^\s'"\\]+)/.exec(rest) ?? [];
    if (all === undefined) return undefined;
    rest = rest.slice(all.length);
    if (space === undefined) {
      word = (word ?? "") + (single ?? double?.replaceAll(/\\(["\\$`])/g, "$1") ?? escaped ?? other);
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
};

const wordsOf = (part: Part, key: string): readonly string[] => {
  const value = part.take(key) ?? [];
  const words = typeof value === "string" ? split(value) : Array.isArray(value) ? value.map(String) : undefined;
  if (words === undefined) part.note([key], `${shown(value)} is no command`);
  return (words ?? []).map((word) => plain(part, [key], word));
};

const testOf = (service: Part, part: Part): Fields | undefined => {
  const key = "healthcheck";
  const test = part.take("test") ?? undefined;
  const [kind, ...words] = Array.isArray(test) ? test.map(String) : typeof test === "string" ? ["CMD-SHELL", test] : [];
  if (kind === "NONE") return undefined;
  if (kind === "CMD" && words.length > 0) {
    const [command, ...given] = words.map((word) => plain(part, ["test"], word));
    return { command, arguments: given };
  }
  if (kind === "CMD-SHELL" && words.length === 1) return shell(words[0]!);
  service.note([key], test === undefined ? "its test is that of an image" : `${shown(test)} is no test`);
  return undefined;
};

const probeOf = (service: Part): Fields | undefined => {
  const part = service.part("healthcheck");
  if (!part || part.take("disable") === true) return undefined;
  const exec = testOf(service, part);
  const probe = defined({
    exec,
    interval_ms: span(part, "interval") ?? 30_000,
    timeout_ms: span(part, "timeout") ?? 30_000,
    failures: part.take("retries") ?? 3,
    initial_delay_ms: span(part, "start_period"),
  });
  if (exec && probe.initial_delay_ms !== undefined) {
    part.note(["start_period"], "nothing is looked at until it is over: who is well earlier counts as well only then");
  }
  part.no("start_interval", "until it is well it is looked often anyway");
  part.done();
  return exec ? probe : undefined;
};

/** That of the program itself; `NaN` where it is not one. */
const portOf = (port: unknown): number => {
  const text = isMap(port) ? String(port.target) : String(port).split(":").at(-1)!.replace(/\/.*$/, "");
  return /^\d{1,5}$/.test(text) ? Number(text) : NaN;
};
/** That by which others reach it, where it is stated. */
const publishedOf = (port: unknown): string | undefined => {
  if (isMap(port)) return port.published === undefined ? undefined : String(port.published);
  return String(port).replace(/\/.*$/, "").split(":").at(-2);
};

const portsOf = (part: Part): Fields | undefined => {
  const ports = part.take("ports") ?? [];
  if (!Array.isArray(ports)) part.note(["ports"], `${shown(ports)} is no list`);
  const own = (Array.isArray(ports) ? ports : []).flatMap((port) => {
    const number = portOf(port);
    const published = publishedOf(port);
    if (!(number > 0)) part.note(["ports"], `${shown(port)} is not one port`);
    else if (published !== undefined && published !== String(number)) {
      part.note(["ports"], `${shown(port)} is reached at ${number}, for there is no container around it`);
    }
    return number > 0 ? [number] : [];
  });
  if (own.length === 0) return undefined;
  return Object.fromEntries([...new Set(own)].map((port, i) => [i === 0 ? "main" : `port-${i}`, port]));
};

const RESTARTS: Readonly<Record<string, string>> = {
  no: "no",
  always: "always",
  "unless-stopped": "unless_stopped",
  "on-failure": "on_failure",
};

const restartOf = (part: Part): Fields => {
  const stated = part.take("restart") ?? "no";
  const [name = "", max, ...more] = stated === false ? ["no"] : String(stated).split(":");
  const policy = Object.hasOwn(RESTARTS, name) && more.length === 0 ? RESTARTS[name] : undefined;
  if (policy === undefined) part.note(["restart"], `${shown(stated)} is not known here: it is not started again`);
  if (max === undefined || policy === undefined) return { policy: policy ?? "no" };
  if (policy === "on_failure" && /^[1-9]\d{0,8}$/.test(max)) return { policy, max: Number(max) };
  part.note(["restart"], `${shown(max)} is no number of restarts`);
  return { policy };
};

const SIZE = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?$/i;
const bytesOf = (part: Part | undefined, key: string): number | undefined => {
  const value = part?.take(key) ?? undefined;
  if (value === undefined) return undefined;
  const [, number, unit = ""] = SIZE.exec(String(value)) ?? [];
  if (number === undefined) {
    part!.note([key], `${shown(value)} is no size such as 512m`);
    return undefined;
  }
  return Math.round(Number(number) * 1_024 ** ["", "k", "m", "g"].indexOf(unit.toLowerCase()));
};
const cpusOf = (part: Part | undefined): number | undefined => {
  const value = part?.take("cpus") ?? undefined;
  const number = typeof value === "string" && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof number === "number") return number;
  if (value !== undefined) part!.note(["cpus"], `${shown(value)} is no number of cores`);
  return undefined;
};

const resourcesOf = (service: Part, deploy: Part | undefined): Fields | undefined => {
  const stated = deploy?.part("resources");
  const [limits, needs] = [stated?.part("limits"), stated?.part("reservations")];
  const [cpus, memory] = [cpusOf(service), bytesOf(service, "mem_limit")];
  const [own, all] = [cpusOf(limits), bytesOf(limits, "memory")];
  const all_limits = defined({ cpus: own ?? cpus, resident_bytes: all ?? memory });
  const all_needs = defined({ cpus: cpusOf(needs), memory_bytes: bytesOf(needs, "memory") });
  for (const each of [limits, needs, stated]) each?.done();
  const resources = defined({
    limits: Object.keys(all_limits).length > 0 ? all_limits : undefined,
    needs: Object.keys(all_needs).length > 0 ? all_needs : undefined,
  });
  return Object.keys(resources).length > 0 ? resources : undefined;
};

export const fromCompose = (part: Part): Fields | undefined => {
  const program = [...wordsOf(part, "entrypoint"), ...wordsOf(part, "command")];
  part.no(
    "image",
    program.length > 0
      ? "programs are run as they are, not in containers"
      : "there is no container to take its program from: say command",
  );
  part.no("build", "nothing is built");
  const deploy = part.part("deploy");
  const replicas = deploy?.take("replicas") ?? part.take("scale");
  const service = defined({
    command: program[0],
    arguments: program.length > 1 ? program.slice(1) : undefined,
    working_folder: textOf(part, "working_dir"),
    environment: environmentOf(part),
    ports: portsOf(part),
    depends_on: needsOf(part, CONDITIONS),
    probes: defined({ readiness: probeOf(part) }),
    resources: resourcesOf(part, deploy),
    restart: restartOf(part),
    stop: defined({ signal: signalOf(part, "stop_signal"), grace_ms: span(part, "stop_grace_period") }),
    ...replicasOf(replicas),
  });
  part.take("container_name");
  for (const each of [deploy, part]) each?.done();
  return program.length > 0 ? service : undefined;
};
