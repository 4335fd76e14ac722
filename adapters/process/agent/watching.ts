/** Watches processes until they end, tells of the line that says one is ready, and keeps their output within bounds. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { removeGroup } from "./cgroups.ts";
import { remainsOf } from "./proc.ts";
import type { FromAgent, How, ProcessOf, ToAgent } from "./protocol.ts";
import { endIn, group, groupIn, keepEnd, outputFrom, type Starting } from "./starting.ts";

type Watch = Extract<ToAgent, { ask: "watch" }>;

const LOOK_MS = 200;
/** Others wait for a line, so it is looked for more often while one is to come. */
const LINE_MS = 5;
/** So long after it was begun to be watched: what starts has other things to do than to wait for it. */
const GROUP_MS = 1_000;
/** Output looked at in one go, and of one line. */
const READ_BYTES = 65_536;
/** Of output that came all at once at most so much is remembered. */
const TAIL_BYTES_MAX = 16_777_216;

interface Watched {
  readonly process: ProcessOf;
  readonly log: Watch["log"];
  readonly traces: string;
  line?: { readonly pattern: RegExp; at: number; rest: string };
  /** The line was seen. */
  lined?: true;
  /** We started it, and will be told how it ends. */
  readonly own: boolean;
  /** It was there when we looked, so its session is its own. */
  seen: boolean;
}

export class Watching {
  private readonly watched = new Map<string, Watched>();
  private readonly timer: ReturnType<typeof setInterval>;
  private lines: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly starting: Starting, private readonly say: (said: FromAgent) => void) {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Tells of everything that happened since the start, also what happened before it was asked. */
  watch({ process, log, traces, line }: Watch): void {
    const present = this.watched.get(process.nonce);
    if (present) {
      // Whoever asks again may not have heard of it.
      if (present.lined) this.say({ said: "line", nonce: process.nonce });
      return;
    }
    const end = this.starting.endOf(process.nonce);
    const pattern = line === undefined ? undefined : new RegExp(line, "u");
    const at = outputFrom(process.nonce, traces);
    this.watched.set(process.nonce, {
      process,
      log,
      traces,
      own: end !== undefined,
      seen: end !== undefined,
      ...(pattern ? { line: { pattern, at, rest: "" } } : {}),
    });
    if (this.starting.isThere(process)) setTimeout(() => void this.group(process, traces), GROUP_MS).unref();
    if (pattern) this.lines ??= setInterval(() => this.lookForLines(), LINE_MS);
    const before = endIn(process.nonce, traces);
    if (before) this.ended(process.nonce, before);
    else void end?.then((how) => this.ended(process.nonce, how));
  }

  /** One that has not ended at once gets a control group, where there are some. */
  private async group(process: ProcessOf, traces: string): Promise<void> {
    if (!this.watched.has(process.nonce)) return;
    const path = await group(process, traces);
    if (path !== undefined && !this.watched.has(process.nonce)) removeGroup(path);
  }

  close(): void {
    clearInterval(this.lines);
    clearInterval(this.timer);
  }

  private lookForLines(): void {
    for (const watched of this.watched.values()) this.read(watched);
    if ([...this.watched.values()].some(({ line }) => line)) return;
    clearInterval(this.lines);
    this.lines = undefined;
  }

  private look(): void {
    for (const watched of this.watched.values()) {
      this.read(watched);
      this.keep(watched);
      if (watched.own) continue;
      if (this.starting.isThere(watched.process)) watched.seen = true;
      else this.ended(watched.process.nonce, { code: null, signal: null, known: false });
    }
  }

  private ended(nonce: string, how: How): void {
    const watched = this.watched.get(nonce);
    if (!watched) return;
    this.read(watched); // what it said last
    this.keep(watched); // it may have ended for want of the room that it has taken
    this.watched.delete(nonce);
    this.starting.forget(nonce);
    // Nothing it has started stays behind.
    const group = groupIn(nonce, watched.traces);
    for (const { pid } of remainsOf(watched.process, { known: watched.seen, group })) end(pid, "SIGKILL");
    if (group !== undefined) removeGroup(group);
    if (!watched.own) keepEnd(nonce, watched.traces, how);
    this.say({ said: "exited", nonce, how });
  }

  private keep({ log, process: { nonce } }: Watched): void {
    const bytes = keepWithin(log);
    if (bytes > 0) this.say({ said: "lost", nonce, bytes });
  }

  private read(watched: Watched): void {
    const { line, log, process } = watched;
    if (!line) return;
    const bytes = new Uint8Array(READ_BYTES);
    line.at = place(log.path, line.at);
    for (let read = READ_BYTES; read === READ_BYTES;) {
      read = readFrom(log.path, line.at, bytes);
      if (read === 0) return;
      line.at += read;
      const lines = (line.rest + new TextDecoder().decode(bytes.subarray(0, read))).split("\n");
      line.rest = lines.pop()!.slice(-READ_BYTES);
      if (!lines.some((each) => line.pattern.test(each))) continue;
      delete watched.line;
      watched.lined = true;
      return this.say({ said: "line", nonce: process.nonce });
    }
  }
}

/** False where there is no such process any more. */
export const end = (pid: number, signal: Deno.Signal): boolean => {
  try {
    Deno.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
};

/** Where the next bytes are: a file that has become shorter was made empty, by us or by its program. */
const place = (path: string, at: number): number => {
  try {
    return statSync(path).size < at ? 0 : at;
  } catch {
    return at;
  }
};

const readFrom = (path: string, at: number, bytes: Uint8Array): number => {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return 0;
  }
  try {
    return readSync(file, bytes, 0, bytes.length, at);
  } finally {
    closeSync(file);
  }
};

/**
 * The program goes on writing to the same file, so what is in it is copied away and the file is made empty. Where it cannot be copied,
 * for want of room or whatever else, it is made empty all the same. Answers bytes that are lost although some were to be kept.
 */
const keepWithin = ({ path, bytes_max, keep }: Watch["log"]): number => {
  let size: number;
  try {
    ({ size } = statSync(path));
  } catch {
    return 0;
  }
  if (size <= bytes_max) return 0;
  let lost = 0;
  try {
    if (keep > 0) lost = size - setAside(path, { size, bytes_max, keep });
  } catch {
    lost = size;
  }
  try {
    truncateSync(path);
  } catch {
    // it is gone, or is no file
  }
  return lost;
};

/**
 * Answers how much was set aside. Those that are there make room when the new one is whole. Of much more than may be kept the end is
 * remembered and the file made empty first, for there may be no room beside it.
 */
const setAside = (
  path: string,
  { size, bytes_max, keep }: { readonly size: number; readonly bytes_max: number; readonly keep: number },
): number => {
  const fresh = `${path}.new`;
  let kept = size;
  try {
    if (size <= 2 * bytes_max) copyFileSync(path, fresh);
    else {
      const tail = tailOf(path, Math.min(bytes_max, TAIL_BYTES_MAX));
      truncateSync(path);
      writeFileSync(fresh, tail, { mode: 0o600 });
      kept = tail.length;
    }
    for (let n = keep - 1; n > 0; n--) if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
    renameSync(fresh, `${path}.1`);
    return kept;
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
};

const tailOf = (path: string, bytes: number): Uint8Array => {
  const file = openSync(path, "r");
  try {
    const tail = new Uint8Array(bytes);
    return tail.subarray(0, readSync(file, tail, 0, bytes, Math.max(0, fstatSync(file).size - bytes)));
  } finally {
    closeSync(file);
  }
};
