/** Folding the log again in this process: for replay, and for views that are behind the log while nobody runs. */
import { createCipheriv, createHash } from "node:crypto";
import { type Primitives, SUM_BYTES } from "../../projections/digest.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { ViewChange, Views } from "../../projections/views.ts";
import type { Reader } from "./reader.ts";
import type { OnProgress } from "./io.ts";

const [NONCE, ZEROS] = [new Uint8Array(16), new Uint8Array(SUM_BYTES)];

export const primitives: Primitives = {
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  chacha20(key) {
    const cipher = createCipheriv("chacha20", key, NONCE);
    const stream = cipher.update(ZEROS);
    cipher.final(); // else the runtime keeps it for ever
    return stream;
  },
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
