/**
 * GitHub's push webhook (https://docs.github.com/en/webhooks/webhook-events-and-payloads#push) as commits and commands.
 *
 * A push tells who committed what and when, but neither parents nor lines. So its commits are recorded as incomplete, once;
 * the next `import git` of the same repository completes them, or had recorded them whole before.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { Ask, Incoming, Issue, Principal } from "../../actors/kernel/daybook.ts";
import { commitWords, repositorySource } from "../../events/commit_text.ts";
import { branchName, type CommitRecorded, repositoryId, sha } from "../../events/commits.ts";

/** GitHub sends at most 2,048 commits with a push. */
export const PUSH_COMMITS_MAX = 2_048;

/** GitHub itself stops at 25 MB; a push of 2,048 commits is rarely over one. */
export const PUSH_BODY_BYTES_MAX = 8 * 1_048_576;

/**
 * Whether the body is from one who knows the secret: `header` is `X-Hub-Signature-256`, `sha256=` and the HMAC-SHA-256 of the
 * exact bytes in hexadecimal. Takes the same time wherever the first difference is. An empty secret signs nothing.
 */
export const verifySignature = (secret: string, body: Uint8Array<ArrayBuffer>, header: string | null): boolean => {
  const sent = /^sha256=([0-9a-f]{64})$/i.exec(header ?? "")?.[1];
  if (sent === undefined || secret === "") return false;
  return timingSafeEqual(createHmac("sha256", secret).update(body).digest(), Uint8Array.fromHex(sent));
};

const person = z.object({ name: z.string(), email: z.string().nullish() });
const time = z.iso.datetime({ offset: true });

const push = z.object({
  ref: z.string(),
  before: z.string(),
  after: z.string(),
  deleted: z.boolean().default(false),
  forced: z.boolean().default(false),
  repository: z.object({
    html_url: z.string(),
    /** Seconds since 1970; other events of GitHub have it as a text. */
    pushed_at: z.union([z.int().nonnegative().max(253_402_300_799), time]).optional(),
  }),
  commits: z.array(z.object({ id: sha, message: z.string(), timestamp: time, author: person, committer: person }))
    .max(PUSH_COMMITS_MAX).default([]),
});
type Push = z.output<typeof push>;

export type Translated =
  | {
    readonly is: "push";
    readonly source: string;
    /** In the order of the push; nothing that the log may know otherwise was sorted out. */
    readonly incoming: readonly Incoming[];
    readonly asks: readonly Ask[];
  }
  /** Nothing to record: another webhook of GitHub than a push, or a push of a tag. */
  | { readonly is: "ignored"; readonly because: string }
  | { readonly is: "invalid"; readonly issues: readonly Issue[] };

const BRANCH = "refs/heads/";

/**
 * What a push says, as facts to ingest and commands to ask. `delivery` is `X-GitHub-Delivery`: the same delivery again is the
 * same command; without it, as in a stored body, the push is known by its branch, time and both ends.
 */
export const translatePush = (
  body: unknown,
  { by, delivery }: { readonly by: Principal; readonly delivery?: string },
): Translated => {
  if (typeof body === "object" && body !== null && !isPush(body)) {
    if (!fromGithub(body)) return { is: "invalid", issues: [{ path: "", message: "expected a webhook of GitHub" }] };
    return { is: "ignored", because: "zen" in body ? "a ping" : "not a push" };
  }
  const parsed = push.safeParse(body);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => ({
      path: path.map((step) => `/${String(step)}`).join(""),
      message,
    }));
    return { is: "invalid", issues };
  }
  const told = parsed.data;
  const source = repositorySource(told.repository.html_url);
  if (source === undefined) {
    return { is: "invalid", issues: [{ path: "/repository/html_url", message: "expected the URL of a repository" }] };
  }
  const incoming = told.commits.map((commit) => recorded(commit, source));
  if (!told.ref.startsWith(BRANCH)) return { is: "ignored", because: `${told.ref} is not a branch` };
  const branch = told.ref.slice(BRANCH.length);
  const ends = z.strictObject({ branch: branchName, after: told.deleted ? z.string() : sha }).safeParse({
    branch,
    after: told.after,
  });
  if (!ends.success) {
    const issues = ends.error.issues.map(({ path, message }) => ({
      path: path[0] === "branch" ? "/ref" : "/after",
      message,
    }));
    return { is: "invalid", issues };
  }
  return { is: "push", source, incoming, asks: [askOf(told, { branch, source, by, delivery })] };
};

/** `cache_sync` of an enterprise server has these as well: how far a cache has come, maybe long behind the push. */
const isPush = (body: object): boolean => "ref" in body && "after" in body && !("cache_location" in body);

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads#webhook-payload-object-common-properties */
const COMMON = ["sender", "repository", "organization", "installation", "enterprise"];
/** Told to everybody, so that none of these is in it. */
const ADVISORY = "security_advisory";

const fromGithub = (body: object): boolean =>
  "hook_id" in body ||
  Object.entries(body).some(([name, value]) => [...COMMON, ADVISORY].includes(name) && typeof value === "object");

interface Told {
  readonly branch: string;
  readonly source: string;
  readonly by: Principal;
  readonly delivery: string | undefined;
}

const askOf = ({ before, after, deleted, forced, repository }: Push, { branch, source, by, delivery }: Told): Ask => {
  const pushed = repository.pushed_at;
  const at = typeof pushed === "number" ? new Date(pushed * 1000).toISOString() : pushed;
  const command = `github:${delivery ?? `${at ?? ""}:${before}:${after}`}:${branch}`;
  const when = at === undefined ? {} : { at };
  const id = repositoryId(source);
  if (deleted) return { type: "commits.branch.delete", id, by, command, data: { branch, ...when } };
  return {
    type: "commits.branch.move",
    id,
    by,
    command,
    data: { branch, to: after, ...(forced ? { forced } : {}), ...when },
    causationid: after,
    correlationid: after,
  };
};

const recorded = (commit: Push["commits"][number], source: string): Incoming => {
  const who = ({ name, email }: z.output<typeof person>) => ({ name, email: email ?? "" });
  const words = commitWords({ author: who(commit.author), committer: who(commit.committer), message: commit.message });
  const data: CommitRecorded = {
    sha: commit.id,
    parts: 0,
    parents: [],
    ...words,
    times: { committed: commit.timestamp },
    files: 0,
    added: 0,
    deleted: 0,
    incomplete: "webhook",
  };
  return { id: commit.id, source, type: "commits.commit.recorded", time: commit.timestamp, data };
};
