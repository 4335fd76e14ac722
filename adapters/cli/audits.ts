/** Audits as the command line asks for them and tells of them. */
import type { Checkpoint } from "../../events/log.ts";
import type { Control, ControlResult, Vouched } from "../../projections/controls/mod.ts";
import type { ViewDigest } from "../../projections/views.ts";
import type { Kept, Reader } from "./reader.ts";
import type { OnProgress } from "./io.ts";

/** What an audit is asked; times are RFC 3339. */
export interface AuditAsked {
  readonly from?: string;
  readonly to?: string;
  /** Only controls of this framework. */
  readonly framework?: string;
  /** Time at which controls are judged. Default: when the newest event was recorded. */
  readonly at?: string;
}

export interface AuditAssessed {
  readonly at: string;
  readonly results: readonly ControlResult[];
}

/** With what sources can be vouched for; those that lack something come first. */
export interface AuditEvaluated extends AuditAssessed {
  readonly sources: readonly { readonly source: string; readonly vouched: readonly Vouched[] }[];
  /** Sources beyond those. */
  readonly more_sources: number;
}

/** A control, and what its file says of it. */
export interface Stated {
  readonly control: Control;
  readonly stated: unknown;
}

/** Something in an audit folder, or in a log that was to become one, that is not as it must be. */
export interface AuditFailure {
  /** In the folder. */
  readonly path?: string;
  /** In the log. */
  readonly position?: number;
  readonly kind: string;
  readonly expected: string;
  readonly found: string;
}

export type AuditWritten =
  | (AuditAssessed & {
    readonly ok: true;
    readonly size: number;
    readonly root: string;
    readonly files: number;
    readonly bytes: number;
    /** SHA-256 of the manifest, hexadecimal. */
    readonly manifest: string;
    /** Up to where witnesses have cosigned. */
    readonly cosigned: number;
  })
  | { readonly ok: false; readonly failures: readonly AuditFailure[] };

export interface AuditChecked {
  readonly ok: boolean;
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  /** Covered by a checkpoint that a given witness has cosigned, or that came from elsewhere. */
  readonly anchored: number;
  /** Events behind that. */
  readonly unanchored: number;
  /** Covered by a checkpoint that the given key has signed. */
  readonly signed: number;
  readonly authenticated: boolean;
  /** Sizes of all checkpoints that hold. */
  readonly checkpoints: readonly number[];
  readonly manifest: string;
  /** Of the program that has written the folder. */
  readonly version: string;
  readonly files: number;
  /** Time at which controls were judged. */
  readonly at: string;
  readonly failures: readonly AuditFailure[];
  readonly failed: number;
  /** What follows from the log; absent where the log is not sound. */
  readonly controls?: {
    readonly results: readonly ControlResult[];
    readonly equal: boolean;
    /** Controls that this program's own catalogue does not have, or has otherwise; by id. */
    readonly others: readonly string[];
    /** Controls that it has and the folder has not; by id. */
    readonly missing: readonly string[];
  };
  /** Whether pages are what this program makes of the log; null where they are not, and name another version, so that nobody checked them. */
  readonly rendered?: boolean | null;
  readonly state?: {
    /** Events folded. */
    readonly size: number;
    readonly views: readonly ViewDigest[];
    readonly attested: number;
    readonly not_replayable: number;
    readonly differing: number;
    /** The newest attestation that equals what was folded. */
    readonly last?: {
      readonly position: number;
      readonly projection: string;
      readonly version: number;
      readonly size: number;
    };
  };
}

/** What an audit needs of the world. */
export interface Audits {
  /** Controls of a folder of YAML files; default: those of the program. `Usage` with every reason why they cannot be read. */
  controls(folder?: string): Promise<readonly Stated[]>;
  /** What has become of controls, from one reading of the log. */
  assess(
    log: Pick<Reader, "read">,
    asked: AuditAsked & { readonly size: number },
    controls: readonly Stated[],
    progress: OnProgress,
  ): Promise<AuditEvaluated>;
  /** An audit folder of all that a checkpoint covers. `LogFault`: `invalid` when the place is taken or a key is none, `full`, `read_only`, `io`. */
  writeAudit(
    from: { readonly log: Reader; readonly checkpoint: Checkpoint; readonly key: string },
    folder: string,
    options: {
      readonly asked: AuditAsked;
      readonly controls: readonly Stated[];
      readonly cosigned: readonly Kept[];
      readonly witnesses: readonly string[];
    },
    progress: OnProgress,
  ): Promise<AuditWritten>;
  /** Needs nothing but the folder. `LogFault`: `foreign` for what is no audit folder, `newer`, `invalid` for a key that is none, `io`. */
  checkAudit(
    folder: string,
    options: { readonly key?: string; readonly witnesses: readonly string[]; readonly against: readonly Kept[] },
    progress: OnProgress,
  ): Promise<AuditChecked>;
}
