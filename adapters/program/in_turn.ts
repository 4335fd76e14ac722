/** Changes of one thing, such as a stack, one after another: each as if there were no other. */
import { Refused } from "../cli/runtime.ts";

/** So many wait at most, beside the one that is under way. */
export const WAITING_MAX = 32;

export class InTurn {
  private last: Promise<unknown> = Promise.resolve();
  private present = 0;

  constructor(private readonly what = "changes of the services") {}

  /** Throws `Refused` where too many wait, and the reason of the signal where it fires before the work has begun. What one before throws is its own affair. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.present > WAITING_MAX) {
      throw new Refused("busy", `${WAITING_MAX} ${this.what} are waiting already: ask again later`);
    }
    this.present++;
    const gone = Promise.withResolvers<never>();
    const leave = () => gone.reject(signal!.reason);
    signal?.addEventListener("abort", leave);
    const done = this.last.then(() => {
      signal?.throwIfAborted();
      signal?.removeEventListener("abort", leave);
      return work();
    });
    this.last = done.catch(() => {});
    // Who goes away while waiting keeps no place from others.
    return await Promise.race([done, gone.promise]).finally(() => this.present--);
  }
}
