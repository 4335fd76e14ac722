/**
 * A stored view that is behind the log, with the rest folded on top in memory: a process that may not write answers as of
 * now all the same, at the cost of what is new and not of all there is.
 */
import type { Event } from "../../events/event.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { indexed, isWorking, matches, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX } from "../../projections/query.ts";
import type { Row, ViewPage, ViewQuery, Views } from "../../projections/views.ts";
import { ViewQuestion } from "../../projections/views.ts";
import { words } from "../../projections/words.ts";
import type { StoredViews } from "./runtime.ts";
import type { Reader } from "./reader.ts";
import { pagesOf } from "./stored.ts";

export interface Layered {
  row(name: string, key: string): Promise<{ readonly size: number; readonly row: Row | undefined }>;
  list(name: string, query: ViewQuery): Promise<ViewPage>;
  close(): void;
}

interface Change {
  readonly row: unknown;
  readonly position: number;
  readonly event: Event;
}

/** The view after `until` events; `scratch` takes its rows where some in the midst of it changed. */
export const layered = async (
  reader: Reader,
  projection: AnyProjection,
  { stored, from, until, scratch }: {
    readonly stored: StoredViews;
    readonly from: number;
    readonly until: number;
    readonly scratch: () => Promise<Views>;
  },
): Promise<Layered> => {
  const { name } = projection;
  const changes = new Map<string, Change>();
  const take = folder(projection, {
    get: (key) => changes.has(key) ? changes.get(key)!.row : stored.row(name, key).row?.row,
    set: ({ key, row, position, event }) => void changes.set(key, { row, position, event: event! }),
  });
  const types = projection.hears === "*" ? undefined : projection.hears;
  for (const batch of reader.read({ from, until, types })) for (const event of batch) take(event);
  const whole = changes.size > 0 && !projection.appendOnly
    ? copied(await scratch(), projection, { stored, changes, until })
    : undefined;
  const added = [...changes].map(([key, change]) => ({ key, ...change }));
  return {
    row(_, key) {
      const change = changes.get(key);
      if (!change) return Promise.resolve({ size: until, row: stored.row(name, key).row });
      const { row, position } = change;
      return Promise.resolve({ size: until, row: row === undefined ? undefined : { key, row, position } });
    },
    list(_, query) {
      if (whole) return Promise.resolve(whole.list(name, query));
      if (added.length === 0) return Promise.resolve({ ...stored.list(name, query), size: until });
      return Promise.resolve({ ...ledger(stored, projection, query, added), size: until });
    },
    close: () => whole?.close(),
  };
};

/** The newest rows of what is stored, with those that changed. Rows that changed keep their place among the others. */
const copied = (
  views: Views,
  projection: AnyProjection,
  { stored, changes, until }: {
    readonly stored: StoredViews;
    readonly changes: ReadonlyMap<string, Change>;
    readonly until: number;
  },
): Views => {
  const store = views.open({ ...projection, history: "none" });
  for (const { rows } of pagesOf(stored, projection.name)) store.commit(rows, store.size);
  const listed = [...changes].filter(([key]) => !isWorking(key));
  store.commit(listed.map(([key, change]) => ({ key, ...change })), until);
  views.swap(store);
  return views;
};

const CURSOR = /^after-(\d{1,16})$/;

/** Rows of an append-only view lie in the order of their positions, so what was added comes behind what is stored. */
const ledger = (
  stored: StoredViews,
  projection: AnyProjection,
  { after, ...query }: ViewQuery,
  added: readonly (Change & { readonly key: string })[],
): Omit<ViewPage, "size"> => {
  const { limit = PAGE_ROWS_DEFAULT, descending = false } = query;
  const place = after === undefined ? undefined : Number(CURSOR.exec(after)?.[1] ?? NaN);
  if (Number.isNaN(place)) throw new ViewQuestion("bad_cursor", "after is not the next of a page of this list");
  const from = Math.max(query.from ?? 0, place === undefined || descending ? 0 : place + 1);
  const until = Math.min(query.until ?? Infinity, place === undefined || !descending ? Infinity : place);
  // Asking also checks the question, whatever the answer is made of.
  const old = stored.list(projection.name, {
    ...query,
    from,
    ...(until === Infinity ? {} : { until }),
    limit: Math.min(limit + 1, PAGE_ROWS_MAX),
  });
  const fits = wanted(projection, query);
  const fresh = added.filter((change) => change.position >= from && change.position < until && fits(change))
    .map(({ key, row, position }): Row => ({ key, row, position }));
  const rows = descending
    ? [...fresh.reverse(), ...old.rows]
    : old.next === undefined
    ? [...old.rows, ...fresh]
    : old.rows;
  const page = rows.slice(0, limit);
  const more = rows.length > limit || old.next !== undefined;
  return { rows: page, ...(more ? { next: `after-${page.at(-1)!.position}` } : {}) };
};

const wanted = (
  projection: AnyProjection,
  { where = {}, text }: ViewQuery,
): (change: Change & { readonly key: string }) => boolean => {
  const asked = text === undefined || text.trim() === "" ? undefined : [...words(text)];
  return ({ row, key, event }) => {
    const fields = row as Readonly<Record<string, unknown>>;
    if (!Object.entries(where).every(([field, value]) => matches(indexed(fields[field]), value))) return false;
    if (asked === undefined) return true;
    const found = new Set(words(projection.text?.(row as never, key, event) ?? ""));
    return asked.length > 0 && asked.every((word) => found.has(word));
  };
};
