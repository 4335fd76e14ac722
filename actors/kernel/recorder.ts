/**
 * Writes the kernel's own history. Recording never waits and never throws; the facts follow as fast as the log takes
 * them, in order, and a child that fails in a loop cannot fill the log: each child and each cause has a budget.
 */
import type { StreamId } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { ControlKernelFact } from "../../events/kernel_controls.ts";
import type { EventLog, FaultKind, NewEvent } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import { kernelEvent } from "./kernel_event.ts";
import type { Clock, Random } from "./world.ts";
import { pause } from "./world.ts";

export const RECORDER = {
  /** Facts of one child with one cause per minute; what exceeds it becomes one `kernel.facts.suppressed`. */
  facts_per_cause: 10,
  /** Facts of one child per minute, whatever the cause. */
  facts_per_child: 30,
  window_ms: 60_000,
  /** Facts that wait for the log; more are suppressed, and counted. */
  waiting_max: 1_000,
  /** Children and causes told apart at a time; more share one budget. */
  budgets_max: 2_000,
  batch_max: 100,
  retry_first_ms: 50,
  retry_last_ms: 5_000,
} as const;

export interface RecordOptions {
  /** Path of the child it is about; it names the stream `kernel/{child}` unless `stream` is given. */
  readonly child: string;
  /** What counts against the budget together. Default: the fact's type. */
  readonly cause?: string;
  readonly stream?: StreamId;
  readonly causationid?: string;
  readonly correlationid?: string;
  /** Never held back: whoever records it waits for `flush` and so bounds how many there are. Default false. */
  readonly essential?: boolean;
}

export interface Recorder {
  /** Never throws, never waits. */
  record(fact: KernelFact | ControlKernelFact, options: RecordOptions): void;
  /** Resolves when all that waited is in the log, or recording has ended. */
  flush(): Promise<void>;
}

interface Budget {
  readonly child: string;
  readonly cause: string;
  readonly limit: number;
  ends: number;
  used: number;
  suppressed: { count: number; first: string; last: string; latest: NewEvent | undefined } | undefined;
}

export interface RecorderWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
}

export class FactRecorder implements Recorder {
  private readonly queue: NewEvent[] = [];
  private readonly budgets = new Map<string, Budget>();
  private readonly ended = new AbortController();
  private writing: Promise<void> | undefined;
  private cancelSweep: (() => void) | undefined;

  constructor(private readonly world: RecorderWorld) {}

  /** Facts that wait for the log. */
  get waiting(): number {
    return this.queue.length;
  }

  /** The first fact of a run. Answers whether the run before stopped cleanly; true when there was none. */
  begin(process: { readonly version: string; readonly root: string }): boolean {
    let clean = true;
    const types = ["kernel.process.started", "kernel.process.stopped"];
    try {
      for (const [last] of this.world.log.read({ types, backward: true, limit: 1 })) clean = last?.type !== types[0];
    } catch (error) {
      if (!(error instanceof LogFault) || error.kind !== "archived") throw error;
      // Who archived it was running then, and nothing says that they stopped.
      clean = false;
    }
    this.enqueue(this.event({ type: "kernel.process.started", data: { ...process, clean } }, PROCESS), true);
    return clean;
  }

  record(fact: KernelFact | ControlKernelFact, options: RecordOptions): void {
    if (this.ended.signal.aborted) return;
    const event = this.event(fact, options);
    if (options.essential) return this.enqueue(event, true);
    const over = this.spend(options.child, options.cause ?? fact.type);
    if (over) this.suppress(over, event);
    else this.enqueue(event);
  }

  async flush(): Promise<void> {
    while (this.writing) await this.writing;
  }

  /** The last fact of a run; then waits for the log at most `grace` ms. Answers how many facts could not be written. */
  async end(abandoned: readonly string[], grace: number): Promise<number> {
    if (this.ended.signal.aborted) return this.queue.length;
    this.cancelSweep?.();
    for (const budget of this.budgets.values()) this.settle(budget);
    this.enqueue(
      this.event({ type: "kernel.process.stopped", data: { abandoned: abandoned.slice(0, 100) } }, PROCESS),
      true,
    );
    const cancel = this.world.clock.schedule(grace, () => this.ended.abort());
    await Promise.race([
      this.flush(),
      new Promise<void>((resolve) => this.ended.signal.addEventListener("abort", () => resolve())),
    ]);
    cancel();
    this.ended.abort();
    return this.queue.length;
  }

  private event(fact: KernelFact | ControlKernelFact, options: RecordOptions): NewEvent {
    const { child, stream = `kernel/${child}` as StreamId, causationid, correlationid } = options;
    const { clock, random } = this.world;
    return kernelEvent(fact, {
      id: random.id(),
      at: clock.now(),
      stream,
      ...(causationid === undefined ? {} : { causationid }),
      ...(correlationid === undefined ? {} : { correlationid }),
    });
  }

  /** The budget that a fact exceeds, if any. */
  private spend(child: string, cause: string): Budget | undefined {
    const byCause = this.budget(child, cause, RECORDER.facts_per_cause);
    const byChild = this.budget(child, SEVERAL, RECORDER.facts_per_child);
    const over = byCause.used >= byCause.limit ? byCause : byChild.used >= byChild.limit ? byChild : undefined;
    byCause.used++;
    byChild.used++;
    return over;
  }

  private budget(child: string, cause: string, limit: number): Budget {
    const now = this.world.clock.monotonic();
    const key = `${child}\n${cause}`;
    let budget = this.budgets.get(key);
    if (!budget) {
      if (this.budgets.size >= RECORDER.budgets_max) this.forget(now);
      if (this.budgets.size >= RECORDER.budgets_max && child !== OTHERS) return this.budget(OTHERS, SEVERAL, limit);
      budget = { child, cause, limit, ends: now + RECORDER.window_ms, used: 0, suppressed: undefined };
      this.budgets.set(key, budget);
    } else if (now >= budget.ends) {
      this.settle(budget);
      budget.ends = now + RECORDER.window_ms;
      budget.used = 0;
    }
    return budget;
  }

  private suppress(budget: Budget, event: NewEvent, keep = true): void {
    const { count = 0, first = event.time } = budget.suppressed ?? {};
    budget.suppressed = { count: count + 1, first, last: event.time, latest: keep ? event : undefined };
    this.cancelSweep ??= this.world.clock.schedule(RECORDER.window_ms, () => this.sweep());
  }

  /** One fact for all that were held back, and after it the newest of them, so that a view ends in the true state. */
  private settle(budget: Budget): void {
    if (!budget.suppressed || this.queue.length + 2 > RECORDER.waiting_max) return;
    const { first, last, latest } = budget.suppressed;
    const count = budget.suppressed.count - (latest ? 1 : 0);
    budget.suppressed = undefined;
    const { child, cause } = budget;
    if (count > 0) {
      this.enqueue(
        this.event({ type: "kernel.facts.suppressed", data: { child, cause, count, first, last } }, { child }),
      );
    }
    if (latest) this.enqueue(latest);
  }

  private sweep(): void {
    this.cancelSweep = undefined;
    const now = this.world.clock.monotonic();
    let held = false;
    for (const budget of this.budgets.values()) {
      if (now >= budget.ends) this.settle(budget);
      held ||= budget.suppressed !== undefined;
    }
    this.forget(now);
    if (held) this.cancelSweep = this.world.clock.schedule(RECORDER.window_ms / 4, () => this.sweep());
  }

  private forget(now: number): void {
    for (const [key, budget] of this.budgets) if (now >= budget.ends && !budget.suppressed) this.budgets.delete(key);
  }

  private enqueue(event: NewEvent, essential = false): void {
    // A full queue means a log that cannot be written; what does not fit is counted where the budget counts.
    if (this.queue.length >= RECORDER.waiting_max && !essential) {
      return this.suppress(this.budget(OTHERS, "log_unwritable", Infinity), event);
    }
    this.queue.push(event);
    this.writing ??= this.write().finally(() => this.writing = undefined);
  }

  private async write(): Promise<void> {
    let wait: number = RECORDER.retry_first_ms;
    await Promise.resolve(); // what is recorded in one go is written in one go
    while (this.queue.length > 0 && !this.ended.signal.aborted) {
      const batch = this.queue.slice(0, RECORDER.batch_max);
      try {
        await this.world.log.append({ events: batch });
        this.queue.splice(0, batch.length);
        wait = RECORDER.retry_first_ms;
      } catch (error) {
        const kind = error instanceof LogFault ? error.kind : "io";
        if (kind === "closed" || kind === "fenced") return this.ended.abort();
        if (unacceptable(kind) && batch.length > 1) await this.writeSingly(batch);
        else if (unacceptable(kind)) this.drop(this.queue.shift()!);
        else {
          await pause(this.world.clock, wait * (0.5 + this.world.random.next()), this.ended.signal);
          wait = Math.min(2 * wait, RECORDER.retry_last_ms);
        }
      }
    }
  }

  /** One of the batch is not acceptable; the others must not wait for it. Any other fault is left to the caller's loop. */
  private async writeSingly(batch: readonly NewEvent[]): Promise<void> {
    for (const event of batch) {
      try {
        await this.world.log.append({ events: [event] });
      } catch (error) {
        if (!(error instanceof LogFault) || !unacceptable(error.kind)) return;
        this.drop(event);
      }
      this.queue.shift();
    }
  }

  private drop(event: NewEvent): void {
    this.suppress(this.budget(OTHERS, "unacceptable", Infinity), event, false);
  }
}

const unacceptable = (kind: FaultKind) => kind === "invalid" || kind === "too_large";

const PROCESS = { child: "process", stream: "kernel/process" } as const;
const SEVERAL = "several";
const OTHERS = "others";
