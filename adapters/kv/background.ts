/** Who runs the integrator: the log's own thread between two commits, or another one that takes it over. */
import type { Clock } from "../../actors/kernel/world.ts";
import type { Manifest } from "./index/index.ts";
import type { Extent } from "./index/pages.ts";
import { Integrator, type Made, type Wish } from "./integrator.ts";
import type { Frontier } from "./tree.ts";
import type { Store } from "../../events/store.ts";

export interface BackgroundStart {
  readonly frontier: Frontier;
  readonly manifest: Manifest;
  readonly filterBytesMax: number;
  /** Called one at a time; the next step waits until it resolves. */
  readonly made: (made: Made) => Promise<void>;
  /** The background has died; what it was asked and has not answered is lost. Called at most once. */
  readonly died: (cause: string) => void;
}

export interface Background {
  ask(wish: Wish): void;
  /** These pages are gone. */
  swept(garbage: readonly Extent[]): void;
  /** Nothing is made after it resolves. */
  close(): Promise<void>;
}

export type StartBackground = (start: BackgroundStart) => Background;

/** In small steps on the thread of the log, so that a run stays a function of its seed. */
export const inlineBackground = (store: Pick<Store, "get" | "list">, clock: Clock): StartBackground => (start) => {
  const integrator = new Integrator(store, start.frontier, start.manifest, start.filterBytesMax);
  let cancel: (() => void) | undefined;
  let closed = false;
  /** One step at a time: pages must be durable before the manifest that names them. */
  let busy = false;
  let running: Promise<void> = Promise.resolve();

  const run = async () => {
    busy = true;
    try {
      const made = integrator.step();
      if (made) await start.made(made);
    } catch (error) {
      closed = true;
      return start.died(error instanceof Error ? error.message : String(error));
    }
    busy = false;
    arm();
  };
  const arm = () => {
    if (closed || busy || cancel || integrator.idle) return;
    cancel = clock.schedule(0, () => {
      cancel = undefined;
      running = run();
    });
  };

  arm(); // for what an earlier one left undone
  return {
    ask(wish) {
      integrator.ask(wish);
      arm();
    },
    swept(garbage) {
      integrator.swept(garbage);
      arm();
    },
    async close() {
      closed = true;
      cancel?.();
      await running;
    },
  };
};

/** To the thread that runs a `BackgroundWork`. Plain data. */
export type ToBackground =
  | {
    readonly to: "start";
    readonly path: string;
    /** What the log is sealed under; a message goes through no file and no list of arguments. */
    readonly key?: Uint8Array;
    readonly frontier: Frontier;
    readonly manifest: Manifest;
    readonly filterBytesMax: number;
  }
  | { readonly to: "ask"; readonly wish: Wish }
  | { readonly to: "swept"; readonly garbage: readonly Extent[] }
  /** What it made last is durable. */
  | { readonly to: "taken" };

/** From it. */
export type FromBackground = Made;

/** The near end of a connection to that thread; whoever holds it notices when the thread dies. */
export interface BackgroundLine {
  send(message: ToBackground): void;
  /** Replaces whoever listened before. */
  listen(heard: (message: FromBackground) => void): void;
}

/** In another thread, which reads the same file through its own connection. */
export const backgroundOver = (line: BackgroundLine, path: string, key?: Uint8Array): StartBackground => (start) => {
  const { frontier, manifest, filterBytesMax } = start;
  line.listen((made) => {
    start.made(made).then(
      () => line.send({ to: "taken" }),
      (error) => start.died(error instanceof Error ? error.message : String(error)),
    );
  });
  line.send({ to: "start", path, key, frontier, manifest, filterBytesMax });
  return {
    ask: (wish) => line.send({ to: "ask", wish }),
    swept: (garbage) => line.send({ to: "swept", garbage }),
    close() {
      line.listen(() => {});
      return Promise.resolve();
    },
  };
};
