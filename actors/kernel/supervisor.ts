/**
 * Keeps children running, by OTP's rules (https://www.erlang.org/doc/system/sup_princ): start in order, stop in reverse,
 * restart by strategy, and when the budget of restarts is spent stop everything and fail upwards. A supervisor is a child.
 *
 * All that happens to a supervisor goes through one inbox and is handled one at a time, so a stop and a restart cannot
 * cross. Where it departs from OTP: restarts may wait (`backoff`), and a first start that fails is a crash like any other.
 */
import type { Millis } from "../../events/event.ts";
import { causeOf } from "./cause.ts";
import type { Child, Self, SupervisorSpec } from "./child.ts";
import type { HealthNode } from "./daybook.ts";
import { Inbox } from "./inbox.ts";
import { instant } from "./instant.ts";
import type { Ended, Exit, Incarnation, SupervisorWorld } from "./slot.ts";
import { notifyAtOnce, Slot } from "./slot.ts";

export type { Backoff, Child, Self, SupervisorSpec } from "./child.ts";
export type { Ended, SupervisorWorld } from "./slot.ts";

/** Children of one supervisor, those stopped but not removed included. */
export const CHILDREN_MAX = 1_000;

/** The budget of restarts is spent; what supervises this supervisor must decide now. */
export class GaveUp extends Error {
  override readonly name = "GaveUp";
}

/** Children that start again together, in order, when their back-off is over. */
interface Plan {
  slots: readonly Slot[];
  readonly because: string;
  cancel: () => void;
}

type Message =
  | { readonly is: "exited"; readonly slot: Slot; readonly of: Incarnation; readonly exit: Exit }
  | { readonly is: "due"; readonly plan: Plan }
  | {
    readonly is: "asked";
    readonly act: () => Promise<void>;
    readonly done: () => void;
    readonly failed: (cause: unknown) => void;
  }
  | { readonly is: "shutdown" };

export class Supervisor implements Child {
  readonly id: string;
  readonly kind = "supervisor";
  readonly restart: Child["restart"];
  readonly grace: Millis;
  private readonly plans = new Set<Plan>();
  private slots: Slot[] = [];
  private crashes: { readonly slot: Slot; readonly at: Millis }[] = [];
  private inbox: Inbox<Message> | undefined;
  private signal = AbortSignal.abort();
  private shutdown: Promise<"shutdown"> = Promise.resolve("shutdown");
  private path: string;
  private state: HealthNode["state"] = "stopped";
  private since: Millis;
  private cause: string | undefined;

  /** Throws `TypeError` on ids that are empty, hold a `:` or are there twice. */
  constructor(private readonly spec: SupervisorSpec, private readonly world: SupervisorWorld) {
    this.id = spec.id;
    this.path = spec.id;
    this.restart = spec.restart ?? "permanent";
    this.grace = spec.grace ?? Infinity;
    this.since = world.clock.now();
    checkId(spec.id);
    for (const [i, { id }] of spec.children.entries()) {
      checkId(id);
      const first = spec.children.findIndex((child) => child.id === id);
      if (first !== i) throw new TypeError(`Supervisor "${spec.id}" has two children "${id}"`);
    }
  }

  /** Paths of what did not stop within its grace, here and below, since this supervisor last started. */
  get abandoned(): readonly string[] {
    return this.slots.flatMap((
      { child, path, abandoned },
    ) => [...(child.abandoned ?? []), ...(abandoned > 0 ? [path] : [])]);
  }

  /** As it is now, from memory. */
  tree(): HealthNode {
    const { id, state, cause } = this;
    const children = this.slots.map((slot) => slot.node());
    return { id, state, restarts: 0, since: instant(this.since), ...(cause === undefined ? {} : { cause }), children };
  }

  /** Ends when the signal aborts, with everything below stopped or abandoned; throws `GaveUp` when the budget is spent. */
  async run(signal: AbortSignal, self?: Self): Promise<void> {
    const inbox = this.inbox = new Inbox<Message>();
    this.path = self?.path ?? this.id;
    const earlier = new Map(this.slots.map(({ child, restarts }) => [child.id, restarts]));
    this.slots = this.spec.children.map((child) => this.slot(child, false, earlier.get(child.id)));
    this.crashes = [];
    this.cause = undefined;
    this.signal = signal;
    const stop = Promise.withResolvers<"shutdown">();
    this.shutdown = stop.promise;
    const shutdown = () => {
      stop.resolve("shutdown");
      inbox.post({ is: "shutdown" });
    };
    signal.addEventListener("abort", shutdown, { once: true });
    this.turn("starting");
    try {
      await this.start({ slots: this.slots, because: this.path, cancel: () => {} });
      this.turn("running");
      self?.ready();
      while (!signal.aborted) await this.handle(await inbox.next());
    } catch (error) {
      this.cause = causeOf(error);
      throw error;
    } finally {
      this.turn("stopping");
      await this.close(inbox);
      signal.removeEventListener("abort", shutdown);
      this.turn(this.cause === undefined ? "stopped" : "down");
    }
  }

  /** Adds a child while running; resolves when it is ready. Rejects, and keeps nothing of it, when it ends before that. */
  add(child: Child): Promise<void> {
    return this.ask(async () => {
      checkId(child.id);
      if (this.find(child.id)) throw new Error(`Cannot start "${child.id}" under "${this.path}": there is one already`);
      if (this.slots.length >= CHILDREN_MAX) {
        throw new Error(`Cannot start "${child.id}" under "${this.path}": it has ${CHILDREN_MAX} children already`);
      }
      const slot = this.slot(child, true);
      this.slots.push(slot);
      const exit = await this.launch(slot, slot.path);
      if (!exit) return;
      slot.note(exit, this.longest);
      this.drop(slot);
      throw exit.crashed ? exit.cause : new Error(`"${slot.path}" ended before it was ready`);
    });
  }

  /** Stops a child within its grace and keeps it, visibly stopped; so ends a restart that waits. */
  stop(id: string): Promise<void> {
    return this.ask(() => this.halt(this.known(id)));
  }

  /** Stops a child and forgets it. */
  remove(id: string): Promise<void> {
    return this.ask(async () => {
      const slot = this.known(id);
      await this.halt(slot);
      this.drop(slot);
    });
  }

  /** Stops a child, if it runs, and starts it again. Does not count against the budget unless the start fails. */
  again(id: string): Promise<void> {
    return this.ask(async () => {
      const slot = this.known(id);
      await this.halt(slot);
      const exit = await this.launch(slot, slot.path);
      if (exit) await this.ended(slot, exit);
    });
  }

  /**
   * Calls once, when the child's present run ends; at once when it does not run, or there is none of that id. The answer
   * takes it back.
   */
  watch(id: string, call: (how: Ended) => void): () => void {
    return this.find(id)?.watch(call) ?? notifyAtOnce(call, "unknown");
  }

  private ask(act: () => Promise<void>): Promise<void> {
    return new Promise((done, failed) => {
      if (this.inbox && !this.signal.aborted) this.inbox.post({ is: "asked", act, done, failed });
      else failed(new Error(`"${this.path}" is not running`));
    });
  }

  private async handle(message: Message): Promise<void> {
    switch (message.is) {
      case "exited":
        // A run that was stopped or abandoned meanwhile has been dealt with.
        if (message.slot.now === message.of) await this.ended(message.slot, message.exit);
        return;
      case "due":
        if (this.plans.delete(message.plan)) await this.start(message.plan);
        return;
      case "asked":
        try {
          await message.act();
          message.done();
        } catch (error) {
          message.failed(error);
          if (error instanceof GaveUp) throw error;
        }
        return;
      case "shutdown":
    }
  }

  /** Starts in order; a child whose start fails is dealt with by strategy, which may take the rest of the plan over. */
  private async start(plan: Plan): Promise<void> {
    for (const slot of plan.slots) {
      if (this.signal.aborted) return;
      if (slot.now || !this.slots.includes(slot)) continue;
      const exit = await this.launch(slot, plan.because);
      if (!exit) continue;
      await this.ended(slot, exit);
      if (this.spec.strategy !== "one_for_one" && slot.state === "backoff") return;
    }
  }

  private launch(slot: Slot, because: string): Promise<Exit | undefined> {
    const exited = (of: Incarnation, exit: Exit) => this.inbox?.post({ is: "exited", slot, of, exit });
    return slot.launch({ order: this.slots.indexOf(slot), because, shutdown: this.shutdown, exited });
  }

  /** A child came to its end without being told to: restart by its kind and the strategy, within the budget. */
  private async ended(slot: Slot, exit: Exit): Promise<void> {
    const { restart } = slot.child;
    slot.note(exit, this.longest);
    if (restart === "temporary" || (restart === "transient" && !exit.crashed)) {
      slot.turn(exit.crashed ? "down" : "stopped");
      if (restart === "temporary" && slot.dynamic) this.drop(slot);
      return;
    }
    const { max, within, each = false } = this.spec.restarts;
    const now = this.world.clock.monotonic();
    this.crashes = [...this.crashes.filter(({ at }) => at >= now - within), { slot, at: now }];
    if (this.crashes.filter((crash) => !each || crash.slot === slot).length > max) {
      slot.turn("down");
      const cause = slot.cause ?? "ended";
      const data = { child: this.path, because: slot.path, cause, max, within_ms: within };
      this.world.recorder.record({ type: "kernel.child.gave_up", data }, { child: this.path, cause });
      throw new GaveUp(`"${slot.path}" ended, more than ${max} times within ${within} ms: ${cause}`);
    }
    await this.replan(slot);
  }

  /** Stops what the strategy takes along, in reverse, and plans the start of all of it. */
  private async replan(crashed: Slot): Promise<void> {
    const { strategy } = this.spec;
    const first = strategy === "one_for_all" ? 0 : this.slots.indexOf(crashed);
    const group = new Set(strategy === "one_for_one" ? [crashed] : this.slots.slice(first));
    for (const slot of [...group].reverse()) {
      if (slot.now) await slot.halt("sibling");
      if (slot.child.restart !== "temporary") continue;
      group.delete(slot); // never started again, whatever took it down
      if (slot.dynamic) this.drop(slot);
    }
    for (const plan of this.plans) {
      if (!plan.slots.some((slot) => group.has(slot))) continue;
      for (const slot of plan.slots) group.add(slot);
      this.unplan(plan);
    }
    const slots = this.slots.filter((slot) => group.has(slot));
    for (const slot of slots) slot.turn("backoff");
    const plan: Plan = { slots, because: crashed.path, cancel: () => {} };
    this.plans.add(plan);
    const due = () => this.inbox?.post({ is: "due", plan });
    const wait = this.wait(crashed);
    if (wait > 0) plan.cancel = this.world.clock.schedule(wait, due);
    else due();
  }

  private get longest(): Millis {
    return this.spec.backoff?.last ?? Infinity;
  }

  private wait({ streak }: Slot): Millis {
    if (!this.spec.backoff) return 0;
    const { first, last, factor = 2, jitter = 0.2 } = this.spec.backoff;
    return Math.min(last, first * factor ** (streak - 1)) * (1 + jitter * (2 * this.world.random.next() - 1));
  }

  /** Stops a child because somebody asked for it: also the restart that may be waiting. */
  private async halt(slot: Slot): Promise<void> {
    for (const plan of this.plans) {
      plan.slots = plan.slots.filter((other) => other !== slot);
      if (plan.slots.length === 0) this.unplan(plan);
    }
    await slot.halt("asked");
  }

  private async close(inbox: Inbox<Message>): Promise<void> {
    for (const plan of this.plans) this.unplan(plan);
    for (const slot of [...this.slots].reverse()) await slot.halt("shutdown");
    this.inbox = undefined;
    for (const message of inbox.drain()) {
      if (message.is === "asked") message.failed(new Error(`"${this.path}" is not running`));
    }
  }

  private slot(child: Child, dynamic: boolean, earlier?: number): Slot {
    return new Slot(child, `${this.path}:${child.id}`, dynamic, this.world, earlier);
  }

  private turn(state: HealthNode["state"]): void {
    this.state = state;
    this.since = this.world.clock.now();
  }

  private find(id: string): Slot | undefined {
    return this.slots.find((slot) => slot.child.id === id);
  }

  private known(id: string): Slot {
    const slot = this.find(id);
    if (!slot) throw new Error(`"${this.path}" has no child "${id}"`);
    return slot;
  }

  private drop(slot: Slot): void {
    this.slots = this.slots.filter((other) => other !== slot);
  }

  private unplan(plan: Plan): void {
    this.plans.delete(plan);
    plan.cancel();
  }
}

function checkId(id: string): void {
  if (id === "" || id.includes(":")) throw new TypeError(`A child's id is not empty and has no ":", not "${id}"`);
}
