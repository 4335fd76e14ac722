/**
 * Imports log files of CloudTrail. A file is taken as a whole or not at all: each is read through once before anything is appended,
 * so that one bad record leaves its file out, named with its place, and the files beside it come in. What the log has already is
 * passed over, so an import may be stopped and repeated at any time.
 */
import type { Issue, Principal } from "../../actors/kernel/daybook.ts";
import { GONE, Intake, type IntakeTarget, ofOpen } from "../../actors/kernel/intake.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { filesIn } from "./files.ts";
import { recordsIn, Unreadable } from "./records.ts";
import { translateRecord } from "./translate.ts";

const CLOUDTRAIL_IMPORT = {
  /** One ingest: below the log's bounds of an append, with room for what sealing adds. */
  batch_events_max: 200,
  batch_chars_max: 300_000,
  /** Files that are named as left out; more are counted. */
  problems_max: 100,
} as const;

/** How far it has come, in bytes of the files, of which each is read twice. */
export interface BytesRead {
  readonly done: number;
  readonly total: number;
}

/** What was found, and looked through. */
export interface CheckedFiles {
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly records: number }[];
  /** Files that are left out, and why: the file, the record and where in it. At most `problems_max`. */
  readonly problems: readonly string[];
  /** All that are left out. */
  readonly refused: number;
  /** Files of digests, which have no records. */
  readonly digests: number;
  /** Of all files. */
  readonly bytes: number;
}

export interface CloudtrailImported {
  readonly records: number;
  readonly events: number;
  readonly known: number;
  /** Values that look like secrets and were not taken, of the new events. */
  readonly notTaken: number;
  /** Files that changed between the two readings, and whatever else came in between; what was read before is in the log. */
  readonly problems: readonly string[];
  readonly stopped: boolean;
}

type Told = (progress: BytesRead) => void;

/** Reads every record of every file, and keeps nothing. Throws what the disk says. */
export const checkFiles = async (paths: readonly string[], told: Told, signal?: AbortSignal): Promise<CheckedFiles> => {
  const found = await filesIn(paths);
  const bytes = found.files.reduce((sum, file) => sum + file.bytes, 0);
  const [files, problems]: [{ path: string; bytes: number; records: number }[], string[]] = [[], []];
  let [before, refused] = [0, 0];
  const refuse = (path: string, why: string): void => {
    if (++refused <= CLOUDTRAIL_IMPORT.problems_max) problems.push(`${path}: ${why}`);
  };
  for (const { path, why } of found.passedOver) refuse(path, why);
  for (const file of found.files) {
    if (signal?.aborted) break;
    let records = 0;
    const why = await eachRecord(file.path, (read) => told({ done: before + read, total: 2 * bytes }), (text) => {
      records++;
      const translated = translateRecord(text);
      return translated.ok ? undefined : translated.issues[0];
    }, signal);
    before += file.bytes;
    if (why === undefined) files.push({ ...file, records });
    else refuse(file.path, why);
  }
  return { files, problems, refused, digests: found.digests, bytes };
};

/** Appends what is new of files that were checked. Throws `LogFault` when the log cannot be written. */
export const importFiles = async (
  target: IntakeTarget,
  { files, bytes }: Pick<CheckedFiles, "files" | "bytes">,
  { by, clock, told, signal }: {
    readonly by: Principal;
    readonly clock: Clock;
    readonly told: Told;
    readonly signal?: AbortSignal;
  },
): Promise<CloudtrailImported> => {
  const sum = { records: 0, notTaken: 0 };
  const intake = new Intake(target, { by, clock, signal, ...CLOUDTRAIL_IMPORT });
  const problems: string[] = [];
  const done = bytes;
  let before = 0;
  for (const file of files) {
    if (signal?.aborted) break;
    const why = await eachRecord(
      file.path,
      (read) => told({ done: done + before + read, total: 2 * bytes }),
      (text) => {
        const translated = translateRecord(text);
        if (!translated.ok) return translated.issues[0];
        sum.records++;
        // AWS may deliver a record twice; only the first counts.
        if (intake.has(translated.event)) return undefined;
        sum.notTaken += translated.notTaken;
        return intake.add(translated.event, text.length);
      },
      signal,
    );
    // What was whole before it stays; the next import goes on behind it.
    await intake.flush();
    before += file.bytes;
    if (why !== undefined) problems.push(`${file.path}: ${why}`);
  }
  const { events, known } = intake;
  return { ...sum, events, known, problems, stopped: signal?.aborted ?? false };
};

/** Ends at the first record that `take` has something against; answers what, with its place, and why a file cannot be read. */
const eachRecord = async (
  path: string,
  told: (bytes: number) => void,
  take: (text: string) => Issue | undefined | Promise<void>,
  signal: AbortSignal | undefined,
): Promise<string | undefined> => {
  let read = 0;
  const counting = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      read += chunk.length;
      told(read);
      controller.enqueue(chunk);
    },
  });
  try {
    const file = await Deno.open(path);
    for await (const { index, text } of recordsIn(file.readable.pipeThrough(counting))) {
      const outcome = take(text);
      if (outcome instanceof Promise) await outcome;
      const issue = outcome instanceof Promise ? undefined : outcome;
      if (issue) return `record ${index}: ${issue.path || "/"}: ${issue.message}`;
      if (signal?.aborted) return undefined;
    }
  } catch (error) {
    if (error instanceof Unreadable) return error.message;
    if (error instanceof Deno.errors.NotFound) return GONE;
    throw ofOpen(error, path);
  }
  return undefined;
};
