/** The view of who could: `who_could.ts`, asked like any other view. */
import type { Clock } from "../../../actors/kernel/world.ts";
import type { EventLog } from "../../../events/log.ts";
import { accessWhoCould as view, type CouldRow } from "../../../projections/access.ts";
import { type Asked, askedBy, askedIn, type ComputedView, keyOf } from "../../../projections/computed.ts";
import type { AnyProjection } from "../../../projections/projection.ts";
import { type ViewQuery, ViewQuestion, type Views } from "../../../projections/views.ts";
import { Usage } from "../../cli/call.ts";
import { ACTIONS } from "../../http/actions.ts";
import { MemoryViews } from "../../memory/views.ts";
import { yielding } from "../yielding.ts";

/** Rows that are kept before others who wait for this thread have their turn. */
const ROWS_AT_A_TIME = 500;

/** As of a time before the log began: who could then is told as well. */
const BEFORE_ALL = -1;

const store: AnyProjection = { ...view, hears: [], initial: {}, keys: () => [], apply: (row) => row };

export const whoCouldView = (log: Pick<EventLog, "read" | "size">, clock: Pick<Clock, "now">): ComputedView => {
  const answered = async (asked: Asked, { at, time }: Pick<ViewQuery, "at" | "time">): Promise<Views> => {
    if (at !== undefined && (at < BEFORE_ALL || at >= log.size)) {
      throw new ViewQuestion("not_yet", `Cannot read ${view.name} at ${at}: the log has ${log.size} events`);
    }
    const size = at === undefined ? log.size : at + 1;
    const when = time ?? (at === undefined ? clock.now() : undefined);
    const views = new MemoryViews();
    const kept = views.open(store);
    const rows = await rowsOf(log, asked, { size, at: when });
    const turn = yielding();
    for (let at = 0; at < rows.length; at += ROWS_AT_A_TIME) {
      kept.commit(rows.slice(at, at + ROWS_AT_A_TIME), size);
      await turn();
    }
    kept.commit([], size);
    views.swap(kept);
    return views;
  };
  return {
    view,
    async list({ at, ...query }) {
      const views = await answered(askedBy(view, query.where), { at, time: query.time });
      return views.list(view.name, { ...query, at: at === BEFORE_ALL ? undefined : at });
    },
    async row(key, { at, time }) {
      const asked = askedIn(view, key);
      if (asked === undefined) return { size: at === undefined ? log.size : at + 1, row: undefined };
      return (await answered(asked, { at, time })).row(view.name, key);
    },
  };
};

const rowsOf = async (
  log: Pick<EventLog, "read" | "size">,
  asked: Asked,
  until: { readonly size: number; readonly at?: number },
) => {
  const { whoCould } = await import("./who_could.ts");
  const [action, resource] = [asked.action!, asked.resource!];
  const { principals } = await whoCould(log, { action, resource, ...until }).catch((error) => {
    const about = Object.hasOwn(ACTIONS, action) ? "resource" : "action";
    throw error instanceof Usage ? new ViewQuestion("unasked", error.message, about) : error;
  });
  return principals.map(({ id, since, ...could }) => {
    const row: CouldRow = {
      action,
      resource,
      principal: id,
      ...could,
      roles: could.roles && [...could.roles],
      scopes: could.scopes && [...could.scopes],
      policies: [...could.policies],
      ...(since && { since: since.time }),
    };
    return { key: keyOf(view, asked, id), row, position: since?.position ?? 0 };
  });
};
