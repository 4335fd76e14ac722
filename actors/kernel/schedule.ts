/** Things to do at times of the wall clock, some at once; one timer of the platform for all of them. */
import type { Millis } from "../../events/event.ts";
import type { Clock } from "./world.ts";

interface Entry<T> {
  readonly item: T;
  at: Millis;
  gone: boolean;
}

export class Schedule<T> {
  /** A binary heap, earliest first. */
  private readonly heap: Entry<T>[] = [];
  private readonly entries = new Map<T, Entry<T>>();
  private running = 0;
  private act: ((item: T) => Promise<Millis | undefined>) | undefined;
  private cancel: (() => void) | undefined;
  private wakesAt = Infinity;
  private signal: AbortSignal | undefined;

  /** `recheck`: longest sleep, ms, for the wall clock may be moved meanwhile. `woken` is told of the end of each. */
  constructor(
    private readonly clock: Clock,
    private readonly atOnce: number,
    private readonly recheck: Millis,
    private readonly woken?: (signal: AbortSignal) => void,
  ) {}

  /** From now on, and until the signal aborts, what is due is acted on. `act` answers when to do it again, if at all. */
  open(signal: AbortSignal, act: (item: T) => Promise<Millis | undefined>): void {
    if (signal.aborted) return;
    this.act = act;
    this.signal = signal;
    signal.addEventListener("abort", () => this.close(), { once: true });
    this.go();
  }

  add(item: T, at: Millis): void {
    const entry = { item, at, gone: false };
    this.entries.set(item, entry);
    this.push(entry);
    this.go();
  }

  remove(item: T): void {
    const entry = this.entries.get(item);
    if (!entry) return;
    entry.gone = true;
    this.entries.delete(item);
  }

  close(): void {
    this.act = undefined;
    this.cancel?.();
    this.cancel = undefined;
    this.wakesAt = Infinity;
  }

  /** Does what is due, as far as it may at once, and sleeps until the next. */
  private go(): void {
    if (!this.act) return;
    const now = this.clock.now();
    for (let entry = this.first(); entry && entry.at <= now && this.running < this.atOnce; entry = this.first()) {
      this.pop();
      this.do(entry, this.act);
    }
    const next = this.first();
    // With its hands full it is woken by whoever is done.
    if (!next || this.running >= this.atOnce) return;
    const wait = Math.min(this.recheck, Math.max(0, next.at - now));
    const wakesAt = this.clock.monotonic() + wait;
    if (this.cancel && this.wakesAt <= wakesAt) return;
    this.cancel?.();
    this.wakesAt = wakesAt;
    this.cancel = this.clock.schedule(wait, () => {
      this.cancel = undefined;
      this.wakesAt = Infinity;
      this.woken?.(this.signal!);
      this.go();
    });
  }

  private do(entry: Entry<T>, act: (item: T) => Promise<Millis | undefined>): void {
    this.running++;
    const done = (again: Millis | undefined) => {
      this.running--;
      if (again !== undefined && !entry.gone) {
        entry.at = again;
        this.push(entry);
      }
      this.go();
    };
    act(entry.item).then(done, () => done(this.clock.now() + this.recheck));
  }

  private first(): Entry<T> | undefined {
    while (this.heap[0]?.gone) this.pop();
    return this.heap[0];
  }

  private push(entry: Entry<T>): void {
    const { heap } = this;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.at <= entry.at) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
