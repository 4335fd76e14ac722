/** A translated push into the daybook: the commits that are not there yet, then the branch. */
import type { Daybook, Incoming, Principal } from "../../actors/kernel/daybook.ts";
import { isRecorded } from "../../actors/kernel/kept.ts";
import type { EventLog } from "../../events/log.ts";
import type { Translated } from "./push.ts";

export interface PushTarget extends Pick<Daybook, "ingest" | "ask"> {
  readonly log: Pick<EventLog, "find">;
}

/** One ingest: below the log's bounds of an append, of which an event counts for more than a thousandth, with room for what sealing adds. */
export const BATCH_BYTES_MAX = 400_000;

export type PushRecorded =
  | {
    readonly is: "recorded";
    /** New in the log. */
    readonly commits: number;
    /** There before, whoever told of them. */
    readonly known: number;
    /** Facts about the branch; none when it was there already. */
    readonly moves: number;
    /** Why the domain did not move the branch. */
    readonly rejected?: { readonly code: string; readonly because: string };
  }
  | { readonly is: "refused"; readonly because: string }
  /** May be repeated as it is. */
  | { readonly is: "unavailable"; readonly retryAfterMs: number };

/** May be repeated: what is there already counts as known. Throws `LogFault` when the log cannot be written. */
export const recordPush = async (
  target: PushTarget,
  push: Extract<Translated, { is: "push" }>,
  by: Principal,
): Promise<PushRecorded> => {
  let commits = 0;
  for (const batch of batchesOf(push.incoming)) {
    const taken = await ingest(target, batch, by);
    if (typeof taken === "string") return { is: "refused", because: taken };
    commits += taken;
  }
  let moves = 0;
  for (const ask of push.asks) {
    const outcome = await target.ask(ask);
    switch (outcome.is) {
      case "accepted":
        moves += outcome.duplicate ? 0 : outcome.facts.length;
        break;
      case "rejected": {
        const { code, because } = outcome;
        return { is: "recorded", commits, known: push.incoming.length - commits, moves, rejected: { code, because } };
      }
      case "unavailable":
        return { is: "unavailable", retryAfterMs: outcome.retryAfterMs };
      case "conflict":
        return { is: "refused", because: "the delivery's id was used before for another push" };
      case "invalid":
        return { is: "refused", because: outcome.issues.map(({ path, message }) => `${path} ${message}`).join("; ") };
      case "unknown_command":
        return { is: "refused", because: "branches are not known here" };
    }
  }
  return { is: "recorded", commits, known: push.incoming.length - commits, moves };
};

function* batchesOf(incoming: readonly Incoming[]): Generator<readonly Incoming[]> {
  let batch: Incoming[] = [];
  let bytes = 0;
  for (const event of incoming) {
    const more = JSON.stringify(event).length * 2 + 1_000;
    if (batch.length > 0 && bytes + more > BATCH_BYTES_MAX) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(event);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

/** How many were new. An importer, or another delivery, may record a commit while we look, so each conflict drops one and goes on. */
const ingest = async (target: PushTarget, batch: readonly Incoming[], by: Principal): Promise<number | string> => {
  for (let left = batch.filter((event) => !isRecorded(target.log, event));;) {
    if (left.length === 0) return 0;
    const taken = await target.ingest(left, by);
    if (taken.ok) return taken.accepted;
    if (taken.conflict === "revision") return `${taken.stream} is at revision ${taken.revision}`;
    if (taken.conflict === "invalid") {
      return `${left[taken.index]?.id}: ${taken.code} ${
        taken.issues.map(({ path, message }) => `${path} ${message}`).join("; ")
      }`;
    }
    left = left.filter(({ id }) => id !== taken.id);
  }
};
