/**
 * One event through one projection: which rows it touches and what becomes of them. Used by the runner, by replay and by
 * tests, so that there is one meaning.
 */
import { atOnce } from "../events/at_once.ts";
import { canonical } from "../events/canonical.ts";
import type { Event } from "../events/event.ts";
import type { AnyProjection } from "./projection.ts";
import type { ViewChange } from "./views.ts";

/** Newest rows as the fold sees them. */
export interface Rows {
  get(key: string): unknown;
  /** `undefined` removes the row. */
  set(change: ViewChange): void;
}

/** A fold of one projection over rows. Throws what the projection throws; then no row was set for that event. */
export const folder = (projection: AnyProjection, rows: Rows): (event: Event) => void => {
  const hears = projection.hears === "*" ? undefined : new Set<string>(projection.hears);
  const read = (key: string) => rows.get(key);
  const applied = (before: unknown, event: Event, key: string): unknown =>
    atOnce(projection.apply(before === undefined ? projection.initial : before, event, key, read), "apply");
  let last = -1;
  return (event) => {
    if (hears !== undefined && !hears.has(event.type)) return;
    const keys = atOnce(projection.keys(event, read), "keys");
    if (keys.length === 0) return;
    // An upcast may have made several of one event, which has one row there all the same.
    if (projection.appendOnly) {
      if (event.position === last) return;
      last = event.position;
    }
    if (keys.length === 1) {
      const key = keys[0]!;
      const before = rows.get(key);
      const row = applied(before, event, key);
      if (row !== before) rows.set({ key, row, position: event.position, event });
      return;
    }
    // All rows are computed before the first is set, so that each `read` gives the state before the event.
    const changes: ViewChange[] = [];
    for (const key of new Set(keys)) {
      const before = rows.get(key);
      const row = applied(before, event, key);
      if (row !== before) changes.push({ key, row, position: event.position, event });
    }
    for (const change of changes) rows.set(change);
  };
};

/** Why no store can keep what a fold made of an event, if none can: it is not JSON, not the one row of an append-only view, has no text. */
export const misfit = (
  projection: AnyProjection,
  { key, row, position, event }: ViewChange,
): { readonly cause: unknown } | undefined => {
  try {
    if (projection.appendOnly && (row === undefined || key !== String(position))) {
      throw new TypeError(`the one row of an event is not its position, ${position}`);
    }
    if (row === undefined) return undefined;
    canonical(row);
    if (row === null && projection.indexes?.length) throw new TypeError("null has no fields");
    if (event && typeof (projection.text?.(row, key, event) ?? "") !== "string") {
      throw new TypeError("a text that is none");
    }
    return undefined;
  } catch (cause) {
    return { cause };
  }
};
