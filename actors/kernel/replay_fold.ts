/** Folding several projections over one reading of a log, with their digests at the sizes that are asked for. */
import type { Event } from "../../events/event.ts";
import { FoldedRows, type Primitives } from "../../projections/digest.ts";
import type { Digested } from "../../projections/views.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";

export interface Wanted {
  readonly projection: AnyProjection;
  /** In any order; at most the size of the log. The largest is how far it is folded. */
  readonly sizes: readonly number[];
}

interface Fold {
  readonly projection: AnyProjection;
  readonly rows: FoldedRows;
  readonly fold: (event: Event) => void;
  /** What is yet to be told, ascending. */
  readonly sizes: number[];
  readonly told: Map<number, Digested>;
}

/** For each projection its digests by size. Throws what a projection throws, with the position. */
export const foldTo = (
  log: { read(range: { readonly until: number }): Iterable<readonly Event[]> },
  wanted: readonly Wanted[],
  { primitives, onProgress }: {
    readonly primitives: Primitives;
    readonly onProgress?: (done: number, total: number) => void;
  },
): readonly ReadonlyMap<number, Digested>[] => {
  const folds = wanted.map(({ projection, sizes }): Fold => {
    const rows = new FoldedRows(projection, primitives);
    const ascending = [...new Set(sizes)].sort((a, b) => a - b);
    return { projection, rows, fold: folder(projection, rows), sizes: ascending, told: new Map() };
  });
  const total = Math.max(0, ...folds.map(({ sizes }) => sizes.at(-1) ?? 0));
  for (const batch of log.read({ until: total })) {
    for (const one of folds) foldBatch(one, batch);
    const done = batch.at(-1)!.position + 1;
    onProgress?.(done, total);
  }
  for (const one of folds) while (one.sizes.length > 0) tell(one);
  return folds.map(({ told }) => told);
};

/** Of what was folded so far. */
const tell = ({ sizes, rows, told }: Fold): void => void told.set(sizes.shift()!, rows.digest());

const foldBatch = (one: Fold, batch: readonly Event[]): void => {
  const { projection, fold, sizes } = one;
  for (const event of batch) {
    while (sizes.length > 0 && sizes[0]! <= event.position) tell(one);
    if (sizes.length === 0) return;
    try {
      fold(event);
    } catch (error) {
      // Where the policy is to skip, the runner left the event out, too.
      if (projection.poison === "skip") continue;
      throw new Error(`Cannot replay ${projection.name}: the event at position ${event.position} cannot be folded`, {
        cause: error,
      });
    }
  }
};
