/**
 * Verifies a log from its bytes alone. Shares no code with the writer: it knows the formats, the RFCs and the rules,
 * and recomputes everything. It writes nothing, believes nothing it was not given, and never throws for what it finds
 * in the file.
 */
import { LogFault } from "../../events/log.ts";
import type { Keys } from "./claim.ts";
import { Failures, shown } from "./failures.ts";
import { openLogFile } from "./file.ts";
import { readVerifierKey, type VerifierKey } from "./note.ts";
import { type LogReport, reportOf, type VerifyOptions } from "./report.ts";
import { hashWide, MerkleTree } from "./tree.ts";
import { Verification } from "./walk.ts";

export type { Against } from "./claims.ts";
export type { LogReport, VerifyOptions } from "./report.ts";
export { type Failure, type FailureKind, FAILURES_MAX } from "./failures.ts";

/**
 * Reads the whole log once; a second time only to tell apart what fingerprints could not.
 *
 * Throws `LogFault`: `io` when there is no file to read, `invalid` when a key is none. Throws the signal's reason
 * when it aborts. A running writer does not disturb it: it sees one moment of the log.
 */
export const verifyLog = async (options: VerifyOptions): Promise<LogReport> => {
  const keys: Keys = { given: keyOf(options.key), folder: keyOf(options.folderKey) };
  options.signal?.throwIfAborted();
  if (options.wide) hashWide();
  const failures = new Failures();
  try {
    const file = await openLogFile(options.path, options.scratch);
    try {
      return await new Verification(file, options, keys, failures).run();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof LogFault || options.signal?.aborted) throw error;
    return unreadable(failures, error);
  }
};

const keyOf = (vkey: string | undefined): VerifierKey | undefined => {
  if (vkey === undefined) return undefined;
  const key = readVerifierKey(vkey);
  if (key?.signs !== "text") {
    throw new LogFault("invalid", `Cannot verify with key "${shown(vkey)}": expected name+id+key for Ed25519`);
  }
  return key;
};

/** SQLite gave up before there was anything to walk. */
const unreadable = (failures: Failures, error: unknown): LogReport => {
  const said = error instanceof Error ? error.message : String(error);
  const kind = /not a database|no such table|no such column/i.test(said) ? "foreign" : "unreadable";
  failures.add(0, kind, "the database of a log", shown(said));
  return reportOf(failures, { size: 0, tree: new MerkleTree() });
};
