/**
 * One timer for the deadlines of all requests. All have the same length, so they come due in the order they began, and a
 * request costs a list node instead of a timer.
 */
import type { Clock } from "../../actors/kernel/world.ts";

interface Node {
  due: number;
  late: () => void;
  before: Node | undefined;
  after: Node | undefined;
}

export class Deadlines {
  private first: Node | undefined;
  private last: Node | undefined;
  private cancel: (() => void) | undefined;

  constructor(private readonly clock: Clock, private readonly ms: number) {}

  /** What `work` resolves to, or, if that takes too long, what `late` says; then `work` goes on unheard. */
  race<T>(work: Promise<T>, late: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const node = this.push(() => resolve(late()));
      work.then((value) => {
        this.drop(node);
        resolve(value);
      }, (error) => {
        this.drop(node);
        reject(error);
      });
    });
  }

  /** Requests under way. */
  get pending(): number {
    let count = 0;
    for (let node = this.first; node; node = node.after) count++;
    return count;
  }

  private push(late: () => void): Node {
    const node: Node = { due: this.clock.monotonic() + this.ms, late, before: this.last, after: undefined };
    if (this.last) this.last.after = node;
    else this.first = node;
    this.last = node;
    this.cancel ??= this.clock.schedule(this.ms, () => this.tick());
    return node;
  }

  private drop(node: Node): void {
    if (node.before === undefined && this.first !== node) return; // it was late and is out already
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
