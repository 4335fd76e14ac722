/**
 * Hashing passwords in threads of their own, so that the event loop never waits for it. The threads are children of the supervision
 * tree and begin when the first password is to be hashed; what waits for one is bounded.
 */
import type { Child } from "../../../actors/kernel/child.ts";
import { Supervisor, type SupervisorSpec, type SupervisorWorld } from "../../../actors/kernel/supervisor.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Millis } from "../../../events/event.ts";
import type { Hashed, HashTask } from "../../hash_wasm/formats.ts";
import { WorkerChild } from "../../system/worker_child.ts";
import type { HashAnswer } from "./hash_worker.ts";

const HASH_WORKER = new URL("./hash_worker.ts", import.meta.url);

/** More wait than may, or a thread died over it: try again in a while. */
export class HashingBusy extends Error {
  override readonly name = "HashingBusy";
}

export interface HashingOptions {
  readonly clock: Clock;
  /** How many threads. */
  readonly threads: number;
  /** Passwords that may wait for a thread; one more is refused. */
  readonly waiting_max: number;
  /** One that has waited longer is refused instead of hashed: who asked has been told by then that it was not done in time. */
  readonly waits_ms_max: Millis;
  /** Starts what is supervised. */
  readonly add: (child: Child) => Promise<void>;
  readonly spec: Pick<SupervisorSpec, "restarts" | "backoff">;
  readonly world: SupervisorWorld;
  /** Default `HASH_WORKER`. */
  readonly url?: URL;
}

interface Job {
  readonly task: HashTask;
  readonly since: Millis;
  readonly done: (hashed: Hashed) => void;
  readonly failed: (cause: unknown) => void;
}

interface Thread {
  readonly child: Child;
  /** False when it could not take it. */
  give(job: Job): boolean;
  readonly free: boolean;
}

export class Hashing {
  private readonly waiting: Job[] = [];
  private threads: readonly Thread[] | undefined;
  /** Since the beginning: hashed, and refused because too many waited, or one too long. */
  readonly counts = { hashed: 0, refused: 0 };

  constructor(private readonly options: HashingOptions) {}

  /** How many wait for a thread. */
  get depth(): number {
    return this.waiting.length;
  }

  /** Rejects with `HashingBusy` when too many wait, or the thread died over it. */
  hash(task: HashTask): Promise<Hashed> {
    if (this.waiting.length >= this.options.waiting_max) {
      this.counts.refused++;
      return Promise.reject(new HashingBusy("too many passwords wait to be hashed"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Hashed>();
    this.waiting.push({ task, since: this.options.clock.monotonic(), done: resolve, failed: reject });
    this.threads ??= this.begin();
    this.turn();
    return promise;
  }

  private begin(): readonly Thread[] {
    const { spec, world, add, threads } = this.options;
    const begun = Array.from({ length: threads }, (_, i) => this.thread(`hash_${i + 1}`));
    const children = begun.map(({ child }) => child);
    add(new Supervisor({ ...spec, id: "passwords", strategy: "one_for_one", children }, world))
      .catch((cause) => {
        this.threads = undefined;
        for (const job of this.waiting.splice(0)) job.failed(new HashingBusy("no thread to hash in", { cause }));
      });
    return begun;
  }

  private turn(): void {
    for (const thread of this.threads ?? []) {
      while (thread.free && this.waiting.length > 0) {
        const job = this.waiting.shift()!;
        if (this.options.clock.monotonic() - job.since > this.options.waits_ms_max) {
          this.counts.refused++;
          job.failed(new HashingBusy("it waited too long"));
          continue;
        }
        if (thread.give(job)) continue;
        this.waiting.unshift(job);
        break;
      }
    }
  }

  /** One thread with at most one job. */
  private thread(id: string): Thread {
    let current: Job | undefined;
    let up = false;
    let number = 0;
    const worker = new WorkerChild({
      id,
      url: this.options.url ?? HASH_WORKER,
      message: (data) => {
        const { job, hashed, cause } = data as HashAnswer;
        if (job !== number || !current) return;
        const { done, failed } = current;
        current = undefined;
        if (hashed === undefined) failed(new Error(`cannot hash a password: ${cause}`));
        else {
          this.counts.hashed++;
          done(hashed);
        }
        this.turn();
      },
    }, this.options.clock);
    const { restart, grace, readyWithin } = worker;
    const child: Child = {
      id,
      restart,
      grace,
      readyWithin,
      run: async (signal, self) => {
        const ready = () => {
          up = true;
          self.ready();
          this.turn();
        };
        try {
          await worker.run(signal, { path: self.path, ready });
        } finally {
          up = false;
          current?.failed(new HashingBusy("the thread ended"));
          current = undefined;
          if (signal.aborted) this.stopped();
        }
      },
    };
    return {
      child,
      get free() {
        return up && current === undefined;
      },
      give: (job) => {
        if (!worker.post({ job: ++number, task: job.task })) return false;
        current = job;
        return true;
      },
    };
  }

  private stopped(): void {
    for (const job of this.waiting.splice(0)) job.failed(new HashingBusy("it is stopping"));
  }
}
