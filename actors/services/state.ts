/** What is known of a stack: its services, which of them are to run, and how far each instance has come. */
import type { Condition, Finding, ProbeName, ServiceFact, ServiceSpec } from "../../events/services.ts";
import { graphOf } from "./graph.ts";

/** A process that no other can be mistaken for; see `services.instance.started`. */
export interface Process {
  readonly nonce: string;
  readonly pid: number;
  readonly boot: string;
  readonly ticks: number;
}

export type Because = Extract<ServiceFact, { type: "services.instance.stop_requested" }>["data"]["because"];

/** `attempt`: restarts one after another so far. */
export type Life =
  | { readonly is: "pending" | "waiting" | "completed" | "failed" | "stopped" | "skipped" }
  /** It runs at stated times, and none has come yet. */
  | { readonly is: "idle" }
  | { readonly is: "starting"; readonly nonce: string; readonly digest: string; readonly attempt: number }
  | Alive
  | Stopping
  /** Between the end of a process and what is decided about it; never what a decision leaves behind. */
  | {
    readonly is: "exited";
    readonly attempt: number;
    readonly because: Because | undefined;
    readonly ok: boolean;
    readonly how: string;
    /** When its process was started, ms since 1970; absent where it never was. */
    readonly at?: number;
  }
  | { readonly is: "backoff"; readonly attempt: number; readonly until: number };

export interface Alive {
  readonly is: "running" | "healthy" | "unhealthy";
  readonly process: Process;
  readonly digest: string;
  readonly attempt: number;
  readonly at: number;
  /** The line that says it is ready was seen. */
  readonly line: boolean;
  /** Since when it is well, ms since 1970. */
  readonly well?: number;
  /** The probe that says it is not well. */
  readonly probe?: ProbeName;
}

export interface Stopping {
  readonly is: "stopping";
  readonly nonce: string;
  /** Absent where the start was announced and nobody has told of it yet. */
  readonly process?: Process;
  readonly digest: string;
  readonly because: Because;
  readonly until: number;
  readonly overdue: boolean;
  readonly attempt: number;
  readonly at?: number;
}

export interface Service {
  readonly spec: ServiceSpec;
  readonly wanted: boolean;
  /** Why it is not wanted; what a person stopped stays so over a restart where the policy says so. */
  readonly unwanted?: "asked" | "shutdown" | "removed" | "profile";
  /** While a changed one takes its place: what was before. */
  readonly update?: { readonly before: ServiceSpec };
  /** Digest of one that did not become well; it is not tried again by itself. */
  readonly reverted?: string;
  /** When its stated time came last, ms since 1970. */
  readonly triggered?: number;
  /** By replica; those past `spec.replicas` are on their way out. */
  readonly lives: readonly Life[];
  /** By replica; absent where nothing was ever found. */
  readonly findings?: Readonly<Record<number, readonly Finding[]>>;
}

export interface Stack {
  readonly services: Readonly<Record<string, Service>>;
  /** None before what it needs. */
  readonly order: readonly string[];
  readonly mode: "ready" | "batches" | "sequential";
}

export const NOTHING: Stack = { services: {}, order: [], mode: "ready" };

/** `undefined` for one that is not in the stack; a name may be one that every object has. */
export const serviceOf = ({ services }: Stack, name: string): Service | undefined =>
  Object.hasOwn(services, name) ? services[name] : undefined;

export const findingsOf = (stack: Stack, name: string, replica: number): readonly Finding[] =>
  serviceOf(stack, name)?.findings?.[replica] ?? [];

/** A stated time that lies further ahead was told by a clock that is set back since. */
const AHEAD_MS = 86_400_000;

/** The newest of its stated times that has come, as far as it counts at a time, ms since 1970. */
export const lastDue = ({ triggered }: Pick<Service, "triggered">, at: number): number | undefined =>
  triggered === undefined || triggered > at + AHEAD_MS ? undefined : triggered;

const PENDING: Life = { is: "pending" };
const firstOf = ({ schedule }: Pick<ServiceSpec, "schedule">): Life =>
  schedule === undefined ? PENDING : { is: "idle" };

/** Whether a process may be there. */
export const isLive = ({ is }: Life): boolean =>
  is === "starting" || is === "running" || is === "healthy" || is === "unhealthy" || is === "stopping";
/** Whether nothing more will come of it without being asked. */
export const isOver = ({ is }: Life): boolean =>
  is === "completed" || is === "failed" || is === "stopped" || is === "skipped";

export const isAlive = (life: Life): life is Alive =>
  life.is === "running" || life.is === "healthy" || life.is === "unhealthy";

/** Whether the condition holds of one instance. */
export const holds = (condition: Condition, life: Life): boolean => {
  switch (condition) {
    case "started":
      return isAlive(life) || life.is === "completed";
    case "healthy":
      return life.is === "healthy";
    case "log_ready":
      return isAlive(life) && life.line;
    case "completed":
      return life.is === "completed" || life.is === "failed";
    case "completed_successfully":
      return life.is === "completed";
  }
};

/** Whether it cannot hold any more unless somebody asks for another start. */
export const isHopeless = (condition: Condition, life: Life): boolean => {
  if (!isOver(life)) return false;
  if (life.is === "completed") return condition === "healthy" || condition === "log_ready";
  return !(life.is === "failed" && condition === "completed");
};

const withLife = (stack: Stack, name: string, replica: number, change: (life: Life) => Life): Stack => {
  const service = serviceOf(stack, name);
  const life = service?.lives[replica];
  if (!service || !life) return stack;
  return withService(stack, name, { ...service, lives: service.lives.with(replica, change(life)) });
};

const withService = (stack: Stack, name: string, service: Service): Stack => ({
  ...stack,
  services: { ...stack.services, [name]: service },
});

const nonceOf = (life: Life): string | undefined =>
  life.is === "starting" || life.is === "stopping" ? life.nonce : isAlive(life) ? life.process.nonce : undefined;

/** Applies only to the process it tells of. */
const of = (nonce: string, change: (life: Life) => Life) => (life: Life) =>
  nonceOf(life) === nonce ? change(life) : life;

const exited = (life: Life, ok: boolean, how: string): Life => {
  if (!isLive(life)) return life;
  const { attempt, at } = life as Alive | Stopping;
  const because = life.is === "stopping" ? life.because : undefined;
  return { is: "exited", attempt, because, ok, how, ...(at === undefined ? {} : { at }) };
};

const howEnded = ({ code, signal, known }: { code: number | null; signal: string | null; known: boolean }): string =>
  !known ? "it ended unseen" : signal !== null ? `${signal} ended it` : `it ended with ${code}`;

/** Facts of processes are passed over where they tell of one that is not the instance's any more. */
export const evolve = (stack: Stack, fact: ServiceFact): Stack => {
  const { data } = fact;
  switch (fact.type) {
    case "services.service.defined": {
      const { service: name, replicas } = fact.data;
      const before = serviceOf(stack, name);
      // What has another program now is tried anew, and so are those of its replicas that were taken away and are back.
      const isAnew = (at: number) => before!.spec.digest !== fact.data.digest || at >= before!.spec.replicas;
      const lives = (before?.lives ?? []).map((life, at) =>
        before!.wanted && isOver(life) && isAnew(at) ? firstOf(fact.data) : life
      );
      const grown = lives.length < replicas
        ? [...lives, ...Array(replicas - lives.length).fill(firstOf(fact.data))]
        : lives;
      const { unwanted, wanted = false, update, reverted, triggered, findings } = before ?? {};
      return withService(stack, name, {
        wanted,
        ...(unwanted === undefined || unwanted === "removed" ? {} : { unwanted }),
        ...(update === undefined ? {} : { update }),
        ...(triggered === undefined ? {} : { triggered }),
        ...(findings === undefined ? {} : { findings }),
        ...(reverted === undefined || reverted === fact.data.digest ? {} : { reverted }),
        spec: fact.data,
        lives: grown,
      });
    }
    case "services.service.removed": {
      const { [fact.data.service]: _, ...services } = stack.services;
      return { ...stack, services, order: stack.order.filter((name) => name !== fact.data.service) };
    }
    case "services.stack.applied": {
      // Those on their way out are stopped with the others, in an order that holds for all.
      const gone = stack.order.filter((name) => !fact.data.services.includes(name));
      const names = [...fact.data.services, ...gone].filter((name) => serviceOf(stack, name));
      const nodes = names.map((name) => ({
        name,
        needs: serviceOf(stack, name)!.spec.needs.map(({ service }) => service),
      }));
      const graph = graphOf(nodes);
      return { ...stack, order: graph.ok ? graph.order : names, mode: fact.data.order };
    }
    case "services.update.begun": {
      const service = serviceOf(stack, fact.data.service);
      return service
        ? withService(stack, fact.data.service, { ...service, update: service.update ?? { before: service.spec } })
        : stack;
    }
    case "services.update.completed":
    case "services.update.failed": {
      const { update: _, ...service } = serviceOf(stack, fact.data.service) ?? {};
      return "spec" in service ? withService(stack, fact.data.service, service as Service) : stack;
    }
    case "services.update.reverted": {
      const { update, ...service } = serviceOf(stack, fact.data.service) ?? {};
      if (!update) return stack;
      const { lives, spec: { replicas } } = service as Service;
      const isTried = ({ is }: Life, at: number) => is === "failed" || is === "completed" || at >= replicas;
      return withService(stack, fact.data.service, {
        ...service as Service,
        spec: update.before,
        reverted: fact.data.from,
        lives: lives.map((life, at) => isOver(life) && isTried(life, at) ? PENDING : life),
      });
    }
    case "services.service.wanted": {
      const service = serviceOf(stack, fact.data.service);
      if (!service) return stack;
      const { unwanted: _, ...rest } = service;
      return withService(stack, fact.data.service, {
        ...rest,
        wanted: true,
        lives: service.lives.map((life) => isOver(life) ? firstOf(service.spec) : life),
      });
    }
    case "services.service.triggered": {
      const service = serviceOf(stack, fact.data.service);
      if (!service) return stack;
      const { due_ms: triggered, running } = fact.data;
      const lives = running
        ? service.lives
        : service.lives.map((life) => isOver(life) || life.is === "idle" ? PENDING : life);
      return withService(stack, fact.data.service, { ...service, triggered, lives });
    }
    case "services.service.unwanted": {
      const service = serviceOf(stack, fact.data.service);
      if (!service) return stack;
      return withService(stack, fact.data.service, { ...service, wanted: false, unwanted: fact.data.because });
    }
    case "services.finding.reported":
    case "services.finding.cleared": {
      const { service: name, replica, check } = fact.data;
      const service = serviceOf(stack, name);
      if (!service) return stack;
      const others = findingsOf(stack, name, replica).filter((finding) => finding.check !== check);
      const now = fact.type === "services.finding.cleared" ? others : [...others, findingIn(fact.data)];
      return withService(stack, name, { ...service, findings: { ...service.findings, [replica]: now } });
    }
    default: {
      const { service, replica } = data as { readonly service: string; readonly replica: number };
      return withLife(stack, service, replica, (life) => lifeAfter(life, fact));
    }
  }
};

const findingIn = (
  { service: _, replica: __, ...finding }: Extract<ServiceFact, { type: "services.finding.reported" }>["data"],
): Finding => finding;

type InstanceFact = Exclude<ServiceFact, { type: `services.${"service" | "stack" | "update" | "finding"}.${string}` }>;

const lifeAfter = (life: Life, fact: InstanceFact): Life => {
  switch (fact.type) {
    case "services.instance.queued":
      return { is: "waiting" };
    case "services.instance.announced": {
      const { nonce, digest, attempt } = fact.data;
      return { is: "starting", nonce, digest, attempt };
    }
    case "services.resources.lacked":
    case "services.output.lost":
    case "services.usage.measured":
      return life;
    case "services.instance.started": {
      const { nonce, pid, boot, ticks, at_ms } = fact.data;
      const process = { nonce, pid, boot, ticks };
      return of(nonce, (life) => {
        if (life.is === "stopping") return { ...life, process, at: at_ms };
        if (life.is !== "starting") return life;
        const { digest, attempt } = life;
        return { is: "running", process, digest, attempt, at: at_ms, line: false };
      })(life);
    }
    case "services.instance.refused":
      return of(fact.data.nonce, (life) => exited(life, false, fact.data.because))(life);
    case "services.instance.line_matched":
      return of(fact.data.nonce, (life) => isAlive(life) ? { ...life, line: true } : life)(life);
    case "services.health.confirmed":
      return of(fact.data.nonce, (life) => {
        if (!isAlive(life)) return life;
        const { probe: _, ...rest } = life;
        return { ...rest, is: "healthy", well: fact.data.at_ms };
      })(life);
    case "services.health.lost":
      return of(
        fact.data.nonce,
        (life) => {
          if (!isAlive(life)) return life;
          const { well: _, ...rest } = life;
          return { ...rest, is: "unhealthy", probe: fact.data.probe };
        },
      )(life);
    case "services.instance.stop_requested": {
      const { nonce, because, until_ms: until } = fact.data;
      return of(nonce, (life) => {
        if (life.is === "starting") {
          return { is: "stopping", nonce, digest: life.digest, because, until, overdue: false, attempt: life.attempt };
        }
        if (life.is === "stopping") return { ...life, because, until };
        if (!isAlive(life)) return life;
        const { process, digest, attempt, at } = life;
        return { is: "stopping", nonce, process, digest, because, until, overdue: false, attempt, at };
      })(life);
    }
    case "services.instance.stop_expired":
      return of(fact.data.nonce, (life) => life.is === "stopping" ? { ...life, overdue: true } : life)(life);
    case "services.instance.exited": {
      const { nonce, code, known } = fact.data;
      return of(nonce, (life) => exited(life, known && code === 0, howEnded(fact.data)))(life);
    }
    case "services.instance.delayed":
      return { is: "backoff", attempt: fact.data.attempt, until: fact.data.until_ms };
    case "services.instance.completed":
      return { is: "completed" };
    case "services.instance.failed":
      return { is: "failed" };
    case "services.instance.stopped":
      return { is: "stopped" };
    case "services.instance.skipped":
      return { is: "skipped" };
  }
};

/** Digests of everything that may be started, or runs. */
export const digestsOf = ({ services }: Stack): ReadonlySet<string> =>
  new Set(
    Object.values(services).flatMap(({ spec, update, lives }) => [
      spec.digest,
      ...(update ? [update.before.digest] : []),
      ...lives.flatMap((life) => "digest" in life ? [life.digest] : []),
    ]),
  );
