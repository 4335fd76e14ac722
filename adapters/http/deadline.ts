/**
 * One timer for the deadlines of all requests. All have the same length, so they come due in the order they began, and a
 * request costs a list node instead of a timer.
 */
import type { Clock } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";

interface Node {
  due: number;
  late: () => void;
  before: Node | undefined;
  after: Node | undefined;
}

export interface Endings<T> {
  readonly done: (value: T) => T;
  readonly failed: (error: unknown) => T;
  readonly late: () => T;
}

export class Deadlines {
  private first: Node | undefined;
  private last: Node | undefined;
  private cancel: (() => void) | undefined;

  constructor(private readonly clock: Clock, private readonly ms: number) {}

  /**
   * What `done` or `failed` make of the outcome of `work`, or, if that takes too long, what `late` says; then `work` goes
   * on unheard. `began` is the monotonic time at which the request came. None of the three may throw.
   */
  race<T>(work: Promise<T>, began: Millis, { done, failed, late }: Endings<T>): Promise<T> {
    return new Promise((resolve) => {
      let ended = false;
      const node = this.push(began, () => {
        ended = true;
        resolve(late());
      });
      work.then((value) => {
        if (ended) return;
        this.drop(node);
        resolve(done(value));
      }, (error) => {
        if (ended) return;
        this.drop(node);
        resolve(failed(error));
      });
    });
  }

  /** Requests under way. */
  get pending(): number {
    let count = 0;
    for (let node = this.first; node; node = node.after) count++;
    return count;
  }

  private push(began: Millis, late: () => void): Node {
    const node: Node = { due: began + this.ms, late, before: this.last, after: undefined };
    if (this.last) this.last.after = node;
    else this.first = node;
    this.last = node;
    this.cancel ??= this.clock.schedule(this.ms, () => this.tick());
    return node;
  }

  private drop(node: Node): void {
    if (node.before) node.before.after = node.after;
    else this.first = node.after;
    if (node.after) node.after.before = node.before;
    else this.last = node.before;
    node.before = node.after = undefined;
  }

  private tick(): void {
    this.cancel = undefined;
    const now = this.clock.monotonic();
    while (this.first && this.first.due <= now) {
      const node = this.first;
      this.drop(node);
      node.late();
    }
    if (this.first) this.cancel = this.clock.schedule(Math.max(1, this.first.due - now), () => this.tick());
  }

  /** Forgets the timer; what is under way has no deadline any more. */
  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }
}
