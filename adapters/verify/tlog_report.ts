/** What the verification of a folder of tiles is asked, and what it answers. */
import type { Against } from "./claims.ts";
import type { Failure } from "./failures.ts";
import type { KeyChange } from "./key_chain.ts";
import type { Fork } from "./lineage.ts";

export interface TlogOptions {
  /** Where `checkpoint` and `tile/` are. */
  readonly folder: string;
  /** Public key (`name+id+key`) by which checkpoints must be signed, from whoever asks. */
  readonly key?: string;
  /** Public key that came with the folder: signatures are checked, and authenticate nothing. */
  readonly folderKey?: string;
  /** Other checkpoints that the log must agree with. */
  readonly against?: readonly Against[];
  /** Public keys of witnesses that are believed: what one of them has cosigned is anchored. */
  readonly witnesses?: readonly string[];
  /** Called a few times a second. */
  readonly progress?: (progress: { readonly done: number; readonly total?: number; readonly unit: string }) => void;
  readonly signal?: AbortSignal;
}

export interface TlogReport {
  readonly ok: boolean;
  /** Entries from the first on that could be read without a gap. */
  readonly size: number;
  /** Root hash over them, base64. */
  readonly root: string;
  /** Covered by a true checkpoint that a given witness has cosigned, or that came from elsewhere. */
  readonly anchored: number;
  /** Entries behind that. */
  readonly unanchored: number;
  /** Covered by a true checkpoint that the given key has signed. */
  readonly signed: number;
  /** A true checkpoint is signed by the key that was given. */
  readonly authenticated: boolean;
  /** Sizes of the true checkpoints, each once, in order: all are of one tree. */
  readonly checkpoints: readonly number[];
  readonly failures: readonly Failure[];
  readonly failed: number;
  readonly origin?: string;
  /** Size of the folder's checkpoint. */
  readonly checkpoint?: number;
  /** Changes of the log's key that hold; with one of them given the others are followed. Absent where there are none. */
  readonly key_changes?: readonly KeyChange[];
  /** Where it went on as another log. Absent where it never did. */
  readonly forks?: readonly Fork[];
  readonly streams: number;
  readonly entry_bytes: number;
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
