/**
 * Types, and pseudonyms, that are kept for a shorter time than the log: months that are past are destroyed, key by key. That a month is
 * destroyed is decided under the holds and recorded first; what is recorded and not done, as after a crash or in keys from a backup, is
 * done when the folder is next opened.
 */
import { z } from "zod";
import { type PrivacyFact, PSEUDONYMS } from "../../events/privacy.ts";
import { type EventLog, LogFault } from "../../events/log.ts";
import { Refused } from "../cli/runtime.ts";
import type { Keys } from "../keys/keys.ts";
import type { RetentionPeriod } from "../keys/retention_periods.ts";
import { systemClock } from "../system/world.ts";
import { operation } from "./operation.ts";
import { decide } from "./privacy/register.ts";

const DESTROYED = "privacy.period.destroyed";
const DAY_MS = 86_400_000;

/** When the last event of a month may be read for the last time; ms since 1970. */
export const endOf = ({ period }: RetentionPeriod, days: number): number =>
  Date.UTC(Number(period.slice(0, 4)), Number(period.slice(4)), 1) + days * DAY_MS;

export const applyRetention = operation({
  about: "Destroys the keys of months of types, and of pseudonyms, whose time is over.",
  input: z.strictObject({}),
  async run(opened) {
    const { keys, config, crash } = opened;
    const { types, pseudonyms } = config.retention;
    const destroyed: RetentionPeriod[] = [];
    const held: (RetentionPeriod & { readonly because: string })[] = [];
    for (const each of keys.periods.standing) {
      const days = each.type === PSEUDONYMS ? pseudonyms : types[each.type];
      if (days === undefined || days === null || endOf(each, days) > systemClock.now()) continue;
      try {
        const data = { ...each, after_days: days };
        await decide(opened, { type: "privacy.period.destroy", data }, `destroy ${each.type} ${each.period}`);
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== "held") throw error;
        held.push({ ...each, because: error.message });
        continue;
      }
      crash?.("period.recorded");
      keys.periods.destroy(each);
      crash?.("period.destroyed");
      destroyed.push(each);
    }
    return { destroyed, held };
  },
});

/** Before anybody reads: destroys every month that the log says is destroyed. */
export const settlePeriods = (log: Pick<EventLog, "read">, keys: Pick<Keys, "periods">): void => {
  try {
    for (const page of log.read({ types: [DESTROYED], backward: true })) {
      for (const { data } of page) {
        const { type, period } = data as Extract<PrivacyFact, { type: typeof DESTROYED }>["data"];
        keys.periods.destroy({ type, period });
      }
    }
  } catch (error) {
    // What was archived was done long ago, in the keys that are here.
    if (!(error instanceof LogFault) || error.kind !== "archived") throw error;
  }
};
