/**
 * Imports a repository's history: every commit once, parents first, then where the branches stand. It may be stopped at any
 * instruction and started again: what is in the log already is passed over, even within a commit.
 */
import { createHash } from "node:crypto";
import type { Principal } from "../../actors/kernel/daybook.ts";
import { isArchived } from "../../actors/kernel/kept.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { pause } from "../../actors/kernel/world.ts";
import { canonical } from "../../events/canonical.ts";
import { COMMIT_LIMITS, type CommitFact, repositoryId } from "../../events/commits.ts";
import type { Event, StreamId } from "../../events/event.ts";
import { type BranchesRecorded, recordBranches } from "./branches.ts";
import { DIFF_LIMITS, diffs } from "./diffs.ts";
import { type GitEnvironment, GitFault, type GitFaultCode } from "./process.ts";
import { listBranches, listCommits, openRepository, type Repository } from "./repository.ts";
import { type ImportTarget, Sender, Stop, type StopCode } from "./send.ts";
import { type Listed, translate } from "./translate.ts";

const IMPORT_LIMITS = {
  /** Commits whose changes git cannot read; at more the import gives up. */
  unreadable_max: 1_000,
  /** Times it begins anew because a webhook was faster. */
  overtaken_max: 5,
} as const;

export interface GitImportOptions {
  readonly path: string;
  readonly by: Principal;
  readonly clock: Clock;
  /** URI reference that names the repository, instead of its remote or folder: `linux`. */
  readonly source?: string;
  /** Only these commits, in git's words: `["main~10..main"]`. Default: all that refs and HEAD reach. */
  readonly range?: readonly string[];
  /** Branches that are known but not in the repository are deleted. Default: only when the repository is bare. */
  readonly prune?: boolean;
  /** Git's environment; see `GitEnvironment`. Default: that of this process. */
  readonly env?: GitEnvironment;
  /** Git processes side by side, 1 to `DIFF_LIMITS.lanes_max`. Default: one per core. */
  readonly lanes?: number;
  readonly progress?: (progress: GitProgress) => void;
  /** Ends it after what is on its way; the rest comes with the next import. */
  readonly signal?: AbortSignal;
}

export interface GitProgress {
  readonly doing: "listing" | "commits" | "branches";
  readonly done: number;
  readonly total: number;
}

export interface GitImported {
  readonly ok: true;
  readonly source: string;
  /** The entity's id; the stream is `commits/` and this. */
  readonly repository: string;
  readonly stream: StreamId;
  /** `known` were there before; all behind an earlier import's tips are not even looked at, and not in it. */
  readonly commits: { readonly new: number; readonly completed: number; readonly known: number };
  readonly events: number;
  readonly branches: BranchesRecorded;
  readonly shallow: boolean;
  /** No commits at all. */
  readonly empty: boolean;
  /** Commits that were left out, because git cannot read what they changed; the next import tries again. */
  readonly unreadable: readonly { readonly sha: string; readonly why: string }[];
}

/** Nothing is lost: what `new` counts is in the log, and the same import again goes on from there. */
export interface GitImportFailed {
  readonly ok: false;
  readonly code: GitFaultCode | StopCode;
  /** What was being done, and why it could not be. */
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
  readonly new: number;
}

const ADVICE: Readonly<Record<GitImportFailed["code"], string>> = {
  git_missing: "Install git, and see that it is on the PATH and may be run.",
  no_such_folder: "Give the path of a repository.",
  not_a_repository: "Give the folder of a git repository: its work tree, or a bare one.",
  unsafe:
    "Git does not trust a folder that belongs to somebody else, and neither do we. If you do: git config --global --add safe.directory {path}",
  unknown_range: "Give revisions that exist in this repository, such as main~10..main.",
  too_many: "Give a range, such as main~1000000..main, and older ones after it.",
  corrupt: "Check the repository with git fsck; a fresh clone often mends it. A range may reach what is whole.",
  unexpected: "Run the same with git itself to see more.",
  stopped: "Run the import again; it goes on from there.",
  conflict:
    "The log has this event with other content: another program has recorded it under the same source. Name the repository otherwise.",
  refused: "This is a fault of the importer; please report it.",
  unavailable: "Run the import again; it goes on from there.",
};

const failed = ({ code, message }: GitFault | Stop, path: string, recorded: number): GitImportFailed => ({
  ok: false,
  code,
  message: message.replace(/\.$/, ""),
  advice: ADVICE[code].replace("{path}", path),
  new: recorded,
});

/** Why this could not be imported, as far as it can be told without a log to import into; `whole`: whether all commits are looked for. */
export const refusal = async (
  options: Pick<GitImportOptions, "path" | "range" | "env"> & { readonly whole?: boolean },
): Promise<GitImportFailed | undefined> => {
  try {
    const repository = await openRepository(options.path, options);
    if (options.range || options.whole) await listCommits(repository, { range: options.range });
  } catch (error) {
    if (error instanceof GitFault) return failed(error, options.path, 0);
    throw error;
  }
};

/** Throws `LogFault` when the log cannot be written; all else is in the answer. */
export const importGit = async (
  daybook: ImportTarget,
  options: GitImportOptions,
): Promise<GitImported | GitImportFailed> => {
  let before = 0;
  for (let tries = 1;; tries++) {
    const work: { import?: Import } = {};
    try {
      options.progress?.({ doing: "listing", done: 0, total: 0 });
      const repository = await openRepository(options.path, options);
      work.import = new Import(daybook, options, repository);
      const done = await work.import.run();
      return { ...done, commits: { ...done.commits, new: done.commits.new + before } };
    } catch (error) {
      if (!(error instanceof GitFault || error instanceof Stop)) throw error;
      before += work.import?.recorded ?? 0;
      if (work.import?.overtaken(error) && tries < IMPORT_LIMITS.overtaken_max) continue;
      return failed(error, options.path, before);
    }
  }
};

class Import {
  private known = 0;
  private done = 0;
  private readonly stream: StreamId;
  private readonly unreadable: { sha: string; why: string }[] = [];
  private readonly sender: Sender;

  constructor(
    private readonly daybook: ImportTarget,
    private readonly options: GitImportOptions,
    private readonly repository: Repository,
  ) {
    this.stream = `commits/${repositoryId(repository.source)}`;
    this.sender = new Sender(daybook, options);
  }

  get recorded(): number {
    return this.sender.counts.recorded;
  }

  /** A webhook told of the commit between our look and our append: then it is to be completed, not recorded. */
  overtaken(error: Error): boolean {
    if (!(error instanceof Stop) || error.clash === undefined) return false;
    const found = this.found(error.clash);
    return found !== "archived" && found?.type === "commits.commit.recorded" && found.data.incomplete !== undefined;
  }

  async run(): Promise<GitImported> {
    const { repository, options } = this;
    const { source, shallow } = repository;
    const before = options.range ? undefined : this.lastImport();
    const heads = await listBranches(repository);
    const listed = await listCommits(repository, { range: options.range, known: this.usable(before) });
    try {
      await this.commits(listed);
    } finally {
      await this.sender.settled();
    }
    if (options.signal?.aborted) throw new Stop("stopped", `Stopped after ${this.done} of ${listed.length} commits`);
    if (!options.range && this.unreadable.length === 0) await this.remember(listed, before);
    const branches = await recordBranches(this.repository, {
      ...options,
      heads,
      target: this.daybook,
      sender: this.sender,
    });
    const { recorded, completed, events } = this.sender.counts;
    return {
      ok: true,
      source,
      repository: repositoryId(source),
      stream: this.stream,
      commits: { new: recorded, completed, known: this.known },
      events: events + branches.moved + branches.deleted,
      branches,
      shallow,
      empty: listed.length === 0 && before === undefined,
      unreadable: this.unreadable,
    };
  }

  private async commits(listed: readonly Listed[]): Promise<void> {
    const { options, repository } = this;
    const lanes = Math.min(DIFF_LIMITS.lanes_max, Math.max(1, options.lanes ?? navigator.hardwareConcurrency));
    const progress = () => options.progress?.({ doing: "commits", done: this.done, total: listed.length });
    const missing = await this.missing(listed, progress);
    for await (const batch of diffs(repository.git, missing, { lanes, signal: options.signal })) {
      for (const diffed of batch) {
        if (diffed.raw) await this.sender.send(translate(diffed.raw, diffed.listed, repository.source));
        else this.leaveOut(diffed.listed.sha, diffed.why);
        if (options.signal?.aborted) return await this.sender.flush();
        this.done++;
      }
      progress();
    }
    await this.sender.flush();
  }

  /** Without those that the log has. Looking them up is synchronous, so others get their turn now and then. */
  private async missing(listed: readonly Listed[], progress: () => void): Promise<readonly Listed[]> {
    const missing: Listed[] = [];
    let looks = 0;
    for (const commit of listed) {
      if (this.options.signal?.aborted) return [];
      if (++looks % 1_000 === 0) {
        await pause(this.options.clock, 0);
        progress();
      }
      const found = this.found(commit.sha);
      if (!found) missing.push(commit);
      else if (found !== "archived" && this.completes(found, commit)) missing.push({ ...commit, completes: true });
      else {
        this.known++;
        this.done++;
      }
    }
    return missing;
  }

  private completes(found: Event<CommitFact>, commit: Listed): boolean {
    return found.type === "commits.commit.recorded" && found.data.incomplete !== undefined &&
      commit.boundary === undefined &&
      this.found(`${commit.sha}/completed`) === undefined;
  }

  /** What was archived, and cannot be read, was recorded. */
  private found(id: string): Event<CommitFact> | "archived" | undefined {
    try {
      return this.daybook.log.find(this.repository.source, id) as Event<CommitFact> | undefined;
    } catch (error) {
      if (!isArchived(error)) throw error;
      return "archived";
    }
  }

  private leaveOut(sha: string, why: string): void {
    if (this.unreadable.length >= IMPORT_LIMITS.unreadable_max) {
      throw new Stop(
        "corrupt",
        `Git cannot read what ${IMPORT_LIMITS.unreadable_max} commits and more have changed; the last is ${sha}: ${why}`,
      );
    }
    this.unreadable.push({ sha, why });
  }

  /** How far an import before this one came. Where that was archived, every commit is looked for. */
  private lastImport(): Reached | undefined {
    const range = { stream: this.stream, types: ["commits.history.imported"], backward: true, limit: 1 };
    try {
      for (const batch of this.daybook.log.read(range)) {
        for (const event of batch as readonly Event<CommitFact>[]) {
          if (event.type === "commits.history.imported") return event.data;
        }
      }
    } catch (error) {
      if (!isArchived(error)) throw error;
    }
    return undefined;
  }

  /** Behind the tips of a shallow clone there may be older commits by now. */
  private usable(before: Reached | undefined): readonly string[] {
    return before === undefined || before.shallow ? [] : before.tips;
  }

  /** Says that everything behind the tips is recorded, so that the next import need not look there. */
  private async remember(listed: readonly Listed[], before: Reached | undefined): Promise<void> {
    const { shallow } = this.repository;
    const { recorded, completed } = this.sender.counts;
    // One that was stopped just before it could say so says it now; one that finds nothing new adds nothing to the log.
    if (listed.length === 0 || (recorded + completed === 0 && before?.shallow === shallow)) return;
    const behind = new Set(listed.flatMap(({ parents }) => parents));
    const heads = listed.map(({ sha }) => sha).reverse();
    const tips = [...new Set([...heads, ...this.usable(before)])].filter((sha) => !behind.has(sha)).slice(
      0,
      COMMIT_LIMITS.tips_max,
    );
    const data = { commits: recorded, shallow, tips };
    // Named by the revision it follows, and what it says: every import that brought something ends in one of its own, and two may end at once.
    const said = createHash("sha256").update(canonical(data)).digest("hex").slice(0, 16);
    const id = `imported/${this.daybook.log.head(this.stream)}/${said}`;
    const event = { id, source: this.repository.source, type: "commits.history.imported", data };
    await this.sender.send({ events: [event], bytes: 1_200 + 70 * tips.length });
    await this.sender.flush();
    await this.sender.settled();
  }
}

type Reached = Extract<CommitFact, { type: "commits.history.imported" }>["data"];
