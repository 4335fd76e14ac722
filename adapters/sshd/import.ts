/**
 * Imports logs of OpenSSH's server as `identity.signin.observed`. A file is taken as a whole or not at all, as CloudTrail's are: each is
 * read through once before anything is appended. A line's id is made of what it says, so the same line out of any file is one event.
 */
import { createHash } from "node:crypto";
import type { Incoming, Principal } from "../../actors/kernel/daybook.ts";
import { GONE, Intake, type IntakeTarget, ofOpen } from "../../actors/kernel/intake.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import { looksSealed } from "../../events/personal.ts";
import { Calendar } from "./calendar.ts";
import { entryOf, type Line, lineOf, type Told } from "./line.ts";
import { eachOf, type Ended, Unreadable } from "./lines.ts";
import { type Said, saidIn } from "./message.ts";

export const SSHD_IMPORT = {
  batch_events_max: 500,
  batch_chars_max: 200_000,
  /** Files that are named as left out; more are counted. */
  problems_max: 100,
  name_chars_max: 512,
  /** Of a host's name, percent-encoded. */
  host_chars_max: 1_000,
  /** Lines of one moment among which equal ones are told apart by their place. */
  moment_lines_max: 100_000,
} as const;

/** How far it has come, in bytes of the files, of which each is read twice. */
export interface BytesRead {
  readonly done: number;
  readonly total: number;
}

export interface CheckedLog {
  readonly path: string;
  readonly bytes: number;
  /** Of the first line that says no year. */
  readonly year: number;
  readonly lines: number;
  readonly signins: number;
}

export interface CheckedLogs {
  readonly files: readonly CheckedLog[];
  /** Files that are left out, and why: the file and the line. At most `problems_max`. */
  readonly problems: readonly string[];
  readonly refused: number;
  readonly bytes: number;
  readonly zone: string;
}

export interface SshdImported {
  readonly lines: number;
  readonly signins: number;
  readonly events: number;
  readonly known: number;
  /** Files that end in the midst of a line, which was not taken. */
  readonly unended: number;
  /** Files that changed between the two readings; what was read before is in the log. */
  readonly problems: readonly string[];
  readonly stopped: boolean;
}

type ToldProgress = (progress: BytesRead) => void;

export interface CheckOptions {
  /** IANA name of the zone of times that say none. */
  readonly zone: string;
  readonly told: ToldProgress;
  readonly signal?: AbortSignal;
}

/** Reads every line of every file, and keeps nothing. Throws what the disk says, and `RangeError` for a zone that there is not. */
export const checkLogs = async (
  paths: readonly string[],
  { zone, told, signal }: CheckOptions,
): Promise<CheckedLogs> => {
  const found: { path: string; bytes: number; changed: Millis }[] = [];
  for (const path of paths) {
    const { size, mtime, isFile } = await Deno.stat(path);
    if (!isFile) throw new Deno.errors.IsADirectory(`${path} is no file`);
    found.push({ path, bytes: size, changed: mtime?.getTime() ?? 0 });
  }
  const bytes = found.reduce((sum, { bytes }) => sum + bytes, 0);
  const files: CheckedLog[] = [];
  const problems: string[] = [];
  let [before, refused] = [0, 0];
  for (const { path, bytes: size, changed } of found) {
    if (signal?.aborted) break;
    const sum = { lines: 0, signins: 0 };
    let log = false;
    const calendar = new Calendar(undefined, zone);
    const why = await eachLine(path, {
      calendar,
      signal,
      told: (read) => told({ done: before + read, total: 2 * bytes }),
      counted: (lines) => void (sum.lines += lines),
      other: () => void (log = true),
      take: (line) => {
        log = true;
        sum.signins += saidIn(line.message) === undefined ? 0 : 1;
      },
      ended: ({ unpacked }) => {
        if (!log && unpacked > 0) throw new Unreadable("no whole line of syslog or of journalctl is in it");
      },
    });
    before += size;
    if (why === undefined) files.push({ path, bytes: size, year: calendar.yearBefore(changed), ...sum });
    else if (++refused <= SSHD_IMPORT.problems_max) problems.push(`${path}: ${why}`);
  }
  // A log that was just begun anew is empty; beside others that is no fault.
  if (refused > 0 || files.some(({ lines }) => lines > 0)) return { files, problems, refused, bytes, zone };
  return { files: [], problems: files.map(({ path }) => `${path}: it is empty`), refused: files.length, bytes, zone };
};

/** Appends what is new of files that were checked. Throws `LogFault` when the log cannot be written. */
export const importLogs = async (
  target: IntakeTarget,
  { files, bytes, zone }: Pick<CheckedLogs, "files" | "bytes" | "zone">,
  { by, clock, told, signal }: {
    readonly by: Principal;
    readonly clock: Clock;
    readonly told: ToldProgress;
    readonly signal?: AbortSignal;
  },
): Promise<SshdImported> => {
  const intake = new Intake(target, { by, clock, signal, ...SSHD_IMPORT });
  const sum = { lines: 0, signins: 0, unended: 0 };
  const problems: string[] = [];
  let before = 0;
  for (const file of files) {
    if (signal?.aborted) break;
    const names = new Names();
    const why = await eachLine(file.path, {
      calendar: new Calendar(file.year, zone),
      signal,
      told: (read) => told({ done: bytes + before + read, total: 2 * bytes }),
      counted: (lines) => void (sum.lines += lines),
      ended: ({ begun }) => void (sum.unended += Number(begun)),
      take: (line) => {
        const said = saidIn(line.message);
        if (!said) return;
        sum.signins++;
        const event = observed(line, said, names.of(line));
        return intake.has(event) ? undefined : intake.add(event, line.message.length);
      },
    });
    // What was whole before it stays; the next import goes on behind it.
    await intake.flush();
    before += file.bytes;
    if (why !== undefined) problems.push(`${file.path}: ${why}`);
  }
  const { events, known } = intake;
  return { ...sum, events, known, problems, stopped: signal?.aborted ?? false };
};

interface Reading {
  readonly calendar: Calendar;
  readonly told: (bytes: number) => void;
  readonly counted: (lines: number) => void;
  readonly take: (line: Told) => Promise<void> | void;
  readonly other?: () => void;
  /** May throw `Unreadable`. */
  readonly ended?: (how: Ended) => void;
  readonly signal: AbortSignal | undefined;
}

/** Ends at the first line that is none; answers what, with its number, and why a file cannot be read. */
const eachLine = async (path: string, reading: Reading): Promise<string | undefined> => {
  let read = 0;
  const counting = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      reading.told(read += chunk.length);
      if (reading.signal?.aborted) controller.terminate();
      else controller.enqueue(chunk);
    },
  });
  const took = (line: Line, number: number): Promise<void> | void => {
    reading.counted(1);
    if (line.is === "told") return reading.take(line);
    if (line.is === "other") reading.other?.();
    if (line.is === "wrong") throw new Unreadable(`line ${number}: ${line.because}`);
  };
  try {
    const file = await Deno.open(path);
    const how = await eachOf(file.readable.pipeThrough(counting), {
      line: (text, number) => took(lineOf(text, reading.calendar), number),
      entry: (entry, number) => took(entryOf(entry), number),
    });
    if (!reading.signal?.aborted) reading.ended?.(how);
  } catch (error) {
    // What was packed is cut off by the stop.
    if (error instanceof Unreadable) return reading.signal?.aborted ? undefined : error.message;
    if (error instanceof Deno.errors.NotFound) return GONE;
    throw ofOpen(error, path);
  }
  return undefined;
};

/** Ids of lines: of the same moment, process and words, the second has another than the first. */
class Names {
  private moment = "";
  private readonly seen = new Map<string, number>();

  of({ written, host, pid, message }: Told): string {
    if (written !== this.moment || this.seen.size >= SSHD_IMPORT.moment_lines_max) {
      this.moment = written;
      this.seen.clear();
    }
    const text = `${written}\n${host}\n${pid}\n${message}`;
    const times = this.seen.get(text) ?? 0;
    this.seen.set(text, times + 1);
    return createHash("sha256").update(times === 0 ? text : `${text}\n${times}`).digest("base64url").slice(0, ID_CHARS);
  }
}

/** 132 bits. */
const ID_CHARS = 22;

const observed = ({ time, host }: Told, { name, address, ...said }: Said, id: string): Incoming => ({
  id,
  source: `/hosts/${encodeURIComponent(host).slice(0, SSHD_IMPORT.host_chars_max).replace(/%.?$/, "")}/sshd`,
  type: "identity.signin.observed",
  time,
  data: { service: "sshd", ...said, ...taken("name", name), ...taken("address", address) },
});

/** Text that only looks sealed tells nothing and is left out. */
const taken = (member: string, text: string | undefined): Record<string, string> => {
  const cut = text?.slice(0, SSHD_IMPORT.name_chars_max).toWellFormed();
  return cut === undefined || looksSealed(cut) ? {} : { [member]: cut };
};
