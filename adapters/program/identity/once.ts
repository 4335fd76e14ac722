/** What may come once: remembered until its time is over, up to a bound. */
import type { Millis } from "../../../events/event.ts";

export class Once {
  private readonly until = new Map<string, Millis>();

  constructor(private readonly options: { readonly max: number; readonly now: () => Millis }) {}

  /** False: it came before. `full`: so many were taken lately that no other can be remembered. */
  take(id: string, until: Millis): boolean | "full" {
    const now = this.options.now();
    if (this.until.has(id)) return false;
    if (this.until.size >= this.options.max) {
      for (const [old, end] of this.until) if (now >= end) this.until.delete(old);
      if (this.until.size >= this.options.max) return "full";
    }
    this.until.set(id, until);
    return true;
  }
}
