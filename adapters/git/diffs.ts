/**
 * The changes of many commits, in order, as fast as git computes them: several `git diff-tree --stdin` side by side, each
 * handed a batch of commits at a time, their answers put back in order.
 */
import { type Answered, Lane } from "./lane.ts";
import { FORMAT, type RawCommit } from "./parse.ts";
import type { Git } from "./process.ts";
import type { Listed } from "./translate.ts";

export const DIFF_LIMITS = {
  /** Commits handed to one process at a time. */
  batch_commits: 64,
  /** Batches in work or waiting for their turn, per process. */
  ahead_batches: 6,
  /** Processes, however many cores there are. */
  lanes_max: 8,
} as const;

/** `raw` is missing when git cannot read what the commit changed. */
export type Diffed =
  | { readonly listed: Listed; readonly raw: RawCommit }
  | { readonly listed: Listed; readonly raw?: undefined; readonly why: string };

// All that changes an answer is said here, so that no configuration does: renames from 50 % on, with a bound on the search.
const FILES = [
  ..."diff-tree --stdin -r -z --raw --no-abbrev --root --always -M50% -l1000 --no-ext-diff --no-textconv".split(" "),
  ..."--ignore-submodules=none --no-color --date=raw --encoding=UTF-8 --no-notes".split(" "),
  `--format=${FORMAT}`,
];
const FILES_AND_LINES = [...FILES, "--numstat"];

interface Asked {
  readonly lane: Lane;
  readonly work: readonly Listed[];
  readonly answer: Promise<Answered>;
}

/** Lines of a merge are those of the commits it brings together, and counting them again would double the work. */
const isMerge = ({ parents, boundary }: Listed): boolean => parents.length > 1 && !boundary;

/** In the order asked for, in batches. Ends early, without a word, when the signal aborts. */
export async function* diffs(
  git: Git,
  wanted: Iterable<Listed>,
  { lanes, signal }: { readonly lanes: number; readonly signal?: AbortSignal },
): AsyncGenerator<readonly Diffed[]> {
  const crew = new Crew(git, lanes);
  const waiting: { readonly work: readonly Listed[]; readonly asked: readonly Asked[] }[] = [];
  const source = batchesOf(wanted);
  const stop = () => void crew.close(true);
  signal?.addEventListener("abort", stop, { once: true });
  let through = false;
  try {
    while (!signal?.aborted) {
      while (waiting.length < lanes * DIFF_LIMITS.ahead_batches) {
        const { value: work, done } = source.next();
        if (done) break;
        waiting.push({ work, asked: crew.ask(work) });
      }
      const next = waiting.shift();
      if (!next) break;
      const answers: Diffed[][] = [];
      for (const asked of next.asked) {
        const answered = await asked.answer;
        asked.lane.taken(answered.files);
        if (signal?.aborted) return;
        answers.push(
          answered.error === undefined ? paired(asked.work, answered.done) : await recovered(git, asked, answered),
        );
      }
      yield answers.length === 1 ? answers[0]! : inOrder(next.work, answers.flat());
    }
    through = true;
  } finally {
    signal?.removeEventListener("abort", stop);
    await crew.close(!through);
  }
}

const inOrder = (work: readonly Listed[], diffed: readonly Diffed[]): readonly Diffed[] => {
  const bySha = new Map(diffed.map((one) => [one.listed.sha, one]));
  return work.map(({ sha }) => bySha.get(sha)!);
};

/** Several processes for commits, and one for merges, of which only files are asked. */
class Crew {
  private readonly counting: Lane[] = [];
  private readonly merging: Lane[] = [];

  constructor(private readonly git: Git, private readonly lanes: number) {}

  ask(work: readonly Listed[]): readonly Asked[] {
    const merges = work.filter(isMerge);
    const others = merges.length === 0 ? work : work.filter((listed) => !isMerge(listed));
    const asked: Asked[] = [];
    if (others.length > 0) asked.push(this.submit(this.lane(this.counting, this.lanes, FILES_AND_LINES), others));
    if (merges.length > 0) asked.push(this.submit(this.lane(this.merging, 1, FILES), merges));
    return asked;
  }

  async close(now: boolean): Promise<void> {
    await Promise.all([...this.counting, ...this.merging].map((lane) => lane.close(now)));
  }

  private submit(lane: Lane, work: readonly Listed[]): Asked {
    const answer = lane.submit(work);
    answer.catch(() => {}); // told to the one who takes it, and lost when nobody does
    return { lane, work, answer };
  }

  /** The least busy one; a new one while there may be more and all have work, or in place of one that has ended. */
  private lane(of: Lane[], most: number, args: readonly string[]): Lane {
    const ended = of.findIndex((lane) => lane.load === Infinity);
    if (ended >= 0) of.splice(ended, 1);
    const idle = of.reduce<Lane | undefined>((best, lane) => best && best.load <= lane.load ? best : lane, undefined);
    if (idle && (idle.load === 0 || of.length >= most)) return idle;
    const lane = new Lane(this.git, args);
    of.push(lane);
    return lane;
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

/** A commit that git passes over in silence is one it cannot find. */
const paired = (work: readonly Listed[], done: readonly RawCommit[]): Diffed[] => {
  let next = 0;
  return work.map((listed) =>
    done[next]?.sha === listed.sha ? { listed, raw: done[next++]! } : { listed, why: "git cannot find the commit" }
  );
};

/**
 * The process died at the first commit it did not finish, or at the one after: so that one is asked for alone, and the rest
 * of a new process, until none is left.
 */
const recovered = async (git: Git, { work, lane }: Asked, answered: Answered): Promise<Diffed[]> => {
  const all = paired(work.slice(0, answered.done.length), answered.done);
  while (all.length < work.length) {
    const first = work[all.length]!;
    const alone = await once(git, lane.args, [first]);
    const [raw] = alone.done;
    all.push(raw ? { listed: first, raw } : { listed: first, why: alone.error ?? "git gave no answer" });
    const rest = work.slice(all.length);
    const { done, error } = rest.length > 0 ? await once(git, lane.args, rest) : { done: [], error: undefined };
    all.push(...paired(error === undefined ? rest : rest.slice(0, done.length), done));
  }
  return all;
};

const once = async (git: Git, args: readonly string[], work: readonly Listed[]): Promise<Answered> => {
  const lane = new Lane(git, args);
  try {
    return await lane.submit(work);
  } finally {
    await lane.close();
  }
};
