/** Changes of one thing, such as a stack, one after another: each as if there were no other. */
import { Refused } from "../cli/runtime.ts";

export const CHANGES = {
  /** So many wait at most, beside the one that is under way. */
  waiting_max: 32,
} as const;

export class InTurn {
  private last: Promise<unknown> = Promise.resolve();
  private present = 0;

  constructor(private readonly what = "changes of the services") {}

  /** Throws `Refused` where too many wait. What one before throws is its own affair. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.present > CHANGES.waiting_max) {
      throw new Refused("busy", `${CHANGES.waiting_max} ${this.what} are waiting already: ask again later`);
    }
    this.present++;
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return await done.finally(() => this.present--);
  }
}
