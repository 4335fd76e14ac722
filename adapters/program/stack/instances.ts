/** What is done about single instances: they are started, watched, ended, with their hooks, as the agent can. */
import type { Clock } from "../../../actors/kernel/world.ts";
import { pause } from "../../../actors/kernel/world.ts";
import { findingsOf, isAlive, serviceOf, type Stack } from "../../../actors/services/state.ts";
import { type Wish, wishesOf } from "../../../actors/services/wishes.ts";
import type { AgentLine } from "../../process/agent/line.ts";
import type { How } from "../../process/agent/protocol.ts";
import type { Asked } from "../../process/loopback.ts";
import { httpProbe, type Probe, probing, tcpProbe } from "../../process/probes.ts";
import { Checking, type CheckingOptions } from "./checking.ts";
import { HOST, type ProbeLaunch } from "./launch.ts";
import { Losses } from "./losses.ts";
import type { Hook, Prepared, PreparedServices } from "./prepared.ts";
import { programOf } from "./program_of.ts";
import type { Of, Reports } from "./reports.ts";
import { shortageOf } from "./resources.ts";
import type { Scrapes } from "./scrapes.ts";
import type { Usage } from "./usage.ts";

const INSTANCES = {
  /** How often is looked whether there is enough for a start that waits. */
  short_ms: 2_000,
} as const;

export interface InstancesOptions {
  readonly agent: Pick<AgentLine, "ask">;
  readonly reports: Reports;
  readonly usage: Usage;
  readonly scrapes: Scrapes;
  readonly clock: Clock;
  readonly prepared: PreparedServices;
  /** Of the stack's traces and output; absolute. */
  readonly folder: string;
  readonly report: (line: string) => void;
  /** As far as it was read. */
  readonly stack: () => Stack;
  readonly authority: CheckingOptions["authority"];
}

/** Of an instance of which nothing is known any more but that it runs. */
const LOG_DEFAULT = { bytes_max: 16_777_216, keep: 3 } as const;

/** What is done about a process until it has ended. */
interface Watched {
  readonly probes: AbortController;
  readonly digest: string;
}

const needsAnything = ({ needs }: Prepared): boolean =>
  needs.memory_bytes > 0 || needs.cpus > 0 || needs.disk_bytes > 0;

export class Instances {
  private readonly watched = new Map<string, Watched>();
  /** What was found to be there for starts under way, by nonce: nobody else may count on it. */
  private readonly granted = new Map<string, Prepared["needs"]>();
  private readonly losses = new Losses();
  private checked: Promise<unknown> = Promise.resolve();
  private signal: AbortSignal = AbortSignal.abort();

  private readonly checking: Checking;

  constructor(private readonly options: InstancesOptions) {
    this.checking = new Checking({
      ...options,
      known: ({ service, replica }) => findingsOf(options.stack(), service, replica),
    });
  }

  /** What was under way is forgotten; what is done from here on ends when the signal aborts. */
  begin(signal: AbortSignal): void {
    for (const { probes } of this.watched.values()) probes.abort();
    this.watched.clear();
    this.signal = signal;
  }

  /** Lets go of traces that no present wish is about. */
  clean(): void {
    const keep = wishesOf(this.options.stack()).map(({ nonce }) => nonce);
    this.options.agent.ask("clean", { traces: this.traces, keep }).catch(() => {}); // the next one cleans up
  }

  /** Rejects with `AgentGone` where the next agent must do it anew. */
  async fulfil(wish: Wish): Promise<void> {
    const { service, replica, nonce } = wish;
    const of = { service, replica };
    switch (wish.wish) {
      case "start":
        return await this.start(of, nonce, wish.digest);
      case "find": {
        const { process } = await this.options.agent.ask("find", { nonce, traces: this.traces });
        if (process) return await this.options.reports.started(of, process, true);
        return await this.options.reports.refused(of, nonce, "it was told to stop before it was started");
      }
      case "watch":
        return await this.watch(of, wish);
      case "end":
        return await this.end(of, wish);
    }
  }

  private async end(of: Of, { process, digest, nonce, signal, due }: Extract<Wish, { wish: "end" }>): Promise<void> {
    const { clock } = this.options;
    this.watched.get(nonce)?.probes.abort();
    const hook = (await this.options.prepared.of(of.service, digest))?.instances[of.replica]?.hooks.before_stop;
    // Who has no time left is not asked to get ready.
    if (signal !== "SIGKILL") {
      this.told(of, "before_stop", await this.hook(hook));
      if (due > clock.now()) await pause(clock, due - clock.now(), this.signal);
      if (this.signal.aborted) return;
    }
    await this.options.agent.ask("end", { process, signal });
  }

  private async start(of: Of, nonce: string, digest: string): Promise<void> {
    const prepared = await this.options.prepared.of(of.service, digest);
    const instance = prepared?.instances[of.replica];
    if (!prepared || !instance) {
      // It may have been started before it was lost.
      const { process } = await this.options.agent.ask("find", { nonce, traces: this.traces });
      if (process) return await this.options.reports.started(of, process, true);
      return await this.options.reports.refused(
        of,
        nonce,
        "what it is to be started with is lost: apply the stack again",
      );
    }
    const { refused, tell } = await this.checking.before(of, prepared);
    if (refused !== undefined) {
      const { process } = await this.options.agent.ask("find", { nonce, traces: this.traces });
      if (process) return await this.options.reports.started(of, process, true);
      return await this.options.reports.refused(of, nonce, refused);
    }
    if (instance.hooks.before_start || needsAnything(prepared)) {
      // One that runs already is asked nothing any more.
      const { process } = await this.options.agent.ask("find", { nonce, traces: this.traces });
      if (process) return await this.options.reports.started(of, process, true);
      if (!await this.enough(of, nonce, prepared)) return;
      const before = await this.hook(instance.hooks.before_start);
      if (before !== undefined) return await this.options.reports.refused(of, nonce, `before_start: ${before}`);
    }
    // Told to stop meanwhile: whoever looked for it has found nothing, so there must never be anything.
    if (!this.isToStart(nonce)) return;
    const answer = await this.options.agent.ask("start", {
      nonce,
      ...programOf(instance.launch),
      limits: { ...prepared.limits },
      leftovers: [...instance.leftovers],
      ...(instance.leftovers.length > 0 ? { mark: this.outputOf(of).replace(/\.log$/, ".mark") } : {}),
      traces: this.traces,
      log: { path: this.outputOf(of), ...prepared.log },
      ...(prepared.ready_line === undefined ? {} : { line: prepared.ready_line }),
    });
    if ("refused" in answer) return await this.options.reports.refused(of, nonce, answer.refused);
    await this.options.reports.started(of, answer.process, answer.adopted);
    await tell();
    for (const { path, because } of answer.kept ?? []) this.told(of, "leftovers", `${path} is left alone: ${because}`);
    this.told(of, "after_start", await this.hook(instance.hooks.after_start));
  }

  /** Runs it; what was wrong with it, if anything. */
  private async hook(hook: Hook | undefined): Promise<string | undefined> {
    if (!hook) return undefined;
    const { code, timed_out, because } = await this.options.agent.ask("run", {
      ...programOf(hook),
      traces: this.traces,
      timeout_ms: hook.timeout_ms,
    });
    if (timed_out) return `no end within ${hook.timeout_ms} ms`;
    return code === 0 ? undefined : because;
  }

  private told({ service, replica }: Of, hook: string, wrong: string | undefined): void {
    if (wrong !== undefined) this.options.report(`services: ${hook} of ${service}/${replica}: ${wrong}`);
  }

  /** Waits until there is what the start needs, or refuses it. False when it is not to go on. */
  private async enough(of: Of, nonce: string, prepared: Prepared): Promise<boolean> {
    if (!needsAnything(prepared)) return true;
    const { needs, when_short, instances } = prepared;
    const { folder } = instances[of.replica]!.launch;
    for (let told = false;;) {
      // One after another, so that two do not count on the same.
      const look = this.checked.then(() => this.grant(nonce, needs, folder));
      this.checked = look.catch(() => {});
      const short = await look;
      if (!short) return true;
      const { resource, needed, free } = short;
      if (when_short === "fail") {
        await this.options.reports.refused(of, nonce, `${resource}: needs ${needed}, free ${free}`);
        return false;
      }
      if (!told) {
        told = true;
        await this.options.reports.tell(
          { type: "services.process.record_shortage", data: { ...of, nonce, ...short } },
          `short.${nonce}`,
        );
      }
      await pause(this.options.clock, INSTANCES.short_ms, this.signal);
      if (!this.isToStart(nonce)) return false;
    }
  }

  /** Whether its start is still wished for, as far as was read. */
  private isToStart(nonce: string): boolean {
    return !this.signal.aborted &&
      wishesOf(this.options.stack()).some((wish) => wish.wish === "start" && wish.nonce === nonce);
  }

  private async grant(nonce: string, needs: Prepared["needs"], folder: string) {
    for (const other of this.granted.keys()) if (!this.isToStart(other)) this.granted.delete(other);
    const starting = [...this.granted].filter(([other]) => other !== nonce).map(([, needs]) => ({ needs }));
    const watching = wishesOf(this.options.stack()).filter((wish) => wish.wish === "watch");
    const running = await Promise.all(watching.map(async ({ service, process, digest }) => {
      return { process, needs: (await this.options.prepared.of(service, digest))?.needs };
    }));
    const short = await shortageOf(this.options.agent, { needs, folder, running: [...starting, ...running] });
    if (!short) this.granted.set(nonce, needs);
    return short;
  }

  private async watch(of: Of, { process, digest, lined }: Extract<Wish, { wish: "watch" }>): Promise<void> {
    const { clock, prepared } = this.options;
    const probes = new AbortController();
    const { nonce } = process;
    this.watched.set(nonce, { probes, digest });
    const found = await prepared.of(of.service, digest);
    const { bytes_max, keep } = found?.log ?? LOG_DEFAULT;
    await this.options.agent.ask("watch", {
      process,
      traces: this.traces,
      log: { path: this.outputOf(of), bytes_max, keep },
      ...(found?.ready_line === undefined || lined ? {} : { line: found.ready_line }),
    });
    const trusted = found && (() => this.checking.trusted(of, found));
    const stated = found?.instances[of.replica]?.probes ?? {};
    const looks = (["startup", "readiness", "liveness"] as const).flatMap((name): Probe[] => {
      const probe = stated[name];
      return probe ? [{ ...probe, name, look: this.look(probe, trusted) }] : [];
    });
    const signal = AbortSignal.any([probes.signal, this.signal]);
    const metrics = found?.instances[of.replica]?.metrics;
    await Promise.all([
      probing(looks, {
        clock,
        signal,
        tell: (probe, { ok, because }) => this.options.reports.probed(of, nonce, { probe, ok, because }),
      }),
      // Beside the probes: it says nothing of the instance's health.
      metrics && this.options.scrapes.follow(of, nonce, { ...metrics, trusted }, signal),
      found && this.checking.running(of, { process, prepared: found, started: this.startOf(of), signal }),
    ]);
  }

  /** When it was started, ms since 1970; long ago where that is not known. */
  private startOf({ service, replica }: Of): number {
    const life = serviceOf(this.options.stack(), service)?.lives[replica];
    return life && isAlive(life) ? life.at : 0;
  }

  private look({ exec, url, status, port, timeout_ms }: ProbeLaunch, trusted: Asked["trusted"]): Probe["look"] {
    if (url !== undefined) return httpProbe(url, { status, trusted });
    if (port !== undefined) return tcpProbe(HOST, port);
    return async () => {
      const { traces } = this;
      const { code, timed_out, because } = await this.options.agent.ask("run", {
        ...programOf(exec!),
        traces,
        timeout_ms,
        probe: true,
      });
      return { ok: code === 0, because: timed_out ? `no end within ${timeout_ms} ms` : because };
    };
  }

  /** Output of it could not be kept. */
  async lost(of: Of, nonce: string, bytes: number): Promise<void> {
    await this.tellLoss(of, nonce, this.losses.add(nonce, bytes, this.options.clock.monotonic()));
  }

  private async tellLoss(of: Of, nonce: string, bytes: number): Promise<void> {
    if (bytes > 0) {
      await this.options.reports.tell({ type: "services.process.record_loss", data: { ...of, nonce, bytes } });
    }
  }

  /** It has ended, by itself or because it was asked to. */
  async exited(of: Of, nonce: string, how: How): Promise<void> {
    const watched = this.watched.get(nonce);
    watched?.probes.abort();
    this.watched.delete(nonce);
    const recorded = await this.options.reports.tell(
      { type: "services.process.record_exit", data: { ...of, nonce, ...how } },
      `exit.${nonce}`,
    );
    // The next run is told of it again, as long as its trace is there.
    if (!recorded) return;
    const taken = this.options.usage.of(nonce);
    if (taken) await this.options.reports.used(of, nonce, taken);
    this.options.usage.forget(nonce);
    await this.tellLoss(of, nonce, this.losses.over(nonce));
    await this.options.agent.ask("forget", { traces: this.traces, nonces: [nonce] }).catch(() => {}); // the next one cleans up
    const after = watched &&
      (await this.options.prepared.of(of.service, watched.digest))?.instances[of.replica]?.hooks.after_stop;
    this.told(of, "after_stop", await this.hook(after));
  }

  private get traces(): string {
    return `${this.options.folder}/started`;
  }

  private outputOf({ service, replica }: Of): string {
    return `${this.options.folder}/${service}-${replica}.log`;
  }
}
