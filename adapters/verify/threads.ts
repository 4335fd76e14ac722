/**
 * Ranges of a log walked in several threads. A thread may read the log's file and nothing else. One that dies, or says nothing
 * for long, ends the verification as a fault: what it had to look at was not looked at.
 */
import { fileURLToPath } from "node:url";
import { LogFault } from "../../events/log.ts";
import type { Reading } from "./index_check.ts";
import type { TablesFound } from "./index_tables.ts";
import type { Range, RangeFound, Rules } from "./range.ts";
import type { FromThread, ToThread } from "./range_worker.ts";

export const THREADS = {
  /** At most so many, however many cores there are. */
  max: 8,
  /** A log of fewer events is walked in one: a thread costs about 40 ms. */
  events_min: 40_000,
  /** Ranges that a thread has in hand, so that it need not wait for the next. */
  ahead: 3,
  /** For one range, which takes some 50 ms. */
  answer_within_ms: 120_000,
  close_within_ms: 5_000,
} as const;

/** How often it is looked whether all of them still answer. */
const LOOK_MS = 1_000;

/** How many threads a log of so many events is worth here; 1 is none beside this one. */
export const threadsFor = (events: number): number =>
  events < THREADS.events_min ? 1 : Math.min(THREADS.max, navigator.hardwareConcurrency);

/** Whether threads may be started: their modules are read when they are. */
export const mayThread = (): boolean =>
  [".", "../../events"].every((folder) => {
    const path = fileURLToPath(new URL(folder, import.meta.url));
    return Deno.permissions.querySync({ name: "read", path }).state === "granted";
  });

type Answer = RangeFound | TablesFound | undefined;

/** One thread and what it has been asked, in the order of its answers. */
interface Line {
  readonly worker: Worker;
  readonly asked: PromiseWithResolvers<Answer>[];
  readonly closed: PromiseWithResolvers<void>;
  heard: number;
}

export class Threads {
  private readonly lines: Line[];
  private readonly watch: ReturnType<typeof setInterval>;
  private fault: LogFault | undefined;
  private looked = performance.now();

  constructor(
    path: string,
    rules: Rules,
    readonly count: number,
    private readonly answerWithin: number = THREADS.answer_within_ms,
  ) {
    this.lines = Array.from({ length: count }, (_, i) => this.start(`verify-${i + 1}`, path, rules));
    this.watch = setInterval(() => this.look(), LOOK_MS);
  }

  private start(name: string, path: string, rules: Rules): Line {
    const worker = new Worker(new URL("./range_worker.ts", import.meta.url), {
      type: "module",
      name,
      deno: { permissions: { read: [path] } },
    });
    const line: Line = { worker, asked: [], closed: Promise.withResolvers(), heard: performance.now() };
    worker.onerror = (event) => {
      event.preventDefault(); // or the main process dies of it
      this.die(`${name} has died: ${event.message}`);
    };
    worker.onmessageerror = () => this.die(`${name} said what cannot be read`);
    worker.onmessage = ({ data }: MessageEvent<FromThread>) => {
      line.heard = performance.now();
      if ("answer" in data) line.asked.shift()?.resolve(data.answer);
      else if ("failed" in data) this.die(`${name} has failed: ${data.failed}`);
      else line.closed.resolve();
    };
    worker.postMessage({ to: "open", path, rules } satisfies ToThread);
    return line;
  }

  /**
   * What a range shows where nothing before it is known; `undefined` where only who began the verification can still read it. Rejects with
   * `LogFault` `io` once a thread has died.
   */
  walk(range: Range, whole: boolean): Promise<RangeFound | undefined> {
    return this.ask({ to: "walk", range, whole }) as Promise<RangeFound | undefined>;
  }

  /** Likewise, tables of the index. */
  read(reading: Reading): Promise<TablesFound | undefined> {
    return this.ask({ to: "read", reading }) as Promise<TablesFound | undefined>;
  }

  private ask(message: ToThread): Promise<Answer> {
    const line = this.lines.reduce((least, other) => other.asked.length < least.asked.length ? other : least);
    const answer = Promise.withResolvers<Answer>();
    // Whoever waits for it hears it; that nobody does any more is no error.
    answer.promise.catch(() => {});
    if (this.fault) answer.reject(this.fault);
    else {
      if (line.asked.length === 0) line.heard = performance.now();
      line.asked.push(answer);
      line.worker.postMessage(message);
    }
    return answer.promise;
  }

  private look(): void {
    const now = performance.now();
    const stopped = now - this.looked - LOOK_MS;
    this.looked = now;
    // A process that was stopped itself, as by Ctrl-Z, has heard nobody meanwhile.
    if (stopped > LOOK_MS) { for (const line of this.lines) line.heard += stopped; }
    if (this.lines.some(({ asked, heard }) => asked.length > 0 && heard < now - this.answerWithin)) {
      this.die(`no answer within ${this.answerWithin} ms`);
    }
  }

  private die(cause: string): void {
    this.fault ??= new LogFault("io", `Cannot verify: a thread that reads the log did not finish: ${cause}`);
    for (const { asked, closed } of this.lines) {
      for (const { reject } of asked.splice(0)) reject(this.fault);
      closed.resolve();
    }
  }

  /** Ends all threads, when each has let go of the file or did not in time. */
  async close(): Promise<void> {
    clearInterval(this.watch);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, THREADS.close_within_ms));
    for (const { worker } of this.fault ? [] : this.lines) worker.postMessage({ to: "close" } satisfies ToThread);
    await Promise.race([Promise.all(this.lines.map(({ closed }) => closed.promise)), late]);
    clearTimeout(timer);
    for (const { worker } of this.lines) worker.terminate();
  }
}
