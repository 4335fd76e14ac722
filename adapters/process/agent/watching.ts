/**
 * Keeps the output of processes within bounds from their start on, for whoever is to watch one may have no room to say so until then;
 * and watches them until they end, and tells of the line that says one is ready, once asked to.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { removeGroup } from "./cgroups.ts";
import { type Present, present, remainsOf, statOf } from "./proc.ts";
import type { FromAgent, How, Output, ProcessOf, ToAgent } from "./protocol.ts";
import { endIn, group, groupIn, keepEnd, outputFrom, outputIn, type Starting } from "./starting.ts";

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
/** Of output that came all at once so much is looked at for a line, from its beginning; of what is more, the end. */
const SEARCH_BYTES_MAX = 67_108_864;

/** Where a line is looked for: from there on, behind what may be its beginning. */
interface Search {
  readonly pattern: RegExp;
  at: number;
  rest: string;
  readonly decoder: TextDecoder;
}

interface Watched {
  readonly process: ProcessOf;
  log: Output["log"];
  readonly traces: string;
  /** Somebody wants to be told of it. */
  asked?: true;
  search?: Search;
  /** The line was seen. */
  lined?: true;
  /** Bytes that nobody was told of yet. */
  lost: number;
  /** We started it, and will be told how it ends. */
  readonly own: boolean;
  /** It was there when we looked, so its session is its own. */
  seen: boolean;
}

export class Watching {
  private readonly watched = new Map<string, Watched>();
  private readonly timer: ReturnType<typeof setInterval>;
  private lines: ReturnType<typeof setInterval> | undefined;
  /** Those that have ended, by their nonces. What they left behind is looked for together: each look reads all that the kernel says of all. */
  private readonly over = new Map<string, How>();
  private clearing: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly starting: Starting, private readonly say: (said: FromAgent) => void) {
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Of what was started, by its trace. Nobody is told of anything yet. */
  hold(process: ProcessOf, traces: string): void {
    const output = outputIn(process.nonce, traces);
    if (output && !this.watched.has(process.nonce)) this.add(process, traces, output);
  }

  /** Nobody will ask to be told of it any more. */
  letGo(nonce: string): void {
    if (!this.watched.get(nonce)?.asked) this.watched.delete(nonce);
  }

  /** Tells of everything that happened since the start, also what happened before it was asked. */
  watch({ process, log, traces, line }: Watch): void {
    const { nonce } = process;
    const watched = this.watched.get(nonce) ?? this.add(process, traces, { log, line });
    // Whoever asks again may not have heard of it.
    if (watched.lined && line !== undefined) this.say({ said: "line", nonce });
    if (watched.asked) return;
    watched.asked = true;
    watched.log = log;
    this.lookFor(line, watched);
    this.tellLoss(watched);
    if (this.starting.isThere(process)) setTimeout(() => void this.group(process, traces), GROUP_MS).unref();
    const before = endIn(nonce, traces);
    if (before) this.ended(nonce, before);
    else void this.starting.endOf(nonce)?.then((how) => this.ended(nonce, how));
  }

  private add(process: ProcessOf, traces: string, { log, line }: Output): Watched {
    const own = this.starting.endOf(process.nonce) !== undefined;
    const watched: Watched = { process, log, traces, own, seen: own, lost: 0 };
    this.lookFor(line, watched);
    this.watched.set(process.nonce, watched);
    return watched;
  }

  private lookFor(line: string | undefined, watched: Watched): void {
    if (line === undefined) delete watched.search;
    if (line === undefined || watched.search || watched.lined) return;
    const at = outputFrom(watched.process.nonce, watched.traces);
    watched.search = { pattern: new RegExp(line, "u"), at, rest: "", decoder: new TextDecoder() };
    this.lines ??= setInterval(() => this.lookForLines(), LINE_MS);
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
    clearTimeout(this.clearing);
    this.clear();
  }

  private lookForLines(): void {
    for (const watched of this.watched.values()) this.read(watched);
    if ([...this.watched.values()].some(({ search }) => search)) return;
    clearInterval(this.lines);
    this.lines = undefined;
  }

  private look(): void {
    for (const watched of this.watched.values()) {
      this.read(watched);
      this.keep(watched);
      if (watched.own) continue;
      if (this.starting.isThere(watched.process)) watched.seen = true;
      else if (watched.asked) this.ended(watched.process.nonce, { code: null, signal: null, known: false });
    }
  }

  private ended(nonce: string, how: How): void {
    if (!this.watched.has(nonce)) return;
    if (this.over.size === 0) this.clearing = setTimeout(() => this.clear(), 0);
    this.over.set(nonce, how);
  }

  private clear(): void {
    const over = [...this.over];
    this.over.clear();
    const among = over.length === 0 ? [] : present();
    for (const [nonce, how] of over) this.clearUp(nonce, how, among);
  }

  private clearUp(nonce: string, how: How, among: readonly Present[]): void {
    const watched = this.watched.get(nonce);
    if (!watched) return;
    this.read(watched); // what it said last
    this.keep(watched); // it may have ended for want of the room that it has taken
    this.watched.delete(nonce);
    this.starting.forget(nonce);
    // Nothing it has started stays behind.
    const group = groupIn(nonce, watched.traces);
    for (const { pid, ticks } of remainsOf(watched.process, { known: watched.seen, group, among })) {
      // Since that look another may have been given its number.
      if (statOf(pid)?.ticks === ticks) end(pid, "SIGKILL");
    }
    if (group !== undefined) removeGroup(group);
    if (!watched.own) keepEnd(nonce, watched.traces, how);
    this.say({ said: "exited", nonce, how });
  }

  private keep(watched: Watched): void {
    const { lost, emptied } = keepWithin(watched.log, () => this.read(watched));
    if (emptied && watched.search) watched.search.at = 0;
    watched.lost += lost;
    this.tellLoss(watched);
  }

  private tellLoss(watched: Watched): void {
    if (!watched.asked || watched.lost === 0) return;
    this.say({ said: "lost", nonce: watched.process.nonce, bytes: watched.lost });
    watched.lost = 0;
  }

  private read(watched: Watched): void {
    const { search, log, process } = watched;
    if (!search || !isIn(log.path, search)) return;
    delete watched.search;
    watched.lined = true;
    if (watched.asked) this.say({ said: "line", nonce: process.nonce });
  }
}

/** Reads to the end, for what was not read may be set aside next; of more than its bounds, the beginning and the end. */
const isIn = (path: string, search: Search): boolean => {
  const size = sizeOf(path) ?? search.at;
  // A file that has become shorter was made empty by its program.
  if (size < search.at) search.at = 0;
  // As nearly always: every few milliseconds each of them is looked at.
  if (size === search.at) return false;
  const found = lookIn(path, search, SEARCH_BYTES_MAX);
  if (found !== undefined) return found;
  const tail = (sizeOf(path) ?? 0) - TAIL_BYTES_MAX;
  if (tail > search.at) Object.assign(search, { at: tail, rest: "" });
  return lookIn(path, search, TAIL_BYTES_MAX) ?? false;
};

/** `undefined`: there is more. */
const lookIn = (path: string, search: Search, most: number): boolean | undefined => {
  const bytes = new Uint8Array(READ_BYTES);
  for (const until = search.at + most; search.at < until;) {
    const read = readFrom(path, search.at, bytes);
    if (read === 0) return false;
    search.at += read;
    const lines = (search.rest + search.decoder.decode(bytes.subarray(0, read), { stream: true })).split("\n");
    search.rest = lines.pop()!.slice(-READ_BYTES);
    if (lines.some((each) => search.pattern.test(each))) return true;
  }
  return undefined;
};

/** False where there is no such process any more. */
export const end = (pid: number, signal: Deno.Signal): boolean => {
  try {
    Deno.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
};

const sizeOf = (path: string): number | undefined => {
  try {
    return Deno.statSync(path).size;
  } catch {
    return undefined;
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
 * for want of room or whatever else, it is made empty all the same. Answers bytes that are lost although some were to be kept. `last` is
 * called right before, for what nobody has read by then nobody will.
 */
const keepWithin = (
  { path, bytes_max, keep }: Watch["log"],
  last: () => void,
): { readonly lost: number; readonly emptied: boolean } => {
  const size = sizeOf(path);
  let emptied = false;
  if (size === undefined || size <= bytes_max) return { lost: 0, emptied };
  const empty = () => {
    last();
    try {
      truncateSync(path);
      emptied = true;
    } catch {
      // it is gone, or is no file
    }
  };
  let lost = 0;
  try {
    if (keep > 0) lost = size - setAside(path, { size, bytes_max, keep, empty });
  } catch {
    lost = size;
  }
  if (!emptied) empty();
  return { lost, emptied };
};

/**
 * Answers how much was set aside. Those that are there make room when the new one is whole. Of much more than may be kept the end is
 * remembered and the file made empty first, for there may be no room beside it.
 */
const setAside = (
  path: string,
  { size, bytes_max, keep, empty }: {
    readonly size: number;
    readonly bytes_max: number;
    readonly keep: number;
    readonly empty: () => void;
  },
): number => {
  const fresh = `${path}.new`;
  let kept = size;
  try {
    if (size <= 2 * bytes_max) {
      copyFileSync(path, fresh);
      empty();
    } else {
      const tail = tailOf(path, Math.min(bytes_max, TAIL_BYTES_MAX));
      empty();
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
