/** Checkpoints as they are stored: those that are kept for good, and the newest, whose row says what lies beside it. */
import { createHash } from "node:crypto";
import type { Checkpoint } from "../../events/log.ts";
import type { Key, Store } from "../../events/store.ts";

export const CHECKPOINT_KEY: Key = ["checkpoint"];
/** Those that are kept for good, by their sizes. */
export const CHECKPOINTS_PREFIX = "checkpoints";
const KEPT_PAGE = 1_000;

/** What the row of the newest checkpoint says beside it, so that nobody takes anything of that away unseen. */
export interface Said {
  /** Checkpoints that are kept for good; there may be more. */
  readonly kept: number;
  /** SHA-256 of the index's manifest, base64; none while there is none. */
  readonly index?: string;
}

/** SHA-256, base64. */
export const hashOf = (text: string | Uint8Array): string => createHash("sha256").update(text).digest("base64");

export const rowOf = (checkpoint: Checkpoint, said: Said): Uint8Array => {
  // Over both, so that no byte of the row can be another.
  const sum = hashOf(`${said.kept} ${said.index ?? ""}`);
  return new TextEncoder().encode(JSON.stringify({ ...checkpoint, ...said, sum }));
};

/** The newest checkpoint of a store, and what is said beside it. */
export const storedCheckpoint = (
  store: Pick<Store, "get">,
): { readonly checkpoint: Checkpoint; readonly said: Said } | undefined => {
  const stored = store.get(CHECKPOINT_KEY);
  if (!stored) return undefined;
  const row: Checkpoint & Partial<Said> & { readonly sum?: string } = JSON.parse(new TextDecoder().decode(stored));
  const { kept = 0, index, sum: _, ...checkpoint } = row;
  return { checkpoint, said: { kept, index } };
};

/** How many are kept, which grows with the log: counted some at a time. */
export const keptIn = (store: Pick<Store, "list">): number => {
  let count = 0;
  for (let from: number | undefined = 0; from !== undefined;) {
    const sizes: readonly number[] = Array.from(
      store.list({ prefix: [CHECKPOINTS_PREFIX], from, limit: KEPT_PAGE }),
      ([size]) => size,
    );
    count += sizes.length;
    from = sizes.length < KEPT_PAGE ? undefined : sizes.at(-1)! + 1;
  }
  return count;
};
