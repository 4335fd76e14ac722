/**
 * The log folded again, from the beginning, and compared: with every attestation found in it, and with the stored views. The
 * fold is the one that built them (`folder`), over rows in memory, so that it costs little more than reading.
 */
import type { Event } from "../../events/event.ts";
import type { Range } from "../../events/log.ts";
import type { Primitives } from "../../projections/digest.ts";
import { type Digested, type ViewDigest, ViewQuestion, type Views, type ViewState } from "../../projections/views.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type Attestation, attestationsIn, judged, type JudgedAttestation } from "./attestations.ts";
import { foldTo, type Wanted } from "./replay_fold.ts";

/** What is replayed: a log, or whatever reads like one. */
export interface Replayable {
  readonly size: number;
  read(range: Pick<Range, "until" | "types">): Iterable<readonly Event[]>;
}

export interface ReplayOptions {
  readonly log: Replayable;
  readonly projections: readonly AnyProjection[];
  readonly primitives: Primitives;
  /** Compare with these. Default: with none. */
  readonly views?: Pick<Views, "digest" | "stores">;
  /** Compare with the attestations in the log. Default false. */
  readonly attested?: boolean;
  /** Fold the first so many events. Default: all; a view that is compared is folded to its own size. */
  readonly until?: number;
  /** Called between batches, with events done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Why a view could not be compared; none of these is a failure but `unreadable`. */
export type Uncompared =
  /** There is no such view, or none has been stored yet. */
  | "not_stored"
  /** Another version is stored than the catalogue builds. */
  | "not_replayable"
  /** It is not stored as of then. */
  | "no_history"
  /** It is stored, and cannot be read: what was stored is damaged. */
  | "unreadable";

export interface ReplayedView extends ViewDigest {
  /** Whether the stored view had the same rows at the same size, and has kept the digest of them; absent when it was not compared. */
  readonly equal?: boolean;
  readonly uncompared?: Uncompared;
  /** The stored rows, where they were compared. */
  readonly stored?: ViewDigest;
  /** The digest that is kept with the stored rows, where it is not that of the rows: they were changed behind the program's back. */
  readonly kept?: Digested;
  /** Of what cannot be read: what is wrong. Of another version: which one is stored. */
  readonly because?: string;
}

export interface Replay {
  /** False when a view or an attestation that was compared differs, or a stored view cannot be read. */
  readonly ok: boolean;
  readonly size: number;
  readonly views: readonly ReplayedView[];
  /** In the order of the log; empty where they were not asked for. */
  readonly attestations: readonly JudgedAttestation[];
}

interface Stored {
  readonly stored?: ViewDigest;
  readonly kept?: Digested;
  readonly uncompared?: Uncompared;
  readonly because?: string;
}

/** Synchronous and unbounded in time: for a process of its own, or a thread. Throws what a projection throws, with the position. */
export const replay = (options: ReplayOptions): Replay => {
  const { log, projections, primitives, onProgress } = options;
  // Before the size of the log is read, so that the log is never the shorter of the two.
  const stored = projections.map((projection) => storedDigest(projection, options));
  const size = Math.min(options.until ?? Infinity, log.size);
  const attested = options.attested ? attestationsIn(log, size) : [];
  const wanted = projections.map((projection, i): Wanted => {
    const sizes = attested.filter((one) => isOf(one, projection)).map((one) => one.size);
    return { projection, sizes: [...sizes, stored[i]!.stored?.size ?? size] };
  });
  const folded = foldTo(log, wanted, { primitives, onProgress });
  const views = projections.map(({ name, version }, i): ReplayedView => {
    const one = stored[i]!;
    const reached = one.stored?.size ?? size;
    return { name, version, size: reached, ...comparedWith(folded[i]!.get(reached)!, one) };
  });
  const attestations = attested.map((one) => {
    const i = projections.findIndex((projection) => isOf(one, projection));
    return judged(one, i < 0 ? undefined : folded[i]!.get(one.size));
  });
  const wrong = views.some(({ equal, uncompared }) => equal === false || uncompared === "unreadable") ||
    attestations.some(({ outcome }) => outcome === "differs");
  return { ok: !wrong, size, views, attestations };
};

/** What `replayAttested` found. */
export interface AttestedReplay {
  /** False when an attestation differs from the fold. */
  readonly ok: boolean;
  /** Events folded. */
  readonly size: number;
  /** What each projection holds after all of them. */
  readonly views: readonly ViewDigest[];
  /** Each with its outcome, in the order of the log. */
  readonly attestations: readonly JudgedAttestation[];
}

/**
 * Re-runs projections over events from anywhere, an exported folder for one, and compares with the attestations found among
 * them: who has the events and the catalogue needs neither the server nor its views.
 *
 * `events` gives all events in order from position 0, as the log reads them (upcast, sealed fields as they are); it is called
 * twice, first to find the attestations. Those of a version that `projections` does not build are `not_replayable`, which
 * is no failure. Synchronous; in memory are the newest rows of every view that is not append-only. Throws what `events` throws,
 * and an error with the position where a projection cannot fold an event and its policy is not to skip.
 */
export const replayAttested = (
  { events, projections, primitives, onProgress }: {
    readonly events: () => Iterable<Event>;
    readonly projections: readonly AnyProjection[];
    readonly primitives: Primitives;
    readonly onProgress?: (done: number, total: number) => void;
  },
): AttestedReplay => {
  const found: Event[] = [];
  let size = 0;
  for (const event of events()) {
    size = event.position + 1;
    if (event.type === "kernel.projection.attested") found.push(event);
  }
  const log: Replayable = { size, read: ({ types }) => types === undefined ? batches(events()) : [found] };
  const { ok, views, attestations } = replay({ log, projections, primitives, attested: true, onProgress });
  return { ok, size, views, attestations };
};

/** Events of one batch, so that progress is told now and then. */
const BATCH_EVENTS = 1_000;

function* batches(events: Iterable<Event>): Generator<readonly Event[]> {
  let batch: Event[] = [];
  for (const event of events) {
    batch.push(event);
    if (batch.length < BATCH_EVENTS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

const isOf = (one: Attestation, { name, version }: AnyProjection): boolean =>
  one.projection === name && one.version === version;

const comparedWith = (folded: Digested, { stored, kept, uncompared, because }: Stored) => ({
  ...folded,
  ...(stored && { stored, equal: same(stored, folded) && (kept === undefined || same(kept, stored)) }),
  ...(stored && kept && !same(kept, stored) && { kept }),
  ...(uncompared && { uncompared }),
  ...(because !== undefined && { because }),
});

const same = (a: Digested, b: Digested): boolean => a.digest === b.digest && a.rows === b.rows;

const storedDigest = ({ name, version }: AnyProjection, { views, until }: ReplayOptions): Stored => {
  if (views === undefined) return {};
  const other = (is: number): Stored => ({ uncompared: "not_replayable", because: `version ${is} is stored` });
  try {
    const before = servedOf(views, name);
    if (before === undefined) return { uncompared: "not_stored" };
    if (before.version !== version) return other(before.version);
    const { kept, ...stored } = views.digest(
      name,
      until === undefined || until < 1 || until >= before.size ? undefined : until - 1,
    );
    return stored.version === version ? { stored, kept } : other(stored.version);
  } catch (error) {
    if (error instanceof ViewQuestion) return { uncompared: "no_history", because: error.message };
    // A file may be damaged in one place only: the other views are compared all the same.
    return { uncompared: "unreadable", because: error instanceof Error ? error.message : String(error) };
  }
};

const servedOf = (views: Pick<Views, "stores">, name: string): ViewState | undefined =>
  views.stores().find((state) => state.served && state.name === name);
