/**
 * What can be wrong with the key database, and whether trying again may help. Texts name files and states, never a
 * key, a token or a person.
 */
import type { FaultKind } from "../../events/log.ts";

export type KeysFaultKind =
  | Exclude<FaultKind, "fenced" | "too_large" | "overloaded"> // `missing`: a log is there and its key database is not
  | "root_missing" // the database holds wrapped keys and the root key is not there
  | "root_wrong"; // the root key is not the one that wrapped them

/** Kinds that pass, as where a disk is full, or that somebody mends while the program runs. */
const PASSING: ReadonlySet<KeysFaultKind> = new Set(["full", "locked", "read_only", "io"]);

/** After any fault nothing of the call was kept; it may be tried again where it is `passing`. */
export class KeysFault extends Error {
  override readonly name = "KeysFault";
  readonly passing: boolean;
  constructor(readonly kind: KeysFaultKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.passing = PASSING.has(kind);
  }
}

// node:sqlite under Deno gives no result code, only SQLite's own English text (https://sqlite.org/rescode.html).
const TEXTS: readonly (readonly [RegExp, KeysFaultKind, string])[] = [
  [/is locked|busy/i, "locked", "another process holds it"],
  [/is full|ENOSPC|no space|quota exceeded/i, "full", "no room on the disk"],
  [/readonly|read-only|EROFS/i, "read_only", "it cannot be written"],
  // Also of what is only read.
  [/EACCES|permission denied|NotCapable|PermissionDenied/i, "read_only", "permission denied"],
  [/not a database/i, "foreign", "it is not a key database"],
  [/malformed|corrupt|short read/i, "truncated", "it is damaged; restore it from a backup"],
  [/EISDIR|is a directory/i, "foreign", "it is no file"],
  [/unable to open/i, "io", "it cannot be opened"],
  [/not open|closed/i, "closed", "it is closed"],
];

/** The fault behind an error of SQLite or the file system; a fault stays what it is. */
export const keysFault = (action: string, error: unknown): KeysFault => {
  if (error instanceof KeysFault) return error;
  const text = error instanceof Error ? `${error.name} ${error.message}` : String(error);
  for (const [pattern, kind, state] of TEXTS) {
    if (pattern.test(text)) return new KeysFault(kind, `Cannot ${action}: ${state}`, { cause: error });
  }
  return new KeysFault("io", `Cannot ${action}: ${error instanceof Error ? error.message : "unknown error"}`, {
    cause: error,
  });
};
