/** One child's place under a supervisor: its present run, how the last ones ended, and what is recorded of both. */
import type { Millis } from "../../events/event.ts";
import { causeOf } from "./cause.ts";
import type { Child } from "./child.ts";
import type { HealthNode } from "./daybook.ts";
import { instant } from "./instant.ts";
import type { Recorder } from "./recorder.ts";
import type { Clock, Random } from "./world.ts";

export interface SupervisorWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly recorder: Recorder;
}

export type Exit = { readonly crashed: false } | { readonly crashed: true; readonly cause: unknown };

/** How a child that somebody watches came to its end. `unknown`: there is none of that id. */
export type Ended = "ended" | "crashed" | "stopped" | "abandoned" | "not_running" | "unknown";

/** One run of a child. */
export interface Incarnation {
  readonly stop: AbortController;
  readonly exit: Promise<Exit>;
  readonly ready: Promise<void>;
  readonly began: Millis;
}

export class Slot {
  state: HealthNode["state"] = "starting";
  since: Millis;
  /** One line, of the last crash. */
  cause: string | undefined;
  now: Incarnation | undefined;
  /** Crashes since it last ran for longer than the longest back-off. */
  streak = 0;
  /** How often it did not stop within its grace. */
  abandoned = 0;
  private starts = 0;
  private readonly watchers = new Set<(how: Ended) => void>();

  constructor(
    readonly child: Child,
    readonly path: string,
    /** Added at run time; forgotten when the supervisor restarts. */
    readonly dynamic: boolean,
    private readonly world: SupervisorWorld,
    /** Restarts that it had before the supervisor restarted: who counts them is to see no fewer. */
    private readonly earlier = 0,
  ) {
    this.since = world.clock.now();
  }

  turn(state: HealthNode["state"]): void {
    if (this.state === state) return;
    this.state = state;
    this.since = this.world.clock.now();
  }

  get restarts(): number {
    return this.earlier + Math.max(0, this.starts - 1);
  }

  node(): HealthNode {
    const { child, state, restarts, cause } = this;
    return {
      id: child.id,
      state,
      restarts,
      since: instant(this.since),
      ...(cause === undefined ? {} : { cause }),
      ...(child.tree ? { children: child.tree().children } : {}),
    };
  }

  /**
   * Starts a run and waits until it is ready, unless `shutdown` comes first. Answers how the run ended, when it ended
   * before; else `exited` is called when it does.
   */
  async launch(
    options: {
      readonly order: number;
      readonly because: string;
      readonly shutdown: Promise<"shutdown">;
      readonly exited: (of: Incarnation, exit: Exit) => void;
    },
  ): Promise<Exit | undefined> {
    this.recordStart(options);
    const run = this.begin();
    this.turn("starting");
    const within = this.child.readyWithin;
    if (within !== undefined) {
      const late = Promise.withResolvers<"late">();
      const cancel = this.world.clock.schedule(within, () => late.resolve("late"));
      const first = await Promise.race([run.ready, run.exit, late.promise, options.shutdown]);
      cancel();
      if (first === "late") {
        await this.end(run);
        return { crashed: true, cause: new Error(`not ready within ${within} ms`) };
      }
      if (first !== undefined && first !== "shutdown") return first;
    }
    this.turn("running");
    run.exit.then((exit) => options.exited(run, exit));
  }

  /** Stops the present run, if there is one, within the grace. */
  async halt(reason: "asked" | "sibling" | "shutdown"): Promise<void> {
    const run = this.now;
    if (run) {
      this.turn("stopping");
      const exit = await this.end(run);
      if (exit) {
        const cause = exit.crashed ? { cause: causeOf(exit.cause) } : {};
        this.record({ type: "kernel.child.stopped", data: { child: this.path, reason, ...cause } });
      }
    }
    if (this.state !== "down") this.turn("stopped");
  }

  /** Takes down how a run ended that nobody had stopped. */
  note(exit: Exit, longest: Millis): void {
    const ran = this.now ? this.world.clock.monotonic() - this.now.began : 0;
    this.now = undefined;
    this.streak = ran > longest ? 1 : this.streak + 1;
    this.cause = exit.crashed ? causeOf(exit.cause) : undefined;
    if (this.cause === undefined) {
      this.record({ type: "kernel.child.stopped", data: { child: this.path, reason: "ended" } });
    } else {
      const data = { child: this.path, cause: this.cause, ran_ms: Math.round(ran) };
      this.record({ type: "kernel.child.crashed", data }, this.cause);
    }
    this.tell(exit.crashed ? "crashed" : "ended");
  }

  /** Calls once when the present run ends; at once when there is none. The answer takes it back. */
  watch(call: (how: Ended) => void): () => void {
    if (!this.now) return notifyAtOnce(call, "not_running");
    this.watchers.add(call);
    return () => void this.watchers.delete(call);
  }

  private recordStart({ order, because }: { readonly order: number; readonly because: string }): void {
    const { path, child: { kind = "worker" } } = this;
    const restarts = this.starts++;
    if (restarts === 0) this.record({ type: "kernel.child.started", data: { child: path, kind, order } });
    else {
      this.record(
        { type: "kernel.child.restarted", data: { child: path, kind, order, because, restarts } },
        this.cause,
      );
    }
  }

  private begin(): Incarnation {
    const stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    let running: Promise<void>;
    try {
      running = Promise.resolve(this.child.run(stop.signal, { path: this.path, ready: ready.resolve }));
    } catch (cause) {
      running = Promise.reject(cause);
    }
    const exit = running.then((): Exit => ({ crashed: false }), (cause): Exit => ({ crashed: true, cause }));
    return this.now = { stop, exit, ready: ready.promise, began: this.world.clock.monotonic() };
  }

  /** Aborts one run and waits for it, at most its grace; then it is left behind, and that is said. */
  private async end(run: Incarnation): Promise<Exit | undefined> {
    const { grace } = this.child;
    run.stop.abort();
    const over = Promise.withResolvers<undefined>();
    const cancel = grace === Infinity ? () => {} : this.world.clock.schedule(grace, () => over.resolve(undefined));
    const exit = await Promise.race([run.exit, over.promise]);
    cancel();
    this.now = undefined;
    if (!exit) {
      this.abandoned++;
      this.record({ type: "kernel.child.abandoned", data: { child: this.path, grace_ms: Math.round(grace) } });
    }
    this.tell(exit ? "stopped" : "abandoned");
    return exit;
  }

  private tell(how: Ended): void {
    const calls = [...this.watchers];
    this.watchers.clear();
    for (const call of calls) queueMicrotask(() => call(how));
  }

  private record(fact: Parameters<Recorder["record"]>[0], cause?: string): void {
    this.world.recorder.record(fact, { child: this.path, cause });
  }
}

/** So that watching what is gone or never was is answered like any other watch. */
export const notifyAtOnce = (call: (how: Ended) => void, how: Ended): () => void => {
  let wanted = true;
  queueMicrotask(() => wanted && call(how));
  return () => void (wanted = false);
};
