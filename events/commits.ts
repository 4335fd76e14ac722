/**
 * Commits: what changed in a repository, by whom, and where its branches stand. Stream: `commits/{repository}`.
 *
 * A commit is zero or more `commits.changes.listed` and last one `commits.commit.recorded`; only with that one does it count.
 * `source` is the repository, a URI reference; the recorded commit's `id` is its sha, the id of its part n is `{sha}/{n}`.
 * So the log's idempotency keeps a commit single for ever, and a later listing of the same commit has nowhere to go.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas, StreamId } from "./event.ts";
import { personal, pseudonym } from "./personal.ts";

/** Bounds of what one fact holds; all of it together stays below the entry limit of the log. */
export const COMMIT_LIMITS = {
  /** Files of one part; a part is also cut by bytes. */
  part_files_max: 500,
  /** Parts of one commit: five million files. A projection looks each up, so an untrue number must not cost more. */
  parts_max: 10_000,
  path_chars_max: 4_096,
  subject_chars_max: 500,
  parents_max: 300,
  branch_chars_max: 500,
  /** Tips that `commits.history.imported` names. */
  tips_max: 1_000,
} as const;

/** A SHA-1 or SHA-256 object name; never git's all-zero "no object". */
export const sha = z.string().regex(
  /^(?!0+$)(?:[0-9a-f]{40}|[0-9a-f]{64})$/,
  "a full object name: 40 or 64 hexadecimal digits",
);

/**
 * The name without `refs/heads/`, by the rules of `git check-ref-format`. Bytes that are not UTF-8 are written `\ooo`
 * (octal); a name has no backslash of its own, so that this is lossless.
 */
export const branchName = z.string().min(1).max(COMMIT_LIMITS.branch_chars_max).regex(
  // deno-lint-ignore no-control-regex
  /^(?![/.-])(?!.*(?:\/[/.]|\.\.|@\{|\.lock(?:\/|$)))(?:[^\x00-\x20\x7f~^:?*[\\]|\\[0-7]{3})+(?<![/.])$/u,
  "a branch name that git accepts, without refs/heads/",
);

/** Of files or lines of one commit. Bounded, so that sums over any history stay exact. */
const count = z.int().nonnegative().max(2 ** 31 - 1);
const time = z.iso.datetime({ offset: true });
const parts = count.max(COMMIT_LIMITS.parts_max);
const yes = z.literal(true).optional();

/** The address is the person: names and texts are sealed under its key. A person without an address is its own name. */
const person = {
  name: personal({ subject: "email" }),
  email: personal({ subject: "email" }),
  pseudonym: pseudonym({ of: "email" }),
};

const file = z.strictObject({
  /** As in the tree, `/` between folders. Valid UTF-8 as it is, newlines and all. */
  path: z.string().min(1).max(COMMIT_LIMITS.path_chars_max),
  /** Where it was before a rename, or what it is a copy of. */
  old_path: z.string().min(1).max(COMMIT_LIMITS.path_chars_max).optional(),
  /** Git's letter: added, copied, deleted, modified, renamed, type changed. */
  status: z.enum(["A", "C", "D", "M", "R", "T"]),
  /** Lines; absent where they mean nothing (`binary`), and in merges, where they are not counted. */
  added: count.optional(),
  deleted: count.optional(),
  binary: yes,
  /** Percent, of a rename or copy. */
  similarity: z.int().min(0).max(100).optional(),
  kind: z.enum(["symlink", "submodule"]).optional(),
  /** The path's bytes are not UTF-8: both paths are in git's C form (`\303`, `\t`, `\\`, `\"`), without the outer quotes. */
  quoted: yes,
  /** A path longer than the bound: its beginning, `~`, and the SHA-256 of the whole in hexadecimal. */
  cut: yes,
});

export const commitFacts = {
  "commits.changes.listed": z.strictObject({
    sha,
    /** From 0; `commits.commit.recorded` says how many there are. */
    part: count.max(COMMIT_LIMITS.parts_max - 1),
    /** The commit has several parents, and these are the changes against the first. */
    merge: yes,
    files: z.array(file).min(1).max(COMMIT_LIMITS.part_files_max),
  }),
  "commits.commit.recorded": z.strictObject({
    sha,
    parts,
    parents: z.array(sha).max(COMMIT_LIMITS.parents_max),
    /** So many more than fit. */
    parents_left_out: count.optional(),
    /** Several parents: the files are those that differ from the first. */
    merge: yes,
    /** `message`: the whole message, when it says more than `subject` does. */
    author: z.strictObject({ ...person, message: personal({ subject: "email" }).optional() }),
    /** Absent: the author. */
    committer: z.strictObject(person).optional(),
    /** Absent: missing or broken in the commit. Offsets are kept as written. */
    times: z.strictObject({ authored: time.optional(), committed: time.optional() }),
    /**
     * First paragraph in one line, for everybody to read and search. Addresses, and the names of author and committer, are
     * replaced by `[personal]`; the message under `author` has the whole.
     */
    subject: z.string().max(COMMIT_LIMITS.subject_chars_max),
    /** Totals over all parts. Lines of a merge are not counted: they are those of the commits it brings together. */
    files: count,
    added: count.optional(),
    deleted: count.optional(),
    /** Names or message were not valid in the encoding the commit names; read byte for byte as ISO 8859-1. */
    latin1: yes,
    /** The message is longer than an entry can hold; so many bytes of it were left out. */
    message_cut: count.optional(),
    /**
     * What the commit changed, and its parents, are not known (yet): it is where a shallow clone ends, or a webhook told of it.
     * Then `parents` is empty and all counts are 0.
     */
    incomplete: z.enum(["boundary", "webhook"]).optional(),
  }),
  /** What was missing in a commit recorded as incomplete. `id` is `{sha}/completed`. */
  "commits.commit.completed": z.strictObject({
    sha,
    parts,
    parents: z.array(sha).max(COMMIT_LIMITS.parents_max),
    parents_left_out: count.optional(),
    merge: yes,
    /** Committer's time, as in the commit. */
    committed: time.optional(),
    files: count,
    added: count.optional(),
    deleted: count.optional(),
  }),
  /** Everything reachable from `tips` is recorded. Ends an import that brought something new. */
  "commits.history.imported": z.strictObject({
    tips: z.array(sha).max(COMMIT_LIMITS.tips_max),
    /** New ones in this import. */
    commits: count,
    shallow: z.boolean(),
  }),
  "commits.branch.moved": z.strictObject({
    branch: branchName,
    /** `null`: it is new here. */
    from: sha.nullable(),
    to: sha,
    /** What was on the branch is not behind its new head any more. */
    forced: z.boolean(),
    /** When it moved, if the one who told it knew. */
    at: time.optional(),
  }),
  "commits.branch.deleted": z.strictObject({ branch: branchName, from: sha, at: time.optional() }),
} satisfies FactSchemas;

export type CommitFact = Facts<typeof commitFacts>;
export type ChangedFile = z.output<typeof file>;
export type CommitRecorded = z.output<typeof commitFacts["commits.commit.recorded"]>;

/** Longest name of a repository within its stream. */
const SLUG_CHARS_MAX = 400;

/**
 * The repository's id, from the source that names it: `https://github.com/redis/redis` is `github.com:redis:redis`,
 * `linux` is `linux`. `http(s)://` is left out, `/` becomes `:`, what a stream cannot hold is percent-encoded; of a very
 * long source the end counts.
 */
export const repositoryId = (source: string): string => {
  const id = source.length <= SLUG_CHARS_MAX && PLAIN.test(source) ? source.replaceAll("/", ":") : slug(source);
  return /^\.*$/.test(id) ? `_${id}` : id;
};

// Nearly every source that is not a URL: nothing of it is left out or encoded.
const PLAIN = /^[A-Za-z0-9._~@:+%-]+(?:\/[A-Za-z0-9._~@:+%-]+)*$/;

const slug = (source: string): string => {
  const parts = source.replace(/^https?:\/\//, "").split("/").filter((part) => part !== "");
  return parts.join(":").toWellFormed().replace(/[^A-Za-z0-9._~@:+%-]/gu, encodeURIComponent).slice(-SLUG_CHARS_MAX);
};

const stream = ({ source }: { readonly source: string }): StreamId => `commits/${repositoryId(source)}`;

export const commits: Domain = {
  name: "commits",
  facts: {
    "commits.changes.listed": {
      schema: commitFacts["commits.changes.listed"],
      kind: "observed",
      stream,
      about: "Files a commit changed, against its first parent; one part of possibly several.",
    },
    "commits.commit.recorded": {
      schema: commitFacts["commits.commit.recorded"],
      kind: "observed",
      stream,
      about: "A commit, with its author and totals; the last of its facts.",
    },
    "commits.commit.completed": {
      schema: commitFacts["commits.commit.completed"],
      kind: "observed",
      stream,
      about: "Parents and changes of a commit that was recorded without them are known now.",
    },
    "commits.history.imported": {
      schema: commitFacts["commits.history.imported"],
      kind: "observed",
      stream,
      about: "An import reached its end: everything behind these tips is recorded.",
    },
    "commits.branch.moved": {
      schema: commitFacts["commits.branch.moved"],
      kind: "decided",
      about: "A branch has a new head; forced or not.",
    },
    "commits.branch.deleted": {
      schema: commitFacts["commits.branch.deleted"],
      kind: "decided",
      about: "A branch is gone.",
    },
  },
};
