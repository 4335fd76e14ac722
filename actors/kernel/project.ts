/**
 * Runs projections: each is a child of its own that follows the log and folds it into its view, some events per
 * transaction, rows and cursor together. A new version is built beside the one that serves and takes its place when it has
 * caught up. An event that a fold throws at stops that projection alone, visibly, unless its policy is to skip.
 */
import type { Event } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { Views, ViewStore } from "../../projections/views.ts";
import { causeOf } from "./cause.ts";
import type { Child, Self } from "./child.ts";
import type { ProjectionState } from "./daybook.ts";
import { type Feed, sharing } from "./project_feed.ts";
import { type Pace, type Paced, Pacer } from "./project_pace.ts";
import { CachedRows, Turns } from "./project_rows.ts";
import { type Waited, Waiting } from "./project_wait.ts";
import { type Span, SPANS_MAX, type Telemetry } from "./telemetry.ts";
import type { Clock } from "./world.ts";

/** Bounds of one transaction and of what is kept between them. */
export interface ProjectBounds {
  readonly batch_events: number;
  /** A transaction ends after the event that reaches this. All projections together yield to others this often. */
  readonly batch_ms: number;
  /** Parsed rows kept per projection, so that a busy row is not read back for every event. */
  readonly rows_cached: number;
  /** Decoded events kept, so that projections which go in step decode each once: several times `batch_events`, else none is. */
  readonly events_cached: number;
}

/** On the thread that appends: appends wait at most `batch_ms`. */
export const PROJECT: ProjectBounds = { batch_events: 4_000, batch_ms: 8, rows_cached: 4_000, events_cached: 16_000 };
/** On a thread of its own. */
export const PROJECT_APART: ProjectBounds = { ...PROJECT, batch_ms: 60 };

export interface ProjectorOptions {
  readonly projections: readonly AnyProjection[];
  readonly feed: Feed;
  readonly views: Views;
  readonly clock: Clock;
  /** `child` is the path of the projection's child. */
  readonly record: (fact: KernelFact, child: string) => void;
  /** Told after each transaction and change of state. */
  readonly onState?: (state: ProjectionState, served: number) => void;
  /** Default `PROJECT`. */
  readonly bounds?: ProjectBounds;
  /** How far projections give way to appends. Default: not, beyond yielding the thread. */
  readonly pace?: Pace;
  /** Absent where nobody traces. */
  readonly telemetry?: Telemetry;
}

/** What the rest of the program sees of the projections, wherever they run. */
export interface Projections {
  /** One for each projection; all may run side by side. */
  readonly children: readonly Child[];
  states(): readonly ProjectionState[];
  /** Until readers of the view see the event at `position`, at most `ms`. */
  wait(name: string, position: number, ms: number, signal?: AbortSignal): Promise<Waited>;
}

export class Projector implements Projections {
  readonly children: readonly Child[];
  private readonly runners: ReadonlyMap<string, Runner>;

  constructor(options: ProjectorOptions) {
    const { bounds = PROJECT } = options;
    const shared = {
      ...options,
      bounds,
      turns: new Turns(options.clock, bounds.batch_ms),
      feed: sharing(options.feed, bounds.events_cached),
      pacer: options.pace && new Pacer(options.clock, options.feed, options.pace),
    };
    this.runners = new Map(options.projections.map((projection) => [projection.name, new Runner(projection, shared)]));
    this.children = [...this.runners.values()].map((runner) => ({
      // The name as it is: dots are not separators of paths.
      id: runner.name,
      // A projection that stopped at a poison event has ended; what crashed (a locked database, a full disk) starts again.
      restart: "transient",
      grace: 5_000,
      run: (signal: AbortSignal, self: Self) => runner.run(signal, self),
    }));
  }

  states(): readonly ProjectionState[] {
    return [...this.runners.values()].map((runner) => runner.state());
  }

  wait(name: string, position: number, ms: number, signal?: AbortSignal): Promise<Waited> {
    const runner = this.runners.get(name);
    if (runner === undefined) return Promise.resolve("unknown");
    if (ms > 0) runner.hurry(position);
    return runner.waiting.until(position, ms, signal);
  }

  /** A reader waits elsewhere until the view shows `position`. */
  hurry(name: string, position: number): void {
    this.runners.get(name)?.hurry(position);
  }
}

interface Shared extends ProjectorOptions {
  readonly bounds: ProjectBounds;
  readonly turns: Turns;
  readonly pacer: Pacer | undefined;
}

class Runner implements Paced {
  readonly waiting: Waiting;
  readonly name: string;
  private store: ViewStore | undefined;
  /** Size of the older version that serves while this one is built. */
  private older: number | undefined;
  private caughtUp = false;
  /** The farthest position that a reader has waited for. */
  private wanted = -1;
  private stoppedAt: { readonly position: number; readonly cause: string } | undefined;

  constructor(private readonly projection: AnyProjection, private readonly shared: Shared) {
    this.name = projection.name;
    this.waiting = new Waiting(
      shared.clock,
      () => this.served,
      () => this.stoppedAt !== undefined,
    );
  }

  private get served(): number {
    return this.older ?? this.store?.size ?? 0;
  }

  get lag(): number {
    return Math.max(0, this.shared.feed.size - (this.store?.size ?? 0));
  }

  get hurried(): boolean {
    return this.wanted >= this.served;
  }

  hurry(position: number): void {
    if (position <= this.wanted) return;
    this.wanted = position;
    if (this.hurried) this.shared.pacer?.look();
  }

  state(): ProjectionState {
    const { name, version } = this.projection;
    const size = this.store?.size ?? 0;
    const state = this.stoppedAt
      ? "stopped"
      : this.older !== undefined
      ? "rebuilding"
      : this.caughtUp
      ? "live"
      : "catching_up";
    return {
      name,
      version,
      state,
      size,
      lag: this.lag,
      ...(this.stoppedAt ? { stoppedAt: this.stoppedAt } : {}),
    };
  }

  async run(signal: AbortSignal, self: Self): Promise<void> {
    try {
      await this.follow(signal, self);
    } finally {
      await this.shared.turns.idle();
    }
  }

  private async follow(signal: AbortSignal, self: Self): Promise<void> {
    const { feed, turns, pacer, views, clock } = this.shared;
    this.stoppedAt = undefined;
    const store = this.store = views.open(this.projection);
    const serving = views.stores().find(({ name, served }) => name === this.name && served);
    this.older = serving && serving.version !== store.version ? serving.size : undefined;
    // After a crash nothing that was kept in memory counts: the store has what was committed.
    const rows = new CachedRows(store, this.shared.bounds.rows_cached);
    const fold = folder(this.projection, rows);
    this.moved(store);
    for (self.ready(); !signal.aborted;) {
      if (store.size < feed.size) {
        await pacer?.take(this, signal);
        await turns.take();
        if (signal.aborted) return;
        const began = clock.monotonic();
        const poison = this.transaction(store, rows, fold);
        const ms = clock.monotonic() - began;
        turns.spent(ms);
        pacer?.spent(ms);
        if (poison && !this.skip(poison, store, self.path)) return;
      }
      this.moved(store);
      if (store.size >= feed.size) {
        if (views.sweep()) await turns.take(true);
        else await feed.grown(store.size, signal);
      }
    }
  }

  /** Folds what one transaction may hold. An event that cannot be folded leaves no trace, and is the answer. */
  private transaction(store: ViewStore, rows: CachedRows, fold: (event: Event) => void): Poison | undefined {
    const { feed, clock, bounds, telemetry } = this.shared;
    const ends = clock.monotonic() + bounds.batch_ms;
    const last = store.size + bounds.batch_events;
    let next = store.size;
    let poison: Poison | undefined;
    // What was folded long after it happened belongs to no trace that anybody waits for.
    const spans = telemetry && this.caughtUp ? new Map<string, Span>() : undefined;
    fold: for (const batch of feed.read({ from: next })) {
      for (const event of batch) {
        // Shapes of one recorded event belong into one transaction.
        if (
          event.position >= next &&
          (next >= last || (next % 16 === 0 && clock.monotonic() >= ends && next > store.size))
        ) break fold;
        const { traceparent } = event;
        if (spans !== undefined && traceparent !== undefined) this.trace(telemetry!, spans, traceparent);
        try {
          fold(event);
        } catch (error) {
          spans?.get(traceparent!)?.end({}, "poison");
          spans?.delete(traceparent!);
          poison = { position: event.position, type: event.type, cause: causeOf(error) };
          rows.undo(event.position);
          next = event.position;
          break fold;
        }
        next = event.position + 1;
      }
    }
    let committed = false;
    try {
      if (next > store.size) store.commit(rows.take(), next);
      committed = true;
    } finally {
      if (spans !== undefined) { for (const span of spans.values()) span.end({}, committed ? undefined : "commit"); }
    }
    return poison;
  }

  /** A transaction is a span of each trace whose events it folds. */
  private trace(telemetry: Telemetry, spans: Map<string, Span>, traceparent: string): void {
    if (spans.size >= SPANS_MAX || spans.has(traceparent)) return;
    const span = telemetry.span(`project ${this.name}`, traceparent, { "daybook.projection": this.name });
    spans.set(traceparent, span);
  }

  private moved(store: ViewStore): void {
    const lag = this.shared.feed.size - store.size;
    // Never back in time for those who read: not before it has reached what the older one shows.
    if (this.older !== undefined && lag <= this.shared.bounds.batch_events && store.size >= this.older) {
      this.shared.views.swap(store);
      this.older = undefined;
    }
    if (lag <= 0) this.caughtUp = true;
    this.waiting.look();
    this.shared.onState?.(this.state(), this.older ?? store.size);
  }

  /** Whether the projection goes on after an event that it cannot fold. */
  private skip({ position, type, cause }: Poison, store: ViewStore, path: string): boolean {
    const { name, version, poison = "stop" } = this.projection;
    const data = { projection: name, version, position, cause };
    if (poison === "skip") {
      store.commit([], position + 1);
      // Else a projection that cannot fold this very fact would record one for each it skips, for ever.
      if (type !== "kernel.projection.skipped") this.shared.record({ type: "kernel.projection.skipped", data }, path);
      return true;
    }
    this.stoppedAt = { position, cause };
    this.shared.record({ type: "kernel.projection.stopped", data }, path);
    this.moved(store);
    return false;
  }
}

interface Poison {
  readonly position: number;
  readonly type: string;
  readonly cause: string;
}
