/**
 * The changes of many commits, in order, as fast as git computes them: several `git diff-tree --stdin` side by side, each
 * handed a batch of commits at a time, their answers put back in order.
 */
import { DiffParser, FORMAT, MARK, type RawCommit } from "./parse.ts";
import type { Git, Running } from "./process.ts";
import { faultOf } from "./repository.ts";
import type { Listed } from "./translate.ts";

export const DIFF_LIMITS = {
  /** Commits handed to one process at a time. */
  batch_commits: 64,
  /** Batches in work or waiting for their turn, per process. */
  ahead_batches: 6,
  /** Files of finished batches that wait for their turn, per process; then git waits too. */
  ahead_files: 50_000,
  /** Processes, however many cores there are. */
  lanes_max: 8,
} as const;

/** `raw` is missing when git cannot read what the commit changed. */
export type Diffed =
  | { readonly listed: Listed; readonly raw: RawCommit }
  | { readonly listed: Listed; readonly raw?: undefined; readonly why: string };

// All that changes an answer is said here, so that no configuration does: renames from 50 % on, with a bound on the search.
const ARGS = [
  ..."diff-tree --stdin -r -z --raw --no-abbrev --numstat --root --always -M50% -l1000 --no-ext-diff --no-textconv"
    .split(" "),
  ..."--ignore-submodules=none --no-color --date=raw --encoding=UTF-8 --no-notes".split(" "),
  `--format=${FORMAT}`,
];

/** Git compares a commit with the parents that are named here: the first. Where a clone ends nothing is compared. */
const question = ({ sha, parents, boundary }: Listed): string => {
  if (boundary) return `${sha} ${sha}\n`;
  return parents.length === 0 ? `${sha}\n` : `${sha} ${parents[0]}\n`;
};

/** A batch that ended early has fewer commits than were asked for; git's words tell why. */
interface Answered {
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

/** One process; it answers in the order of the questions. */
class Lane {
  private readonly running: Running;
  private readonly writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  private readonly batches: Batch[] = [];
  private readonly ended: Promise<void>;
  private over = false;
  private held = 0;
  private wake: (() => void) | undefined;

  constructor(git: Git) {
    this.running = git.start(ARGS);
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
        if (this.held > DIFF_LIMITS.ahead_files) await new Promise<void>((resolve) => this.wake = resolve);
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

interface Waiting {
  readonly lane: Lane;
  readonly work: readonly Listed[];
  readonly answer: Promise<Answered>;
}

/** In the order asked for, in batches. Ends early, without a word, when the signal aborts. */
export async function* diffs(
  git: Git,
  wanted: Iterable<Listed>,
  { lanes, signal }: { readonly lanes: number; readonly signal?: AbortSignal },
): AsyncGenerator<readonly Diffed[]> {
  const crew: Lane[] = [];
  const waiting: Waiting[] = [];
  const source = batchesOf(wanted);
  const stop = () => void Promise.all(crew.map((lane) => lane.close(true)));
  signal?.addEventListener("abort", stop, { once: true });
  let through = false;
  try {
    while (!signal?.aborted) {
      while (waiting.length < lanes * DIFF_LIMITS.ahead_batches) {
        const { value: work, done } = source.next();
        if (done) break;
        const lane = laneFor(git, crew, lanes);
        const answer = lane.submit(work);
        answer.catch(() => {}); // told to the one who takes it, and lost when nobody does
        waiting.push({ lane, work, answer });
      }
      const next = waiting.shift();
      if (!next) break;
      const answered = await next.answer;
      next.lane.taken(answered.files);
      if (signal?.aborted) return;
      yield answered.error === undefined ? paired(next.work, answered.done) : await recovered(git, next.work, answered);
    }
    through = true;
  } finally {
    signal?.removeEventListener("abort", stop);
    await Promise.all(crew.map((lane) => lane.close(!through)));
  }
}

function* batchesOf(wanted: Iterable<Listed>): Generator<readonly Listed[], undefined> {
  let batch: Listed[] = [];
  for (const listed of wanted) {
    batch.push(listed);
    if (batch.length < DIFF_LIMITS.batch_commits) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** The least busy one; a new one while there may be more and all have work, or in place of one that has ended. */
const laneFor = (git: Git, crew: Lane[], lanes: number): Lane => {
  const ended = crew.findIndex((lane) => lane.load === Infinity);
  if (ended >= 0) crew.splice(ended, 1);
  const idle = crew.reduce<Lane | undefined>((best, lane) => best && best.load <= lane.load ? best : lane, undefined);
  if (idle && (idle.load === 0 || crew.length >= lanes)) return idle;
  const lane = new Lane(git);
  crew.push(lane);
  return lane;
};

/** A commit that git passes over in silence is one it cannot find. */
const paired = (work: readonly Listed[], done: readonly RawCommit[]): readonly Diffed[] => {
  let next = 0;
  return work.map((listed) =>
    done[next]?.sha === listed.sha ? { listed, raw: done[next++]! } : { listed, why: "git cannot find the commit" }
  );
};

/**
 * The process died at the first commit it did not finish, or at the one after: so that one is asked for alone, and the rest
 * of a new process, until none is left.
 */
const recovered = async (git: Git, work: readonly Listed[], answered: Answered): Promise<readonly Diffed[]> => {
  const all = [...paired(work.slice(0, answered.done.length), answered.done)];
  while (all.length < work.length) {
    const first = work.slice(all.length, all.length + 1);
    const alone = await once(git, first);
    all.push(
      alone.done[0]
        ? { listed: first[0]!, raw: alone.done[0] }
        : { listed: first[0]!, why: alone.error ?? "git gave no answer" },
    );
    const rest = work.slice(all.length);
    const { done, error } = rest.length > 0 ? await once(git, rest) : { done: [], error: undefined };
    all.push(...paired(error === undefined ? rest : rest.slice(0, done.length), done));
  }
  return all;
};

const once = async (git: Git, work: readonly Listed[]): Promise<Answered> => {
  const lane = new Lane(git);
  try {
    return await lane.submit(work);
  } finally {
    await lane.close();
  }
};
