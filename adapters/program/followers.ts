/**
 * The supervisor of what only follows the log: projections, process managers. What holds them up, a full disk for one, may last
 * for hours and mends itself; so they wait longer between two starts, and do not spend the root's budget.
 */
import { type Child, Supervisor, type SupervisorSpec, type SupervisorWorld } from "../../actors/kernel/supervisor.ts";

/** Pauses between two starts at least. With five restarts a minute, one crash of this supervisor takes about half a minute. */
export const FOLLOWERS = { first_ms: 1_000, last_ms: 30_000 } as const;

export const followers = (
  id: string,
  children: readonly Child[],
  { restarts, backoff }: Required<Pick<SupervisorSpec, "restarts" | "backoff">>,
  world: SupervisorWorld,
): Supervisor => {
  const first = Math.max(backoff.first, FOLLOWERS.first_ms);
  const last = Math.max(backoff.last, FOLLOWERS.last_ms);
  return new Supervisor(
    { id, strategy: "one_for_one", restarts, backoff: { ...backoff, first, last }, children },
    world,
  );
};
