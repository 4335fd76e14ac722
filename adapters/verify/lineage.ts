/**
 * Whose log it was and is: where it left another one to go on under a name of its own (`kernel.log.forked`), and by whom it was
 * signed (`key_chain.ts`). So a claim about it is judged by the name and the keys that it had at that size.
 */
import type { Event } from "../../events/event.ts";
import type { Claim, Keys } from "./claim.ts";
import { type FailureKind, type Failures, shown } from "./failures.ts";
import { chainOf, KEY_CHANGED, type KeyChain, type KeyChange, type Told } from "./key_chain.ts";
import { readVerifierKey, type VerifierKey } from "./note.ts";

const FORKED = "kernel.log.forked";
/** Types of events that tell of it. */
export const LINEAGE_TYPES: readonly string[] = [KEY_CHANGED, FORKED];

/** The log was another one up to `size`. */
export interface Fork {
  readonly position: number;
  /** Its name up to there, and from there on. */
  readonly from: string;
  readonly to: string;
  readonly size: number;
}

/** Up to `end` the log had this name; the key that signed it last is known where it was another log. */
interface Stretch {
  readonly origin: string | undefined;
  readonly end: number;
  readonly key: VerifierKey | undefined;
  readonly chain: KeyChain;
}

export class LineageWalk {
  private readonly changes: Told[] = [];
  private readonly forks: Told[] = [];

  /** Any event of the log, in order. A root that is to be known, if it tells of one: the tree's size. */
  take({ type, position, data }: Pick<Event, "type" | "position" | "data">): number | undefined {
    if (type === KEY_CHANGED) this.changes.push({ position, data });
    if (type !== FORKED) return undefined;
    this.forks.push({ position, data });
    return position;
  }

  /** `size`: what lies behind it is not counted. `origin`: of the newest checkpoint, where there is one. What does not hold is a failure. */
  judge(
    { origin, roots, size }: {
      readonly origin: string | undefined;
      readonly roots: ReadonlyMap<number, string>;
      readonly size: number;
    },
    failures: Failures,
  ): Lineage {
    const forks: Fork[] = [];
    const stretches: Stretch[] = [];
    const chain = (named: string | undefined, from: number, until: number) =>
      chainOf(
        this.changes.filter(({ position }) => position >= from && position < until),
        { origin: named, roots },
        failures,
      );
    let [from, named] = [0, undefined as string | undefined];
    for (const told of this.forks.filter(({ position }) => position < size)) {
      const read = forkOf(told, { roots, named });
      if ("expected" in read) failures.add(told.position, "fork", read.expected, read.found);
      else {
        stretches.push({ origin: read.from, end: read.size, key: read.key, chain: chain(read.from, from, read.size) });
        forks.push({ position: read.position, from: read.from, to: read.to, size: read.size });
        [from, named] = [read.size, read.to];
      }
    }
    if (named !== undefined && origin !== undefined && origin !== named) {
      failures.add(from, "fork", `a log that goes on as ${shown(named)}`, `checkpoints of ${shown(origin)}`);
    }
    stretches.push({ origin, end: Infinity, key: undefined, chain: chain(origin ?? named, from, size) });
    return new Lineage(stretches, forks);
  }
}

const forkOf = (
  { position, data }: Told,
  { roots, named }: { readonly roots: ReadonlyMap<number, string>; readonly named: string | undefined },
): (Fork & { readonly key: VerifierKey }) | { readonly expected: string; readonly found: string } => {
  const { from, to } = (data ?? {}) as { from?: Record<string, unknown>; to?: unknown };
  const { origin, key: vkey, size, root } = from ?? {};
  const key = typeof vkey === "string" ? readVerifierKey(vkey) : undefined;
  if (typeof origin !== "string" || typeof to !== "string" || key?.signs !== "text" || key.name !== origin) {
    return { expected: "the name and key of the log that was left, and the name since", found: shown(data) };
  }
  if (named !== undefined && named !== origin) {
    return { expected: `a log that was ${shown(named)}`, found: `one that was ${shown(origin)}` };
  }
  if (to === origin) return { expected: "another name than before", found: shown(to) };
  if (size !== position) return { expected: `all ${position} entries before it`, found: shown(size) };
  const known = roots.get(position);
  if (known !== root) return { expected: `root ${shown(root)} over ${position} entries`, found: known ?? "none" };
  return { position, from: origin, to, size: position, key };
};

/** A claim as it is to be taken, or why it cannot be about this log. */
type Taken = { readonly claim: Claim } | {
  readonly kind: FailureKind;
  readonly position: number;
  readonly expected: string;
  readonly found: string;
};

export class Lineage {
  constructor(private readonly stretches: readonly Stretch[], readonly forks: readonly Fork[]) {}

  /** In the order of their positions. */
  get keyChanges(): readonly KeyChange[] {
    return this.stretches.flatMap(({ chain }) => chain.changes);
  }

  take(claim: Claim, keys: Keys): Taken {
    const last = this.stretches.at(-1)!;
    if (last.origin === undefined || claim.origin === last.origin) {
      return { claim: last.chain.follow(claim, keys.given ?? keys.folder, keys.given !== undefined) };
    }
    const stretch = this.stretches.findLast(({ origin }) => origin === claim.origin);
    if (!stretch) {
      const found = `${claim.name} is of ${shown(claim.origin)}`;
      return { kind: "checkpoint", position: 0, expected: `checkpoints of ${shown(last.origin)}`, found };
    }
    if (claim.size > stretch.end) {
      const found = `it left ${shown(claim.origin)} at ${stretch.end}`;
      const expected = `${claim.size} entries, which ${claim.name} covers`;
      return { kind: "forked", position: stretch.end, expected, found };
    }
    if (!claim.note) return { claim };
    // The log that it became vouches for the keys of the one that it was.
    const key = stretch.chain.inCharge(claim.size, stretch.key!);
    const unsigned = stretch.chain.unsigned(claim, claim.note, key);
    const given = keys.given !== undefined && stretch.chain.inCharge(claim.size, keys.given).key.equals(key.key);
    return { claim: { ...claim, unsigned, signed: given && unsigned === undefined } };
  }
}
