/**
 * A worker as a child of the supervision tree, for heavy work beside the event loop. Unlike a promise it can be given up: it hears and
 * says nothing any more, and ends when it next comes to its event loop. One that never does goes on until the process ends
 * (https://github.com/denoland/deno/pull/35657), so what it writes must bear a second one that writes the same.
 *
 * A worker that throws says so; one that calls `Deno.exit`, closes itself or hangs says nothing, and is noticed because its
 * heartbeat stops. Out of memory it takes the whole process with it: what may do that belongs into a process of its own.
 */
import type { Child, Self } from "../../actors/kernel/child.ts";
import { Silence } from "../../actors/kernel/silence.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import type { Wire } from "./worker_side.ts";

const WORKER = {
  heartbeat_every_ms: 1_000,
  /** A worker that was not heard of for so long is taken for dead. */
  heartbeat_within_ms: 10_000,
  ready_within_ms: 30_000,
  stop_within_ms: 5_000,
  /** What ending a worker itself may take. */
  terminate_ms: 500,
} as const;

export interface WorkerSpec {
  readonly id: string;
  /** A module that calls `work` of `worker_side.ts`. */
  readonly url: string | URL;
  readonly restart?: Child["restart"];
  /** Default: none. */
  readonly permissions?: Deno.PermissionOptions;
  /** Default: asked every second, dead after ten. */
  readonly heartbeat?: { readonly every: Millis; readonly within: Millis };
  /** How long it may take to finish; then it is terminated. Default 5 s. */
  readonly stopWithin?: Millis;
  readonly readyWithin?: Millis;
  readonly message: (data: unknown) => void;
}

export class WorkerChild implements Child {
  readonly id: string;
  readonly restart: Child["restart"];
  readonly grace: Millis;
  readonly readyWithin: Millis;
  private worker: Worker | undefined;

  constructor(private readonly spec: WorkerSpec, private readonly clock: Clock) {
    this.id = spec.id;
    this.restart = spec.restart ?? "permanent";
    this.readyWithin = spec.readyWithin ?? WORKER.ready_within_ms;
    this.grace = this.stopWithin + WORKER.terminate_ms;
  }

  /** Never throws. False when no worker runs; a message that is on its way when the worker dies is lost with it. */
  post(data: unknown): boolean {
    this.worker?.postMessage({ is: "data", data } satisfies Wire);
    return this.worker !== undefined;
  }

  async run(signal: AbortSignal, self?: Self): Promise<void> {
    if (signal.aborted) return;
    const { url, id, permissions = "none" } = this.spec;
    const worker = new Worker(url, { type: "module", name: id, deno: { permissions } });
    const end = Promise.withResolvers<void>();
    const heart = this.listen(worker, end, self);
    const stop = () => {
      worker.postMessage({ is: "stop" } satisfies Wire);
      heart.stop(this.stopWithin);
    };
    signal.addEventListener("abort", stop, { once: true });
    try {
      await end.promise;
    } finally {
      signal.removeEventListener("abort", stop);
      heart.end();
      this.worker = undefined;
      worker.terminate();
    }
  }

  private get stopWithin(): Millis {
    return this.spec.stopWithin ?? WORKER.stop_within_ms;
  }

  /** Wires the worker up; whatever ends it settles `end`. */
  private listen(worker: Worker, end: PromiseWithResolvers<void>, self: Self | undefined) {
    const { every, within } = this.spec.heartbeat ??
      { every: WORKER.heartbeat_every_ms, within: WORKER.heartbeat_within_ms };
    const { clock } = this;
    const silence = new Silence(clock, every);
    let cancel = () => {};
    let stopping = false;
    const beat = () => {
      if (silence.look() > within) return end.reject(new Error(`no heartbeat within ${within} ms`));
      worker.postMessage({ is: "ping" } satisfies Wire);
      cancel = clock.schedule(every, beat);
    };
    worker.onerror = (event) => {
      event.preventDefault(); // or the main process dies of it
      end.reject(new Error(event.message));
    };
    worker.onmessageerror = () => end.reject(new Error("a message that cannot be read"));
    worker.onmessage = ({ data: wire }: MessageEvent<Wire>) => {
      silence.broken();
      if (wire.is === "data") this.spec.message(wire.data);
      else if (wire.is === "stopped") end.resolve();
      else if (wire.is === "failed") end.reject(new Error(wire.cause));
      else if (wire.is === "ready") {
        this.worker = worker;
        self?.ready();
        if (!stopping) beat();
      }
    };
    return {
      end: () => cancel(),
      stop: (ms: Millis) => {
        stopping = true;
        cancel();
        cancel = clock.schedule(ms, () => end.reject(new Error(`terminated: it did not stop within ${ms} ms`)));
      },
    };
  }
}
