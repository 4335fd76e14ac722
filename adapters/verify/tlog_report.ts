/** What the verification of a folder of tiles is asked, and what it answers. */
import type { EntriesReport, HeldAgainst } from "./report.ts";

export interface TlogOptions extends HeldAgainst {
  /** Where `checkpoint` and `tile/` are. */
  readonly folder: string;
  /** Public keys of witnesses that are believed: what one of them has cosigned is anchored. */
  readonly witnesses?: readonly string[];
}

export interface TlogReport extends EntriesReport {
  /** Sizes of the true checkpoints, each once, in order: all are of one tree. */
  readonly checkpoints: readonly number[];
}

/** Roots by size: those that claims ask for are kept as the tree grows, one that an event speaks of is computed when it is asked for. */
export class Roots extends Map<number, string> {
  constructor(private readonly compute: (size: number) => string | undefined) {
    super();
  }

  override get(size: number): string | undefined {
    return super.get(size) ?? this.compute(size);
  }
}
