/** Reading one's own write: waiting until a view shows a position. */
import type { Millis } from "../../events/event.ts";
import type { Clock } from "./world.ts";

export type Waited = "reached" | "late" | "stopped" | "unknown";

/** The farthest position that a reader waits for, while one does: what never comes is waited for no longer than its reader. */
export class Wanted {
  private farthest = -1;
  private until: Millis = -Infinity;

  constructor(private readonly clock: Clock) {}

  add(position: number, ms: Millis): void {
    const now = this.clock.monotonic();
    this.farthest = Math.max(this.position, position);
    this.until = Math.max(this.until, now + ms);
  }

  /** -1: nobody waits. */
  get position(): number {
    return this.left > 0 ? this.farthest : -1;
  }

  /** How long yet. */
  get left(): Millis {
    return this.until - this.clock.monotonic();
  }
}

/** Who waits for a view to reach a position. */
export class Waiting {
  private readonly waiters = new Set<{ readonly position: number; readonly done: (outcome: Waited) => void }>();

  constructor(
    private readonly clock: Clock,
    private readonly served: () => number,
    private readonly stopped: () => boolean,
  ) {}

  until(position: number, ms: number, signal?: AbortSignal): Promise<Waited> {
    if (this.served() > position) return Promise.resolve("reached");
    if (this.stopped()) return Promise.resolve("stopped");
    if (ms <= 0 || signal?.aborted) return Promise.resolve("late");
    return new Promise((resolve) => {
      const done = (outcome: Waited) => {
        this.waiters.delete(waiter);
        cancel();
        signal?.removeEventListener("abort", late);
        resolve(outcome);
      };
      const late = () => done("late");
      const waiter = { position, done };
      this.waiters.add(waiter);
      const cancel = this.clock.schedule(ms, late);
      signal?.addEventListener("abort", late, { once: true });
    });
  }

  /** To be called whenever the view has moved on or has stopped. */
  look(): void {
    if (this.waiters.size === 0) return;
    const [served, stopped] = [this.served(), this.stopped()];
    for (const { position, done } of [...this.waiters]) {
      if (served > position) done("reached");
      else if (stopped) done("stopped");
    }
  }
}
