/**
 * What tenants may use: events and bytes that come in within any day, and sessions at a time. Days slide by minutes; what was used is
 * kept across restarts with the other limits.
 */
import type { Config } from "../../../config/config.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { DoorFact } from "../../../events/kernel_door.ts";
import type { Millis } from "../../../events/event.ts";
import type { Problem } from "../../http/problem.ts";
import type { RateLimiter } from "../../http/rate.ts";
import { tooMany } from "../../http/too_many.ts";

const DAY_MS = 86_400_000;
const STEP_MS = 60_000;
/** A session ends when it does; it is worth asking again after so long. */
export const SESSIONS_WAIT_MS = 60_000;

type Quota = "events" | "bytes";

export interface QuotaOptions {
  readonly tenants: Config["identity"]["tenants"];
  readonly clock: Clock;
  readonly add: (name: string, max: number, window_ms: Millis) => RateLimiter;
  readonly tell: (fact: DoorFact) => void;
}

export class Quotas {
  private readonly limits = new Map<string, Readonly<Partial<Record<Quota, RateLimiter>>>>();
  private readonly told = new Map<string, Millis>();

  constructor(private readonly options: QuotaOptions) {
    for (const [tenant, { quota }] of Object.entries(options.tenants)) {
      const { events_max, bytes_max } = quota ?? {};
      const of = (name: Quota, max: number | undefined) =>
        max === undefined ? {} : { [name]: options.add(`quota_${name} ${tenant}`, max, DAY_MS) };
      this.limits.set(tenant, { ...of("events", events_max), ...of("bytes", bytes_max) });
    }
  }

  /** Counts both, or neither and throws `quota_exceeded`. */
  spend(tenant: string, used: Readonly<Record<Quota, number>>): void {
    const limits = this.limits.get(tenant);
    if (limits === undefined) return;
    const now = this.now;
    const all = (Object.entries(limits) as readonly (readonly [Quota, RateLimiter])[])
      .filter(([quota]) => used[quota] > 0);
    for (const [quota, limiter] of all) {
      const wait = limiter.wait(tenant, now, used[quota]);
      if (wait > 0) throw this.refused(tenant, quota, limiter, wait);
    }
    for (const [quota, limiter] of all) limiter.take(tenant, now, used[quota]);
  }

  /** Tells, once in a day, that a tenant has all the sessions that it may. */
  sessionsReached(tenant: string, max: number): void {
    this.tell(tenant, "sessions", max);
  }

  private refused(tenant: string, quota: Quota, limiter: RateLimiter, wait: Millis): Problem {
    const { max } = limiter.rate;
    this.tell(tenant, quota, max);
    return tooMany({
      code: "quota_exceeded",
      limit: { name: quota, ...limiter.rate },
      ms: wait,
      detail: `The tenant may send ${max} ${quota} in a day, and this would be more.`,
      members: { quota, max },
    });
  }

  private tell(tenant: string, quota: Quota | "sessions", max: number): void {
    const now = this.options.clock.monotonic();
    const key = `${quota} ${tenant}`;
    if (now - (this.told.get(key) ?? -Infinity) < DAY_MS) return;
    this.told.set(key, now);
    this.options.tell({ type: "kernel.quota.reached", data: { tenant, quota, max } });
  }

  /** A day of minutes has 1,440 steps to remember, whatever comes in. */
  private get now(): Millis {
    return Math.ceil(this.options.clock.monotonic() / STEP_MS) * STEP_MS;
  }
}
