/**
 * What must hold of attestations without folding anything: each has its shape, speaks of no more events than came before it,
 * and of one projection and version they never go back. Whether they are true is for a replay to say.
 */
import type { Event } from "../../events/event.ts";
import { isCount } from "./counts.ts";
import { type Failures, shown } from "./failures.ts";

/** Of one projection and version in a range; plain data. */
export interface AttestedFound {
  readonly name: string;
  readonly version: number;
  readonly position: number;
  /** Sizes that its first and its last attestation speak of. */
  readonly first: number;
  readonly last: number;
}

const TYPE = "kernel.projection.attested";
/** 32 bytes, base64. */
const DIGEST = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Where the next attestation is among types, from `from` on; negative where there is none. */
export const nextAttestation = (types: readonly string[], from: number): number => types.indexOf(TYPE, from);

/** The attestations of a range. */
export class AttestedSpan {
  private readonly seen = new Map<string, AttestedFound>();

  constructor(private readonly failures: Failures) {}

  /** The next one. */
  add({ position, data }: Event): void {
    const { projection, version, size, rows, digest, method } = (data ?? {}) as Readonly<Record<string, unknown>>;
    const wrong = !isText(projection)
      ? `projection ${shown(projection)}`
      : !isCount(version)
      ? `version ${shown(version)}`
      : !isCount(size)
      ? `size ${shown(size)}`
      : !isCount(rows)
      ? `rows ${shown(rows)}`
      : typeof digest !== "string" || !DIGEST.test(digest)
      ? `digest ${shown(digest)}`
      : !isText(method)
      ? `method ${shown(method)}`
      : undefined;
    if (wrong !== undefined) return this.failures.add(position, "attestation", "what a view holds, as a digest", wrong);
    const [name, one] = [projection as string, { version: version as number, size: size as number }];
    if (one.size > position) {
      return this.failures.add(position, "attestation", `a size of at most ${position}`, `size ${one.size}`);
    }
    const key = `${one.version} ${name}`;
    const before = this.seen.get(key);
    if (before && one.size < before.last) return judge(this.failures, position, one.size, before.last);
    this.seen.set(
      key,
      before
        ? { ...before, last: one.size }
        : { name, version: one.version, position, first: one.size, last: one.size },
    );
  }

  get found(): readonly AttestedFound[] {
    return [...this.seen.values()];
  }
}

/** Those of all ranges, in order. */
export class Attested {
  private readonly last = new Map<string, number>();

  constructor(private readonly failures: Failures) {}

  /** The next range of the log. */
  join(found: readonly AttestedFound[]): void {
    for (const { name, version, position, first, last } of found) {
      const key = `${version} ${name}`;
      const before = this.last.get(key) ?? 0;
      if (first < before) judge(this.failures, position, first, before);
      this.last.set(key, Math.max(before, last));
    }
  }
}

const judge = (failures: Failures, position: number, size: number, before: number): void =>
  failures.add(position, "attestation", `a size of at least ${before}, as was attested before`, `size ${size}`);

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
