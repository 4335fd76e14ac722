/**
 * What follows from how things stand: who starts, who stops, who is given up. Applied after every fact, until nothing more follows.
 */
import { type Condition, SERVICE_LIMITS, type ServiceSpec } from "../../events/services.ts";
import type { Draft } from "./draft.ts";
import { clearFindings } from "./findings.ts";
import { graphOf } from "./graph.ts";
import {
  type Because,
  holds,
  isAlive,
  isHopeless,
  isLive,
  isOver,
  type Life,
  type Service,
  serviceOf,
  type Stack,
} from "./state.ts";

/** Everything that follows, as far as it is one decision; a timer that is due at once goes on with the rest. */
export const settle = (draft: Draft): void => {
  for (const name of draft.stack.order) {
    for (const [replica, life] of draft.service(name)!.lives.entries()) {
      if (life.is === "exited") ended(draft, name, replica, life);
    }
  }
  const [service] = draft.stack.order;
  for (const step of steps(draft)) {
    if (draft.isFull) {
      const command = { type: "services.update.look", data: { service: service! } } as const;
      draft.timers.push({ set: "settle", at: draft.at, command });
      return;
    }
    step();
  }
};

/** Each service is looked at in an order in which none comes before what it needs; for stopping, in reverse. */
function* steps(draft: Draft): Iterable<() => void> {
  for (const name of draft.stack.order) yield () => progress(draft, name);
  for (const name of draft.stack.order.toReversed()) {
    for (const replica of draft.service(name)!.lives.keys()) yield () => stopWhatMust(draft, name, replica);
  }
  for (const name of draft.stack.order) {
    const { lives, spec } = draft.service(name)!;
    for (let replica = 0; replica < Math.min(lives.length, spec.replicas); replica++) {
      yield () => begin(draft, name, replica);
    }
  }
  for (const name of draft.stack.order) yield () => letGo(draft, name);
}

const letGo = (draft: Draft, name: string): void => {
  clearFindings(draft, name);
  const { unwanted, lives } = draft.service(name)!;
  const removed = unwanted === "removed" && lives.every((life) => !isLive(life));
  if (removed) {
    draft.add({ type: "services.service.removed", data: { service: name } });
  }
};

/** Whether this instance is to run. */
const isWanted = ({ wanted, spec }: Service, replica: number): boolean => wanted && replica < spec.replicas;

const ended = (draft: Draft, service: string, replica: number, life: Extract<Life, { is: "exited" }>): void => {
  const entry = draft.service(service)!;
  const { restart } = entry.spec;
  const { because, ok, how } = life;
  if (because !== undefined) draft.timers.push({ cancel: graceTimer(service, replica) });
  if (!isWanted(entry, replica)) {
    return draft.add({ type: "services.instance.stopped", data: { service, replica } });
  }
  // Asked for meanwhile, or replaced: at once, and from the beginning.
  if (because !== undefined && because !== "unhealthy") return start(draft, service, replica, 0);
  const good = ok && because === undefined;
  if (good && (restart.policy === "no" || restart.policy === "on_failure")) {
    return draft.add({ type: "services.instance.completed", data: { service, replica } });
  }
  if (restart.policy === "no") {
    return draft.add({ type: "services.instance.failed", data: { service, replica, because: how } });
  }
  const wasWell = life.at !== undefined && draft.at - life.at >= restart.reset_ms;
  const attempt = wasWell ? 1 : life.attempt + 1;
  if (attempt > restart.max) {
    const spent = `${how}, after ${restart.max} ${restart.max === 1 ? "restart" : "restarts"}`;
    return draft.add({ type: "services.instance.failed", data: { service, replica, because: spent } });
  }
  const until_ms = draft.at + backoff(restart, attempt, draft.chance());
  draft.add({ type: "services.instance.delayed", data: { service, replica, attempt, until_ms } });
  draft.timers.push({
    set: resumeTimer(service, replica),
    at: until_ms,
    command: { type: "services.instance.resume", data: { service, replica, attempt } },
  });
};

/** Doubled each time up to the longest, then more or less by as much as `jitter` allows. */
export const backoff = (
  { first_ms, last_ms, jitter }: ServiceSpec["restart"],
  attempt: number,
  chance: number,
): number => {
  const wait = Math.min(last_ms, first_ms * 2 ** Math.min(attempt - 1, 30));
  return Math.round(wait * (1 + (2 * chance - 1) * jitter / 100));
};

const graceTimer = (service: string, replica: number): string => `grace/${service}/${replica}`;
export const resumeTimer = (service: string, replica: number): string => `resume/${service}/${replica}`;

const stopWhatMust = (draft: Draft, name: string, replica: number): void => {
  const service = draft.service(name)!;
  const life = service.lives[replica]!;
  if (isWanted(service, replica)) {
    const old = (life.is === "starting" || isAlive(life)) && life.digest !== service.spec.digest;
    if (old && mayReplace(service, replica, draft.at)) stop(draft, name, replica, "changed");
    return;
  }
  if (life.is === "stopping" || isOver(life)) return;
  if (!isLive(life)) {
    if (life.is === "backoff") draft.timers.push({ cancel: resumeTimer(name, replica) });
    return draft.add({ type: "services.instance.stopped", data: { service: name, replica } });
  }
  if (!service.wanted && dependentsLive(draft.stack, name)) return;
  stop(draft, name, replica, service.wanted ? "removed" : service.unwanted ?? "asked");
};

/** One that is not well may be replaced at any time, others only as far as so few are missing. */
const mayReplace = ({ lives, spec }: Service, replica: number, at: number): boolean => {
  const missing = (life: Life) => life.is !== "healthy" || life.digest === spec.digest && !isSteady(life, spec, at);
  const others = lives.slice(0, spec.replicas).filter((life, other) => other !== replica && missing(life)).length;
  return lives[replica]!.is !== "healthy" || others < spec.update.max_unavailable;
};

/** So many are to be healthy whatever is changed or asked for, but for an end that was asked for. */
export const leastOf = ({ replicas, update }: Pick<ServiceSpec, "replicas" | "update">): number =>
  Math.max(0, replicas - update.max_unavailable);

/** Well for as long as it must be before the next one's turn comes. */
const isSteady = (life: Life, { update }: ServiceSpec, at: number): boolean =>
  life.is === "healthy" && life.well !== undefined && at - life.well >= update.healthy_ms;

export const updateTimer = (service: string): string => `update/${service}`;
const steadyTimer = (service: string): string => `steady/${service}`;

/** How far the replacement of a changed service has come: done, undone, or to be looked at again when the newest has been well for long. */
const progress = (draft: Draft, name: string): void => {
  const { update, spec, lives, wanted } = draft.service(name)!;
  if (!update) return;
  const over = () => {
    for (const timer of [updateTimer(name), steadyTimer(name)]) draft.timers.push({ cancel: timer });
  };
  const all = lives.slice(0, spec.replicas);
  if (!wanted) {
    over();
    return draft.add({ type: "services.update.completed", data: { service: name, to: spec.digest } });
  }
  if (all.some(({ is }) => is === "failed")) return giveUp(draft, name, "an instance has failed");
  const fresh = all.filter((life) => isAlive(life) && life.digest === spec.digest);
  if (
    all.every((life) =>
      life.is === "completed" || life.is === "idle" ||
      isAlive(life) && life.digest === spec.digest && isSteady(life, spec, draft.at)
    )
  ) {
    over();
    return draft.add({ type: "services.update.completed", data: { service: name, to: spec.digest } });
  }
  const wells = fresh.flatMap((life) =>
    isAlive(life) && life.well !== undefined && !isSteady(life, spec, draft.at) ? [life.well] : []
  );
  if (wells.length === 0) return;
  draft.timers.push({
    set: steadyTimer(name),
    at: Math.min(...wells) + spec.update.healthy_ms,
    command: { type: "services.update.look", data: { service: name } },
  });
};

/** What was before takes its place again, unless nothing is to be undone. */
export const giveUp = (draft: Draft, name: string, because: string): void => {
  const { update, spec } = draft.service(name)!;
  for (const timer of [updateTimer(name), steadyTimer(name)]) draft.timers.push({ cancel: timer });
  if (!spec.update.rollback) {
    return draft.add({ type: "services.update.failed", data: { service: name, to: spec.digest, because } });
  }
  const { digest: to } = update!.before;
  draft.add({ type: "services.update.reverted", data: { service: name, from: spec.digest, to, because } });
  // What it needs again may need it by now, and each would wait for the other.
  const nodes = Object.values(draft.stack.services).filter(({ unwanted }) => unwanted !== "removed").map((one) => ({
    name: one.spec.service,
    needs: one.spec.needs.map(({ service }) => service),
  }));
  const graph = graphOf(nodes);
  const other = graph.ok ? undefined : graph.cycle.find((other) => isUndoable(draft.service(other)));
  if (other !== undefined) giveUp(draft, other, `${name} needs it again`.slice(0, SERVICE_LIMITS.cause_chars_max));
};

const isUndoable = (service: Service | undefined): boolean =>
  service?.update !== undefined && service.spec.update.rollback;

/** Somebody who needs it is being stopped too, and goes first. */
const dependentsLive = ({ services, order }: Stack, name: string): boolean =>
  order.some((other) => {
    const { wanted, spec, lives } = services[other]!;
    return !wanted && spec.needs.some(({ service }) => service === name) && lives.some(isLive);
  });

/** Asks an instance that may have a process to end. */
export const stop = (draft: Draft, service: string, replica: number, because: Because): void => {
  const life = draft.life(service, replica)!;
  const nonce = life.is === "starting" || life.is === "stopping" ? life.nonce : isAlive(life) ? life.process.nonce : "";
  const { drain_ms = 0, grace_ms } = draft.service(service)!.spec.stop;
  // Nobody uses one that is not healthy.
  const until_ms = draft.at + (life.is === "healthy" ? drain_ms : 0) + grace_ms;
  draft.add({ type: "services.instance.stop_requested", data: { service, replica, nonce, because, until_ms } });
  draft.timers.push({
    set: graceTimer(service, replica),
    at: until_ms,
    command: { type: "services.instance.expire", data: { service, replica, nonce } },
  });
};

const begin = (draft: Draft, name: string, replica: number): void => {
  const service = draft.service(name)!;
  const life = service.lives[replica]!;
  if (!service.wanted || (life.is !== "pending" && life.is !== "waiting")) return;
  start(draft, name, replica, 0);
};

/** Announces an instance if it may start; else it waits, or is given up. */
export const start = (draft: Draft, service: string, replica: number, attempt: number): void => {
  const { spec } = draft.service(service)!;
  const life = draft.life(service, replica)!;
  const { waits, never } = needsOf(draft.stack, spec);
  if (never !== undefined) {
    return draft.add({ type: "services.instance.skipped", data: { service, replica, because: never } });
  }
  const turn = waits.length > 0 ? waits : before(draft.stack, service);
  if (turn.length === 0) {
    const { digest } = spec;
    const nonce = draft.nonce();
    return draft.add({ type: "services.instance.announced", data: { service, replica, nonce, digest, attempt } });
  }
  if (life.is === "waiting") return;
  draft.add({
    type: "services.instance.queued",
    data: { service, replica, for: turn.slice(0, SERVICE_LIMITS.needs_max) },
  });
};

const needsOf = (
  stack: Stack,
  { needs }: ServiceSpec,
): { readonly waits: readonly string[]; readonly never?: string } => {
  const waits: string[] = [];
  for (const { service: name, condition, required } of needs) {
    const service = serviceOf(stack, name);
    const lives = service?.lives.slice(0, service.spec.replicas) ?? [];
    if (service && lives.every((life) => holds(condition, life))) continue;
    const hopeless = !service || !service.wanted && lives.every((life) => !isLive(life)) ||
      lives.some((life) => isHopeless(condition, life));
    if (!hopeless) waits.push(name);
    else if (required) return { waits, never: `${name} will not be ${SAID[condition]}` };
  }
  return { waits };
};

const SAID: Readonly<Record<Condition, string>> = {
  started: "started",
  healthy: "healthy",
  log_ready: "ready",
  completed: "completed",
  completed_successfully: "completed successfully",
};

/** Who goes first although it is not needed: in the modes that do not start whatever may start. */
const before = ({ mode, order, services }: Stack, name: string): readonly string[] => {
  if (mode === "ready") return [];
  const open = (other: string) => {
    const { wanted, lives, spec } = services[other]!;
    // One that waits for its time would keep the others waiting for it too.
    const isOpen = (life: Life) => life.is !== "healthy" && life.is !== "idle" && !isOver(life);
    return wanted && lives.slice(0, spec.replicas).some(isOpen);
  };
  if (mode === "sequential") return order.slice(0, order.indexOf(name)).filter(open);
  const depths = depthsOf(order, services);
  return order.filter((other) => depths.get(other)! < depths.get(name)! && open(other));
};

const depthsOf = (order: readonly string[], services: Stack["services"]): ReadonlyMap<string, number> => {
  const depths = new Map<string, number>();
  for (const name of order) {
    const below = services[name]!.spec.needs.map(({ service }) => depths.get(service) ?? -1);
    depths.set(name, 1 + Math.max(-1, ...below));
  }
  return depths;
};
