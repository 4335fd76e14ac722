/**
 * The supervisor of what only follows the log: projections, process managers. What holds them up, a full disk for one, may last
 * for hours and mends itself; so the pauses between their starts grow faster, and they do not spend the root's budget. It holds up
 * all of them together, so each has a budget of its own: ten that end once with the same disk have not ended ten times.
 */
import { type Child, Supervisor, type SupervisorSpec, type SupervisorWorld } from "../../actors/kernel/supervisor.ts";

/** Pauses between two starts. With five restarts a minute it takes this supervisor about half a minute to give up. */
const FOLLOWERS = { first_ms_min: 100, last_ms_min: 30_000, factor: 4 } as const;

export const followers = (
  id: string,
  children: readonly Child[],
  { restarts, backoff }: Required<Pick<SupervisorSpec, "restarts" | "backoff">>,
  world: SupervisorWorld,
): Supervisor => {
  const first = Math.max(backoff.first, FOLLOWERS.first_ms_min);
  const last = Math.max(backoff.last, FOLLOWERS.last_ms_min);
  const { factor } = FOLLOWERS;
  return new Supervisor(
    {
      id,
      strategy: "one_for_one",
      restarts: { ...restarts, each: true },
      backoff: { ...backoff, first, last, factor },
      children,
    },
    world,
  );
};
