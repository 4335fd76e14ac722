/** From a checked stack to the command that says what it is to be, with all that its services are started with kept before. */
import { createHash } from "node:crypto";
import { type Service, serviceOf, type Stack } from "../../../actors/services/state.ts";
import { sameSpec, type ServiceCommand } from "../../../actors/services/stack.ts";
import { canonical } from "../../../events/canonical.ts";
import type { ServiceSpec } from "../../../events/services.ts";
import type { ServiceSettings } from "../../../config/stack.ts";
import type { Placed } from "./launch.ts";
import { prepare, type Prepared, type PreparedServices } from "./prepared.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** What is decided about. Secrets are only pointed at, so nothing of them is in the digest. */
export const specOf = (service: ServiceSettings, prepared: Prepared): ServiceSpec => {
  const { name, needs, replicas, restart, stop: { drain_ms, ...stop }, update, probes, ready_line, command, schedule } =
    service;
  // How it is looked at makes it no other.
  const { checks: _, ...rest } = prepared;
  return {
    service: name,
    // Of one instance: the others differ by their number and their ports, and how many there are is no change of any.
    digest: sha256(canonical(JSON.parse(JSON.stringify({ ...rest, instances: rest.instances.slice(0, 1) })))),
    program: command.slice(command.lastIndexOf("/") + 1).slice(0, 255) || command.slice(0, 255),
    needs: needs.map((need) => ({ ...need })),
    replicas,
    restart: { ...restart },
    stop: { ...stop, ...(drain_ms > 0 ? { drain_ms } : {}) },
    update: { ...update },
    ...(schedule === undefined ? {} : { schedule }),
    probes: (["startup", "readiness", "liveness"] as const).filter((probe) => probes[probe] !== undefined),
    ready_line: ready_line !== undefined,
  };
};

/** What would become of each service. */
export interface Change {
  readonly service: string;
  /** `scaled`: replicas are added or taken away; `adjusted`: only how it is looked after is another. */
  readonly change: "new" | "changed" | "undone before" | "scaled" | "adjusted" | "removed" | "same";
  readonly replicas: number;
  /** Replicas that it has. */
  readonly had?: number;
  readonly max_unavailable: number;
}

const changeOf = ({ spec: before, reverted }: Service, spec: ServiceSpec): Change["change"] => {
  if (reverted === spec.digest) return "undone before";
  if (before.digest !== spec.digest) return "changed";
  if (before.replicas !== spec.replicas) return "scaled";
  return sameSpec(before, spec) ? "same" : "adjusted";
};

export const changesOf = (placed: Placed, now: Stack): readonly Change[] => {
  const specs = placed.stack.services.map((service) => specOf(service, prepare(service, placed)));
  const gone = Object.values(now.services).filter(({ spec }) => !specs.some(({ service }) => service === spec.service));
  return [
    ...specs.map((spec): Change => {
      const { service, replicas, update } = spec;
      const before = serviceOf(now, service);
      const of = { service, replicas, max_unavailable: update.max_unavailable };
      return before ? { ...of, change: changeOf(before, spec), had: before.spec.replicas } : { ...of, change: "new" };
    }),
    ...gone.map(({ spec: { service, replicas } }): Change => ({
      service,
      change: "removed",
      replicas,
      max_unavailable: replicas,
    })),
  ];
};

type Apply = Extract<ServiceCommand, { type: "services.stack.apply" }>;

/** `profile`: services that name profiles and not this one are not to run. `again`: changes that were undone are tried once more. */
export const applyOf = async (
  placed: Placed,
  { profile, again, kept }: { readonly profile: string; readonly again: boolean; readonly kept: PreparedServices },
): Promise<Apply> => {
  const { services: all, order } = placed.stack;
  const services: ServiceSpec[] = [];
  for (const service of all) {
    const prepared = prepare(service, placed);
    const spec = specOf(service, prepared);
    await kept.keep(service.name, spec.digest, prepared);
    services.push(spec);
  }
  const wanted = all.filter(({ profiles }) => !profiles || profiles.some((name) => name === profile));
  const data = { services, profile, order, wanted: wanted.map(({ name }) => name), ...(again ? { again } : {}) };
  return { type: "services.stack.apply", data };
};
