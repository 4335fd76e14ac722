/** A world of pretended processes under virtual time, in which the decider of services decides and its wishes come true. */
import assert from "node:assert/strict";
import { ORCHESTRATOR, type ServiceCommand, services } from "../actors/services/stack.ts";
import { holds, isLive, serviceOf, type Stack } from "../actors/services/state.ts";
import { wishesOf } from "../actors/services/wishes.ts";
import { LIMITS } from "../events/log.ts";
import type { ServiceFact, ServiceSpec } from "../events/services.ts";

/** What an event of a stack has beside its data, about. */
const HEADER_BYTES = 330;

export const digestOf = (n: number): string => n.toString(16).padStart(64, "0");

export const spec = (service: string, over: Partial<ServiceSpec> = {}): ServiceSpec => ({
  service,
  digest: digestOf(1),
  program: service,
  needs: [],
  replicas: 1,
  restart: { policy: "on_failure", max: 5, first_ms: 1_000, last_ms: 8_000, jitter: 0, reset_ms: 60_000 },
  stop: { signal: "SIGTERM", grace_ms: 10_000 },
  update: { max_unavailable: 1, healthy_ms: 0, deadline_ms: 100_000, rollback: true },
  probes: [],
  ready_line: false,
  ...over,
});

export const needing = (condition: ServiceSpec["needs"][number]["condition"], ...names: readonly string[]) => ({
  needs: names.map((service) => ({ service, condition, required: true })),
});

/** How a pretended process behaves, ms after its start. */
export interface Behaviour {
  /** When its readiness probe first says that it is well; absent: never. */
  readonly well?: number;
  /** When it ends by itself, and with what. */
  readonly ends?: { readonly at: number; readonly code: number };
  /** How long it takes to end when it is asked to. Default 0; `Infinity`: it does not listen. */
  readonly stops?: number;
  /** It cannot be started. */
  readonly refused?: string;
}

interface Process {
  readonly key: string;
  readonly nonce: string;
  readonly since: number;
  asked: boolean;
}

export class World {
  at = 0;
  stack: Stack = services.initial;
  readonly facts: { readonly at: number; readonly fact: ServiceFact }[] = [];
  /** By instance; whoever is started while one is there is a fault of the decider. */
  readonly processes = new Map<string, Process>();
  private readonly due: { readonly at: number; readonly n: number; readonly call: () => void }[] = [];
  private readonly timers = new Map<string, { readonly at: number; readonly command: ServiceCommand }>();
  private readonly started = new Set<string>();
  private n = 0;

  constructor(private readonly behaves: (service: string, attempt: number) => Behaviour = () => ({ well: 10 })) {}

  send(
    command: ServiceCommand,
    by = command.type === "services.stack.apply" ? ORCHESTRATOR : "u_tester",
  ): ServiceFact[] {
    const schema = services.commands[command.type]!;
    const parsed = schema.parse(command.data);
    const context = { at: this.at, by, fresh: `f${this.n++}`, id: "test" };
    const decision = services.decide(this.stack, { ...command, data: parsed } as ServiceCommand, context);
    if (!decision.ok) throw new Error(decision.rejection.code);
    const events = [...decision.facts, ...decision.timers ?? []];
    assert.ok(events.length <= LIMITS.append_events_max, `${command.type} makes ${events.length} events at once`);
    const bytes = JSON.stringify(events).length + events.length * HEADER_BYTES;
    assert.ok(bytes <= LIMITS.append_bytes_max, `${command.type} makes ${bytes} bytes at once`);
    for (const fact of decision.facts) this.take(fact);
    for (const timer of decision.timers ?? []) {
      if ("set" in timer) this.timers.set(timer.set, { at: timer.at, command: timer.command as ServiceCommand });
      else this.timers.delete(timer.cancel);
    }
    for (const [name, { lives }] of Object.entries(this.stack.services)) {
      assert.ok(lives.every(({ is }) => is !== "exited"), `${name} is left undecided`);
    }
    this.perform();
    return [...decision.facts];
  }

  /** Lets time pass until nothing is left to happen, or until then. */
  run(until = Infinity): void {
    for (let steps = 0;; steps++) {
      assert.ok(steps < 200_000, "it never comes to rest");
      const [name, timer] = [...this.timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      const next = this.due.sort((a, b) => a.at - b.at || a.n - b.n)[0];
      const at = Math.min(timer?.at ?? Infinity, next?.at ?? Infinity);
      if (at > until || at === Infinity) break;
      this.at = Math.max(this.at, at);
      if (timer && timer.at === at) {
        this.timers.delete(name!);
        this.send(timer.command);
      } else {
        this.due.shift();
        next!.call();
      }
    }
    if (until !== Infinity) this.at = until;
  }

  /** Types of the facts about a service, their last part. */
  story(service: string, replica = 0): readonly string[] {
    return this.facts.filter(({ fact }) => {
      const data = fact.data as { readonly service?: string; readonly replica?: number };
      return data.service === service && data.replica === replica;
    }).map(({ fact }) => fact.type.slice(fact.type.lastIndexOf(".") + 1));
  }

  life(service: string, replica = 0): string {
    return serviceOf(this.stack, service)!.lives[replica]!.is;
  }

  private take(fact: ServiceFact): void {
    if (fact.type === "services.instance.announced") {
      const { service, replica } = fact.data;
      const { needs } = serviceOf(this.stack, service)!.spec;
      for (const need of needs.filter(({ required }) => required)) {
        const { lives } = serviceOf(this.stack, need.service)!;
        assert.ok(lives.every((life) => holds(need.condition, life)), `${service} starts before ${need.service} is`);
      }
      assert.ok(!isLive(serviceOf(this.stack, service)!.lives[replica]!), `${service} starts twice`);
    }
    this.facts.push({ at: this.at, fact });
    this.stack = services.evolve(this.stack, fact);
  }

  private tell(command: ServiceCommand): void {
    this.send(command, ORCHESTRATOR);
  }

  private later(ms: number, call: () => void): void {
    if (ms !== Infinity) this.due.push({ at: this.at + ms, n: this.n++, call });
  }

  private perform(): void {
    for (const wish of wishesOf(this.stack)) {
      const { service, replica, nonce } = wish;
      const key = `${service}/${replica}`;
      if (wish.wish === "start" && !this.started.has(nonce)) {
        this.started.add(nonce);
        this.later(1, () => this.spawn(key, service, replica, nonce));
      } else if (wish.wish === "end") {
        const process = this.processes.get(key);
        if (!process || process.nonce !== nonce) continue;
        const kill = wish.signal === "SIGKILL";
        if (process.asked && !kill) continue;
        process.asked = true;
        const { stops = 0 } = this.behaves(service, this.attempts(key));
        this.later(kill ? 0 : stops, () => this.end(key, service, replica, nonce, null, kill ? "SIGKILL" : "SIGTERM"));
      }
    }
  }

  private attempts(key: string): number {
    return this.facts.filter(({ fact }) =>
      fact.type === "services.instance.announced" && `${fact.data.service}/${fact.data.replica}` === key
    ).length;
  }

  private spawn(key: string, service: string, replica: number, nonce: string): void {
    const behaviour = this.behaves(service, this.attempts(key));
    const of = { service, replica, nonce };
    if (behaviour.refused !== undefined) {
      return this.tell({ type: "services.process.record_refusal", data: { ...of, because: behaviour.refused } });
    }
    assert.ok(!this.processes.has(key), `two processes of ${key}`);
    this.processes.set(key, { key, nonce, since: this.at, asked: false });
    const { ends, well } = behaviour;
    if (ends) this.later(ends.at, () => this.end(key, service, replica, nonce, ends.code, null));
    if (well !== undefined) this.later(well, () => this.probe(key, { ...of, probe: "readiness", ok: true }));
    this.tell({
      type: "services.process.record_start",
      data: { ...of, pid: 100 + this.n, boot: "b", ticks: this.n, adopted: false },
    });
  }

  probe(
    key: string,
    data: { service: string; replica: number; nonce: string; probe: "readiness" | "liveness" | "startup"; ok: boolean },
  ): void {
    if (this.processes.get(key)?.nonce !== data.nonce) return;
    this.tell({ type: "services.process.record_probe", data: { ...data, because: "it was probed" } });
  }

  end(
    key: string,
    service: string,
    replica: number,
    nonce: string,
    code: number | null,
    signal: string | null,
    known = true,
  ): void {
    if (this.processes.get(key)?.nonce !== nonce) return;
    this.processes.delete(key);
    this.tell({
      type: "services.process.record_exit",
      data: { service, replica, nonce, code: known ? code : null, signal: known ? signal : null, known },
    });
  }
}

/** A stack that is up, or on its way there. */
export const upWith = (world: World, specs: readonly ServiceSpec[], order: Stack["mode"] = "ready"): World => {
  world.send({
    type: "services.stack.apply",
    data: { services: [...specs], profile: null, order, wanted: specs.map(({ service }) => service) },
  });
  return world;
};
