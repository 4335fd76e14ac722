/**
 * What services are started and watched with, by their names and digests, in files: so that what was announced can be started, and what is undone
 * started again, whatever the configuration says by now. Secrets are only pointed at in them.
 */
import { join } from "node:path";
import type { ServiceSettings } from "../../../config/stack.ts";
import { writeWhole } from "../whole_file.ts";
import { type Checked, checkedOf } from "./checked.ts";
import {
  filled,
  type Launch,
  launchOf,
  type MetricsLaunch,
  metricsOf,
  type Placed,
  type ProbeLaunch,
  probeOf,
} from "./launch.ts";

export type Hook = Launch & { readonly timeout_ms: number };

/** By replica. */
export interface Prepared {
  readonly instances: readonly {
    readonly launch: Launch;
    readonly hooks: Partial<Readonly<Record<"before_start" | "after_start" | "before_stop" | "after_stop", Hook>>>;
    readonly leftovers: readonly string[];
    readonly probes: Partial<Readonly<Record<"startup" | "readiness" | "liveness", ProbeLaunch>>>;
    readonly metrics?: MetricsLaunch;
  }[];
  readonly needs: { readonly memory_bytes: number; readonly cpus: number; readonly disk_bytes: number };
  readonly when_short: "wait" | "fail";
  readonly limits: Partial<
    Readonly<Record<"memory_bytes" | "resident_bytes" | "cpus" | "open_files" | "processes", number>>
  >;
  readonly log: { readonly bytes_max: number; readonly keep: number };
  readonly ready_line?: string;
  /** No part of what makes it another service; absent of what was kept by an older version. */
  readonly checks?: Checked;
}

export const prepare = (service: ServiceSettings, placed: Placed): Prepared => ({
  instances: Array.from({ length: service.replicas }, (_, replica) => ({
    launch: launchOf(service, replica, placed),
    hooks: Object.fromEntries(
      Object.entries(service.hooks).flatMap(([name, hook]) => {
        if (!hook) return [];
        const { command, arguments: given, timeout_ms } = hook;
        return [[name, { ...launchOf({ ...service, command, arguments: given }, replica, placed), timeout_ms }]];
      }),
    ),
    leftovers: service.leftovers.map((path) => filled(path, service, replica, placed)),
    probes: Object.fromEntries(
      Object.entries(service.probes).flatMap(([name, probe]) =>
        probe ? [[name, probeOf(probe, service, replica, placed)]] : []
      ),
    ),
    ...(service.metrics ? { metrics: metricsOf(service.metrics, service, replica, placed) } : {}),
  })),
  needs: service.resources.needs,
  when_short: service.resources.when_short,
  limits: service.resources.limits,
  log: { bytes_max: service.log.bytes_max, keep: service.log.keep },
  ...(service.ready_line === undefined ? {} : { ready_line: service.ready_line }),
  checks: checkedOf(service, placed),
});

/** Two services may be started alike and be looked at otherwise. */
const nameOf = (service: string, digest: string): string => `${digest}.${service}`;
const digestIn = (name: string): string => name.slice(0, 64);

export class PreparedServices {
  private readonly known = new Map<string, Prepared | undefined>();

  /** `folder`: of theirs alone. */
  constructor(private readonly folder: string) {}

  /** Durable before anything is announced under the digest. Of replicas that are no longer to be, what is known stays. */
  async keep(service: string, digest: string, given: Prepared): Promise<void> {
    const name = nameOf(service, digest);
    const path = this.pathOf(name);
    const gone = (await this.of(service, digest))?.instances.slice(given.instances.length) ?? [];
    const prepared = { ...given, instances: [...given.instances, ...gone] };
    await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeWhole(path, JSON.stringify(prepared));
    this.known.set(name, prepared);
  }

  /** `undefined`: it was lost, or is none of ours. */
  async of(service: string, digest: string): Promise<Prepared | undefined> {
    const name = nameOf(service, digest);
    // An older version kept them by the digest alone.
    if (!this.known.has(name)) this.known.set(name, await read(this.pathOf(name)) ?? await read(this.pathOf(digest)));
    return this.known.get(name);
  }

  /** Lets go of all but these. */
  async only(digests: ReadonlySet<string>): Promise<void> {
    try {
      for await (const { name } of Deno.readDir(this.folder)) {
        if (!digests.has(digestIn(name))) await Deno.remove(join(this.folder, name));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    for (const name of this.known.keys()) if (!digests.has(digestIn(name))) this.known.delete(name);
  }

  private pathOf(name: string): string {
    return join(this.folder, `${name}.json`);
  }
}

const read = async (path: string): Promise<Prepared | undefined> => {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
};
