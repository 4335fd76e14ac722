/** Where a repository's branches stand, as commands to the entity: one for each that stands elsewhere than is known. */
import type { Outcome, Principal } from "../../actors/kernel/daybook.ts";
import { isRecorded } from "../../actors/kernel/kept.ts";
import { type CommitFact, repositoryId } from "../../events/commits.ts";
import type { Event } from "../../events/event.ts";
import type { Row } from "../../projections/views.ts";
import { isBehind, listBranches, type Repository } from "./repository.ts";
import type { ImportTarget, Sender } from "./send.ts";

/** Branch commands on their way at a time. */
const ASKS_IN_FLIGHT_MAX = 16;
/** Times it looks again because somebody else had moved a branch meanwhile. */
const LOOKS_MAX = 5;

export interface BranchesRecorded {
  /** In the repository. */
  readonly total: number;
  readonly moved: number;
  readonly deleted: number;
  /** Name and reason, a line each. */
  readonly rejected: readonly string[];
}

export interface BranchOptions {
  readonly target: ImportTarget;
  readonly sender: Sender;
  readonly by: Principal;
  /** Where the branches stood before the commits were listed. */
  readonly heads: ReadonlyMap<string, string>;
  /** Branches that are known but not there are deleted. Default: only when the repository is bare, for a clone need not have all. */
  readonly prune?: boolean;
  readonly progress?: (progress: { readonly doing: "branches"; readonly done: number; readonly total: number }) => void;
}

export const recordBranches = async (repository: Repository, options: BranchOptions): Promise<BranchesRecorded> => {
  const counts = { moved: 0, deleted: 0 };
  for (let looks = 1;; looks++) {
    const { total, elsewhere, rejected } = await look(repository, options, counts);
    // Where it stands in the repository may be another place by now, too.
    if (elsewhere.length === 0 || looks === LOOKS_MAX) {
      return { total, ...counts, rejected: [...rejected, ...elsewhere] };
    }
  }
};

const look = async (
  repository: Repository,
  { target, sender, by, heads, prune = repository.bare, progress }: BranchOptions,
  counts: { moved: number; deleted: number },
) => {
  const id = repositoryId(repository.source);
  const here = await listBranches(repository);
  const known = await knownHeads(target, id);
  const moves = [...here].filter(([branch, to]) => known.get(branch) !== to).map(([branch, to]) => async () => {
    const from = known.get(branch);
    const before = heads.get(branch);
    if (to === before || isRecorded(target.log, { source: repository.source, id: to })) {
      return await moved(repository, branch, { from, to });
    }
    // It came while the commits were imported, and the next import brings its own; up to there it may go on.
    const onwards = before !== undefined && (from === undefined || await isBehind(repository, from, before));
    return onwards ? await moved(repository, branch, { from, to: before }) : undefined;
  });
  const deletions = [...known].filter(([branch]) => prune && !here.has(branch))
    .map(([branch, from]) => (): Wish => ({ type: "commits.branch.delete", data: { branch, from } }));
  const wishes = [...deletions, ...moves]; // those that make room first
  const [elsewhere, rejected]: [string[], string[]] = [[], []];
  let done = 0;
  await inParallel(ASKS_IN_FLIGHT_MAX, wishes, async (wished) => {
    const wish = await wished();
    if (!wish) return;
    const { type, data } = wish;
    // The commit that it points at made it move.
    const why = "to" in data ? { causationid: data.to, correlationid: data.to } : {};
    const outcome = await sender.ask({ type, id, data, by, ...why });
    if (outcome.is !== "accepted") {
      const overtaken = outcome.is === "rejected" && outcome.code === "branch_elsewhere";
      (overtaken ? elsewhere : rejected).push(`${data.branch}: ${reasonOf(outcome)}`);
    } else counts[type === "commits.branch.move" ? "moved" : "deleted"] += outcome.facts.length;
    progress?.({ doing: "branches", done: ++done, total: wishes.length });
  });
  return { total: here.size, elsewhere, rejected };
};

/** `from` is where it was known to be, so that another import or a push that was faster is not undone. */
type Wish =
  | {
    readonly type: "commits.branch.move";
    readonly data: {
      readonly branch: string;
      readonly to: string;
      readonly from: string | null;
      readonly forced?: boolean;
    };
  }
  | { readonly type: "commits.branch.delete"; readonly data: { readonly branch: string; readonly from: string } };

const moved = async (
  repository: Repository,
  branch: string,
  { from, to }: { readonly from: string | undefined; readonly to: string },
): Promise<Wish> => {
  const forced = from !== undefined && !await isBehind(repository, from, to);
  return { type: "commits.branch.move", data: { branch, to, from: from ?? null, ...(forced ? { forced } : {}) } };
};

/** By the view as far as it has come, and by the log from there on. */
const knownHeads = async (target: ImportTarget, repository: string): Promise<ReadonlyMap<string, string>> => {
  const { size, heads } = await viewedHeads(target, repository);
  const types = ["commits.branch.moved", "commits.branch.deleted"];
  for (const batch of target.log.read({ stream: `commits/${repository}`, types, from: size })) {
    for (const event of batch as readonly Event<CommitFact>[]) {
      if (event.type === "commits.branch.moved") heads.set(event.data.branch, event.data.to);
      if (event.type === "commits.branch.deleted") heads.delete(event.data.branch);
    }
  }
  return heads;
};

/** Nothing of a view that cannot be read now: the log tells the same, and takes longer. */
const viewedHeads = async (target: ImportTarget, repository: string) => {
  const heads = new Map<string, string>();
  let size = Infinity;
  try {
    for (let after: string | undefined, more = true; more; more = after !== undefined) {
      const where = { repository };
      const page = await target.view("commits.branches", { where, limit: 1_000, ...(after ? { after } : {}) });
      for (const { row } of page.rows as readonly Row<{ readonly branch: string; readonly head: string }>[]) {
        heads.set(row.branch, row.head);
      }
      // Later pages may tell of more; what came since the first is told again by the log.
      size = Math.min(size, page.size);
      after = page.next;
    }
  } catch {
    return { size: 0, heads: new Map<string, string>() };
  }
  return { size, heads };
};

const reasonOf = (outcome: Exclude<Outcome, { is: "accepted" }>): string => {
  switch (outcome.is) {
    case "rejected":
      return outcome.because;
    case "invalid":
      return outcome.issues.map(({ path, message }) => `${path} ${message}`).join("; ");
    case "unknown_command":
      return "the command is not known";
    case "conflict":
    case "unavailable":
      return outcome.reason;
  }
};

/** The first that fails ends it, when those under way are through. */
const inParallel = async <T>(at: number, items: readonly T[], each: (item: T) => Promise<void>): Promise<void> => {
  const queue = items.values();
  const failures: unknown[] = [];
  const worker = async () => {
    for (const item of queue) {
      if (failures.length > 0) return;
      await each(item).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(at, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
};
