/** What kernel tests stand on: virtual time, seeded chance, a recorder that remembers, children that do as told. */
import { SimulatedClock } from "../../adapters/simulation/clock.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import type { Child, Self, SupervisorSpec } from "../../actors/kernel/child.ts";
import type { KernelFact } from "../../events/kernel.ts";
import { kernelFacts } from "../../events/kernel.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";

export const rig = (seed = 1) => {
  const random = seededRandom(seed);
  const clock = new SimulatedClock(random.split());
  const facts: KernelFact[] = [];
  const recorder = {
    record(fact: KernelFact) {
      kernelFacts[fact.type].parse(fact.data);
      facts.push(fact);
    },
    flush: () => Promise.resolve(),
  };
  /** Facts as `verb child`, the paths without the root. */
  const told = () =>
    facts.map(({ type, data }) => {
      const path = "child" in data ? data.child : "";
      return `${type.split(".")[2]} ${path.slice(path.indexOf(":") + 1)}`;
    });
  return { random, clock, facts, told, recorder };
};

export type Rig = ReturnType<typeof rig>;

/** A child whose runs a test ends as it likes. */
export class Puppet implements Child {
  runs = 0;
  stops = 0;
  running = false;
  readonly restart: Child["restart"];
  readonly grace: number;
  readonly readyWithin?: number;
  private end: { resolve: () => void; reject: (cause: unknown) => void } | undefined;
  self: Self | undefined;

  constructor(
    readonly id: string,
    readonly journal: string[],
    private readonly options: Partial<Child> & {
      /** Called at the start of each run. */
      readonly begin?: (run: number, self: Self) => void;
      /** Does not stop when asked. */
      readonly deaf?: boolean;
    } = {},
  ) {
    this.restart = options.restart ?? "permanent";
    this.grace = options.grace ?? 1_000;
    this.readyWithin = options.readyWithin;
  }

  run(signal: AbortSignal, self: Self): Promise<void> {
    this.runs++;
    this.self = self;
    this.journal.push(`+${this.id}`);
    this.options.begin?.(this.runs, self);
    this.running = true;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.end = { resolve, reject };
    signal.addEventListener("abort", () => {
      this.stops++;
      this.journal.push(`-${this.id}`);
      if (!this.options.deaf) resolve();
    });
    return promise.finally(() => this.running = false);
  }

  exit(): void {
    this.end!.resolve();
  }

  crash(cause: unknown = new Error("boom")): void {
    this.end!.reject(cause);
  }
}

/** Starts a supervisor in the rig; `ended` says how its run came to an end. */
export const supervise = async (rig: Rig, spec: Omit<SupervisorSpec, "id">) => {
  const supervisor = new Supervisor({ id: "root", ...spec }, rig);
  const stop = new AbortController();
  let ended: string | undefined;
  const run = supervisor.run(stop.signal).then(
    () => ended = "stopped",
    (error) => ended = `${error.name}: ${error.message}`,
  );
  await rig.clock.settle();
  return { supervisor, stop, run, ended: () => ended };
};
