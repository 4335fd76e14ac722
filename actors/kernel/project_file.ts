/**
 * The file of the views, in the thread that has projections and readers both: a child that fails when the file turns out
 * damaged, and puts it aside and begins anew when it starts again. So each loss is one crash with a cause, and a disk that
 * does not hold what it is given spends the budget of restarts instead of being rebuilt on for ever.
 */
import type { ViewsFault } from "../../projections/views.ts";
import type { Child, Self } from "./child.ts";

/** How long closing and opening may take, ms. */
const GRACE_MS = 5_000;

export class ViewsFile implements Child {
  readonly id = "file";
  readonly restart = "permanent";
  readonly grace = GRACE_MS;
  private present = new AbortController();
  private readonly waiting = new Set<() => void>();

  /** `renew` as that of `Views`. */
  constructor(private readonly renew: () => void) {}

  /** Aborts, with the fault as its reason, when the file that is open now is lost. */
  get loss(): AbortSignal {
    return this.present.signal;
  }

  /** The file is not to be used any more; what follows is one restart, however often it is told. */
  lost(fault: ViewsFault): void {
    this.present.abort(fault);
  }

  /** Resolves when the file can be used, or the signal aborts. */
  whole(signal: AbortSignal): Promise<void> {
    if (!this.loss.aborted || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  async run(signal: AbortSignal, self: Self): Promise<void> {
    if (this.loss.aborted) {
      this.renew();
      this.present = new AbortController();
      for (const done of [...this.waiting]) done();
    }
    self.ready();
    const { loss } = this;
    await new Promise<void>((resolve, reject) => {
      loss.addEventListener("abort", () => reject(loss.reason), { once: true });
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted) resolve();
    });
  }
}
