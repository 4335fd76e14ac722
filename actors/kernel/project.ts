/**
 * Runs projections: each is a child of its own that follows the log and folds it into its view, some events per
 * transaction, rows and cursor together. A new version is built beside the one that serves and takes its place when it has
 * caught up. An event that a fold throws at stops that projection alone, visibly, unless its policy is to skip.
 */
import type { Event, Millis } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import { isOfShape } from "../../events/upcast.ts";
import { folder, misfit } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type ViewChange, type Views, ViewsFault, type ViewStore } from "../../projections/views.ts";
import { causeOf } from "./cause.ts";
import type { Child, Self } from "./child.ts";
import type { ProjectionState, StoppedAt } from "./daybook.ts";
import { isArchived } from "./kept.ts";
import { type Feed, sharing } from "./project_feed.ts";
import { ViewsFile } from "./project_file.ts";
import { type Pace, type Paced, Pacer } from "./project_pace.ts";
import { CachedRows, Turns } from "./project_rows.ts";
import { type Waited, Waiting, Wanted } from "./project_wait.ts";
import { type Span, SPANS_MAX, type Telemetry, TRACED_MS_MAX } from "./telemetry.ts";
import { aborted, type Clock, pause } from "./world.ts";

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

/** While views cannot be written, because the disk is full, a projection tries again after this, then after twice as long … */
export const UNWRITABLE = { first_ms: 1_000, last_ms: 30_000 } as const satisfies Record<string, Millis>;

export interface ProjectorOptions {
  readonly projections: readonly AnyProjection[];
  readonly feed: Feed;
  readonly views: Views;
  readonly clock: Clock;
  /** `child` is the path of the projection's child. */
  readonly record: (fact: KernelFact, child: string) => void;
  /** Told after each transaction and change of state. */
  readonly onState?: (state: ProjectionState, served: number) => void;
  /** Told when the views turn out damaged; the projections stand still until they are stopped. Default: see `Projector`. */
  readonly onDamaged?: (cause: string) => void;
  /** Default `PROJECT`. */
  readonly bounds?: ProjectBounds;
  /** How far projections give way to appends. Default: not, beyond yielding the thread. */
  readonly pace?: Pace;
  /** Absent where nobody traces. */
  readonly telemetry?: Telemetry;
}

/** What the rest of the program sees of the projections, wherever they run. */
export interface Projections {
  /** One for each projection, and what they stand on; all may run side by side. */
  readonly children: readonly Child[];
  states(): readonly ProjectionState[];
  /** A reader found the views damaged: they are put aside and built again. */
  damaged(fault: ViewsFault): void;
  /** While a view that was lost is built again: the size that readers knew, so that none is shown less. */
  known(name: string): number | undefined;
  /** Until readers of the view see the event at `position`, at most `ms`. */
  wait(name: string, position: number, ms: number, signal?: AbortSignal): Promise<Waited>;
}

/** Where nobody is told of damaged views, they are renewed here: the last child is their file. */
export class Projector implements Projections {
  readonly children: readonly Child[];
  private readonly runners: ReadonlyMap<string, Runner>;
  private readonly file: ViewsFile | undefined;

  constructor(options: ProjectorOptions) {
    const { bounds = PROJECT, views, onDamaged } = options;
    if (!onDamaged) this.file = new ViewsFile(() => views.renew());
    const shared = {
      ...options,
      bounds,
      file: this.file,
      turns: new Turns(options.clock, bounds.batch_ms),
      feed: sharing(options.feed, bounds.events_cached),
      pacer: options.pace && new Pacer(options.clock, options.feed, options.pace),
    };
    const runners = new Map<string, Runner>();
    for (const projection of options.projections) {
      const { name } = projection;
      if (runners.has(name)) throw new TypeError(`Two projections are called "${name}"`);
      runners.set(name, new Runner(projection, shared));
    }
    this.runners = runners;
    const projections = [...this.runners.values()].map((runner): Child => ({
      // The name as it is: dots are not separators of paths.
      id: runner.name,
      // A projection that stopped at a poison event has ended; what crashed (a locked database) starts again.
      restart: "transient",
      grace: 5_000,
      run: (signal, self) => runner.run(signal, self),
    }));
    this.children = this.file ? [...projections, this.file] : projections;
  }

  states(): readonly ProjectionState[] {
    return [...this.runners.values()].map((runner) => runner.state());
  }

  wait(name: string, position: number, ms: number, signal?: AbortSignal): Promise<Waited> {
    const runner = this.runners.get(name);
    if (runner === undefined) return Promise.resolve("unknown");
    if (ms > 0) runner.hurry(position, ms);
    return runner.waiting.until(position, ms, signal);
  }

  damaged(fault: ViewsFault): void {
    this.file?.lost(fault);
  }

  known(name: string): number | undefined {
    return this.runners.get(name)?.known;
  }

  /** A reader waits elsewhere until the view shows `position`, at most `ms`. */
  hurry(name: string, position: number, ms: Millis): void {
    this.runners.get(name)?.hurry(position, ms);
  }
}

interface Shared extends ProjectorOptions {
  readonly bounds: ProjectBounds;
  readonly file: ViewsFile | undefined;
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
  /** What readers were shown before the views were lost. */
  private shown = 0;
  private readonly wanted: Wanted;
  private stoppedAt: StoppedAt | undefined;
  /** The last stop that was recorded. */
  private told: string | undefined;

  constructor(private readonly projection: AnyProjection, private readonly shared: Shared) {
    this.name = projection.name;
    this.wanted = new Wanted(shared.clock);
    this.waiting = new Waiting(
      shared.clock,
      () => this.served,
      () => this.stoppedAt !== undefined,
    );
  }

  private get served(): number {
    return this.older ?? this.store?.size ?? 0;
  }

  get known(): number | undefined {
    return this.served < this.shown ? this.shown : undefined;
  }

  get lag(): number {
    return Math.max(0, this.shared.feed.size - (this.store?.size ?? 0));
  }

  get hurried(): boolean {
    return this.wanted.position >= this.served;
  }

  hurry(position: number, ms: Millis): void {
    this.wanted.add(position, ms);
    if (this.hurried) this.shared.pacer?.look();
  }

  state(): ProjectionState {
    const { name, version } = this.projection;
    const size = this.store?.size ?? 0;
    const state = this.stoppedAt
      ? "stopped"
      : this.older !== undefined || this.known !== undefined
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
      for (let wait: Millis = UNWRITABLE.first_ms; !signal.aborted;) {
        const before = this.store?.size;
        const loss = this.shared.file?.loss;
        try {
          await this.follow(loss ? AbortSignal.any([signal, loss]) : signal, self);
          if (signal.aborted || !loss?.aborted) return;
          throw loss.reason;
        } catch (error) {
          if (isUnreadable(error)) {
            return this.stop({ position: this.store?.size ?? 0, cause: causeOf(error), of: "event" }, self.path);
          }
          if (!(error instanceof ViewsFault)) throw error;
          if (this.store?.size !== before) wait = UNWRITABLE.first_ms;
          await this.stand(error, { wait, path: self.path, signal });
          wait = Math.min(2 * wait, UNWRITABLE.last_ms);
        }
      }
    } finally {
      await this.shared.turns.idle();
    }
  }

  /** Stands still, visibly, until the views can be used again. */
  private async stand(
    fault: ViewsFault,
    { wait, path, signal }: { readonly wait: Millis; readonly path: string; readonly signal: AbortSignal },
  ): Promise<void> {
    const { clock, file, onDamaged } = this.shared;
    const damaged = fault.kind === "damaged";
    if (damaged) this.shown = Math.max(this.shown, this.served);
    // Where somebody is told of damage, it is for them to record.
    if (!damaged || file) {
      this.stop({ position: this.store?.size ?? 0, cause: causeOf(fault), of: "views" }, path);
    }
    if (!damaged) return await pause(clock, wait, signal);
    file?.lost(fault);
    onDamaged?.(causeOf(fault));
    await (file ? file.whole(signal) : aborted(signal));
    this.stoppedAt = undefined;
  }

  private stop(at: StoppedAt, path: string): void {
    const { name, version } = this.projection;
    const { position, cause } = this.stoppedAt = at;
    // Once for each place and cause, however often it is tried in vain.
    const told = `${position} ${cause}`;
    if (told !== this.told) {
      const data = { projection: name, version, position, cause };
      this.shared.record({ type: "kernel.projection.stopped", data }, path);
    }
    this.told = told;
    this.waiting.look();
    this.shared.onState?.(this.state(), this.served);
  }

  private async follow(signal: AbortSignal, self: Self): Promise<void> {
    const { feed, turns, pacer, views, clock } = this.shared;
    const store = this.store = views.open(this.projection);
    const serving = views.stores().find(({ name, served }) => name === this.name && served);
    this.older = serving && serving.version !== store.version ? serving.size : undefined;
    // After a crash nothing that was kept in memory counts: the store has what was committed.
    const rows = new CachedRows(store, this.projection.appendOnly ? 0 : this.shared.bounds.rows_cached);
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
      this.stoppedAt = undefined;
      this.moved(store);
      if (store.size >= feed.size) {
        if (views.sweep()) await turns.take(true);
        else await feed.grown(store.size, signal);
      }
    }
  }

  /** Folds what one transaction may hold. An event that cannot be folded leaves no trace, and is the answer. */
  private transaction(store: ViewStore, rows: CachedRows, fold: (event: Event) => void): Poison | undefined {
    const spans = this.shared.telemetry && new Map<string, Span>();
    const { next, poison } = this.fill(store, rows, { fold, spans });
    const changes = rows.take();
    let committed = false;
    try {
      if (next > store.size) store.commit(changes, next);
      committed = true;
      return poison;
    } catch (error) {
      const unkept = this.unkept(store, changes, error);
      rows.forget();
      return unkept;
    } finally {
      endAll(spans, committed ? undefined : "commit");
    }
  }

  /** Folds until the transaction is full, or an event cannot be folded; `next`: up to which one. */
  private fill(
    store: ViewStore,
    rows: CachedRows,
    { fold, spans }: { readonly fold: (event: Event) => void; readonly spans: Map<string, Span> | undefined },
  ): { readonly next: number; readonly poison?: Poison } {
    const { feed, clock, bounds, telemetry } = this.shared;
    const ends = clock.monotonic() + bounds.batch_ms;
    const last = store.size + bounds.batch_events;
    let next = store.size;
    for (const batch of readable(feed.read({ from: next }))) {
      for (const event of batch) {
        // Shapes of one recorded event belong into one transaction.
        if (
          event.position >= next &&
          (next >= last || (next % 16 === 0 && clock.monotonic() >= ends && next > store.size))
        ) return { next };
        const { traceparent } = event;
        if (spans !== undefined && traceparent !== undefined) this.trace(telemetry!, spans, event);
        try {
          fold(event);
        } catch (error) {
          // What could not be read is no fault of the event.
          if (error instanceof ViewsFault) {
            endAll(spans, "views");
            throw error;
          }
          spans?.get(traceparent!)?.end({}, "poison");
          spans?.delete(traceparent!);
          rows.undo(event.position);
          return {
            next: event.position,
            poison: { position: event.position, type: event.type, cause: causeOf(error) },
          };
        }
        next = event.position + 1;
      }
    }
    return { next };
  }

  /** The store would not take what the fold made: the event that is to blame, all before it kept. Throws what no event is to blame for. */
  private unkept(store: ViewStore, changes: readonly ViewChange[], error: unknown): Poison {
    if (error instanceof ViewsFault) throw error;
    for (const [i, change] of changes.entries()) {
      const found = misfit(this.projection, change);
      if (!found) continue;
      const { position, event } = change;
      const before = changes.slice(0, i).filter((earlier) => earlier.position < position);
      if (position > store.size) store.commit(before, position);
      return { position, type: event?.type ?? "", cause: causeOf(found.cause) };
    }
    throw error;
  }

  /** A transaction is a span of each trace whose events it folds. */
  private trace(telemetry: Telemetry, spans: Map<string, Span>, { type, traceparent, recordedat }: Event): void {
    if (spans.size >= SPANS_MAX || spans.has(traceparent!)) return;
    const { hears } = this.projection;
    if (hears !== "*" && !(hears as readonly string[]).includes(type)) return;
    if (this.shared.clock.now() - Date.parse(recordedat) > TRACED_MS_MAX) return;
    const span = telemetry.span(`project ${this.name}`, traceparent, { "daybook.projection": this.name });
    spans.set(traceparent!, span);
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
    this.stop({ position, cause, of: "event" }, path);
    return false;
  }
}

const endAll = (spans: ReadonlyMap<string, Span> | undefined, error: string | undefined): void => {
  if (spans !== undefined) { for (const span of spans.values()) span.end({}, error); }
};

/** Nothing comes of trying again: somebody has to attach the archive, or run a program that knows the shape. */
const isUnreadable = (error: unknown): boolean => isArchived(error) || isOfShape(error);

/** Up to what cannot be read; that is met again, and then comes first. */
const readable = function* (batches: Iterable<readonly Event[]>): Iterable<readonly Event[]> {
  let some = false;
  try {
    for (const batch of batches) {
      yield batch;
      some = true;
    }
  } catch (error) {
    if (!some || !isUnreadable(error)) throw error;
  }
};

interface Poison {
  readonly position: number;
  readonly type: string;
  readonly cause: string;
}
