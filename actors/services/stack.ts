/**
 * Decides about a stack of services. Stream: `services/{stack}`.
 *
 * People ask for services to run, to stop, to restart; whoever starts programs tells what became of it; the rest follows
 * (`settle.ts`). What a stack is, and what becomes of processes, only that one may say: `ORCHESTRATOR`.
 */
import { z } from "zod";
import {
  findingCheck,
  probeName,
  SERVICE_LIMITS,
  type ServiceFact,
  serviceFacts,
  serviceName,
  type ServiceSpec,
  serviceSpec,
} from "../../events/services.ts";
import { type Actor, type Commands, type CommandSchemas, type Context, type Decision, reject } from "../types.ts";
import { recordFindings } from "./findings.ts";
import { graphOf } from "./graph.ts";
import { giveUp, leastOf, resumeTimer, settle, start, stop, updateTimer } from "./settle.ts";
import { Draft } from "./draft.ts";
import {
  evolve,
  isAlive,
  isLive,
  isOver,
  lastDue,
  type Life,
  NOTHING,
  type Service,
  serviceOf,
  type Stack,
} from "./state.ts";
import type { StartOf } from "./wishes.ts";

/** Opaque id of who starts programs and tells of them. */
export const ORCHESTRATOR = "services.orchestrator";

const names = z.array(serviceName).max(SERVICE_LIMITS.services_max);
const instance = { service: serviceName, replica: z.int().nonnegative().max(SERVICE_LIMITS.instances_max - 1) };
const nonce = z.string().min(1).max(100);
const { shape: started } = serviceFacts["services.instance.started"];

export const serviceCommands = {
  /** Says what the stack is. Services that are the same are left alone, changed ones are replaced, those left out are stopped. */
  "services.stack.apply": z.strictObject({
    services: z.array(serviceSpec).max(SERVICE_LIMITS.services_max),
    profile: z.string().min(1).max(63).nullable(),
    order: z.enum(["ready", "batches", "sequential"]),
    /** Those that are to run, and with them what they need. */
    wanted: names,
    /** Changes that were undone are tried once more. Default false. */
    again: z.boolean().optional(),
  }),
  /** Asks for services and what they need; all when none is named. */
  "services.stack.up": z.strictObject({ services: names.optional() }),
  /** Stops services; all when none is named. Who needs one that is stopped too is stopped before it. */
  "services.stack.down": z.strictObject({
    services: names.optional(),
    because: z.enum(["asked", "shutdown"]).optional(),
  }),
  /** The time of a service that runs at stated times has come; or a person wants it to run now. */
  "services.service.trigger": z.strictObject({
    service: serviceName,
    due_ms: serviceFacts["services.service.triggered"].shape.due_ms.optional(),
  }),
  "services.service.restart": z.strictObject({ service: serviceName, replica: instance.replica.optional() }),
  "services.process.record_start": z.strictObject({
    ...instance,
    nonce,
    pid: started.pid,
    boot: started.boot,
    ticks: started.ticks,
    adopted: z.boolean(),
  }),
  "services.process.record_refusal": z.strictObject({
    ...instance,
    nonce,
    because: serviceFacts["services.instance.refused"].shape.because,
  }),
  /** The start waits; told once for each start. */
  "services.process.record_shortage": serviceFacts["services.resources.lacked"],
  "services.process.record_usage": serviceFacts["services.usage.measured"],
  /** What was looked at, and what of it was found. */
  "services.process.record_findings": z.strictObject({
    ...instance,
    checks: z.array(findingCheck).max(findingCheck.options.length),
    findings: z.array(serviceFacts["services.finding.reported"].omit({ service: true, replica: true }))
      .max(findingCheck.options.length),
  }),
  "services.process.record_loss": serviceFacts["services.output.lost"],
  "services.process.record_exit": serviceFacts["services.instance.exited"],
  "services.process.record_line": z.strictObject({ ...instance, nonce }),
  "services.process.record_probe": z.strictObject({
    ...instance,
    nonce,
    probe: probeName,
    ok: z.boolean(),
    because: serviceFacts["services.health.lost"].shape.because,
  }),
  /** A wait before a restart is over. */
  "services.instance.resume": z.strictObject({ ...instance, attempt: z.int().positive() }),
  /** The newest of a changed service may have been well for long enough. */
  "services.update.look": z.strictObject({ service: serviceName }),
  /** The time for a change is over. */
  "services.update.expire": z.strictObject({ service: serviceName, to: serviceSpec.shape.digest }),
  /** The time to stop is over. */
  "services.instance.expire": z.strictObject({ ...instance, nonce }),
} satisfies CommandSchemas;

export type ServiceCommand = Commands<typeof serviceCommands>;

const FACTS = Object.keys(serviceFacts) as readonly ServiceFact["type"][];

export const services: Actor<Stack, ServiceCommand, ServiceFact> = {
  domain: "services",
  version: 1,
  commands: serviceCommands,
  facts: FACTS,
  initial: NOTHING,
  evolve,
  decide(stack, command, context): Decision<ServiceFact> {
    const { type } = command;
    const own = type === "services.stack.apply" || type.startsWith("services.process.record_");
    if (own && context.by !== ORCHESTRATOR) {
      return reject("not_the_orchestrator", "Only who starts programs tells what they are, and what became of them");
    }
    const draft = new Draft(stack, context);
    const refusal = act(draft, command, context);
    if (refusal) return refusal;
    settle(draft);
    return { ok: true, facts: draft.facts, timers: lastOf(draft) };
  },
};

/** Of several wishes about one timer the last counts. */
const lastOf = ({ timers }: Draft): Draft["timers"] => [
  ...new Map(timers.map((timer) => ["set" in timer ? timer.set : timer.cancel, timer])).values(),
];

const act = (draft: Draft, command: ServiceCommand, { at, by }: Context): Decision<never> | undefined => {
  switch (command.type) {
    case "services.stack.apply":
      return apply(draft, command.data);
    case "services.stack.up":
      return up(draft, command.data.services);
    case "services.stack.down":
      return down(draft, command.data.services, command.data.because ?? "asked");
    case "services.service.restart":
      return restart(draft, command.data);
    case "services.service.trigger":
      return trigger(draft, command.data, by);
    case "services.process.record_start": {
      const { data } = command;
      const life = draft.life(data.service, data.replica);
      if (life?.is !== "starting" && !(life?.is === "stopping" && !life.process)) return undefined;
      if (life.nonce !== data.nonce) return undefined;
      draft.add({ type: "services.instance.started", data: { ...data, at_ms: at } });
      const { probes, ready_line } = draft.service(data.service)!.spec;
      const unprobed = !ready_line && probes.every((probe) => probe === "liveness");
      if (life.is === "starting" && unprobed) wellNow(draft, data, false);
      return undefined;
    }
    case "services.process.record_refusal":
    case "services.process.record_exit": {
      const { data } = command;
      const life = draft.life(data.service, data.replica);
      if (!life || !isLive(life) || nonceOf(life) !== data.nonce) return undefined;
      if (command.type === "services.process.record_exit") {
        draft.add({ type: "services.instance.exited", data: command.data });
      } else draft.add({ type: "services.instance.refused", data: command.data });
      return undefined;
    }
    case "services.process.record_shortage": {
      const { data } = command;
      const life = draft.life(data.service, data.replica);
      if (life?.is === "starting" && life.nonce === data.nonce) {
        draft.add({ type: "services.resources.lacked", data });
      }
      return undefined;
    }
    case "services.process.record_usage":
      if (draft.service(command.data.service)) draft.add({ type: "services.usage.measured", data: command.data });
      return undefined;
    case "services.process.record_findings":
      recordFindings(draft, command.data);
      return undefined;
    case "services.process.record_loss":
      if (draft.service(command.data.service)) draft.add({ type: "services.output.lost", data: command.data });
      return undefined;
    case "services.process.record_line": {
      const life = aliveOf(draft, command.data);
      if (!life || life.line) return undefined;
      draft.add({ type: "services.instance.line_matched", data: command.data });
      const { probes } = draft.service(command.data.service)!.spec;
      if (life.is === "running" && probes.every((probe) => probe === "liveness")) wellNow(draft, command.data, true);
      return undefined;
    }
    case "services.process.record_probe":
      return probed(draft, command.data);
    case "services.instance.resume": {
      const { service, replica, attempt } = command.data;
      const life = draft.life(service, replica);
      if (life?.is === "backoff" && life.attempt === attempt) start(draft, service, replica, attempt);
      return undefined;
    }
    case "services.update.look":
      return undefined; // what follows follows
    case "services.update.expire": {
      const service = draft.service(command.data.service);
      if (!service?.update || service.spec.digest !== command.data.to) return undefined;
      giveUp(draft, command.data.service, `not all were well within ${service.spec.update.deadline_ms} ms`);
      return undefined;
    }
    case "services.instance.expire": {
      const { service, replica, nonce } = command.data;
      const life = draft.life(service, replica);
      if (life?.is === "stopping" && life.nonce === nonce && !life.overdue) {
        draft.add({ type: "services.instance.stop_expired", data: { service, replica, nonce } });
      }
      return undefined;
    }
  }
};

const nonceOf = (life: Life): string | undefined =>
  isAlive(life) ? life.process.nonce : life.is === "starting" || life.is === "stopping" ? life.nonce : undefined;

const aliveOf = (draft: Draft, { service, replica, nonce }: StartOf) => {
  const life = draft.life(service, replica);
  return life && isAlive(life) && life.process.nonce === nonce ? life : undefined;
};

const wellNow = (draft: Draft, { service, replica, nonce }: StartOf, probed: boolean): void =>
  draft.add({ type: "services.health.confirmed", data: { service, replica, nonce, probed, at_ms: draft.at } });

/** As Kubernetes has it: startup holds back the others; readiness says who may be used; liveness (and startup) end an instance. */
const probed = (
  draft: Draft,
  { ok, ...data }: Extract<ServiceCommand, { type: "services.process.record_probe" }>["data"],
): undefined => {
  const life = aliveOf(draft, data);
  if (!life) return undefined;
  const { probes } = draft.service(data.service)!.spec;
  if (ok) {
    const decides = probes.includes("readiness") ? data.probe === "readiness" : data.probe === "startup";
    if (decides && life.is !== "healthy") wellNow(draft, data, true);
    return undefined;
  }
  if (data.probe === "readiness") {
    if (life.is !== "unhealthy") draft.add({ type: "services.health.lost", data });
    return undefined;
  }
  draft.add({ type: "services.health.lost", data });
  stop(draft, data.service, data.replica, "unhealthy");
  return undefined;
};

const apply = (
  draft: Draft,
  { services, profile, order, wanted, again }: Extract<ServiceCommand, { type: "services.stack.apply" }>["data"],
): Decision<never> | undefined => {
  const given = new Set(services.map(({ service }) => service));
  if (given.size < services.length) return reject("service_twice", "A service is there twice");
  const graph = graphOf(services.map(({ service, needs }) => ({ name: service, needs: needs.map((n) => n.service) })));
  if (!graph.ok) return reject("dependency_cycle", `The services need each other: ${graph.cycle.join(" → ")}`);
  const instances = services.reduce((sum, { replicas }) => sum + replicas, 0);
  if (instances > SERVICE_LIMITS.instances_max) {
    return reject("too_many_instances", `A stack has at most ${SERVICE_LIMITS.instances_max} instances`);
  }
  const unknown = [...wanted, ...services.flatMap(({ needs }) => needs.filter((n) => n.required).map((n) => n.service))]
    .find((name) => !given.has(name));
  if (unknown !== undefined) return reject("service_unknown", `There is no service "${unknown}"`);
  for (const spec of services) {
    const before = draft.service(spec.service);
    const same = before && (sameSpec(before.spec, spec) || before.reverted === spec.digest && !again);
    // One on its way out that is there again is one that stays.
    if (same && before.unwanted === "removed") {
      draft.add({ type: "services.service.defined", data: before.spec });
      continue;
    }
    if (same) continue;
    if (before) begin(draft, before, spec);
    draft.add({ type: "services.service.defined", data: spec });
  }
  for (const [name, { unwanted }] of Object.entries(draft.stack.services)) {
    if (given.has(name) || unwanted === "removed") continue;
    draft.add({ type: "services.service.unwanted", data: { service: name, because: "removed" } });
  }
  const { order: had, mode } = draft.stack;
  if (draft.facts.length > 0 || mode !== order || had.length === 0) {
    draft.add({ type: "services.stack.applied", data: { services: [...graph.order], profile, order } });
  }
  const asked = wanted.filter((name) => !staysDown(draft.service(name)!));
  want(draft, asked, false);
  const all = closure(draft.stack, wanted);
  for (const name of given) {
    if (!all.has(name) && draft.service(name)!.wanted) {
      draft.add({ type: "services.service.unwanted", data: { service: name, because: "profile" } });
    }
  }
  return undefined;
};

/** Where something runs that is to be replaced. */
const begin = (draft: Draft, { spec: before, lives, wanted }: Service, spec: ServiceSpec): void => {
  if (!wanted || before.digest === spec.digest || !lives.some(isLive)) return;
  const { service, digest: to } = spec;
  const until_ms = draft.at + spec.update.deadline_ms;
  draft.add({ type: "services.update.begun", data: { service, from: before.digest, to, until_ms } });
  draft.timers.push({
    set: updateTimer(service),
    at: until_ms,
    command: { type: "services.update.expire", data: { service, to } },
  });
};

/** Key order does not count: both are of one schema. */
export const sameSpec = (a: ServiceSpec, b: ServiceSpec): boolean => {
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === "object" && value !== null
      ? Object.entries(value).sort(([x], [y]) => x < y ? -1 : 1).map(([key, each]) => [key, sorted(each)])
      : value;
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
};

/** A person stopped it, and its policy is that it stays so. */
const staysDown = ({ unwanted, spec }: Service): boolean =>
  unwanted === "asked" && (spec.restart.policy === "unless_stopped" || spec.restart.policy === "no");

/** These and all they need. */
const closure = (stack: Stack, names: readonly string[]): ReadonlySet<string> => {
  const all = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const service = serviceOf(stack, name);
    if (all.has(name) || !service) continue;
    all.add(name);
    open.push(...service.spec.needs.filter(({ required }) => required).map((need) => need.service));
  }
  return all;
};

/** `again`: those too that have failed, completed or been given up. */
const want = (draft: Draft, names: readonly string[], again: boolean): void => {
  for (const name of closure(draft.stack, names)) {
    const { wanted, lives } = draft.service(name)!;
    if (!wanted || again && lives.some((life) => isOver(life) && life.is !== "completed")) {
      draft.add({ type: "services.service.wanted", data: { service: name } });
    }
  }
};

const missing = (draft: Draft, names: readonly string[]): Decision<never> | undefined => {
  const name = names.find((name) => !draft.service(name) || draft.service(name)!.unwanted === "removed");
  return name === undefined ? undefined : reject("service_unknown", `There is no service "${name}" in this stack`);
};

const up = (draft: Draft, names = draft.stack.order): Decision<never> | undefined => {
  const no = missing(draft, names);
  if (!no) want(draft, names, true);
  return no;
};

const down = (draft: Draft, names: readonly string[] | undefined, because: "asked" | "shutdown") => {
  const no = names && missing(draft, names);
  if (no) return no;
  for (const service of names ?? draft.stack.order) {
    if (draft.service(service)!.wanted) draft.add({ type: "services.service.unwanted", data: { service, because } });
  }
  return undefined;
};

const trigger = (
  draft: Draft,
  { service: name, due_ms = draft.at }: { readonly service: string; readonly due_ms?: number },
  by: string,
): Decision<never> | undefined => {
  const service = draft.service(name);
  if (!service || service.unwanted === "removed") return missing(draft, [name]);
  if (!service.wanted) return reject("service_not_wanted", `"${name}" is stopped: ask for it to be up`);
  // No time before it would be due any more.
  if (due_ms > draft.at && by !== ORCHESTRATOR) return reject("not_due", "A time that is to come is not due yet");
  if (due_ms <= (lastDue(service, draft.at) ?? -1)) return undefined; // told before
  const running = service.lives.some((life) => !isOver(life) && life.is !== "idle");
  draft.add({ type: "services.service.triggered", data: { service: name, due_ms, running } });
  return undefined;
};

/** What waits is left to wait: it starts anyway, and once. What is over starts again. */
const restart = (
  draft: Draft,
  { service: name, replica }: { readonly service: string; readonly replica?: number },
): Decision<never> | undefined => {
  const service = draft.service(name);
  if (!service || service.unwanted === "removed") return missing(draft, [name]);
  if (!service.wanted) return reject("service_not_wanted", `"${name}" is stopped: ask for it to be up`);
  if (replica !== undefined && replica >= service.spec.replicas) {
    return reject("replica_unknown", `"${name}" has ${service.spec.replicas} replicas`);
  }
  // Those past the replicas are on their way out, or gone.
  const each = replica === undefined ? Array.from({ length: service.spec.replicas }, (_, at) => at) : [replica];
  const well = service.lives.slice(0, service.spec.replicas).filter(({ is }) => is === "healthy").length;
  const going = each.filter((at) => draft.life(name, at)!.is === "healthy").length;
  const least = leastOf(service.spec);
  if (going > 0 && well - going < least) {
    const left = `That would leave ${well - going} of "${name}" healthy, and at least ${least} must be`;
    return reject("below_minimum", `${left}: restart one when the others are well`);
  }
  for (const at of each) {
    const life = draft.life(name, at)!;
    if (isAlive(life)) stop(draft, name, at, "restart");
    else if (life.is === "backoff") {
      draft.timers.push({ cancel: resumeTimer(name, at) });
      start(draft, name, at, life.attempt);
    } else if (isOver(life)) start(draft, name, at, 0);
  }
  return undefined;
};
