/** When services that run at stated times are due. After an outage what was missed is due once. */
import { Cron } from "croner";
import { type Clock, pause } from "../../../actors/kernel/world.ts";

export interface Scheduled {
  readonly service: string;
  /** As cron has it, five fields or six with seconds; in UTC. */
  readonly cron: string;
  /** When it was due last, or since when it is to be; ms since 1970. */
  readonly since: number;
}

/** The clock may jump, and what is scheduled change, so nobody sleeps longer. */
const LOOK_MS = 1_000;

/** Why it is none; `undefined` where it is one. */
export const cronFault = (cron: string): string | undefined => {
  try {
    return new Cron(cron, { paused: true, timezone: "UTC" }).nextRun() ? undefined : "never comes";
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, "");
  }
};

/** Where the log says later, it says so by a clock that is set back since; small steps back are waited out, so that nothing comes twice. */
const AHEAD_MS = 86_400_000;

/** Since when times are due of one that is `wanted` since then and was due `last`; ms since 1970, all of them. */
export const dueSince = (
  { last, wanted }: { readonly last: number | undefined; readonly wanted: number },
  now: number,
): number => wanted > now + AHEAD_MS ? last ?? now : Math.max(last ?? 0, wanted);

/** The first time after `since`, ms since 1970. */
export const dueAfter = (cron: string, since: number): number | undefined =>
  new Cron(cron, { paused: true, timezone: "UTC" }).nextRun(new Date(since))?.getTime();

/**
 * Calls `due` for each that is due, with the newest of the times it was missed; until the signal aborts or that rejects. When it
 * resolves, `scheduled` knows of it.
 */
export const keepTimes = async (
  scheduled: () => readonly Scheduled[],
  { clock, due, signal }: {
    readonly clock: Clock;
    readonly due: (service: string, at: number) => Promise<void>;
    readonly signal: AbortSignal;
  },
): Promise<void> => {
  while (!signal.aborted) {
    const now = clock.now();
    let next = now + LOOK_MS;
    for (const { service, cron, since } of scheduled()) {
      // The log may hold one that nobody looked at.
      const at = cronFault(cron) === undefined ? dueAfter(cron, since) : undefined;
      if (at === undefined) continue;
      if (at > now) next = Math.min(next, at);
      else await due(service, newest(cron, at, now));
    }
    await pause(clock, Math.max(1, next - clock.now()), signal);
  }
};

/** The last of the times from `at` to `now`: those before it are missed for good. */
const newest = (cron: string, at: number, now: number): number =>
  new Cron(cron, { paused: true, timezone: "UTC" }).previousRuns(1, new Date(now + 1_000))[0]?.getTime() ?? at;
