/**
 * The log folded again, from the beginning, and compared with the stored views. The fold is the one that built them
 * (`folder`), over rows in memory, so that it costs little more than reading.
 */
import type { Event } from "../../events/event.ts";
import type { Range } from "../../events/log.ts";
import { FoldedRows, type Hasher } from "../../projections/digest.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type ViewDigest, ViewQuestion, type Views } from "../../projections/views.ts";

export interface ReplayOptions {
  readonly log: { readonly size: number; read(range: Range): Iterable<readonly Event[]> };
  readonly projections: readonly AnyProjection[];
  /** SHA-256. */
  readonly hasher: () => Hasher;
  /** Compare with these. Default: fold only. */
  readonly views?: Pick<Views, "digest" | "stores">;
  /** Fold the first so many events. Default: all; a view that is compared is folded to its own size. */
  readonly until?: number;
  /** Called between batches, with events done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ReplayedView {
  readonly name: string;
  readonly version: number;
  /** Events folded. */
  readonly size: number;
  readonly rows: number;
  /** See `projections/digest.ts`. */
  readonly digest: string;
  /** Whether the stored view had the same rows at the same size; absent when it was not compared. */
  readonly equal?: boolean;
  /** `not_stored`: there is none. `not_replayable`: another version is stored. `no_history`: it is not stored as of then. */
  readonly uncompared?: "not_stored" | "not_replayable" | "no_history";
  readonly stored?: ViewDigest;
}

export interface Replay {
  /** False when a view that was compared differs. */
  readonly ok: boolean;
  readonly size: number;
  readonly views: readonly ReplayedView[];
}

interface Stored {
  readonly stored?: ViewDigest;
  readonly uncompared?: ReplayedView["uncompared"];
}

/** Synchronous and unbounded in time: for a process of its own, or a thread. Throws what a projection throws, with the position. */
export const replay = (options: ReplayOptions): Replay => {
  // Before the size of the log is read, so that the log is never the shorter of the two.
  const compared = options.projections.map((projection) => storedDigest(projection, options));
  const size = Math.min(options.until ?? Infinity, options.log.size);
  const sizes = compared.map(({ stored }) => stored?.size ?? size);
  const folded = foldAll(options, sizes);
  const views = options.projections.map(({ name, version }, i): ReplayedView => {
    const { stored, uncompared } = compared[i]!;
    const { rows, digest } = folded[i]!.digest();
    const equal = stored && { stored, equal: stored.digest === digest && stored.rows === rows };
    return { name, version, size: sizes[i]!, rows, digest, ...equal, ...(uncompared && { uncompared }) };
  });
  return { ok: views.every(({ equal }) => equal !== false), size, views };
};

const foldAll = (
  { log, projections, hasher, onProgress }: ReplayOptions,
  sizes: readonly number[],
): readonly FoldedRows[] => {
  const total = Math.max(0, ...sizes);
  const rows = projections.map((projection) => new FoldedRows(projection, hasher));
  const folds = projections.map((projection, i) => ({
    projection,
    until: sizes[i]!,
    fold: folder(projection, rows[i]!),
  }));
  for (const batch of log.read({ until: total })) {
    const last = batch.at(-1)!.position;
    for (const one of folds) foldBatch(one, batch, last);
    onProgress?.(last + 1, total);
  }
  return rows;
};

interface Fold {
  readonly projection: AnyProjection;
  readonly until: number;
  readonly fold: (event: Event) => void;
}

const foldBatch = ({ projection, until, fold }: Fold, batch: readonly Event[], last: number): void => {
  for (const event of batch) {
    // Nearly always the whole batch counts.
    if (last >= until && event.position >= until) return;
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

const storedDigest = (projection: AnyProjection, { views, until }: ReplayOptions): Stored => {
  if (views === undefined) return {};
  const served = views.stores().find(({ name, served }) => served && name === projection.name);
  if (served === undefined) return { uncompared: "not_stored" };
  if (served.version !== projection.version) return { uncompared: "not_replayable" };
  try {
    return {
      stored: views.digest(
        projection.name,
        until === undefined || until < 1 || until >= served.size ? undefined : until - 1,
      ),
    };
  } catch (error) {
    if (error instanceof ViewQuestion && error.code === "no_history") return { uncompared: "no_history" };
    throw error;
  }
};
