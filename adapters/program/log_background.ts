/**
 * What works behind the log (the Merkle tree, the index) as a child of the supervision tree: a worker where the log is a file, the log's
 * own thread where it is memory. While no run of it is ready, and when its supervisor has given it up, the log does that work itself,
 * between two commits.
 */
import { resolve } from "node:path";
import { Supervisor, type SupervisorSpec, type SupervisorWorld } from "../../actors/kernel/supervisor.ts";
import type { Child } from "../../actors/kernel/child.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import { backgroundOver, type FromBackground, type StartBackground } from "../kv/background.ts";
import type { KvLog } from "../kv/log.ts";
import { givingWay } from "../system/thread.ts";
import { WorkerChild } from "../system/worker_child.ts";

export const LOG_BACKGROUND = {
  heartbeat_every_ms: 1_000,
  /** Longer silence, and it is taken for dead. Its longest step is a segment of the index. */
  heartbeat_within_ms: 30_000,
  /** So long the log waits for a worker, the next one included, before it does the work itself; unless somebody waits for it. */
  wait_ms: 2_000,
} as const satisfies Record<string, Millis>;

/** The module of the worker. */
const LOG_BACKGROUND_WORKER = new URL("./log_background_worker.ts", import.meta.url);

type Lending = Pick<KvLog, "behindBy">;

export interface WorkerOptions {
  /** The log's file. */
  readonly path: string;
  /** What it is sealed under; it goes to the worker in a message. Default: it is clear. */
  readonly key?: Uint8Array;
  readonly clock: Clock;
  /** Default `LOG_BACKGROUND_WORKER`. */
  readonly url?: URL;
  /** Default as `LOG_BACKGROUND` says. */
  readonly heartbeat?: { readonly every: Millis; readonly within: Millis };
}

/** In a worker that may read the log's folder, lower its own priority, and nothing else. */
export const logWorker = (log: Lending, { path, key, clock, url, heartbeat }: WorkerOptions): Child => {
  const file = resolve(path);
  let heard: (message: FromBackground) => void = () => {};
  const worker = new WorkerChild({
    id: "background",
    url: url ?? LOG_BACKGROUND_WORKER,
    permissions: { read: [resolve(file, "..")], ...givingWay() },
    heartbeat: heartbeat ??
      { every: LOG_BACKGROUND.heartbeat_every_ms, within: LOG_BACKGROUND.heartbeat_within_ms },
    message: (data) => heard(data as FromBackground),
  }, clock);
  const { id, restart, grace, readyWithin } = worker;
  const background = backgroundOver(
    {
      send: (message) => void worker.post(message),
      listen: (listener) => heard = listener,
    },
    file,
    key,
  );
  return {
    id,
    restart,
    grace,
    readyWithin,
    async run(signal, self) {
      // The work goes back when the worker has ended, and the worker ends when the log cannot go on with it.
      const ended = new AbortController();
      const failed = new AbortController();
      let lent: Promise<void> = Promise.resolve();
      try {
        await worker.run(AbortSignal.any([signal, failed.signal]), {
          path: self.path,
          ready() {
            if (signal.aborted) return;
            lent = log.behindBy(background, ended.signal);
            lent.catch(() => failed.abort());
            self.ready();
          },
        });
      } finally {
        ended.abort();
        await lent;
      }
    },
  };
};

/** On the thread of the log. */
export const logInline = (log: Lending, background: StartBackground): Child => ({
  id: "background",
  restart: "permanent",
  grace: 5_000,
  run: (signal) => log.behindBy(background, signal),
});

/**
 * The supervisor of what works behind the log. When its budget is spent it stays down, visibly, and nothing else falls with it: the
 * log goes on by itself.
 */
export const logSupervisor = (
  background: Child,
  spec: Pick<SupervisorSpec, "restarts" | "backoff">,
  world: SupervisorWorld,
): Supervisor =>
  new Supervisor({ ...spec, id: "log", strategy: "one_for_one", restart: "temporary", children: [background] }, world);
