/**
 * Projections in a thread of their own, seen from the thread that appends: the same children and the same waiting as if they
 * ran here. The thread itself is the first child; when it dies, its projections wait for the next one and go on.
 */
import type { Child, Self } from "./child.ts";
import type { ProjectionState } from "./daybook.ts";
import type { Projections } from "./project.ts";
import type { Feed } from "./project_feed.ts";
import { type FromProjections, type Line, PROJECTIONS_APART, type ToProjections } from "./project_line.ts";
import { type Waited, Waiting, Wanted } from "./project_wait.ts";
import { Silence } from "./silence.ts";
import { type Clock, pause } from "./world.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { ViewsFault, ViewState } from "../../projections/views.ts";
import { causeOf } from "./cause.ts";

export interface ApartOptions {
  readonly projections: readonly AnyProjection[];
  /** Starts the thread. */
  readonly connect: () => Line<ToProjections, FromProjections>;
  /** For the composer in that thread; plain data. */
  readonly settings: unknown;
  /** Where views stand that are stored already, which is told until the thread has opened them. Default: nothing is. */
  readonly stored?: readonly Pick<ViewState, "name" | "version" | "size">[];
  /** Only for news of growth. */
  readonly feed: Pick<Feed, "size" | "grown">;
  readonly clock: Clock;
  readonly record: (fact: KernelFact, child: string) => void;
  /** Called whenever a thread has opened the views, the first time and after each restart. */
  readonly onOpened?: () => void;
}

/** What is known here of one projection there. */
interface Known {
  readonly waiting: Waiting;
  state: ProjectionState;
  served: number;
  /** What readers were shown before the views were lost. */
  shown: number;
  readonly wanted: Wanted;
  /** Of its child, once it has run. */
  path?: string;
  ended?: (cause: string | undefined) => void;
}

export class ProjectionsApart implements Projections {
  readonly children: readonly Child[];
  private readonly projections: ReadonlyMap<string, Known>;
  private line: Line<ToProjections, FromProjections> | undefined;
  /** Gives up the present thread, because its views are damaged. */
  private giveUp: ((cause: string) => void) | undefined;
  private readonly lineChanged = new Set<() => void>();

  constructor(private readonly options: ApartOptions) {
    const { stored = [] } = options;
    this.projections = new Map(options.projections.map(({ name, version }) => {
      const { size = 0 } = stored.find((one) => one.name === name && one.version === version) ?? {};
      const known: Known = {
        waiting: new Waiting(options.clock, () => known.served, () => known.state.state === "stopped"),
        state: { name, version, state: "catching_up", size, lag: 0 },
        served: 0,
        shown: 0,
        wanted: new Wanted(options.clock),
      };
      return [name, known];
    }));
    this.children = [
      {
        id: "thread",
        restart: "permanent",
        grace: PROJECTIONS_APART.close_ms + 1_000,
        readyWithin: PROJECTIONS_APART.open_ms,
        run: (signal, self) => this.thread(signal, self),
      },
      ...options.projections.map(({ name }): Child => ({
        id: name,
        restart: "transient",
        grace: 5_000,
        run: (signal, self) => this.projection(name, signal, self),
      })),
    ];
  }

  states(): readonly ProjectionState[] {
    const { size } = this.options.feed;
    return [...this.projections.values()].map(({ state, served, shown }) => ({
      ...state,
      ...(state.state !== "stopped" && served < shown ? { state: "rebuilding" as const } : {}),
      lag: Math.max(0, size - state.size),
    }));
  }

  damaged(fault: ViewsFault): void {
    this.giveUp?.(causeOf(fault));
  }

  known(name: string): number | undefined {
    const projection = this.projections.get(name);
    return projection && projection.served < projection.shown ? projection.shown : undefined;
  }

  wait(name: string, position: number, ms: number, signal?: AbortSignal): Promise<Waited> {
    const known = this.projections.get(name);
    if (known === undefined) return Promise.resolve("unknown");
    if (ms > 0 && position >= known.served) {
      known.wanted.add(position, ms);
      this.hurry(name, known.wanted);
    }
    return known.waiting.until(position, ms, signal);
  }

  private async thread(signal: AbortSignal, self: Self): Promise<void> {
    const { clock, connect, settings, onOpened } = this.options;
    const line = connect();
    const over = new AbortController();
    const silence = new Silence(clock, PROJECTIONS_APART.beat_ms);
    let closed = false;
    let damage: string | undefined;
    const farewell = new AbortController();
    const close = () => {
      if (farewell.signal.aborted) return;
      farewell.abort();
      line.send({ to: "close" });
    };
    const giveUp = (cause: string) => {
      if (farewell.signal.aborted) return;
      damage = cause;
      this.giveUp = undefined;
      // From here on the projections wait for the next thread.
      this.connected(undefined);
      this.stopped(cause);
      close();
    };
    const cause = await new Promise<string | undefined>((done) => {
      line.listen((message) => {
        silence.broken();
        if (message.from === "opened") {
          try {
            onOpened?.();
          } catch (error) {
            // What the thread has just opened is not there any more.
            return giveUp(causeOf(error));
          }
          this.giveUp = giveUp;
          this.connected(line);
          self.ready();
          void this.news(line, over.signal);
        } else if (message.from === "closed") {
          closed = true;
          done(undefined);
        } else if (message.from === "damaged") giveUp(message.cause);
        else if (damage === undefined) this.hear(message);
      }, done);
      line.send({ to: "open", settings });
      signal.addEventListener("abort", close, { once: true });
      void this.watch(silence, farewell.signal, over.signal).then(done);
    });
    over.abort();
    signal.removeEventListener("abort", close);
    this.giveUp = undefined;
    this.connected(undefined);
    line.cut();
    if (damage !== undefined) throw new Error(damage);
    if (!closed) throw new Error(cause ?? "the thread of the projections did not close in time");
    if (!signal.aborted) throw new Error("the thread of the projections closed unasked");
  }

  /** Resolves with what is wrong: too long a silence, or, once it was asked to close, too long a farewell. */
  private async watch(silence: Silence, signal: AbortSignal, over: AbortSignal): Promise<string | undefined> {
    const { clock } = this.options;
    const either = AbortSignal.any([signal, over]);
    while (!either.aborted) {
      await pause(clock, PROJECTIONS_APART.beat_ms, either);
      if (silence.look() > PROJECTIONS_APART.silent_ms) {
        return `the thread of the projections was silent for ${PROJECTIONS_APART.silent_ms} ms`;
      }
    }
    await pause(clock, PROJECTIONS_APART.close_ms, over);
    return undefined;
  }

  /** What is waited for may be newer than the last news. */
  private hurry(name: string, { position, left: ms }: Wanted): void {
    const { line } = this;
    if (line === undefined) return;
    line.send({ to: "grown", size: this.options.feed.size });
    line.send({ to: "hurry", name, position, ms });
  }

  private async news(line: Line<ToProjections, FromProjections>, over: AbortSignal): Promise<void> {
    const { feed, clock } = this.options;
    for (let told = -1; !over.aborted;) {
      if (feed.size > told) {
        line.send({ to: "grown", size: told = feed.size });
        await pause(clock, PROJECTIONS_APART.news_ms, over);
      } else await feed.grown(told, over);
    }
  }

  private hear(message: FromProjections): void {
    if (message.from === "fact") return this.options.record(message.fact, message.child);
    if (message.from !== "state" && message.from !== "ended") return;
    const known = this.projections.get(message.from === "state" ? message.state.name : message.name);
    if (known === undefined) return;
    if (message.from === "ended") return known.ended?.(message.cause);
    known.state = message.state;
    known.served = message.served;
    known.waiting.look();
  }

  /** No projection can go on, and all know why. */
  private stopped(cause: string): void {
    for (const [projection, known] of this.projections) {
      const { version, size } = known.state;
      const at = { position: size, cause };
      known.shown = Math.max(known.shown, known.served);
      // Nothing is served any more, until the next thread says what.
      known.served = 0;
      known.state = { ...known.state, state: "stopped", stoppedAt: { ...at, of: "views" } };
      if (known.path !== undefined) {
        const data = { projection, version, ...at };
        this.options.record({ type: "kernel.projection.stopped", data }, known.path);
      }
      known.waiting.look();
    }
  }

  private connected(line: Line<ToProjections, FromProjections> | undefined): void {
    this.line = line;
    for (const changed of [...this.lineChanged]) changed();
  }

  /** A run of a projection: as long as it runs over there, in however many threads after each other. */
  private async projection(name: string, signal: AbortSignal, self: Self): Promise<void> {
    const known = this.projections.get(name)!;
    known.path = self.path;
    self.ready();
    while (!signal.aborted) {
      const line = this.line;
      if (line === undefined) {
        await this.change(signal);
        continue;
      }
      const outcome = await this.session(line, { name, path: self.path, known }, signal);
      if (outcome === "line lost") continue;
      if (outcome !== undefined) throw new Error(outcome);
      return;
    }
  }

  /** One run in one thread; the answer is the cause if it crashed. */
  private session(
    line: Line<ToProjections, FromProjections>,
    { name, path, known }: { readonly name: string; readonly path: string; readonly known: Known },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    return new Promise((resolve) => {
      const stop = () => line.send({ to: "stop", name });
      const end = (outcome: string | undefined) => {
        known.ended = undefined;
        this.lineChanged.delete(lost);
        signal.removeEventListener("abort", stop);
        resolve(outcome);
      };
      const lost = () => end("line lost");
      known.ended = end;
      this.lineChanged.add(lost);
      signal.addEventListener("abort", stop, { once: true });
      line.send({ to: "start", name, path });
      if (known.wanted.position >= known.served) this.hurry(name, known.wanted);
    });
  }

  private change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.lineChanged.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.lineChanged.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
