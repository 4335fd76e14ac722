/**
 * Baseline of the actors: a handler behind an array, drained in a microtask. No bound, no supervision, no deadline; what is
 * pushed while it drains waits for the next microtask.
 */
export class Queue<M> {
  private waiting: M[] = [];
  private scheduled = false;

  constructor(private readonly handle: (message: M) => void) {}

  push(message: M): void {
    this.waiting.push(message);
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(this.drain);
  }

  private readonly drain = (): void => {
    const { waiting, handle } = this;
    this.waiting = [];
    this.scheduled = false;
    for (let i = 0; i < waiting.length; i++) handle(waiting[i]!);
  };
}

/** A question with the way to answer it. */
export interface Question {
  readonly n: number;
  readonly answer: (sum: number) => void;
}

/** A raw promise hand-over: the question goes through the queue, the answer resolves the promise. */
export const askThrough = (queue: Queue<Question>, n: number): Promise<number> =>
  new Promise((answer) => queue.push({ n, answer }));
