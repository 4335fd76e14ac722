/**
 * All entities of all actors: finds or wakes the one a command is for, keeps those in use in memory, and lets the others
 * go. A child of the supervision tree: while it runs it takes work, and stopping it drains what was taken.
 */
import { sealedIn } from "../../events/personal.ts";
import { canonical, CanonicalError } from "../../events/canonical.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { StreamId } from "../../events/event.ts";
import type { Actor, Command } from "../types.ts";
import { causeOf } from "./cause.ts";
import type { Child, Self } from "./child.ts";
import type { Ask, Outcome, Principal } from "./daybook.ts";
import { Deadlines } from "./deadlines.ts";
import type { DraftOf, FactKinds, Seal } from "./draft.ts";
import type { Gate } from "./gate.ts";
import type { Household } from "./entity.ts";
import { ENTITY, Entity } from "./entity.ts";
import type { Held } from "./held.ts";
import { begun, taken, unborn } from "./held.ts";
import { isArchived } from "./kept.ts";
import type { Due } from "./message.ts";
import { Door, Message, unavailable } from "./message.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { Recorder } from "./recorder.ts";
import { NamedBlobs } from "./named_blobs.ts";
import { commandFault, issueOf, streamFault } from "./naming.ts";
import { Residents } from "./residents.ts";
import { Snapshots } from "./snapshots.ts";
import { during, type Telemetry } from "./telemetry.ts";
import { pause, type World } from "./world.ts";

export const ENTITIES = {
  /** Entities in memory; beyond it the one longest unused goes, and when all are busy a new one is refused. */
  resident_max: 10_000,
  /** Messages that wait, over all entities. */
  waiting_max: 100_000,
  /** An entity unused for so long is passivated. */
  idle_ms: 60_000,
  /** How long a caller waits who does not say. */
  deadline_ms: 5_000,
  /** How long stopping may take to drain what was taken. */
  grace_ms: 10_000,
  /** Busy entities passed over in search of one to let go. */
  passed_over_max: 64,
  /** How long snapshots of entities whose facts are archived are taken before others have their turn. */
  leave_turn_ms: 8,
} as const;

export interface EntitiesOptions {
  readonly world: World;
  readonly catalogue: Catalogue;
  readonly actors: readonly Actor[];
  readonly recorder: Recorder;
  /** What stands before commands that a control guards; its `Declined` is thrown by `ask`. Timers and effects pass by. */
  readonly gate?: Gate;
  readonly seal?: Seal;
  /** Of a command's content, kept beside its facts to tell a repeat from a clash; default SHA-256. Keyed, it gives nothing away. */
  readonly digest?: (text: string) => string;
  readonly bounds?: Partial<{ readonly [K in keyof typeof ENTITIES]: number }>;
}

/** A timer that came due, as its follower knows it. */
export interface DueTimer extends Due {
  readonly stream: StreamId;
  readonly position: number;
  readonly command: Command;
  readonly causationid: string;
  readonly correlationid: string;
}

interface Known {
  readonly actor: Actor;
  readonly schema: Actor["commands"][keyof Actor["commands"]];
  readonly kinds: FactKinds;
}

const KERNEL: Principal = { authtype: "system", authid: "kernel" };

export class Entities implements Child, Household {
  readonly id = "entities";
  readonly restart = "permanent";
  readonly grace: number;
  readonly log;
  readonly clock;
  readonly snapshots: Snapshots;
  readonly telemetry;
  /** Since the beginning: messages that mailboxes took and that found no room, woken, let go, races lost to other writers. */
  readonly counts = { taken: 0, refused: 0, activations: 0, passivations: 0, races_lost: 0, faults: 0 };
  private readonly commands = new Map<string, Known>();
  /** Any command of a domain. */
  private readonly domains = new Map<string, Known>();
  private readonly residents: Residents;
  private readonly deadlines: Deadlines;
  private readonly bounds: { readonly [K in keyof typeof ENTITIES]: number };
  private busy = 0;
  private waiting = 0;
  private stopping = false;
  private drained: (() => void) | undefined;
  private path = "entities";
  private issued = 0;
  private readonly run_id: string;
  private readonly missing: DraftOf["missing"];

  constructor(private readonly options: EntitiesOptions) {
    const { world, actors, catalogue, bounds } = options;
    this.bounds = { ...ENTITIES, ...bounds };
    this.grace = this.bounds.grace_ms;
    this.log = world.log;
    this.clock = world.clock;
    this.telemetry = world.telemetry;
    this.snapshots = new Snapshots(world);
    this.deadlines = new Deadlines(world.clock);
    this.residents = new Residents(world.clock, this.bounds, (entity) => {
      this.counts.passivations++;
      entity.passivate();
    });
    this.run_id = world.random.id();
    const blobs = new NamedBlobs(catalogue, world.log);
    this.missing = (type, data) => blobs.missing(type, data);
    for (const actor of actors) {
      const kinds = kindsOf(actor, catalogue);
      for (const [type, schema] of Object.entries(actor.commands)) {
        if (this.commands.has(type)) throw new TypeError(`Two actors take the command "${type}"`);
        const known = { actor, schema, kinds };
        this.commands.set(type, known);
        if (!this.domains.has(actor.domain)) this.domains.set(actor.domain, known);
      }
    }
  }

  /** Entities in memory. */
  get resident(): number {
    return this.residents.size;
  }

  /** Messages that wait in mailboxes, over all entities. */
  get depth(): number {
    return this.waiting;
  }

  /** What is held of an entity in memory now; for tests and diagnosis. */
  held(stream: StreamId): Held | undefined {
    return this.residents.get(stream)?.state;
  }

  /**
   * An entity as far as it is in the log at this moment, without waking it: for who acts in the world on what was decided. `known`: an
   * earlier answer for the same stream, so that only what came since is read. Throws `TypeError` for a stream that no actor has.
   */
  look(stream: StreamId, known?: Held): Held {
    const actor = this.anyOf(stream.slice(0, stream.indexOf("/")))?.actor;
    if (!actor) throw new TypeError(`No actor has the stream "${stream}"`);
    const resident = this.residents.get(stream)?.state;
    const best = [known, resident].reduce((a, b) => (b && b.revision > (a?.revision ?? -1) ? b : a), undefined);
    const head = this.log.head(stream);
    if (best && best.revision === head) return best;
    let held = best ?? (head < 0 ? unborn(actor) : begun(actor, stream, this));
    for (const page of this.log.read({ stream, revision: held.revision + 1 })) held = taken(actor, held, page);
    return held;
  }

  /** Whether streams of this domain are entities. */
  has(domain: string): boolean {
    return this.anyOf(domain) !== undefined;
  }

  /**
   * Leaves snapshots of these behind, written when it resolves, so that their facts may be archived. One that was archived before is as it
   * was. Others get their turn.
   */
  async leave(streams: Iterable<StreamId>): Promise<void> {
    let turn = this.clock.monotonic();
    const some: [StreamId, Actor, Held][] = [];
    const write = () => this.snapshots.leave(some.splice(0));
    for (const stream of streams) {
      const { actor } = this.anyOf(stream.slice(0, stream.indexOf("/")))!;
      try {
        some.push([stream, actor, this.look(stream)]);
      } catch (error) {
        if (!isArchived(error)) throw error;
      }
      if (this.clock.monotonic() - turn < ENTITIES.leave_turn_ms) continue;
      write();
      await pause(this.clock, 0);
      turn = this.clock.monotonic();
    }
    write();
  }

  /**
   * Decides a command. Everything a caller can bring about is an `Outcome`; it rejects with `EntityFault` on a bug in the
   * domain's code, and the command may or may not be repeated then with the same result.
   */
  ask(ask: Ask): Promise<Outcome> {
    return this.telemetry === undefined ? this.decide(ask) : this.traced(ask, this.telemetry);
  }

  /** The command is a span, and its facts belong under it. */
  private traced(ask: Ask, telemetry: Telemetry): Promise<Outcome> {
    const { type, traceparent } = ask;
    // A type that nobody knows is the sender's choice of words.
    if (!this.commands.has(type)) return this.decide(ask);
    const span = telemetry.span(`command ${type}`, traceparent, { "daybook.command": type });
    return during(span, () => this.decide({ ...ask, traceparent: span.traceparent }), outcomeTold);
  }

  private decide(ask: Ask): Promise<Outcome> {
    const known = this.commands.get(ask.type);
    if (!known) return Promise.resolve({ is: "unknown_command" });
    if (this.stopping) return Promise.resolve(unavailable("stopping"));
    const parsed = known.schema.safeParse(ask.data);
    if (!parsed.success) return Promise.resolve({ is: "invalid", issues: parsed.error.issues.map(issueOf) });
    // From inside, what is sealed is handed on as it is; so nothing that only looks sealed may come from outside.
    const [forged] = ask.by.authtype === "system" ? [] : sealedIn(parsed.data);
    if (forged !== undefined) {
      return Promise.resolve({ is: "invalid", issues: [{ path: forged, message: "looks like a sealed text" }] });
    }
    const named = ask.command !== undefined;
    const key = named ? `${ask.by.authid}:${ask.command}` : `${ask.by.authid}:${this.run_id}.${++this.issued}`;
    let digest: string | undefined;
    if (named) {
      const message = commandFault(ask.command!, key);
      if (message) return Promise.resolve({ is: "invalid", issues: [{ path: "", message }] });
      try {
        digest = this.digest(ask);
      } catch (error) {
        if (!(error instanceof CanonicalError)) throw error;
        return Promise.resolve({
          is: "invalid",
          issues: [{ path: error.path.replace(/^\/data/, ""), message: error.message }],
        });
      }
    }
    const deliver = () => this.deliver(known, ask, { type: ask.type, data: parsed.data }, key, digest, undefined);
    const { gate } = this.options;
    if (!gate?.guards(ask.type)) return deliver();
    const target: StreamId = `${known.actor.domain}/${ask.id}`;
    // What was accepted before is only told again.
    if (named && this.log.find(target, `${key}/0`)) return deliver();
    // Nobody waits for the gate when the entities stop.
    return gate.check({ type: ask.type, target }).then(() => this.stopping ? unavailable("stopping") : deliver());
  }

  /** Whether the stream's own actor knows the command, and its data parses. */
  takes(stream: StreamId, { type, data }: Command): boolean {
    const known = this.commands.get(type);
    return known !== undefined && stream.startsWith(`${known.actor.domain}/`) && known.schema.safeParse(data).success;
  }

  /** Whether a timer with this command comes at a date. */
  isDated({ type }: Command): boolean {
    return this.commands.get(type)?.actor.dated?.includes(type) ?? false;
  }

  /**
   * A timer came due. `accepted` when that is recorded, or it does not stand any more; else `unavailable`. Rejects with
   * `EntityFault` when the decider fails; then it can be sent again as `undeliverable`.
   */
  fire(timer: DueTimer): Promise<Outcome> {
    const { stream, name, set, position, command, causationid, correlationid } = timer;
    const slash = stream.indexOf("/");
    const ask: Ask = {
      type: command.type,
      id: stream.slice(slash + 1),
      data: command.data,
      by: KERNEL,
      causationid,
      correlationid,
      deadline: this.bounds.deadline_ms,
    };
    const domain = stream.slice(0, slash);
    const own = this.commands.get(command.type);
    const known = own?.actor.domain === domain ? own : this.anyOf(domain);
    if (!known) return Promise.resolve({ is: "unknown_command" });
    if (this.stopping) return Promise.resolve(unavailable("stopping"));
    const parsed = known === own && !timer.undeliverable ? known.schema.safeParse(command.data) : undefined;
    const due = { name, set, undeliverable: !parsed?.success };
    const data = parsed?.success ? parsed.data : command.data;
    return this.deliver(known, ask, { type: command.type, data }, `kernel:timer:${position}`, undefined, due);
  }

  /** Takes work until the signal aborts; then drains what was taken and leaves snapshots behind. */
  async run(signal: AbortSignal, self?: Self): Promise<void> {
    this.path = self?.path ?? this.id;
    this.stopping = signal.aborted;
    await new Promise<void>((resolve) => {
      const stop = () => {
        this.stopping = true;
        resolve();
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    if (this.busy > 0) await new Promise<void>((resolve) => this.drained = resolve);
    this.residents.clear();
    this.snapshots.flush();
    this.deadlines.close();
  }

  turned(entity: Entity, busy: boolean): void {
    this.busy += busy ? 1 : -1;
    if (busy) this.residents.touch(entity);
    else if (this.busy === 0) this.drained?.();
  }

  left(): void {
    this.waiting--;
  }

  lost(): void {
    this.counts.races_lost++;
  }

  crashed(entity: Entity, error: unknown): void {
    this.counts.faults++;
    const [child, cause] = [this.childOf(entity), causeOf(error)];
    this.record({ type: "kernel.child.crashed", data: { child, cause, ran_ms: 0 } }, child, cause);
  }

  gaveUp(entity: Entity, error: unknown): void {
    const [child, cause] = [this.childOf(entity), causeOf(error)];
    const data = { child, because: child, cause, max: ENTITY.loads_max, within_ms: ENTITY.down_ms };
    this.record({ type: "kernel.child.gave_up", data }, child, cause);
  }

  restarted(entity: Entity): void {
    const child = this.childOf(entity);
    const data = { child, kind: "worker" as const, order: 0, because: child, restarts: 1 };
    this.record({ type: "kernel.child.restarted", data }, child);
  }

  ended(entity: Entity): void {
    const child = this.childOf(entity);
    this.record({ type: "kernel.child.stopped", data: { child, reason: "ended" } }, child);
  }

  private record(fact: KernelFact, child: string, cause?: string): void {
    this.options.recorder.record(fact, { child, cause, stream: `kernel/${this.path}` });
  }

  private deliver(
    known: Known,
    ask: Ask,
    command: Command,
    key: string,
    digest: string | undefined,
    due: Due | undefined,
  ): Promise<Outcome> {
    const { world } = this.options;
    const found = this.entity(known, ask.id);
    if (!(found instanceof Entity)) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const door = new Door(this.clock.now(), ask.by, ask.id, world.random);
      const message = new Message(command, door, ask, key, digest, due, this.deadlines, resolve, reject);
      if (this.waiting >= this.bounds.waiting_max || !found.offer(message)) return resolve(this.full());
      this.counts.taken++;
      this.waiting++;
      this.deadlines.set(message, ask.deadline ?? this.bounds.deadline_ms);
    });
  }

  private full(): Outcome {
    this.counts.refused++;
    return unavailable("mailbox_full");
  }

  /** The entity in memory, woken if need be; or why it cannot be. */
  private entity({ actor, kinds }: Known, id: string): Entity | Outcome {
    const stream: StreamId = `${actor.domain}/${id}`;
    const resident = this.residents.get(stream);
    if (resident) return resident;
    const message = streamFault(stream, id);
    if (message) return { is: "invalid", issues: [{ path: "", message }] };
    if (!this.residents.room()) return this.full();
    const entity = new Entity({ stream, actor, kinds, seal: this.options.seal, missing: this.missing }, this);
    this.counts.activations++;
    this.residents.add(entity);
    return entity;
  }

  /** Any command of the domain will do where the actor is wanted and not what it decides. */
  private anyOf(domain: string): Known | undefined {
    return this.domains.get(domain);
  }

  private digest({ type, data, expected }: Ask): string {
    const text = canonical({ type, data, expected });
    return this.options.digest?.(text) ?? this.options.world.hash.sha256(text);
  }

  private childOf({ stream }: Entity): string {
    return `${this.path}:${stream}`.slice(0, 400).toWellFormed();
  }
}

/** A rejection is the domain's answer and no failure. */
const outcomeTold = (outcome: Outcome) => ({
  attributes: { "daybook.outcome": outcome.is },
  ...(outcome.is === "unavailable" || outcome.is === "conflict" ? { error: outcome.reason } : {}),
});

const kindsOf = (actor: Actor, catalogue: Catalogue): FactKinds => {
  const kinds = new Map<string, ReturnType<FactKinds>>();
  return (type) => {
    let kind = kinds.get(type);
    if (!kind) {
      const spec = catalogue.spec(type);
      if (!spec) throw new TypeError(`the catalogue has no fact "${type}"`);
      const { version = 1, schema } = spec;
      kind = { version, evolves: (actor.facts as readonly string[]).includes(type), schema };
      kinds.set(type, kind);
    }
    return kind;
  };
};
