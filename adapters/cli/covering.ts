/** The checkpoint that an answer is provable against: events are in its tree, and views follow from events. */
import type { Checkpoint } from "../../events/log.ts";
import { count, type Palette } from "./print.ts";

export interface Covering {
  /** Of the tree; at least that of the answer. */
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** The signed note (C2SP tlog-checkpoint). */
  readonly note: string;
}

/** The newest checkpoint, where it covers an answer about the first `size` events; null where none does yet. */
export const coveringOf = (newest: Checkpoint | undefined, size: number): Covering | null =>
  newest !== undefined && newest.size >= size ? { size: newest.size, root: newest.root, note: newest.note } : null;

export const describeCovering = (covering: Covering | null, size: number, c: Palette): string =>
  c.dim(
    covering === null
      ? `no checkpoint covers ${count(size)} events yet`
      : `provable against the checkpoint of size ${count(covering.size)}, root ${covering.root}`,
  ) + "\n";
