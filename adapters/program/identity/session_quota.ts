/** How many sessions of a tenant are open, and that there are no more than it may have. */
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Config } from "../../../config/config.ts";
import { type Quotas, SESSIONS_WAIT_MS } from "../limits/quotas.ts";
import type { Parts } from "./parts.ts";

export interface SessionQuotaOptions {
  readonly daybook: Pick<Daybook, "view" | "log">;
  readonly tenants: Config["identity"]["tenants"];
  readonly clock: Clock;
  readonly told?: Pick<Quotas, "sessionsReached">;
}

/** Looks at the view as of all that is in the log, and lets the next one look when this one has begun: so nobody slips by. */
export const sessionQuota = ({ daybook, tenants, clock, told }: SessionQuotaOptions): Parts["withinQuota"] => {
  const turns = new Map<string, Promise<unknown>>();
  const open = async (tenant: string, max: number): Promise<number> => {
    const now = new Date(clock.now()).toISOString();
    let [count, after]: [number, string | undefined] = [0, undefined];
    do {
      const page: Awaited<ReturnType<Daybook["view"]>> = await daybook.view("identity.sessions", {
        where: { tenant, state: "open" },
        wait: daybook.log.size - 1,
        ...(after === undefined ? {} : { after }),
      });
      // One whose time is over ends when it is looked at.
      count += page.rows.filter(({ row }) => {
        const { until, idle_until } = row as { readonly until: string; readonly idle_until: string };
        return until > now && idle_until > now;
      }).length;
      after = page.next;
    } while (after !== undefined && count < max);
    return count;
  };
  return async (tenant, begin) => {
    const max = Object.hasOwn(tenants, tenant) ? tenants[tenant]!.quota?.sessions_max : undefined;
    if (max === undefined) return await begin();
    const before = turns.get(tenant);
    const turn = (async () => {
      await before;
      if (await open(tenant, max) < max) return await begin();
      told?.sessionsReached(tenant, max);
      return { is: "wait", because: "quota", ms: SESSIONS_WAIT_MS, limit: { name: "sessions", max } } as const;
    })();
    const done = turn.catch(() => {}).finally(() => {
      if (turns.get(tenant) === done) turns.delete(tenant);
    });
    turns.set(tenant, done);
    return await turn;
  };
};
