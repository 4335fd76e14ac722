/** Whether it lives and is ready, from memory alone; and the newest checkpoint. */
import { downIn, type StoppedAt } from "../../actors/kernel/daybook.ts";
import { Problem } from "./problem.ts";
import { type Exchange, json, plain } from "./route.ts";

/** The process answers, so it lives: restarting it would mend nothing that is broken elsewhere. */
export const livez = (exchange: Exchange): Response => json(exchange, 200, { status: "alive" });

/**
 * `down` names what has been given up, `stopped` the projections that stand still; the rest goes on without it. Without any
 * view it is not ready.
 */
export const readyz = (exchange: Exchange): Response => {
  const { state, health, projections } = exchange.site.daybook.status();
  const stopped = projections.flatMap(({ name, stoppedAt }) => stoppedAt ? [standing(name, stoppedAt)] : []);
  const viewless = stopped.length > 0 && stopped.length === projections.length;
  const status = state === "ready" && viewless ? "views_stopped" : state;
  return json(
    exchange,
    status === "ready" ? 200 : 503,
    { status, down: downIn(health), stopped },
    status === "ready" ? undefined : { "retry-after": "1" },
  );
};

/** Who asks may be anybody, and what a fold threw may tell of an event. */
const standing = (name: string, { position, cause, of }: StoppedAt) => ({
  name,
  position,
  ...(of === "views" ? { cause } : {}),
});

export const metricsText = async (exchange: Exchange): Promise<Response> =>
  plain(exchange, await exchange.site.metrics.text(), "text/plain; version=0.0.4; charset=utf-8");

/** The signed note (C2SP tlog-checkpoint) as it is. */
export const checkpoint = async (exchange: Exchange): Promise<Response> => {
  const newest = await exchange.site.daybook.checkpoint();
  if (!newest) throw new Problem("no_checkpoint", "The log has signed no checkpoint yet.");
  return plain(exchange, newest.note, "text/plain; charset=utf-8");
};
