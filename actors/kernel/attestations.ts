/** Attestations as they are found in a log: what a projection held after so many events, as the program said then. */
import type { Event } from "../../events/event.ts";
import { kernelFacts } from "../../events/kernel.ts";
import type { Range } from "../../events/log.ts";
import { DIGEST_METHOD } from "../../projections/digest.ts";
import type { Digested } from "../../projections/views.ts";

/** A recorded `kernel.projection.attested`. */
export interface Attestation extends Digested {
  /** Of the event that says so. */
  readonly position: number;
  readonly projection: string;
  readonly version: number;
  /** Events it is about: the first so many. */
  readonly size: number;
  readonly method: string;
}

export interface JudgedAttestation extends Attestation {
  /** `not_replayable`: nobody here folds this version, or digests this way; it may be true. */
  readonly outcome: "equal" | "differs" | "not_replayable";
  /** What the fold gives instead. */
  readonly found?: Digested;
}

const schema = kernelFacts["kernel.projection.attested"];

/** The attestation that an event is. */
export const attestationOf = ({ position, data }: Event): Attestation => ({ position, ...schema.parse(data) });

/** All of the first `until` events, in order. */
export const attestationsIn = (
  log: { read(range: Pick<Range, "until" | "types">): Iterable<readonly Event[]> },
  until: number,
): readonly Attestation[] => {
  const found: Attestation[] = [];
  for (const batch of log.read({ until, types: ["kernel.projection.attested"] })) {
    for (const event of batch) found.push(attestationOf(event));
  }
  return found;
};

/** `found`: what the fold gives for the first `size` events; `undefined` where none was made. */
export const judged = (one: Attestation, found: Digested | undefined): JudgedAttestation => {
  // It cannot be about what came after it.
  if (one.size > one.position) return { ...one, outcome: "differs" };
  if (found === undefined || one.method !== DIGEST_METHOD) return { ...one, outcome: "not_replayable" };
  return found.digest === one.digest && found.rows === one.rows
    ? { ...one, outcome: "equal" }
    : { ...one, outcome: "differs", found };
};
