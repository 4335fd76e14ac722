/**
 * Makes true what is decided about a stack: reads from the log how it stands, and has the agent start, watch and end what must be
 * (`actors/services/wishes.ts`). What becomes of it goes back as commands. It keeps nothing that the log does not say, so it may die at
 * any instruction: the next one begins with the same wishes, and each of them may be done again.
 */
import type { Child, Self } from "../../../actors/kernel/child.ts";
import type { Daybook, Outcome } from "../../../actors/kernel/daybook.ts";
import { aborted, type Clock, pause } from "../../../actors/kernel/world.ts";
import { ORCHESTRATOR, type ServiceCommand, services } from "../../../actors/services/stack.ts";
import { NOTHING, serviceOf, type Stack } from "../../../actors/services/state.ts";
import { type Wish, wishesOf } from "../../../actors/services/wishes.ts";
import type { Event } from "../../../events/event.ts";
import { SERVICE_LIMITS, type ServiceFact } from "../../../events/services.ts";
import { AgentGone, AgentLine } from "../../process/agent/line.ts";
import type { How, ProcessOf } from "../../process/agent/protocol.ts";
import { httpProbe, type Probe, probing, tcpProbe } from "../../process/probes.ts";
import { HOST, type Launch, type ProbeLaunch } from "./launch.ts";
import type { Hook, Prepared, PreparedServices } from "./prepared.ts";
import { shortageOf } from "./resources.ts";
import { USAGE, Usage } from "./usage.ts";
import { keepTimes, type Scheduled } from "./schedule.ts";

export const ORCHESTRATION = {
  /** A command that could not be taken is given again after so long, then ever later. */
  retry_first_ms: 50,
  retry_last_ms: 5_000,
  grace_ms: 5_000,
  /** How often is looked whether there is enough for a start that waits. */
  short_ms: 2_000,
} as const;

export interface OrchestratorOptions {
  readonly daybook: Pick<Daybook, "ask" | "log">;
  readonly clock: Clock;
  /** Name of the stack. */
  readonly name: string;
  readonly prepared: PreparedServices;
  /** Folder of traces and output; absolute. */
  readonly folder: string;
  readonly report: (line: string) => void;
}

/** Of an instance of which nothing is known any more but that it runs. */
const LOG_DEFAULT = { bytes_max: 16_777_216, keep: 3 } as const;

/** A copy, for what is sent is parsed as its own. */
const programOf = ({ command, arguments: given, folder, environment, inherit }: Launch) => ({
  command,
  arguments: [...given],
  folder,
  environment: { ...environment },
  inherit: [...inherit],
});

/** Whom a nonce belongs to. */
interface Of {
  readonly service: string;
  readonly replica: number;
}

/** What is done about a process until it has ended. */
interface Watched {
  readonly probes: AbortController;
  readonly digest: string;
}

export class Orchestrator implements Child {
  readonly id = "orchestrator";
  readonly restart = "permanent";
  readonly grace = ORCHESTRATION.grace_ms;
  readonly agent: AgentLine;
  private stack: Stack = NOTHING;
  /** Under way or done, by wish and nonce; forgotten when who did it is gone. */
  private done = new Set<string>();
  private readonly owners = new Map<string, Of>();
  private watched = new Map<string, Watched>();
  /** Since when, ms since 1970. */
  private readonly wanted = new Map<string, number>();
  readonly usage = new Usage();
  private readonly changed: (() => void)[] = [];
  private signal: AbortSignal = AbortSignal.abort();
  private failed: (error: unknown) => void = () => {};

  constructor(private readonly options: OrchestratorOptions) {
    this.agent = new AgentLine(options.clock, {
      exited: (nonce, how) => this.heard(nonce, (of) => this.exited(of, nonce, how)),
      line: (nonce) =>
        this.heard(
          nonce,
          (of) => this.tell({ type: "services.process.record_line", data: { ...of, nonce } }, `line.${nonce}`),
        ),
    }, () => this.again());
  }

  async run(signal: AbortSignal, self: Self): Promise<void> {
    const over = Promise.withResolvers<never>();
    this.failed = over.reject;
    const stop = new AbortController();
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    if (signal.aborted) return;
    this.signal = stop.signal;
    try {
      const size = this.restore();
      self.ready();
      this.again();
      const times = keepTimes(() => this.scheduled(), {
        clock: this.options.clock,
        due: async (service, due_ms) => {
          await this.tell(
            { type: "services.service.trigger", data: { service, due_ms } },
            `trigger.${service}.${due_ms}`,
          );
          await this.until((stack) => {
            const { wanted, triggered = 0 } = serviceOf(stack, service) ?? { wanted: false };
            return !wanted || triggered >= due_ms;
          });
        },
        signal: stop.signal,
      });
      await Promise.race([this.follow(size, stop.signal), times, this.lookAtUsage(stop.signal), over.promise]);
      await aborted(signal);
    } finally {
      stop.abort();
      for (const { probes } of this.watched.values()) probes.abort();
      this.watched.clear();
    }
  }

  /** Has the decider say what the stack is to be. A rejection says what is wrong. */
  async apply(command: Extract<ServiceCommand, { type: "services.stack.apply" }>): Promise<Outcome> {
    return await this.ask(command);
  }

  /** As far as it was read. */
  get present(): Stack {
    return this.stack;
  }

  /** Resolves when the stack, as far as it was read, is so; or when this stops. */
  async until(holds: (stack: Stack) => boolean): Promise<void> {
    while (!holds(this.stack) && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.changed.push(resolve);
        this.signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  private get stream(): `services/${string}` {
    return `services/${this.options.name}`;
  }

  /** Answers up to where the log was read. */
  private restore(): number {
    const { log } = this.options.daybook;
    const { size } = log;
    this.stack = NOTHING;
    for (const page of log.read({ stream: this.stream, until: size })) page.forEach((event) => this.fold(event));
    return size;
  }

  private fold(event: Event): void {
    if (!services.facts.includes(event.type as ServiceFact["type"])) return;
    if (event.type === "services.service.wanted") {
      this.wanted.set((event.data as { readonly service: string }).service, Date.parse(event.recordedat));
    }
    this.stack = services.evolve(this.stack, event as Event<ServiceFact>);
  }

  private async lookAtUsage(signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    for (let recorded = clock.monotonic(); !signal.aborted;) {
      await pause(clock, USAGE.look_ms, signal);
      const watching = wishesOf(this.stack).filter((wish) => wish.wish === "watch");
      try {
        await this.usage.look(this.agent, watching.map(({ process }) => process), () => clock.monotonic());
      } catch (error) {
        if (!(error instanceof AgentGone)) throw error;
      }
      if (clock.monotonic() - recorded < USAGE.record_ms) continue;
      recorded = clock.monotonic();
      for (const { service, replica, nonce } of watching) await this.recordUsage({ service, replica }, nonce);
    }
  }

  private async recordUsage(of: Of, nonce: string): Promise<void> {
    const taken = this.usage.of(nonce);
    if (!taken) return;
    const { samples, rss_peak_bytes, cpu_ms, cpus_peak } = taken;
    const data = { ...of, nonce, samples, rss_peak_bytes, cpu_ms, cpus_peak_milli: Math.round(cpus_peak * 1_000) };
    await this.tell({ type: "services.process.record_usage", data });
  }

  private scheduled(): readonly Scheduled[] {
    return Object.entries(this.stack.services).flatMap(([service, { spec, wanted, triggered }]) => {
      const since = Math.max(triggered ?? 0, this.wanted.get(service) ?? 0);
      return wanted && spec.schedule !== undefined && since > 0 ? [{ service, cron: spec.schedule, since }] : [];
    });
  }

  private async follow(size: number, signal: AbortSignal): Promise<void> {
    for await (const { events } of this.options.daybook.log.hear(services.facts, size, signal)) {
      for (const event of events) if (event.stream === this.stream) this.fold(event);
      if (events.length === 0) continue;
      this.perform();
      for (const changed of this.changed.splice(0)) changed();
    }
  }

  /** Everything anew: whoever did what was under way is gone. */
  private again(): void {
    this.done = new Set();
    for (const { probes } of this.watched.values()) probes.abort();
    this.watched.clear();
    if (this.signal.aborted) return;
    const keep = wishesOf(this.stack).map(({ nonce }) => nonce);
    this.agent.ask("clean", { traces: this.traces, keep }).catch(() => {}); // the next one cleans up
    this.perform();
  }

  private perform(): void {
    if (this.signal.aborted) return;
    for (const wish of wishesOf(this.stack)) {
      this.owners.set(wish.nonce, { service: wish.service, replica: wish.replica });
      // One that is to end is watched until it has.
      if (wish.wish === "end") this.begin({ ...wish, wish: "watch" });
      this.begin(wish);
    }
  }

  private begin(wish: Wish): void {
    const name = `${wish.wish}.${wish.nonce}${wish.wish === "end" ? `.${wish.signal}` : ""}`;
    const { done } = this;
    if (done.has(name)) return;
    done.add(name);
    this.one(wish).catch((error) => {
      // The agent's next run does it anew.
      if (!(error instanceof AgentGone) && !this.signal.aborted) this.failed(error);
    });
  }

  private async one(wish: Wish): Promise<void> {
    const { service, replica, nonce } = wish;
    const of = { service, replica };
    switch (wish.wish) {
      case "start":
        return await this.start(of, nonce, wish.digest);
      case "find": {
        const { process } = await this.agent.ask("find", { nonce, traces: this.traces });
        if (process) return await this.started(of, process, true);
        return await this.refused(of, nonce, "it was told to stop before it was started");
      }
      case "watch":
        return await this.watch(of, wish.process, wish.digest);
      case "end":
        return await this.end(of, wish);
    }
  }

  private async end(of: Of, { process, digest, nonce, signal }: Extract<Wish, { wish: "end" }>): Promise<void> {
    this.watched.get(nonce)?.probes.abort();
    const hook = (await this.options.prepared.of(digest))?.instances[of.replica]?.hooks.before_stop;
    // Who has no time left is not asked to get ready.
    if (signal !== "SIGKILL") this.told(of, "before_stop", await this.hook(hook));
    await this.agent.ask("end", { process, signal });
  }

  private async start(of: Of, nonce: string, digest: string): Promise<void> {
    const prepared = await this.options.prepared.of(digest);
    const instance = prepared?.instances[of.replica];
    if (!prepared || !instance) {
      // It may have been started before it was lost.
      const { process } = await this.agent.ask("find", { nonce, traces: this.traces });
      if (process) return await this.started(of, process, true);
      return await this.refused(of, nonce, "what it is to be started with is lost: apply the stack again");
    }
    const { limits } = prepared;
    const { process } = await this.agent.ask("find", { nonce, traces: this.traces });
    if (process) return await this.started(of, process, true);
    if (!await this.enough(of, nonce, prepared)) return;
    const before = await this.hook(instance.hooks.before_start);
    if (before !== undefined) return await this.refused(of, nonce, `before_start: ${before}`);
    const answer = await this.agent.ask("start", {
      nonce,
      ...programOf(instance.launch),
      limits: { ...limits },
      leftovers: [...instance.leftovers],
      traces: this.traces,
      log: this.outputOf(of),
    });
    if ("refused" in answer) return await this.refused(of, nonce, answer.refused);
    await this.started(of, answer.process, answer.adopted);
    this.told(of, "after_start", await this.hook(instance.hooks.after_start));
  }

  /** Runs it; what was wrong with it, if anything. */
  private async hook(hook: Hook | undefined): Promise<string | undefined> {
    if (!hook) return undefined;
    const { code, timed_out, output } = await this.agent.ask("run", {
      ...programOf(hook),
      timeout_ms: hook.timeout_ms,
    });
    if (timed_out) return `no end within ${hook.timeout_ms} ms`;
    return code === 0 ? undefined : code === null ? output : `code ${code}`;
  }

  private told({ service, replica }: Of, hook: string, wrong: string | undefined): void {
    if (wrong !== undefined) this.options.report(`services: ${hook} of ${service}/${replica}: ${wrong}`);
  }

  /** Waits until there is what the start needs, or refuses it. False when it is not to go on. */
  private async enough(of: Of, nonce: string, { needs, when_short, instances }: Prepared): Promise<boolean> {
    if (needs.memory_bytes === 0 && needs.cpus === 0 && needs.disk_bytes === 0) return true;
    const { folder } = instances[of.replica]!.launch;
    for (let told = false;;) {
      const short = await shortageOf(this.agent, { needs, folder, running: await this.running() });
      if (!short) return true;
      const { resource, needed, free } = short;
      if (when_short === "fail") {
        await this.refused(of, nonce, `${resource}: needs ${needed}, free ${free}`);
        return false;
      }
      if (!told) {
        told = true;
        await this.tell(
          { type: "services.process.record_shortage", data: { ...of, nonce, ...short } },
          `short.${nonce}`,
        );
      }
      await pause(this.options.clock, ORCHESTRATION.short_ms, this.signal);
      if (this.signal.aborted || !wishesOf(this.stack).some((wish) => wish.wish === "start" && wish.nonce === nonce)) {
        return false;
      }
    }
  }

  private async running() {
    const watching = wishesOf(this.stack).filter((wish) => wish.wish === "watch");
    return await Promise.all(watching.map(async ({ process, digest }) => {
      return { process, needs: (await this.options.prepared.of(digest))?.needs };
    }));
  }

  private async watch(of: Of, process: ProcessOf, digest: string): Promise<void> {
    const { clock, prepared } = this.options;
    const probes = new AbortController();
    const { nonce } = process;
    this.watched.set(nonce, { probes, digest });
    const found = await prepared.of(digest);
    const { bytes_max, keep } = found?.log ?? LOG_DEFAULT;
    await this.agent.ask("watch", {
      process,
      traces: this.traces,
      log: { path: this.outputOf(of), bytes_max, keep },
      ...(found?.ready_line === undefined ? {} : { line: found.ready_line }),
    });
    const stated = found?.instances[of.replica]?.probes ?? {};
    const looks = (["startup", "readiness", "liveness"] as const).flatMap((name): Probe[] => {
      const probe = stated[name];
      return probe ? [{ ...probe, name, look: this.look(probe) }] : [];
    });
    await probing(looks, {
      clock,
      signal: AbortSignal.any([probes.signal, this.signal]),
      tell: async (probe, { ok, because }) => {
        const said = because.slice(0, SERVICE_LIMITS.cause_chars_max) || "no reason";
        const data = { ...of, nonce, probe, ok, because: said };
        await this.tell({ type: "services.process.record_probe", data });
      },
    });
  }

  private look({ exec, url, status, port, timeout_ms }: ProbeLaunch): Probe["look"] {
    if (url !== undefined) return httpProbe(url, status);
    if (port !== undefined) return tcpProbe(HOST, port);
    return async () => {
      const { code, timed_out, output } = await this.agent.ask("run", { ...programOf(exec!), timeout_ms });
      const because = timed_out ? `no end within ${timeout_ms} ms` : code === null ? output : `code ${code}`;
      return { ok: code === 0, because };
    };
  }

  private async started(of: Of, { nonce, pid, boot, ticks }: ProcessOf, adopted: boolean): Promise<void> {
    const data = { ...of, nonce, pid, boot, ticks, adopted };
    await this.tell({ type: "services.process.record_start", data }, `start.${nonce}`);
  }

  private async refused(of: Of, nonce: string, because: string): Promise<void> {
    const said = because.slice(0, SERVICE_LIMITS.cause_chars_max);
    await this.tell(
      { type: "services.process.record_refusal", data: { ...of, nonce, because: said } },
      `refusal.${nonce}`,
    );
  }

  private async exited(of: Of, nonce: string, how: How): Promise<void> {
    const watched = this.watched.get(nonce);
    watched?.probes.abort();
    this.watched.delete(nonce);
    await this.tell({ type: "services.process.record_exit", data: { ...of, nonce, ...how } }, `exit.${nonce}`);
    await this.recordUsage(of, nonce);
    this.usage.forget(nonce);
    this.owners.delete(nonce);
    await this.agent.ask("forget", { traces: this.traces, nonces: [nonce] }).catch(() => {}); // the next one cleans up
    const after = watched && (await this.options.prepared.of(watched.digest))?.instances[of.replica]?.hooks.after_stop;
    this.told(of, "after_stop", await this.hook(after));
  }

  private heard(nonce: string, then: (of: Of) => Promise<void>): void {
    const of = this.owners.get(nonce);
    if (!of || this.signal.aborted) return;
    then(of).catch((error) => this.signal.aborted || this.failed(error));
  }

  /** Until it is taken. What another has told already, or is no longer so, is passed over by the decider. */
  private async tell(command: ServiceCommand, id?: string): Promise<void> {
    const outcome = await this.ask(command, id);
    if (outcome.is === "rejected" || outcome.is === "invalid" || outcome.is === "unknown_command") {
      this.options.report(`services: "${command.type}" was not taken: ${JSON.stringify(outcome)}`);
    }
  }

  private async ask({ type, data }: ServiceCommand, id?: string): Promise<Outcome> {
    const { daybook, clock, name } = this.options;
    for (let wait: number = ORCHESTRATION.retry_first_ms;; wait = Math.min(2 * wait, ORCHESTRATION.retry_last_ms)) {
      const outcome = await daybook.ask({
        type,
        id: name,
        data,
        by: { authtype: "system", authid: ORCHESTRATOR },
        ...(id === undefined ? {} : { command: id }),
      });
      if (outcome.is !== "unavailable" || this.signal.aborted) return outcome;
      await pause(clock, wait, this.signal);
    }
  }

  private get traces(): string {
    return `${this.options.folder}/${this.options.name}/started`;
  }

  private outputOf({ service, replica }: Of): string {
    return `${this.options.folder}/${this.options.name}/${service}-${replica}.log`;
  }
}
