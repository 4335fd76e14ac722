/** Requests that were turned away are counted, and told once a minute where there were any: however many come, the log grows by one. */
import type { Child } from "../../../actors/kernel/child.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { ACCESS_LIMITS } from "../../../events/access.ts";
import type { Refusal } from "../../http/door.ts";
import type { Opened } from "../opened.ts";

const REFUSALS_EVERY_MS = 60_000;

export class Refusals {
  private counts = new Map<string, Refusal & { count: number }>();
  private others = 0;
  private since: number | undefined;

  constructor(private readonly entities: Pick<Opened["entities"], "ask">, private readonly clock: Clock) {}

  count(refusal: Refusal, times = 1): void {
    this.since ??= this.clock.now();
    const { action, because, principal = "" } = refusal;
    const key = `${action} ${because} ${principal}`;
    const known = this.counts.get(key);
    if (known) known.count += times;
    else if (this.counts.size < ACCESS_LIMITS.refusals_max) this.counts.set(key, { ...refusal, count: times });
    else this.others += times;
  }

  /** Where it cannot be recorded now, it is told with what comes after. */
  async flush(): Promise<void> {
    const { since, others, counts } = this;
    if (since === undefined) return;
    const iso = (at: number) => new Date(at).toISOString();
    const refusals = [...counts.values()].sort((a, b) => b.count - a.count);
    const data = { since: iso(since), until: iso(this.clock.now()), refusals, others };
    this.counts = new Map();
    this.others = 0;
    this.since = undefined;
    const by = { authtype: "system", authid: "access" } as const;
    const outcome = await this.entities.ask({ type: "access.requests.refuse", id: "requests", data, by });
    if (outcome.is === "accepted") return;
    this.since = since;
    this.others += others;
    for (const { count, ...refusal } of refusals) this.count(refusal, count);
  }

  readonly child: Child = {
    id: "refusals",
    restart: "permanent",
    grace: 5_000,
    run: async (signal, self) => {
      self.ready();
      while (!signal.aborted) {
        await pause(this.clock, REFUSALS_EVERY_MS, signal);
        await this.flush();
      }
    },
  };
}
