/**
 * The kernel over a log that survives it, under a seed: clients that repeat until they are answered, others who write into the
 * same streams, timers, a process manager, and a process that is killed, starved and lied to. At the end all is counted.
 */
import assert from "node:assert/strict";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import type { Ask, Outcome } from "../../actors/kernel/daybook.ts";
import { Entities } from "../../actors/kernel/entities.ts";
import { Manager } from "../../actors/kernel/manage.ts";
import { Projector } from "../../actors/kernel/project.ts";
import { feedOf } from "../../actors/kernel/project_feed.ts";
import { FactRecorder } from "../../actors/kernel/recorder.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { Timers } from "../../actors/kernel/timers.ts";
import { pause } from "../../actors/kernel/world.ts";
import type { Actor, ProcessManager } from "../../actors/types.ts";
import type { Event, StreamId } from "../../events/event.ts";
import type { EventLog, NewEvent } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { type ClockShare, SimulatedClock } from "../../adapters/simulation/clock.ts";
import { type Fault, FAULTS, Faults } from "../../adapters/simulation/faults.ts";
import { FaultyLog } from "../../adapters/simulation/log.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { SimulatedDisk, SimulatedStore } from "../../adapters/simulation/store.ts";
import { faultyViews } from "../../adapters/simulation/views.ts";
import { systemHash } from "../../adapters/system/world.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { check, type Told } from "./kernel_checks.ts";
import { echo, totals } from "./kernel_domain.ts";
import type { Store } from "../../events/store.ts";
import { sealed } from "../at_rest_given.ts";
import { hastyLog, type Plant, plantedChild, plantedLog, plantedStore, plantedViews } from "./plants.ts";
import { outside, toyCatalogue, toys } from "../kernel/toy.ts";

export interface Report {
  readonly seed: number;
  readonly commands: number;
  readonly events: number;
  readonly processes: number;
  readonly timers: number;
  readonly reached: Readonly<Record<string, number>>;
  /** Of all entries of the log: equal runs have equal ones. */
  readonly digest: string;
}

const ENTITIES = 5;
/** No disk refuses so often by chance. */
const OPEN_TRIES_MAX = 1_000;

/** What the kernel stands on: the reference log behind a faulty handle, or the real one over a disk that fails. */
/** `sealed`: as `kv`, at rest. */
export const GROUNDS = ["memory", "kv", "sealed"] as const;
export type Ground = typeof GROUNDS[number];

/** What the log within, having no disk, cannot meet; and what a log with one writer need not. */
const BEYOND: Readonly<Record<Ground, readonly string[]>> = {
  memory: ["flush"],
  kv: ["race"],
  sealed: ["race"],
};

/** Kinds of misfortune that never came about. */
export const missed = (reached: Readonly<Record<string, number>>, ground: Ground): readonly string[] =>
  Object.keys(reached).filter((kind) => reached[kind] === 0 && !BEYOND[ground].includes(kind));

/** Runs `rounds` commands under the seed and checks the guarantees; throws what does not hold. */
export const simulate = async (
  seed: number,
  rounds: number,
  plant?: Plant,
  ground: Ground = "memory",
): Promise<Report> => {
  const world = new SimulatedWorld(seed, plant, ground);
  await world.begin();
  const told: Told[] = [];
  const clients = Array.from({ length: 4 }, (_, client) => world.client(client, Math.ceil(rounds / 4), told));
  const chaos = world.chaos();
  await world.clock.until(Promise.race([Promise.all(clients), world.lost.promise]), 7 * 86_400_000);
  chaos.stop();
  await world.calm();
  check(world, told);
  const report = {
    seed,
    commands: told.length,
    events: world.log.size,
    processes: world.processes,
    timers: world.stored("kernel.timer.set").length,
    reached: {
      ...world.faults.reached,
      kill: world.kills,
      jump: world.jumps,
      upgrade: world.version - 1,
      race: world.racesLost,
      tie: world.clock.ties,
    },
    digest: systemHash.sha256(JSON.stringify(world.stored())),
  };
  await world.end();
  return report;
};

class SimulatedWorld {
  readonly random;
  readonly clock: SimulatedClock;
  /** Survives every process, each in its own way. */
  readonly memory: MemoryLog;
  readonly disk = new SimulatedDisk();
  readonly faults: Faults;
  readonly rung = new Set<number>();
  views = new MemoryViews();
  /** Of the projection; rises when a process is replaced by a newer program. */
  version = 1;
  processes = 0;
  kills = 0;
  jumps = 0;
  process!: Process;
  /** Rejects when the log does not open any more. */
  readonly lost = Promise.withResolvers<never>();
  private races = 0;
  private calmed = false;

  constructor(readonly seed: number, readonly plant: Plant | undefined, readonly ground: Ground) {
    this.random = seededRandom(seed);
    this.clock = new SimulatedClock(this.random.split());
    this.memory = new MemoryLog(this.clock);
    const level = this.random.pick([0, 0.01, 0.03, 0.1]);
    // Views are written far more often than the log, and each crash there is a fact that is projected in turn.
    const of = (fault: Fault) => level * this.random.next() * (fault.startsWith("views_") ? 0.1 : 2);
    const chances = FAULTS.map((fault) => [fault, this.random.strikes(0.7) ? of(fault) : 0]);
    this.faults = new Faults(this.random.split(), Object.fromEntries(chances));
  }

  /** The log as it is now. */
  get log(): EventLog {
    return this.ground === "memory" ? this.memory : this.process.log;
  }

  async begin(): Promise<void> {
    this.process = await this.clock.until(Process.open(this));
  }

  get racesLost(): number {
    return this.races + this.process.entities.counts.races_lost;
  }

  held(stream: StreamId) {
    return this.process.entities.held(stream);
  }

  stored(...types: string[]): Event[] {
    return [...this.log.read(types.length > 0 ? { types } : {})].flat();
  }

  /** The process dies and another starts after a while; now and then the views were deleted meanwhile. */
  readonly died = () => {
    if (this.process.dead) return;
    this.races += this.process.entities.counts.races_lost;
    this.process.kill();
    const down = this.random.strikes(0.2) ? this.random.next() * 60_000 : this.random.next() * 500;
    this.clock.schedule(down, () => {
      if (this.random.strikes(0.05)) this.views = new MemoryViews();
      if (this.random.strikes(0.05)) this.version++;
      Process.open(this).then((process) => this.process = process, this.lost.reject);
    });
  };

  chaos(): { stop: () => void } {
    const next = () => {
      if (this.calmed) return;
      if (this.random.strikes(0.3) && !this.process.dead) {
        this.kills++;
        this.died();
      } else if (this.process.broken) this.died();
      if (this.random.strikes(0.1)) {
        this.jumps++;
        this.clock.jump(this.random.between(-3_600_000, 3_600_000));
      }
      this.clock.schedule(this.random.between(50, 5_000), next);
    };
    next();
    return { stop: () => this.calmed = true };
  }

  async client(client: number, steps: number, told: Told[]): Promise<void> {
    const random = this.random.split();
    for (let step = 0; step < steps; step++) {
      const id = String(random.between(0, ENTITIES));
      const stream: StreamId = `toys/${id}`;
      if (random.strikes(0.1)) {
        await this.write(outside("toys.count.added", { by: 1 }, `o${client}-${step}`, stream));
      }
      const [type, data] = this.wish(random, `${client}-${step}`);
      const ask: Ask = { type, id, data, by: { authtype: "user", authid: `u_${client}` }, command: `c${step}` };
      told.push({ client, ask, stream, outcome: await this.insist(ask, random) });
      if (random.strikes(0.5)) await pause(this.clock, random.next() * 300);
    }
  }

  /** As another program would: the same again until it is answered. */
  private async write(event: NewEvent): Promise<void> {
    for (;;) {
      const { process } = this;
      const log = this.ground === "memory" ? this.memory : process.dead ? undefined : process.log;
      const answer = log?.append({ events: [event] }).then((appended) => appended.ok, () => false);
      if (await Promise.race([answer ?? false, process.death])) return;
      await pause(this.clock, 100);
    }
  }

  private wish(random: SimulatedWorld["random"], name: string): [Ask["type"], unknown] {
    const chance = random.next();
    if (chance < 0.15) return ["toys.timer.set", { name, at: this.clock.now() + random.between(0, 120_000), by: 3 }];
    if (chance < 0.25) return ["toys.count.repeat", { times: random.between(2, 6) }];
    if (chance < 0.5) return ["toys.count.add", { by: -random.between(1, 9) }];
    return ["toys.count.add", { by: random.between(1, 21) }];
  }

  /** Repeats under the same id until there is an answer, whatever becomes of the process. */
  private async insist(ask: Ask, random: SimulatedWorld["random"]): Promise<Outcome> {
    for (;;) {
      const { process } = this;
      if (!process.dead) {
        const outcome = await Promise.race([process.entities.ask(ask), process.death]);
        // Spread, so that facts are what they were when the answer came.
        if (outcome && outcome.is !== "unavailable") return { ...outcome };
      }
      await pause(this.clock, 10 + random.next() * 500);
    }
  }

  /** No more faults; resolves when everything that was promised has had time to happen. */
  async calm(): Promise<void> {
    this.faults.chances = {};
    if (this.process.broken) this.died();
    await this.clock.advance(120_000);
    for (let hours = 0; hours < 48; hours++) {
      const { timers, manager, projected } = this.process;
      const { size } = this.log;
      if (!this.process.dead && timers.count === 0 && manager.size >= size && projected >= size) return;
      await this.clock.advance(3_600_000);
    }
    throw new Error(
      `not quiet after two days: ${this.process.timers.count} timers, manager at ${this.process.manager.size}, projection at ${this.process.projected} of ${this.log.size}`,
    );
  }

  async end(): Promise<void> {
    await this.clock.until(this.process.stop());
  }
}

/** One run of the program; `kill` leaves nothing of it but what is in the log and the views. */
class Process {
  dead = false;
  readonly death: Promise<undefined>;
  readonly entities: Entities;
  readonly timers: Timers;
  readonly manager: Manager;
  private readonly projector: Projector;
  private readonly root: Supervisor;
  private readonly tell: (value: undefined) => void;
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;
  private readonly recorder: FactRecorder;

  /** Starts a process; one that dies or is refused the disk while it opens its log starts again. */
  static async open(world: SimulatedWorld): Promise<Process> {
    for (let tries = 0;; tries++) {
      assert.ok(tries < OPEN_TRIES_MAX, "the log does not open any more");
      const share = world.clock.share();
      const handle = world.ground === "memory" ? faultyHandle(world, share) : await diskHandle(world, share);
      if (handle) return new Process(world, share, handle);
      share.end();
      await pause(world.clock, 100);
    }
  }

  private constructor(world: SimulatedWorld, private readonly share: ClockShare, private readonly handle: Handle) {
    world.processes++;
    ({ promise: this.death, resolve: this.tell } = Promise.withResolvers<undefined>());
    const { clock } = this.share;
    const random = world.random.split();
    const { plant } = world;
    handle.died = world.died;
    const log = hastyLog(handle.log, plant);
    const { faults, died } = world;
    const views = plantedViews(faultyViews(world.views, { faults, died, dead: () => this.dead }), plant);
    const recorder = this.recorder = new FactRecorder({ clock, random, log });
    const deadLetters = new DeadLetters({ clock, random, recorder });
    const bounds = { resident_max: random.pick([2, 3, 100]), idle_ms: random.pick([100, 60_000]) };
    const ports = { clock, random, log, views, hash: systemHash };
    this.entities = new Entities({ world: ports, catalogue: toyCatalogue, actors: [toys as Actor], recorder, bounds });
    const followers = { clock, random, log, views, entities: this.entities, deadLetters };
    this.timers = new Timers(followers);
    this.manager = new Manager(echo as ProcessManager, {
      ...followers,
      perform: async (_, { position }) => {
        await pause(clock, random.next() * 50);
        if (random.strikes(0.05)) throw new Error("the bell is stuck");
        world.rung.add(position);
      },
    });
    this.projector = new Projector({
      projections: [totals(world.version) as AnyProjection],
      feed: feedOf(log),
      views,
      clock,
      record: (fact, child) => recorder.record(fact, { child }),
      bounds: {
        batch_events: random.pick([1, 7, 4_000]),
        batch_ms: 8,
        rows_cached: random.pick([1, 100]),
        events_cached: 64,
      },
    });
    const supervision = { restarts: { max: 1_000, within: 1_000 }, backoff: { first: 10, last: 1_000 } };
    const projections = new Supervisor({
      id: "projections",
      strategy: "one_for_one",
      ...supervision,
      children: this.projector.children,
    }, { clock, random, recorder });
    this.root = new Supervisor({
      id: "root",
      strategy: "rest_for_one",
      ...supervision,
      children: [this.entities, this.timers, plantedChild(this.manager, plant), projections],
    }, { clock, random, recorder });
    recorder.begin({ version: "sim", root: "root" });
    this.running = this.root.run(this.stopping.signal);
  }

  /** The disk has failed under it; it writes nothing more. */
  get broken(): boolean {
    return !this.dead && this.handle.broken();
  }

  /** Events that the projection has applied. */
  get projected(): number {
    return this.projector.states()[0]!.size;
  }

  get log(): EventLog {
    return this.handle.log;
  }

  kill(): void {
    this.dead = true;
    this.share.end();
    this.handle.crash();
    this.tell(undefined);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    assert.deepEqual(this.root.abandoned ?? [], [], "what was told to stop has stopped");
    assert.equal(await this.recorder.end([], 10_000), 0);
    await this.handle.log.close();
  }
}

/** One process's way to the log. */
interface Handle {
  readonly log: EventLog;
  crash(): void;
  broken(): boolean;
  /** What a fault that kills the process does. */
  died: () => void;
}

const faultyHandle = ({ memory, faults, plant }: SimulatedWorld, { clock }: ClockShare): Handle => {
  const log = new FaultyLog(plantedLog(memory, plant), { clock, faults, died: () => handle.died() });
  const handle: Handle = { log, crash: () => log.crash(), broken: () => false, died: () => {} };
  return handle;
};

/** The real log over the simulated disk, its segments so small that there are many; undefined when it did not open. */
const diskHandle = async (
  { disk, random, faults, plant, ground }: SimulatedWorld,
  { clock }: ClockShare,
): Promise<Handle | undefined> => {
  const gone = Promise.withResolvers<undefined>();
  const store: SimulatedStore = new SimulatedStore(disk, {
    clock,
    random: random.split(),
    faults,
    died: () => handle.died(),
  });
  const handle = {
    crash: () => store.crash(),
    broken: () => store.broken,
    died: () => (store.crash(), gone.resolve(undefined)),
  };
  const lies = (store: Store): Store => ground === "sealed" ? sealed(store) : store;
  const opening = KvLog.open(lies(plantedStore(store, plant)), {
    catalogue: toyCatalogue,
    clock,
    background: inlineBackground(lies(store), clock),
    segmentEvents: 64,
    bounds: { tail_events_max: 512, checkpoint_ms: 100 },
    signer: { origin: "sim", sign: (size, root) => `sim\n${size}\n${root}\n` },
  });
  const log = await Promise.race([opening.catch(() => undefined), gone.promise]);
  return log && Object.assign(handle, { log: plantedLog(log, plant) });
};
