/** Who runs the integrator: the log's own thread between two commits, or a worker beside it. */
import type { Clock } from "../../actors/kernel/world.ts";
import type { Manifest } from "./index/index.ts";
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
  swept(garbage: number): void;
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

  return {
    ask(wish) {
      integrator.ask(wish);
      arm();
    },
    swept(count) {
      integrator.swept(count);
      arm();
    },
    async close() {
      closed = true;
      cancel?.();
      await running;
    },
  };
};

/** Messages to the worker and back; pages are moved, not copied. */
export type ToWorker =
  | {
    readonly to: "start";
    readonly path: string;
    readonly frontier: Frontier;
    readonly manifest: Manifest;
    readonly filterBytesMax: number;
  }
  | { readonly to: "ask"; readonly wish: Wish }
  | { readonly to: "swept"; readonly count: number }
  | { readonly to: "taken" }
  | { readonly to: "close" };
export type FromWorker = { readonly from: "made"; readonly made: Made } | { readonly from: "closed" } | {
  readonly from: "died";
  readonly cause: string;
};

// A worker that is told to close and does not is ended.
const CLOSE_MS_MAX = 5_000;

/** In a worker of its own, which reads the same file through its own connection; it begins with the first wish. */
export const workerBackground = (path: string, clock: Clock): StartBackground => (start) => {
  let worker: Worker | undefined;
  let over = false;
  let closed: (() => void) | undefined;
  const send = (message: ToWorker) => {
    if (!over) (worker ??= begin()).postMessage(message);
  };
  const end = (cause?: string) => {
    if (over) return;
    over = true;
    worker?.terminate();
    if (closed) closed();
    else if (cause !== undefined) start.died(cause);
  };
  const begin = (): Worker => {
    const begun = new Worker(new URL("./background_worker.ts", import.meta.url), {
      type: "module",
      name: "log background",
    });
    begun.onmessage = async ({ data }: MessageEvent<FromWorker>) => {
      if (data.from === "closed") return end();
      if (data.from === "died") return end(data.cause);
      try {
        await start.made(data.made);
        send({ to: "taken" });
      } catch (error) {
        end(error instanceof Error ? error.message : String(error));
      }
    };
    begun.onerror = (event) => {
      event.preventDefault();
      end(event.message);
    };
    const { frontier, manifest, filterBytesMax } = start;
    begun.postMessage({ to: "start", path, frontier, manifest, filterBytesMax } satisfies ToWorker);
    return begun;
  };

  return {
    ask: (wish) => send({ to: "ask", wish }),
    swept: (count) => send({ to: "swept", count }),
    close() {
      if (over || !worker) return Promise.resolve();
      return new Promise<void>((resolve) => {
        const cancel = clock.schedule(CLOSE_MS_MAX, () => end());
        closed = () => {
          cancel();
          resolve();
        };
        send({ to: "close" });
      });
    },
  };
};
