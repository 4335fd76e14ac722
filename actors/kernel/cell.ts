/**
 * A general actor: a behaviour, a bounded mailbox, one message at a time. It lives in this process and keeps nothing;
 * what must outlive the process is an entity. A child of the supervision tree: a crash starts it with a fresh behaviour, and
 * what waits in the mailbox is still there then.
 *
 * Messages are handed over as they are, not copied, and handled in a microtask; a behaviour that does not wait costs no promise.
 */
import type { Millis } from "../../events/event.ts";
import type { Child } from "./child.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { Deadlines } from "./deadlines.ts";
import { Waiting } from "./deadlines.ts";
import { Mailbox, type Overflow, TAKEN } from "./mailbox.ts";
import type { Ended } from "./slot.ts";
import { notifyAtOnce } from "./slot.ts";
import type { Turns } from "./turns.ts";
import type { Clock } from "./world.ts";

export const CELL = {
  mailbox_max: 10_000,
  ask_ms: 5_000,
  grace_ms: 5_000,
  /** After a crash messages wait for the restart so long; then they are dead letters. */
  lapse_ms: 60_000,
} as const;

/** Handles one message; the next comes when it returns or, if it waits, when that is over. Throwing is a crash. */
export type Behaviour<M> = (message: M) => void | Promise<void>;

export interface CellSpec<M> {
  /** Unique among its siblings and among the cells of a `Cells`. */
  readonly id: string;
  /** Called at each start, so that state is made anew after a crash. */
  readonly begin: () => Behaviour<M>;
  /** Default: 10,000 messages, more are rejected. */
  readonly mailbox?: { readonly capacity: number; readonly overflow?: Overflow };
  /** Default `permanent`. */
  readonly restart?: Child["restart"];
  /** How long stopping may take to handle what waits. Default 5 s. */
  readonly grace?: Millis;
}

export type AskFailure = "deadline" | "mailbox_full" | "crashed" | "stopped";

/** An ask that got no answer; `crashed` and `deadline` may have been handled all the same. */
export class AskFailed extends Error {
  override readonly name = "AskFailed";
  constructor(readonly reason: AskFailure, cell: string) {
    super(`"${cell}" gave no answer: ${reason}`);
  }
}

/** A message with somebody waiting for the answer. */
class Asked<M> extends Waiting {
  message: M | undefined = undefined;
  settled = false;
  /** Under the wheel of deadlines; most answers come sooner than that is needed. */
  wheeled = false;
  /** The one asked before it since the last drain. */
  previous: Asked<M> | undefined = undefined;

  constructor(
    readonly cell: Cell<M>,
    readonly deadline: Millis,
    private readonly resolve: (value: never) => void,
    private readonly reject: (cause: unknown) => void,
  ) {
    super();
  }

  reply(value: unknown): void {
    if (this.settled) return;
    this.settled = true;
    if (this.wheeled) this.cell.lift(this);
    this.resolve(value as never);
  }

  fail(reason: AskFailure): void {
    if (this.settled) return;
    this.settled = true;
    if (this.wheeled) this.cell.lift(this);
    this.reject(new AskFailed(reason, this.cell.id));
  }

  override expire(): void {
    this.fail("deadline");
  }
}

export interface CellWorld {
  readonly clock: Clock;
  readonly deadLetters: DeadLetters;
  readonly deadlines: Deadlines;
  readonly turns: Turns;
}

export class Cell<M> implements Child {
  readonly id: string;
  readonly restart: Child["restart"];
  readonly grace: Millis;
  private readonly mailbox: Mailbox<M | Asked<M>>;
  private readonly watchers = new Set<(how: Ended) => void>();
  private behaviour: Behaviour<M> | undefined;
  /** `waiting`: not started yet, or to be started again. `stopping`: handles what waits, takes nothing new. */
  private state: "waiting" | "running" | "stopping" | "stopped" = "waiting";
  private scheduled = false;
  /** The message whose handling waits for something. */
  private handling: M | Asked<M> | undefined;
  /** Asked since the last drain; those answered in it need no deadline. */
  private asked: Asked<M> | undefined;
  private exit: PromiseWithResolvers<void> | undefined;
  private cancelLapse = () => {};

  constructor(private readonly spec: CellSpec<M>, private readonly world: CellWorld) {
    this.id = spec.id;
    this.restart = spec.restart ?? "permanent";
    this.grace = spec.grace ?? CELL.grace_ms;
    this.mailbox = new Mailbox(spec.mailbox?.capacity ?? CELL.mailbox_max, spec.mailbox?.overflow);
  }

  /** Messages that wait. */
  get depth(): number {
    return this.mailbox.size;
  }

  /** Whether a message told now would find a place. */
  get takes(): boolean {
    return (this.state === "running" || this.state === "waiting") && this.mailbox.size < this.mailbox.capacity;
  }

  /** Never throws, never waits. What finds no place, or nobody there, becomes a dead letter. */
  tell(message: M): void {
    this.accept(message);
  }

  /**
   * Sends the message that `make` makes of `reply` and waits for the first call of that. Rejects with `AskFailed`: by
   * default after 5 s.
   */
  ask<R>(make: (reply: (value: R) => void) => M, deadline: Millis = CELL.ask_ms): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const ask = new Asked<M>(this, deadline, resolve, reject);
      ask.message = make((value) => ask.reply(value));
      if (!this.accept(ask)) return;
      if (this.state === "running" && this.handling === undefined) {
        ask.previous = this.asked;
        this.asked = ask;
      } else this.setDeadline(ask);
    });
  }

  /** @internal */
  lift(ask: Waiting): void {
    this.world.deadlines.lift(ask);
  }

  /** Calls once, when the present run ends; at once when it does not run. The answer takes it back. */
  watch(call: (how: Ended) => void): () => void {
    if (!this.exit) return notifyAtOnce(call, "not_running");
    this.watchers.add(call);
    return () => void this.watchers.delete(call);
  }

  async run(signal: AbortSignal): Promise<void> {
    this.cancelLapse();
    try {
      this.behaviour = this.spec.begin();
    } catch (cause) {
      this.lapse();
      throw cause;
    }
    const exit = this.exit = Promise.withResolvers<void>();
    this.state = "running";
    const stop = () => this.stop();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    this.wake();
    try {
      await exit.promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  private accept(message: M | Asked<M>): boolean {
    if (this.state === "stopping" || this.state === "stopped") {
      this.undelivered(message, "stopped");
      return false;
    }
    const gone = this.mailbox.offer(message);
    if (gone !== TAKEN) this.undelivered(gone, "mailbox_full");
    if (!this.scheduled) this.wake();
    return gone !== message;
  }

  private wake(): void {
    if (this.scheduled || this.behaviour === undefined || this.handling !== undefined) return;
    this.scheduled = true;
    queueMicrotask(this.drain);
  }

  private readonly drain = (): void => {
    this.scheduled = false;
    const { mailbox, behaviour, world: { turns } } = this;
    if (!behaviour || this.handling !== undefined) return;
    const allowed = turns.left;
    let handled = 0;
    while (mailbox.size > 0 && handled < allowed) {
      const next = mailbox.take()!;
      handled++;
      try {
        const waits = behaviour(next instanceof Asked ? next.message! : next);
        if (waits === undefined) continue;
        this.handling = next;
        waits.then(this.resume, (cause) => this.crash(next, cause));
        break;
      } catch (cause) {
        turns.left -= handled;
        return this.crash(next, cause);
      }
    }
    turns.left -= handled;
    if (this.asked !== undefined) this.setDeadlines();
    if (this.handling !== undefined) return;
    if (mailbox.size > 0) {
      this.scheduled = true;
      turns.later(this.drain);
    } else if (this.state === "stopping") this.end("stopped", () => this.exit!.resolve());
  };

  private readonly resume = (): void => {
    this.handling = undefined;
    this.drain();
  };

  private setDeadlines(): void {
    let ask = this.asked;
    this.asked = undefined;
    while (ask !== undefined) {
      const { previous }: Asked<M> = ask;
      ask.previous = undefined;
      if (!ask.settled) this.setDeadline(ask);
      ask = previous;
    }
  }

  private setDeadline(ask: Asked<M>): void {
    ask.wheeled = true;
    this.world.deadlines.set(ask, ask.deadline);
  }

  private stop(): void {
    if (this.state !== "running") return;
    this.state = "stopping";
    if (this.handling === undefined && this.mailbox.size === 0) this.end("stopped", () => this.exit!.resolve());
  }

  /** The message it crashed on is a dead letter; the others wait for the restart. */
  private crash(message: M | Asked<M>, cause: unknown): void {
    this.handling = undefined;
    this.undelivered(message, "crashed", cause);
    this.setDeadlines();
    if (this.state === "stopping") return this.end("stopped", () => this.exit!.reject(cause));
    this.end("waiting", () => this.exit!.reject(cause), "crashed");
    this.lapse();
  }

  /** Unless it is started again, what waits is given up after a while. */
  private lapse(): void {
    this.cancelLapse = this.world.clock.schedule(CELL.lapse_ms, () => this.end("stopped", () => {}));
  }

  private end(state: "waiting" | "stopped", exit: () => void, how: Ended = "stopped"): void {
    this.state = state;
    this.behaviour = undefined;
    if (state === "stopped") {
      while (this.mailbox.size > 0) this.undelivered(this.mailbox.take()!, "stopped");
    }
    exit();
    this.exit = undefined;
    const calls = [...this.watchers];
    this.watchers.clear();
    for (const call of calls) queueMicrotask(() => call(how));
  }

  private undelivered(message: M | Asked<M>, reason: AskFailure, cause: unknown = reason): void {
    // Whoever asked is told, and may ask again; whoever told is not there any more.
    if (message instanceof Asked) return message.fail(reason);
    this.world.deadLetters.add({ target: `cell:${this.id}`, cause, message, lasting: false });
  }
}
