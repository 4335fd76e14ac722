/**
 * Commits as views. A commit counts once its `commits.commit.recorded` is there. Merges are counted, but what they change was
 * counted already in the commits that were merged: their files are in no sum and make no churn.
 */
import { z } from "zod";
import { type ChangedFile, type CommitFact, commitFacts, type CommitRecorded } from "../events/commits.ts";
import type { Event } from "../events/event.ts";
import { subjectOf } from "../events/personal.ts";
import type { Projection, Read } from "./projection.ts";

type CommitEvent = Event<CommitFact>;
type CommitCompleted = z.output<typeof commitFacts["commits.commit.completed"]>;

const count = z.int().nonnegative();
const lines = { added: count, deleted: count };

/** The repository's id, which is the entity's: the stream without `commits/`. It has no slash, so `id/rest` is unambiguous. */
const repositoryOf = (event: CommitEvent): string => event.stream.slice("commits/".length);

/** RFC 3339 in UTC, so that text order is the order of time. */
const utc = (time: string): string => new Date(time).toISOString();

const earlier = (a: string | undefined, b: string | undefined) =>
  a === undefined ? b : b === undefined || a <= b ? a : b;
const later = (a: string | undefined, b: string | undefined) => a === undefined ? b : b === undefined || a >= b ? a : b;

interface Lines {
  readonly added: number;
  readonly deleted: number;
}

const linesWith = (
  row: Lines,
  { merge, added = 0, deleted = 0 }: Partial<Lines> & { readonly merge?: true },
): Lines => ({
  added: row.added + (merge ? 0 : added),
  deleted: row.deleted + (merge ? 0 : deleted),
});

const repositoryRow = z.strictObject({
  repository: z.string(),
  /** As its importer names it; absent while only branches are known. */
  source: z.string().optional(),
  commits: count,
  /** Of the commits, so many have several parents. */
  merges: count,
  ...lines,
  /** Commit times, earliest and latest, UTC. */
  first: z.string().optional(),
  last: z.string().optional(),
  branches: count,
  /** Branch moves that left something behind. */
  forced: count,
  /** Commits whose changes are not known: where a shallow clone ends, or what a webhook told. */
  incomplete: count,
  /** Whether the last complete import was of a shallow clone. */
  shallow: z.boolean().optional(),
});
type RepositoryRow = z.output<typeof repositoryRow>;

const counted = (row: RepositoryRow, event: CommitEvent, data: CommitRecorded): RepositoryRow => {
  const at = data.times.committed === undefined ? undefined : utc(data.times.committed);
  return {
    ...row,
    source: event.source,
    commits: row.commits + 1,
    merges: row.merges + (data.merge ? 1 : 0),
    ...linesWith(row, data),
    incomplete: row.incomplete + (data.incomplete ? 1 : 0),
    first: earlier(row.first, at),
    last: later(row.last, at),
  };
};

const completed = (row: RepositoryRow, data: CommitCompleted): RepositoryRow => ({
  ...row,
  merges: row.merges + (data.merge ? 1 : 0),
  ...linesWith(row, data),
  incomplete: Math.max(0, row.incomplete - 1),
});

export const commitsRepository: Projection<RepositoryRow, CommitFact> = {
  name: "commits.repository",
  version: 1,
  about: "Repositories: commits, lines, branches, first and last commit. Key: the repository.",
  hears: [
    "commits.commit.recorded",
    "commits.commit.completed",
    "commits.history.imported",
    "commits.branch.moved",
    "commits.branch.deleted",
  ],
  row: repositoryRow,
  initial: { repository: "", commits: 0, merges: 0, added: 0, deleted: 0, branches: 0, forced: 0, incomplete: 0 },
  indexes: ["commits", "last"],
  keys: (event) => [repositoryOf(event)],
  apply(before, event, key): RepositoryRow {
    const row = before.repository === "" ? { ...before, repository: key } : before;
    switch (event.type) {
      case "commits.changes.listed":
        return row;
      case "commits.commit.recorded":
        return counted(row, event, event.data);
      case "commits.commit.completed":
        return completed(row, event.data);
      case "commits.history.imported":
        return { ...row, shallow: event.data.shallow };
      case "commits.branch.moved":
        return {
          ...row,
          branches: row.branches + (event.data.from === null ? 1 : 0),
          forced: row.forced + (event.data.forced ? 1 : 0),
        };
      case "commits.branch.deleted":
        return { ...row, branches: Math.max(0, row.branches - 1) };
    }
  },
};

const branchRow = z.strictObject({
  repository: z.string(),
  branch: z.string(),
  head: z.string(),
  moves: count,
  forced: count,
  /** When it moved last, as told. */
  at: z.string().optional(),
});
type BranchRow = z.output<typeof branchRow>;

export const commitsBranches: Projection<BranchRow, CommitFact> = {
  name: "commits.branches",
  version: 1,
  about: "Where each branch stands. Key: repository/branch.",
  hears: ["commits.branch.moved", "commits.branch.deleted"],
  row: branchRow,
  initial: { repository: "", branch: "", head: "", moves: 0, forced: 0 },
  indexes: ["repository", "branch", "moves", "forced"],
  keys: (event) => "branch" in event.data ? [`${repositoryOf(event)}/${event.data.branch}`] : [],
  apply(row, event): BranchRow | undefined {
    if (event.type !== "commits.branch.moved") return undefined;
    const { branch, to, forced, at } = event.data;
    return {
      repository: repositoryOf(event),
      branch,
      head: to,
      moves: row.moves + 1,
      forced: row.forced + (forced ? 1 : 0),
      ...(at === undefined ? {} : { at }),
    };
  },
};

const historyRow = z.strictObject({
  repository: z.string(),
  sha: z.string(),
  /** Committer's time, UTC; absent when the commit has none that can be read. */
  at: z.string().optional(),
  subject: z.string(),
  /** Sealed. */
  author: z.string(),
  /** Opaque id of the author: the same person keeps it. */
  by: z.string().optional(),
  parents: z.array(z.string()),
  merge: z.boolean(),
  files: count,
  ...lines,
  incomplete: z.enum(["boundary", "webhook"]).optional(),
});
type HistoryRow = z.output<typeof historyRow>;

export const commitsHistory: Projection<HistoryRow, CommitFact> = {
  name: "commits.history",
  version: 1,
  about: "Every commit with its subject, author and size. Key: repository/sha.",
  hears: ["commits.commit.recorded", "commits.commit.completed"],
  row: historyRow,
  initial: {
    repository: "",
    sha: "",
    subject: "",
    author: "",
    parents: [],
    merge: false,
    files: 0,
    added: 0,
    deleted: 0,
  },
  indexes: ["repository", "at", "by", "files", "added", "deleted", "merge"],
  text: (row) => row.subject,
  keys: (event) => "sha" in event.data ? [`${repositoryOf(event)}/${event.data.sha}`] : [],
  apply(row, event): HistoryRow {
    if (event.type === "commits.commit.completed") {
      const { incomplete: _, ...rest } = row;
      const { parents, merge = false, files, added = 0, deleted = 0 } = event.data;
      return { ...rest, parents, merge, files, added, deleted };
    }
    if (event.type !== "commits.commit.recorded") return row;
    const { sha, subject, author, parents, merge = false, files, added = 0, deleted = 0, incomplete, times } =
      event.data;
    const by = subjectOf(author.email) ?? subjectOf(author.name);
    return {
      repository: repositoryOf(event),
      sha,
      subject,
      author: author.name,
      parents,
      merge,
      files,
      added,
      deleted,
      ...(by === undefined ? {} : { by }),
      ...(times.committed === undefined ? {} : { at: utc(times.committed) }),
      ...(incomplete ? { incomplete } : {}),
    };
  },
};

const activityRow = z.strictObject({
  repository: z.string(),
  /** ISO 8601 week of the commit's time in UTC, `2026-W07`; `undated` for commits without a readable time. */
  week: z.string(),
  /** The week's first day. */
  monday: z.string().optional(),
  commits: count,
  merges: count,
  files: count,
  ...lines,
});
type ActivityRow = z.output<typeof activityRow>;

const DAY = 86_400_000;

/** ISO 8601: a week belongs to the year of its Thursday, and week 1 is the one with the year's first Thursday. */
export const isoWeek = (time: string | undefined): { readonly week: string; readonly monday?: string } => {
  if (time === undefined) return { week: "undated" };
  const day = Math.floor(Date.parse(time) / DAY);
  // Day 0, 1970-01-01, was a Thursday.
  const monday = day - (((day + 3) % 7) + 7) % 7;
  const thursday = new Date((monday + 3) * DAY);
  const year = thursday.getUTCFullYear();
  const number = Math.floor((monday + 3 - Date.UTC(year, 0, 1) / DAY) / 7) + 1;
  return {
    week: `${String(year).padStart(4, "0")}-W${String(number).padStart(2, "0")}`,
    monday: new Date(monday * DAY).toISOString().slice(0, 10),
  };
};

const timeOf = (event: CommitEvent): string | undefined => {
  if (event.type === "commits.commit.recorded") return event.data.times.committed;
  return event.type === "commits.commit.completed" ? event.data.committed : undefined;
};

export const commitsActivity: Projection<ActivityRow, CommitFact> = {
  name: "commits.activity",
  version: 1,
  about: "Commits and lines per week. Key: repository/week.",
  hears: ["commits.commit.recorded", "commits.commit.completed"],
  row: activityRow,
  initial: { repository: "", week: "", commits: 0, merges: 0, files: 0, added: 0, deleted: 0 },
  indexes: ["repository", "week", "commits"],
  keys: (event) => [`${repositoryOf(event)}/${isoWeek(timeOf(event)).week}`],
  apply(row, event): ActivityRow {
    if (event.type !== "commits.commit.recorded" && event.type !== "commits.commit.completed") return row;
    const { merge, files } = event.data;
    return {
      repository: repositoryOf(event),
      ...isoWeek(timeOf(event)),
      commits: row.commits + (event.type === "commits.commit.recorded" ? 1 : 0),
      merges: row.merges + (merge ? 1 : 0),
      files: row.files + (merge ? 0 : files),
      ...linesWith(row, event.data),
    };
  },
};

const hotspotRow = z.strictObject({
  repository: z.string(),
  path: z.string(),
  /** Lines added and deleted together. */
  churn: count,
  ...lines,
  /** Commits that touched it. */
  commits: count,
  /** Latest commit time, UTC. */
  last: z.string().optional(),
  /** Where it was before its last rename. */
  from: z.string().optional(),
  /** The last commit that touched it deleted it. */
  gone: z.boolean(),
  /** Working rows alone: files of a part whose commit is not there yet. */
  pending: z.array(commitFacts["commits.changes.listed"].shape.files.element).optional(),
});
type HotspotRow = z.output<typeof hotspotRow>;

interface Changes {
  readonly read: Read<HotspotRow>;
  readonly files: ReadonlyMap<string, ChangedFile>;
  /** Paths that were left behind by a rename. */
  readonly left: ReadonlySet<string>;
}

// `apply` is called once for each file of a commit; the parts are read and indexed once for all of them.
const indexed = new WeakMap<CommitEvent, Changes>();

const partKeys = (event: CommitEvent): readonly string[] => {
  if (event.type !== "commits.commit.recorded" && event.type !== "commits.commit.completed") return [];
  if (event.data.merge) return [];
  return Array.from({ length: event.data.parts }, (_, part) => `~${repositoryOf(event)}/${event.data.sha}/${part}`);
};

const changesOf = (event: CommitEvent, read: Read<HotspotRow>): Changes => {
  const files = new Map<string, ChangedFile>();
  const left = new Set<string>();
  for (const key of partKeys(event)) {
    for (const file of read(key)?.pending ?? []) {
      files.set(file.path, file);
      if (file.status === "R" && file.old_path !== undefined) left.add(file.old_path);
    }
  }
  const changes = { read, files, left };
  indexed.set(event, changes);
  return changes;
};

const sum = (a: HotspotRow, b: HotspotRow): HotspotRow => ({
  ...a,
  churn: a.churn + b.churn,
  added: a.added + b.added,
  deleted: a.deleted + b.deleted,
  commits: a.commits + b.commits,
  last: later(a.last, b.last),
});

const touched = (row: HotspotRow, file: ChangedFile, event: CommitEvent): HotspotRow => {
  const { added = 0, deleted = 0 } = file;
  const time = timeOf(event);
  return {
    ...row,
    repository: repositoryOf(event),
    path: file.path,
    churn: row.churn + added + deleted,
    added: row.added + added,
    deleted: row.deleted + deleted,
    commits: row.commits + 1,
    last: later(row.last, time === undefined ? undefined : utc(time)),
    gone: file.status === "D",
    ...(file.status === "R" && file.old_path !== undefined ? { from: file.old_path } : {}),
  };
};

/**
 * Churn follows a rename: the new path takes over what the old one had, and the old row goes. What the new path had
 * from an earlier file of that name is added, unless that file moved on in the same commit (a swap).
 */
export const commitsHotspots: Projection<HotspotRow, CommitFact> = {
  name: "commits.hotspots",
  version: 1,
  about: "Churn per file, through renames; merges do not count. Key: repository/path.",
  hears: ["commits.changes.listed", "commits.commit.recorded", "commits.commit.completed"],
  row: hotspotRow,
  initial: { repository: "", path: "", churn: 0, added: 0, deleted: 0, commits: 0, gone: false },
  indexes: ["repository", "churn", "commits", "last", "gone"],
  keys(event, read) {
    const repository = repositoryOf(event);
    if (event.type === "commits.changes.listed") {
      return event.data.merge ? [] : [`~${repository}/${event.data.sha}/${event.data.part}`];
    }
    const { files, left } = changesOf(event, read);
    return [...partKeys(event), ...[...files.keys(), ...left].map((path) => `${repository}/${path}`)];
  },
  apply(row, event, key, read): HotspotRow | undefined {
    if (event.type === "commits.changes.listed") return { ...commitsHotspots.initial, pending: event.data.files };
    if (key.startsWith("~")) return undefined;
    const known = indexed.get(event);
    const { files, left } = known?.read === read ? known : changesOf(event, read);
    const repository = repositoryOf(event);
    const path = key.slice(repository.length + 1);
    const file = files.get(path);
    if (!file) return left.has(path) ? undefined : row;
    const own = left.has(path) ? commitsHotspots.initial : row;
    if (file.status !== "R" || file.old_path === undefined) return touched(own, file, event);
    const before = read(`${repository}/${file.old_path}`) ?? commitsHotspots.initial;
    return touched(sum(before, own), file, event);
  },
};

export const commitsViews = [
  commitsRepository,
  commitsBranches,
  commitsHistory,
  commitsHotspots,
  commitsActivity,
] as const;
