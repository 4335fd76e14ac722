/** Folding the log again in this process: for replay, and for views that are behind the log while nobody runs. */
import { createHash } from "node:crypto";
import { FoldedRows, type Hasher } from "../../projections/digest.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { ViewChange, Views } from "../../projections/views.ts";
import type { OnProgress, Reader } from "./runtime.ts";

export interface Folded {
  readonly name: string;
  readonly version: number;
  /** Events folded. */
  readonly size: number;
  readonly rows: number;
  readonly digest: string;
}

const hasher = (): Hasher => {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), finish: () => hash.digest("base64") };
};

/** Each projection over the first `until` events of its own; the log is read once. */
export const fold = (
  reader: Reader,
  wanted: readonly { readonly projection: AnyProjection; readonly until: number }[],
  progress: OnProgress,
): readonly Folded[] => {
  const folds = wanted.map(({ projection, until }) => {
    const rows = new FoldedRows(projection, hasher);
    return { projection, until, rows, take: folder(projection, rows) };
  });
  const total = Math.max(0, ...wanted.map(({ until }) => until));
  for (const batch of reader.read({ until: total })) {
    for (const { until, take } of folds) {
      for (const event of batch) if (event.position < until) take(event);
    }
    progress({ done: batch.at(-1)!.position + 1, total, unit: "events" });
  }
  return folds.map(({ projection: { name, version }, until, rows }) => ({
    name,
    version,
    size: until,
    ...rows.digest(),
  }));
};

/** Builds one view from the beginning into `scratch`, with its history, so that it can be asked like a stored one. */
export const build = (
  reader: Reader,
  projection: AnyProjection,
  { scratch, until, progress }: { scratch: Views; until: number; progress: OnProgress },
): void => {
  const store = scratch.open(projection);
  const types = projection.hears === "*" ? undefined : projection.hears;
  for (const batch of reader.read({ until, types })) {
    const changes: ViewChange[] = [];
    const newest = new Map<string, unknown>();
    const take = folder(projection, {
      get: (key) => newest.has(key) ? newest.get(key) : store.get(key),
      set(change) {
        newest.set(change.key, change.row);
        changes.push(change);
      },
    });
    for (const event of batch) take(event);
    store.commit(changes, batch.at(-1)!.position + 1);
    progress({ done: batch.at(-1)!.position + 1, total: until, unit: "events" });
  }
  store.commit([], until);
  scratch.swap(store);
};
