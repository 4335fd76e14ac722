/** One `git diff-tree --stdin`: it is handed batches of commits and answers them in order. */
import { DiffParser, MARK, type RawCommit } from "./parse.ts";
import type { Git, Running } from "./process.ts";
import { faultOf } from "./repository.ts";
import type { Listed } from "./translate.ts";

/** Files of finished batches that nobody has taken yet; with more, git waits. */
const AHEAD_FILES_MAX = 50_000;

/** Git compares a commit with the parents that are named here: the first. Where a clone ends nothing is compared. */
const question = ({ sha, parents, boundary }: Listed): string => {
  if (boundary) return `${sha} ${sha}\n`;
  return parents.length === 0 ? `${sha}\n` : `${sha} ${parents[0]}\n`;
};

/** A batch that ended early has fewer commits than were asked for; git's words tell why. */
export interface Answered {
  readonly done: readonly RawCommit[];
  readonly files: number;
  readonly error?: string;
}

interface Batch {
  readonly done: RawCommit[];
  files: number;
  readonly answer: PromiseWithResolvers<Answered>;
}

const encoder = new TextEncoder();

export class Lane {
  private readonly running: Running;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  private readonly batches: Batch[] = [];
  private readonly ended: Promise<void>;
  private over = false;
  private held = 0;
  private wake: (() => void) | undefined;

  constructor(git: Git, readonly args: readonly string[]) {
    this.running = git.start(args);
    this.writer = this.running.stdin.getWriter();
    this.ended = this.pump();
  }

  /** Batches that are not through; infinite when the process has ended. */
  get load(): number {
    return this.over ? Infinity : this.batches.length;
  }

  submit(work: readonly Listed[]): Promise<Answered> {
    const batch: Batch = { done: [], files: 0, answer: Promise.withResolvers() };
    this.batches.push(batch);
    // One that has gone tells so by its end, which the pump sees.
    this.writer.write(encoder.encode(work.map(question).join("") + MARK)).catch(() => {});
    return batch.answer.promise;
  }

  /** The caller has taken an answer with so many files. */
  taken(files: number): void {
    this.held -= files;
    this.wake?.();
  }

  /** Ends it when it has answered all, or at once. */
  async close(now = false): Promise<void> {
    if (now) this.running.kill();
    this.taken(this.held);
    await this.writer.close().catch(() => {});
    await this.ended;
  }

  private async pump(): Promise<void> {
    const parser = new DiffParser({
      commit: (commit) => {
        const batch = this.batches[0];
        batch?.done.push(commit);
        if (batch) batch.files += commit.files.length;
      },
      mark: () => this.settle(),
    });
    let broken: unknown;
    try {
      for await (const chunk of this.running.stdout) {
        parser.push(chunk);
        // Only what is finished holds it back: what others wait for is never behind what they have not taken.
        if (this.held > AHEAD_FILES_MAX) await new Promise<void>((resolve) => this.wake = resolve);
      }
    } catch (error) {
      broken = error;
      this.running.kill();
    }
    const { stderr } = await this.running.ended;
    this.over = true;
    for (const { done, files, answer } of this.batches.splice(0)) {
      broken
        ? answer.reject(broken)
        : answer.resolve({ done, files, error: faultOf(stderr, "Cannot read what it changed").message });
    }
  }

  private settle(): void {
    const batch = this.batches.shift();
    if (!batch) return;
    this.held += batch.files;
    batch.answer.resolve(batch);
  }
}
