/** From what the configuration says of a service to what a process is started and probed with. Pure. */
import { dirname, join, resolve } from "node:path";
import type { ProbeSettings, ServiceSettings, StackFault, StackSettings } from "../../../config/stack.ts";
import { graphOf } from "../../../actors/services/graph.ts";
import { CERTIFICATE_FILES } from "../certificates/files.ts";
import { cronFault } from "./schedule.ts";
import type { Environment } from "../../process/agent/protocol.ts";

/** Where services are: on the machine itself. */
export const HOST = "127.0.0.1";

/** Ports of instances, by `service/replica/port`. */
export type Ports = ReadonlyMap<string, number>;

export interface Launch {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly folder: string;
  readonly environment: Environment;
  readonly inherit: readonly string[];
}

/** `file`: that of the stack; relative paths count from its folder. */
export interface Placed {
  readonly stack: StackSettings;
  readonly file: string;
  readonly ports: Ports;
  /** Folder of the certificates that are issued for services, absolute; absent where a stack is only looked at. */
  readonly certificates?: string;
}

/** Name of the certificate that is issued for a service. */
export const certificateOf = (stack: string, service: string): string => `${stack}.${service}`;

/** Files of TLS, as they are stated or where they are issued to; absolute. */
export interface TlsFiles {
  readonly certificate?: string;
  readonly key?: string;
  readonly authority?: string;
}

export const tlsFilesOf = (service: ServiceSettings, replica: number, placed: Placed): TlsFiles => {
  const { tls } = service;
  if (!tls) return {};
  const folder = resolve(
    dirname(placed.file),
    filled(service.working_folder, { ...service, tls: undefined }, replica, placed),
  );
  const issued = join(placed.certificates ?? "/", certificateOf(placed.stack.name, service.name));
  const kinds = ["certificate", "key", "authority"] as const;
  return Object.fromEntries(kinds.flatMap((kind) => {
    const stated = tls[kind];
    if (stated !== undefined) {
      return [[kind, resolve(folder, filled(stated, { ...service, tls: undefined }, replica, placed))]];
    }
    return tls.issued ? [[kind, join(issued, CERTIFICATE_FILES[kind])]] : [];
  }));
};

const portOf = (ports: Ports, service: string, replica: number, port: string): number | undefined =>
  ports.get(`${service}/${replica}/${port}`);

const TEMPLATE = /\$(?:\$|\{([^}]*)\})/g;

/** What a `${…}` stands for; throws `RangeError` with the place for what it cannot be. */
const meaning = (name: string, service: ServiceSettings, replica: number, placed: Placed): string => {
  const { stack, ports } = placed;
  const [first, second, third, fourth] = name.split(".");
  if (name === "replica") return String(replica);
  if (first === "ports" && second !== undefined && third === undefined) {
    const port = portOf(ports, service.name, replica, second);
    if (port !== undefined) return String(port);
  }
  if (first === "tls" && second !== undefined && third === undefined) {
    const file = tlsFilesOf(service, replica, placed)[second as keyof TlsFiles];
    if (file !== undefined) return file;
  }
  const other = stack.services.find((each) => each.name === second);
  if (first === "services" && other && service.needs.some((need) => need.service === other.name)) {
    if (third === "host" && fourth === undefined) return HOST;
    const port = third === "ports" && fourth !== undefined ? portOf(ports, other.name, 0, fourth) : undefined;
    if (port !== undefined) return String(port);
    const all = Array.from(
      { length: other.replicas },
      (_, at) => fourth === undefined ? undefined : portOf(ports, other.name, at, fourth),
    );
    if (third === "addresses" && all.every((each) => each !== undefined)) {
      return all.map((each) => `${HOST}:${each}`).join(",");
    }
  }
  throw new RangeError(name);
};

/** A text with what its `${…}` stand for. */
export const filled = (text: string, service: ServiceSettings, replica: number, placed: Placed): string =>
  text.replace(
    TEMPLATE,
    (whole, name: string | undefined) => whole === "$$" ? "$" : meaning(name!, service, replica, placed),
  );

/** What an instance is started with. */
export const launchOf = (service: ServiceSettings, replica: number, placed: Placed): Launch => {
  const fill = (text: string) => filled(text, service, replica, placed);
  const folder = resolve(dirname(placed.file), fill(service.working_folder));
  return {
    command: fill(service.command),
    arguments: service.arguments.map(fill),
    folder,
    environment: Object.fromEntries(
      Object.entries(service.environment).map(([name, value]) => [
        name,
        typeof value === "object" ? value : fill(String(value)),
      ]),
    ),
    inherit: service.inherit,
  };
};

/** A number, or a port of the service by its name. */
export const portNumberOf = (
  port: number | string,
  { name }: ServiceSettings,
  replica: number,
  { ports }: Placed,
): number => typeof port === "number" ? port : portOf(ports, name, replica, port)!;

export interface ProbeLaunch extends Omit<ProbeSettings, "exec" | "http" | "tcp"> {
  readonly exec?: Launch;
  readonly url?: string;
  readonly status?: readonly number[];
  readonly port?: number;
}

/** What an instance is probed with; ports as they are. */
export const probeOf = (
  { exec, http, tcp, ...times }: ProbeSettings,
  service: ServiceSettings,
  replica: number,
  placed: Placed,
): ProbeLaunch => {
  const number = (port: number | string) => portNumberOf(port, service, replica, placed);
  if (exec) {
    const { command, arguments: given } = exec;
    return { ...times, exec: launchOf({ ...service, command, arguments: given }, replica, placed) };
  }
  if (tcp) return { ...times, port: number(tcp.port) };
  const { scheme, port, path, status } = http!;
  return { ...times, url: `${scheme}://${HOST}:${number(port)}${path}`, ...(status ? { status } : {}) };
};

export interface MetricsLaunch extends Omit<NonNullable<ServiceSettings["metrics"]>, "scheme" | "port" | "path"> {
  readonly url: string;
}

/** Where an instance tells its metrics. */
export const metricsOf = (
  { scheme, port, path, ...bounds }: NonNullable<ServiceSettings["metrics"]>,
  service: ServiceSettings,
  replica: number,
  placed: Placed,
): MetricsLaunch => ({
  ...bounds,
  url: `${scheme}://${HOST}:${portNumberOf(port, service, replica, placed)}${path}`,
});

/** Of a stack whose services are each as they must be: cycles, and names in `${…}` that stand for nothing. */
export const faultsOfStack = (file: string) => (stack: StackSettings): readonly StackFault[] => {
  const graph = graphOf(stack.services.map(({ name, needs }) => ({ name, needs: needs.map((need) => need.service) })));
  // One that needs itself is told of already.
  if (!graph.ok && graph.cycle.length > 1) {
    const [first] = graph.cycle;
    const found = `${[...graph.cycle, first].join(" → ")}`;
    return [{ path: [first!, "depends_on"], expected: "services that do not need each other", found }];
  }
  const untimely = stack.services.flatMap(({ name, schedule }): StackFault[] => {
    const fault = schedule === undefined ? undefined : cronFault(schedule);
    return fault === undefined ? [] : [{ path: [name, "schedule"], expected: "times as cron has them", found: fault }];
  });
  if (untimely.length > 0) return untimely;
  // Any number will do to see whether there is one.
  const ports = new Map(
    stack.services.flatMap(({ name, replicas, ports }) =>
      Object.keys(ports).flatMap((port) =>
        Array.from({ length: replicas }, (_, replica) => [`${name}/${replica}/${port}`, 1] as const)
      )
    ),
  );
  return stack.services.flatMap((service) => {
    try {
      const placed = { stack, file, ports };
      launchOf(service, 0, placed);
      for (const probe of Object.values(service.probes)) if (probe) probeOf(probe, service, 0, placed);
      for (const hook of Object.values(service.hooks)) {
        if (hook) launchOf({ ...service, command: hook.command, arguments: hook.arguments }, 0, placed);
      }
      for (const path of service.leftovers) filled(path, service, 0, placed);
      tlsFilesOf(service, 0, placed);
      return [];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const expected =
        "replica, ports.NAME, tls.KIND, or services.NAME.host, .ports.PORT and .addresses.PORT of what it depends on";
      return [{ path: [service.name], expected, found: `\${${error.message}}` }];
    }
  });
};
