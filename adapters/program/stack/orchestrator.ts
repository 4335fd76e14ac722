/**
 * Makes true what is decided about a stack: reads from the log how it stands, and has the agent start, watch and end what must be
 * (`actors/services/wishes.ts`). What becomes of it goes back as commands. It keeps nothing that the log does not say, so it may die at
 * any instruction: the next one begins with the same wishes, and each of them may be done again.
 */
import type { Child, Self } from "../../../actors/kernel/child.ts";
import type { Daybook, Outcome } from "../../../actors/kernel/daybook.ts";
import type { Entities } from "../../../actors/kernel/entities.ts";
import { firstReadable, isArchived } from "../../../actors/kernel/kept.ts";
import { aborted, type Clock, pause } from "../../../actors/kernel/world.ts";
import { type ServiceCommand, services } from "../../../actors/services/stack.ts";
import { lastDue, NOTHING, serviceOf, type Stack } from "../../../actors/services/state.ts";
import { type Wish, wishesOf } from "../../../actors/services/wishes.ts";
import type { Event } from "../../../events/event.ts";
import type { ServiceFact } from "../../../events/services.ts";
import { AgentGone, AgentLine } from "../../process/agent/line.ts";
import { Instances } from "./instances.ts";
import type { PreparedServices } from "./prepared.ts";
import { type Of, Reports } from "./reports.ts";
import { Scrapes } from "./scrapes.ts";
import { USAGE, Usage } from "./usage.ts";
import { dueSince, keepTimes, type Scheduled } from "./schedule.ts";

const ORCHESTRATION = { grace_ms: 5_000 } as const;

export interface OrchestratorOptions {
  readonly daybook: Pick<Daybook, "ask" | "log">;
  readonly entities: Pick<Entities, "look">;
  readonly clock: Clock;
  /** Name of the stack. */
  readonly name: string;
  readonly prepared: PreparedServices;
  /** Folder of traces and output; absolute. */
  readonly folder: string;
  readonly report: (line: string) => void;
  /** The folder's own authority for certificates, PEM, as soon as there is one. */
  readonly authority: () => string | undefined;
}

export class Orchestrator implements Child {
  readonly id = "orchestrator";
  readonly restart = "permanent";
  readonly grace = ORCHESTRATION.grace_ms;
  readonly agent: AgentLine;
  private readonly reports: Reports;
  private readonly instances: Instances;
  private stack: Stack = NOTHING;
  /** Up to there its stream is read. */
  private size = 0;
  /** Under way or done, by wish and nonce, with the nonce; forgotten when who did it is gone. */
  private done = new Map<string, string>();
  private readonly owners = new Map<string, Of>();
  /** Since when, ms since 1970. */
  private readonly wanted = new Map<string, number>();
  readonly usage = new Usage();
  readonly scrapes: Scrapes;
  private readonly changed: (() => void)[] = [];
  private signal: AbortSignal = AbortSignal.abort();
  private failed: (error: unknown) => void = () => {};

  constructor(private readonly options: OrchestratorOptions) {
    const { clock, name, prepared, folder, report, authority } = options;
    this.reports = new Reports(options);
    this.agent = new AgentLine(clock, {
      exited: (nonce, how) => this.heard(nonce, (of) => this.instances.exited(of, nonce, how)),
      line: (nonce) =>
        this.heard(
          nonce,
          (of) => this.reports.tell({ type: "services.process.record_line", data: { ...of, nonce } }, `line.${nonce}`),
        ),
      lost: (nonce, bytes) => this.heard(nonce, (of) => this.instances.lost(of, nonce, bytes)),
    }, () => this.again());
    this.scrapes = new Scrapes(clock);
    this.instances = new Instances({
      scrapes: this.scrapes,
      agent: this.agent,
      reports: this.reports,
      usage: this.usage,
      clock,
      prepared,
      folder: `${folder}/${name}`,
      report,
      stack: () => this.stack,
      authority,
    });
  }

  async run(signal: AbortSignal, self: Self): Promise<void> {
    const over = Promise.withResolvers<never>();
    this.failed = over.reject;
    const stop = new AbortController();
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    if (signal.aborted) return;
    this.signal = this.reports.signal = stop.signal;
    try {
      const size = this.restore();
      self.ready();
      this.again();
      const times = keepTimes(() => this.scheduled(), {
        clock: this.options.clock,
        due: async (service, due_ms) => {
          await this.reports.tell(
            { type: "services.service.trigger", data: { service, due_ms } },
            `trigger.${service}.${due_ms}`,
          );
          await this.until((stack) => {
            const of = serviceOf(stack, service);
            return !of?.wanted || (lastDue(of, this.options.clock.now()) ?? -1) >= due_ms;
          });
        },
        signal: stop.signal,
      });
      const all = [this.follow(size, stop.signal), times, this.lookAtUsage(stop.signal)];
      for (const each of all) each.catch(over.reject); // the first counts, whoever is looked at by then
      await Promise.race([aborted(signal), over.promise]);
    } finally {
      stop.abort();
      for (const changed of this.changed.splice(0)) changed();
    }
  }

  /** Has the decider say what the stack is to be, or that one is to be restarted. A rejection says what is wrong. */
  async apply(
    command: Extract<ServiceCommand, { type: "services.stack.apply" | "services.service.restart" }>,
  ): Promise<Outcome> {
    return await this.reports.ask(command);
  }

  get prepared(): PreparedServices {
    return this.options.prepared;
  }

  /** As far as it was read. */
  get present(): Stack {
    return this.stack;
  }

  /** Resolves when the stack, as far as it was read, is so; or when this stops. */
  async until(holds: (stack: Stack) => boolean): Promise<void> {
    while (!holds(this.stack) && !this.signal.aborted) {
      await new Promise<void>((resolve) => this.changed.push(resolve));
    }
  }

  /** Resolves when its event at that position is read; or when this stops. */
  read(position: number): Promise<void> {
    return this.until(() => this.size > position);
  }

  private get stream(): `services/${string}` {
    return `services/${this.options.name}`;
  }

  /** Answers up to where the log was read. */
  private restore(): number {
    const { daybook: { log: { size } }, entities } = this.options;
    this.stack = entities.look(this.stream).state as Stack;
    this.size = size;
    this.learnSince();
    return size;
  }

  /** Since when those are wanted that have their times; of what lies in an archive that is not attached: since what is behind it begins. */
  private learnSince(): void {
    const { log } = this.options.daybook;
    const timed = Object.entries(this.stack.services).filter(([, { spec, wanted }]) =>
      wanted && spec.schedule !== undefined
    );
    const sought = new Set(timed.map(([service]) => service));
    this.wanted.clear();
    try {
      for (const page of sought.size > 0 ? log.read({ stream: this.stream, backward: true }) : []) {
        for (const { type, data, recordedat } of page) {
          const { service } = data as { readonly service: string };
          if (type === "services.service.wanted" && sought.delete(service)) {
            this.wanted.set(service, Date.parse(recordedat));
          }
        }
        if (sought.size === 0) return;
      }
    } catch (error) {
      if (!isArchived(error)) throw error;
      const { recordedat } = firstReadable(log)!;
      for (const service of sought) this.wanted.set(service, Date.parse(recordedat));
    }
  }

  private fold(event: Event): void {
    this.size = Math.max(this.size, event.position + 1);
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
      for (const { service, replica, nonce } of watching) {
        const taken = this.usage.of(nonce);
        if (taken) await this.reports.used({ service, replica }, nonce, taken);
      }
    }
  }

  private scheduled(): readonly Scheduled[] {
    const now = this.options.clock.now();
    return Object.entries(this.stack.services).flatMap(([service, of]) => {
      const { spec: { schedule: cron }, wanted } = of;
      const begun = this.wanted.get(service) ?? 0;
      const since = dueSince({ last: lastDue(of, now), wanted: begun }, now);
      // From now on, if it was to come, and not from each look on.
      if (since < begun) this.wanted.set(service, since);
      return wanted && cron !== undefined && since > 0 ? [{ service, cron, since }] : [];
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
    this.done = new Map();
    this.instances.begin(this.signal);
    if (this.signal.aborted) return;
    this.instances.clean();
    this.perform();
  }

  private perform(): void {
    if (this.signal.aborted) return;
    const wishes = wishesOf(this.stack);
    this.letGoOfAllBut(new Set(wishes.map(({ nonce }) => nonce)));
    for (const wish of wishes) {
      this.owners.set(wish.nonce, { service: wish.service, replica: wish.replica });
      // One that is to end is watched until it has.
      if (wish.wish === "end") this.begin({ ...wish, wish: "watch", lined: true });
      this.begin(wish);
    }
  }

  /** Starts come and go for as long as this runs. */
  private letGoOfAllBut(nonces: ReadonlySet<string>): void {
    for (const nonce of this.owners.keys()) if (!nonces.has(nonce)) this.owners.delete(nonce);
    for (const [name, nonce] of this.done) if (!nonces.has(nonce)) this.done.delete(name);
  }

  private begin(wish: Wish): void {
    const name = `${wish.wish}.${wish.nonce}${wish.wish === "end" ? `.${wish.signal}` : ""}`;
    const { done } = this;
    if (done.has(name)) return;
    done.set(name, wish.nonce);
    this.instances.fulfil(wish).catch((error) => {
      // The agent's next run does it anew.
      if (!(error instanceof AgentGone) && !this.signal.aborted) this.failed(error);
    });
  }

  private heard(nonce: string, then: (of: Of) => Promise<unknown>): void {
    const of = this.owners.get(nonce);
    if (!of || this.signal.aborted) return;
    then(of).catch((error) => this.signal.aborted || this.failed(error));
  }
}
