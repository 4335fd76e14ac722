/** What comes of an import, and why one could not be done. */
import type { Incoming } from "../../actors/kernel/daybook.ts";

/** Outcome of `import git`. */
export interface GitImport {
  /** `commits/{name}`. */
  readonly stream: string;
  readonly commits: number;
  readonly events: number;
  readonly duplicates: number;
  readonly branches: number;
  readonly shallow: boolean;
  readonly empty: boolean;
  /** What could not be read or recorded, one line each; with any, the history in the log is not whole. */
  readonly problems: readonly string[];
}

/** Outcome of one body of `import github`. */
export interface PushImport {
  readonly commits: number;
  readonly known: number;
  /** Branch moves. */
  readonly moves: number;
  /** Why there was nothing to record, or what the domain refused. */
  readonly note?: string;
}

/** One document of `import bench`, read and not appended yet. */
export interface BenchRun {
  /** The same document has the same. */
  readonly run: string;
  readonly series: number;
  /** Of them those that threw. */
  readonly failed: number;
  readonly events: readonly Incoming[];
}

/** Files of `import cloudtrail`, looked through and not appended yet. */
export interface CloudtrailFiles {
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly records: number }[];
  /** Files that are left out, and why, one line each; the first hundred. */
  readonly problems: readonly string[];
  /** How many are. */
  readonly refused: number;
  /** Files of digests, which have no records. */
  readonly digests: number;
  readonly bytes: number;
}

/** Outcome of `import cloudtrail`. */
export interface CloudtrailImport {
  readonly records: number;
  readonly events: number;
  readonly known: number;
  /** Values that look like secrets and were not taken. */
  readonly notTaken: number;
  /** Files that could not be read a second time. */
  readonly problems: readonly string[];
  readonly stopped: boolean;
}

/** Files of `import sshd`, looked through and not appended yet. */
export interface SshdFiles {
  readonly files: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly year: number;
    readonly lines: number;
    readonly signins: number;
  }[];
  /** Files that are left out, and why, one line each; the first hundred. */
  readonly problems: readonly string[];
  /** How many are. */
  readonly refused: number;
  readonly bytes: number;
  readonly zone: string;
}

/** Outcome of `import sshd`. */
export interface SshdImport {
  readonly lines: number;
  /** Lines that tell of a sign-in. */
  readonly signins: number;
  readonly events: number;
  readonly known: number;
  /** Files that end in the midst of a line, which was not taken. */
  readonly unended: number;
  /** Files that could not be read a second time. */
  readonly problems: readonly string[];
  readonly stopped: boolean;
}

/** Stable words for why an import could not be done; `usage` and `not_a_repository` are the fault of what was typed. */
export type ImportFaultKind =
  | "usage"
  | "no_git"
  | "not_a_repository"
  | "unsafe"
  | "corrupt"
  | "stopped"
  | "unavailable"
  | "io";

/** Why an import could not be done. */
export class ImportFault extends Error {
  override readonly name = "ImportFault";
  constructor(readonly kind: ImportFaultKind, message: string) {
    super(message);
  }
}
