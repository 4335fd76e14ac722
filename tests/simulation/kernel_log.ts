/**
 * The kernel over a log that survives it, under a seed: clients that repeat until they are answered, others who write into the
 * same streams, timers, a process manager, and a process that is killed, starved and lied to. At the end all is counted.
 */
import assert from "node:assert/strict";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import type { Ask, Outcome } from "../../actors/kernel/daybook.ts";
import { Entities } from "../../actors/kernel/entities.ts";
import { Manager } from "../../actors/kernel/manage.ts";
import { FactRecorder } from "../../actors/kernel/recorder.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { Timers } from "../../actors/kernel/timers.ts";
import { pause } from "../../actors/kernel/world.ts";
import type { Actor, Effect, ProcessManager } from "../../actors/types.ts";
import type { Event, StreamId } from "../../events/event.ts";
import type { EventLog, NewEvent } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { type ClockShare, SimulatedClock } from "../../adapters/simulation/clock.ts";
import { FAULTS, Faults } from "../../adapters/simulation/faults.ts";
import { FaultyLog } from "../../adapters/simulation/log.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { SimulatedDisk, SimulatedStore } from "../../adapters/simulation/store.ts";
import { systemHash } from "../../adapters/system/world.ts";
import type { Views } from "../../projections/views.ts";
import { hastyLog, type Plant, plantedLog, plantedViews } from "./plants.ts";
import { outside, type Toy, toyCatalogue, type ToyFact, toys } from "../kernel/toy.ts";

export interface Report {
  readonly seed: number;
  readonly commands: number;
  readonly events: number;
  readonly processes: number;
  readonly racesLost: number;
  readonly timers: number;
  readonly reached: Readonly<Record<string, number>>;
  /** Of all entries of the log: equal runs have equal ones. */
  readonly digest: string;
}

type Added = Extract<ToyFact, { readonly type: "toys.count.added" }>;

/** Every added multiple of ten is echoed by a command and rung in the world. */
const echo: ProcessManager<{ readonly heard: number }, Added> = {
  name: "echo",
  version: 1,
  hears: ["toys.count.added"],
  initial: { heard: 0 },
  key: ({ stream }) => stream,
  react({ heard }, event) {
    const effects: Effect[] = isEchoed(event as Event)
      ? [
        { type: "command", stream: "toys/echo", command: { type: "toys.count.add", data: { by: 1 } } },
        { type: "toys.bell.ring", data: { position: event.position } },
      ]
      : [];
    return { state: { heard: heard + 1 }, effects };
  },
};
const isEchoed = ({ stream, data }: Event): boolean => stream !== "toys/echo" && (data as { by: number }).by % 10 === 0;

/** One client's command and the answer it accepted. */
interface Told {
  readonly client: number;
  readonly ask: Ask;
  readonly stream: StreamId;
  readonly outcome: Outcome;
}

const ENTITIES = 5;

/** What the kernel stands on: the reference log behind a faulty handle, or the real one over a disk that fails. */
export type Ground = "memory" | "kv";

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
  await world.clock.until(Promise.all(clients), 7 * 86_400_000);
  chaos.stop();
  await world.calm();
  check(world, told);
  const report = {
    seed,
    commands: told.length,
    events: world.log.size,
    processes: world.processes,
    racesLost: world.racesLost,
    timers: world.stored("kernel.timer.set").length,
    reached: { ...world.faults.reached, kill: world.kills, jump: world.jumps },
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
  processes = 0;
  kills = 0;
  jumps = 0;
  process!: Process;
  private lost = 0;
  private calmed = false;

  constructor(readonly seed: number, readonly plant: Plant | undefined, readonly ground: Ground) {
    this.random = seededRandom(seed);
    this.clock = new SimulatedClock(this.random.split());
    this.memory = new MemoryLog(this.clock);
    const level = this.random.pick([0, 0.01, 0.03, 0.1]);
    const chances = FAULTS.map((fault) => [fault, this.random.strikes(0.7) ? level * 2 * this.random.next() : 0]);
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
    return this.lost + this.process.entities.counts.races_lost;
  }

  stored(...types: string[]): Event[] {
    return [...this.log.read(types.length > 0 ? { types } : {})].flat();
  }

  /** The process dies and another starts after a while; now and then the views were deleted meanwhile. */
  readonly died = () => {
    if (this.process.dead) return;
    this.lost += this.process.entities.counts.races_lost;
    this.process.kill();
    const down = this.random.strikes(0.2) ? this.random.next() * 60_000 : this.random.next() * 500;
    this.clock.schedule(down, () => {
      if (this.random.strikes(0.05)) this.views = new MemoryViews();
      void Process.open(this).then((process) => this.process = process);
    });
  };

  chaos(): { stop: () => void } {
    const next = () => {
      if (this.calmed) return;
      if (this.random.strikes(0.3) && !this.process.dead) {
        this.kills++;
        this.died();
      }
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
    await this.clock.advance(120_000);
    for (let hours = 0; hours < 48; hours++) {
      const { timers, manager } = this.process;
      if (!this.process.dead && timers.count === 0 && manager.size >= this.log.size) return;
      await this.clock.advance(3_600_000);
    }
    throw new Error(
      `not quiet after two days: ${this.process.timers.count} timers, manager at ${this.process.manager.size} of ${this.log.size}`,
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
  private readonly tell: (value: undefined) => void;
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;
  private readonly recorder: FactRecorder;

  /** Starts a process; one that dies or is refused the disk while it opens its log starts again. */
  static async open(world: SimulatedWorld): Promise<Process> {
    for (;;) {
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
    const views = plantedViews(this.mortal(world.views), plant);
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
    const root = new Supervisor({
      id: "root",
      strategy: "rest_for_one",
      restarts: { max: 1_000, within: 1_000 },
      backoff: { first: 10, last: 1_000 },
      children: [this.entities, this.timers, this.manager],
    }, { clock, random, recorder });
    recorder.begin({ version: "sim", root: "root" });
    this.running = root.run(this.stopping.signal);
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
    assert.equal(await this.recorder.end([], 10_000), 0);
    await this.handle.log.close();
  }

  /** What a dead process touches is not there any more. */
  private mortal(views: Views): Views {
    return new Proxy(views, {
      get: (target, name) => {
        if (this.dead) throw new Error("simulated: the process is dead");
        const member = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }
}

/** One process's way to the log. */
interface Handle {
  readonly log: EventLog;
  crash(): void;
  /** What a fault that kills the process does. */
  died: () => void;
}

const faultyHandle = ({ memory, faults, plant }: SimulatedWorld, { clock }: ClockShare): Handle => {
  const log = new FaultyLog(plantedLog(memory, plant), { clock, faults, died: () => handle.died() });
  const handle: Handle = { log, crash: () => log.crash(), died: () => {} };
  return handle;
};

/** The real log over the simulated disk, its segments so small that there are many; undefined when it did not open. */
const diskHandle = async (
  { disk, random, faults, plant }: SimulatedWorld,
  { clock }: ClockShare,
): Promise<Handle | undefined> => {
  const gone = Promise.withResolvers<undefined>();
  const store: SimulatedStore = new SimulatedStore(disk, {
    clock,
    random: random.split(),
    faults,
    died: () => handle.died(),
  });
  const handle = { crash: () => store.crash(), died: () => (store.crash(), gone.resolve(undefined)) };
  const opening = KvLog.open(store, {
    catalogue: toyCatalogue,
    clock,
    background: inlineBackground(store, clock),
    segmentEvents: 64,
    bounds: { tail_events_max: 512, checkpoint_ms: 100 },
    signer: { origin: "sim", sign: (size, root) => `sim\n${size}\n${root}\n` },
  });
  const log = await Promise.race([opening.catch(() => undefined), gone.promise]);
  return log && Object.assign(handle, { log: plantedLog(log, plant) });
};

const check = (world: SimulatedWorld, told: readonly Told[]): void => {
  const events = world.stored();
  const byKey = Map.groupBy(events, ({ source, id }) => `${source} ${id.slice(0, id.lastIndexOf("/"))}`);
  acknowledged(told, events, byKey);
  inOrder(told);
  states(world, events);
  timersOnce(events);
  effects(world, events);
};

/** What was answered is there as it was answered, once; what was refused is not there. */
const acknowledged = (
  told: readonly Told[],
  events: readonly Event[],
  byKey: ReadonlyMap<string, readonly Event[]>,
): void => {
  for (const { ask, stream, outcome } of told) {
    const own = byKey.get(`${stream} ${ask.by.authid}:${ask.command}`) ?? [];
    if (outcome.is === "rejected") {
      assert.equal(own.length, 0, `${stream} ${ask.command}: rejected, and recorded`);
      continue;
    }
    assert.equal(outcome.is, "accepted", `${stream} ${ask.command}: ${JSON.stringify(outcome)}`);
    if (outcome.is !== "accepted") continue;
    const times = ask.type === "toys.count.repeat" ? (ask.data as { times: number }).times : 1;
    assert.equal(own.length, times, `${stream} ${ask.command}: recorded ${own.length} times`);
    assert.equal(own.at(-1)!.position, outcome.position, "the position that was answered");
    assert.equal(own.at(-1)!.revision, outcome.revision, "the revision that was answered");
    assert.deepEqual(
      own.map(({ revision }) => revision),
      own.map((_, i) => own[0]!.revision + i),
      "facts of one command together",
    );
    const domain = own.filter(({ type }) => type.startsWith("toys."));
    assert.deepEqual(outcome.facts.map(({ id, data }) => ({ id, data })), domain.map(({ id, data }) => ({ id, data })));
    assert.deepEqual(events[outcome.position], own.at(-1));
  }
};

/** A client that waited for one answer before it asked again finds its wishes in that order. */
const inOrder = (told: readonly Told[]): void => {
  const last = new Map<string, number>();
  for (const { client, stream, outcome } of told) {
    if (outcome.is !== "accepted") continue;
    const key = `${client} ${stream}`;
    assert.ok(outcome.revision > (last.get(key) ?? -1), `client ${client} on ${stream}: reordered`);
    last.set(key, outcome.revision);
  }
};

/** What is in memory is the fold of the log, and no prefix of it breaks the domain's rule. */
const states = (world: SimulatedWorld, events: readonly Event[]): void => {
  const folded = new Map<StreamId, Toy>();
  for (const event of events) {
    if (event.type !== "toys.count.added") continue;
    const state = toys.evolve(folded.get(event.stream) ?? toys.initial, event as unknown as Added);
    assert.ok(state.total >= 0, `${event.stream} is below zero at ${event.position}`);
    folded.set(event.stream, state);
  }
  for (const [stream, state] of folded) {
    const held = world.process.entities.held(stream);
    if (held && held.revision === world.log.head(stream)) assert.deepEqual(held.state, state, stream);
  }
};

/** Each timer fires once, and what it brought about is there once. */
const timersOnce = (events: readonly Event[]): void => {
  for (const set of events.filter(({ type }) => type === "kernel.timer.set")) {
    const caused = events.filter(({ causationid }) => causationid === set.id);
    assert.deepEqual(
      caused.map(({ type }) => type),
      ["kernel.timer.fired", "toys.count.added"],
      `timer ${JSON.stringify(set.data)}`,
    );
    // The wall clock jumps, so that it came not too early shows in the order alone.
    assert.ok(caused[0]!.position > set.position);
  }
};

/** Commands of the manager count once, its effects in the world happened at least once. */
const effects = (world: SimulatedWorld, events: readonly Event[]): void => {
  for (const event of events) {
    if (event.type !== "toys.count.added" || !isEchoed(event)) continue;
    const echoes = events.filter(({ causationid, stream }) => causationid === event.id && stream === "toys/echo");
    assert.equal(echoes.length, 1, `position ${event.position} was echoed ${echoes.length} times`);
    assert.ok(world.rung.has(event.position), `the bell of position ${event.position} was never rung`);
  }
};
