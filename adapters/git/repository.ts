/** What a repository is: where git finds it, what it is called, which commits and branches it has. */
import { repositorySource } from "../../events/commit_text.ts";
import { asUtf8, cQuoted, latin1 } from "./text.ts";
import { type Answer, Git, type GitEnvironment, GitFault, type GitFaultCode } from "./process.ts";
import type { Listed } from "./translate.ts";

export interface Repository {
  readonly git: Git;
  /** URI reference that names it; `source` of its events. */
  readonly source: string;
  readonly bare: boolean;
  /** Its history ends early, at boundary commits. */
  readonly shallow: boolean;
}

/** In which git's words what is recognised; the first that matches counts. English by `LC_ALL=C`. */
const FAULTS: readonly (readonly [RegExp, GitFaultCode])[] = [
  [/dubious ownership|unsafe repository|cannot use bare repository|safe\.directory/, "unsafe"],
  [/cannot change to/, "no_such_folder"],
  [/not a git repository/, "not_a_repository"],
  [
    /unknown revision|ambiguous argument|bad revision|Invalid revision range|Invalid symmetric difference/,
    "unknown_range",
  ],
  [
    /bad object|missing|corrupt|[Cc]ould not read|unable to (?:read|parse|find)|[Ff]ailed to (?:read|traverse)|loose object|packfile|does not point|invalid object|inflate/,
    "corrupt",
  ],
];

/** The fault that git's own words tell of. */
export const faultOf = (stderr: string, doing: string): GitFault => {
  const code = FAULTS.find(([pattern]) => pattern.test(stderr))?.[1] ?? "unexpected";
  // What is indented ends the line above: `unknown repository extension found:` and its name.
  const said = stderr.replace(/\n[\t ]+/g, " ").split("\n").map((line) => line.trim()).filter(Boolean);
  // Behind what is wrong git often tells how to ask it better; our own advice is for who asked us.
  const faults = said.filter((line) => /^(?:fatal|error): /.test(line));
  const words = (faults.length > 0 ? faults : said).slice(0, 4).join("; ");
  return new GitFault(code, `${doing}: ${words === "" ? "git gave no reason" : words}`);
};

const printed = ({ stdout }: Answer): string => latin1(stdout).replace(/\n$/, "");

const lines = (answer: Answer): readonly string[] => printed(answer).split("\n").filter((line) => line !== "");

const asked = async (git: Git, args: readonly string[], doing: string): Promise<readonly string[]> => {
  const answer = await git.run(args);
  if (answer.code !== 0) throw faultOf(answer.stderr, doing);
  return lines(answer);
};

/** Finds the repository as git does, and asks git whether it may be read. Throws `GitFault`. */
export const openRepository = async (
  path: string,
  options: { readonly env?: GitEnvironment; readonly source?: string },
): Promise<Repository> => {
  const outside = Git.at(path, options.env);
  const doing = `Cannot open ${path}`;
  const answer = await outside.run([
    "rev-parse",
    "--is-bare-repository",
    "--is-shallow-repository",
    "--absolute-git-dir",
  ]);
  if (answer.code !== 0) throw faultOf(answer.stderr, doing);
  const [bare, shallow, ...named] = printed(answer).split("\n");
  const gitDir = named.join("\n"); // it may have more than one line
  const folder = asUtf8(gitDir);
  if (folder === undefined) throw new GitFault("unexpected", `${doing}: the path is not UTF-8`);
  const git = outside.inside(folder);
  const source = options.source ?? await sourceOf(git, outside, gitDir, bare === "true");
  return { git, source, bare: bare === "true", shallow: shallow === "true" };
};

/** `gitDir`: as git prints it, a character a byte. */
const sourceOf = async (git: Git, outside: Git, gitDir: string, bare: boolean): Promise<string> => {
  const { code, stdout } = await git.run(["config", "--local", "--get", "remote.origin.url"]);
  const named = code === 0 ? repositorySource(latin1(stdout).trim()) : undefined;
  if (named !== undefined) return named;
  const top = bare ? gitDir : printed(await outside.run(["rev-parse", "--show-toplevel"])) || gitDir;
  return sourceOfFolder(asUtf8(top) ?? cQuoted(top));
};

/** `/home/git/linux.git/` is `linux`; only the last name of the path, for the rest tells of the machine. */
const sourceOfFolder = (path: string): string => {
  const names = path.split(/[/\\]/).filter((name) => name !== "" && name !== "." && name !== ".git");
  const name = (names.at(-1) ?? "").replace(/\.git$/, "");
  return encodeURIComponent(name.toWellFormed()) || "repository";
};

/** Listed at once: they are held in memory. */
const COMMITS_MAX = 5_000_000;

// Refs that hold something else than history: stashes, notes, replacements.
const REFS = ["--exclude=refs/stash", "--exclude=refs/notes/*", "--exclude=refs/replace/*", "--all"];

/** Which commits: all that refs or HEAD reach, or those of a range in git's words (`main~10..main`). */
export interface Wanted {
  readonly range?: readonly string[];
  /** Everything behind these is known already; ones that are not here are passed over. */
  readonly known?: readonly string[];
  /** Commits; of more none is taken. Default `COMMITS_MAX`. */
  readonly most?: number | undefined;
}

/** Parents before children. About 400 bytes of memory a commit. Throws `GitFault`. */
export const listCommits = async (
  repository: Repository,
  { range, known = [], most = COMMITS_MAX }: Wanted,
): Promise<readonly Listed[]> => {
  const { git } = repository;
  for (const revision of range ?? []) {
    // Nothing that is given as a revision may be read as an option.
    // deno-lint-ignore no-control-regex
    if (/^-|[\x00-\x20\x7f]/.test(revision) || revision === "") {
      throw new GitFault("unknown_range", `Not a range of commits: ${JSON.stringify(revision)}`);
    }
  }
  // What a ref points at must be here, what was known before need not.
  const order = ["rev-list", "--topo-order", "--reverse", "--parents"];
  const which = range ? ["--end-of-options", ...range] : [...REFS, "--ignore-missing", "--stdin"];
  const stdin = range ? "" : known.map((sha) => `^${sha}\n`).join("");
  const listed: Listed[] = [];
  const { code, stderr } = await git.each([...order, ...which], stdin, (line) => {
    if (listed.length >= most) {
      throw new GitFault("too_many", `Cannot list the commits: there are more than ${most}`);
    }
    const [sha, ...parents] = line.split(" ");
    listed.push({ sha: sha!, parents });
  });
  if (code !== 0) throw faultOf(stderr, "Cannot list the commits");
  return repository.shallow ? await withBoundary(git, listed) : listed;
};

// `<sha> commit <size>\n<content>\n` for each; by size, for a message may look like anything.
const parentsIn = (batch: string): ReadonlyMap<string, readonly string[]> => {
  const parents = new Map<string, readonly string[]>();
  for (let at = 0; at < batch.length;) {
    const end = batch.indexOf("\n", at);
    const [sha, type, size] = batch.slice(at, end).split(" ");
    if (type !== "commit") {
      throw new GitFault("corrupt", `Cannot read the commits where the clone ends: ${sha} is ${type}`);
    }
    const content = batch.slice(end + 1, end + 1 + Number(size));
    const header = content.slice(0, content.indexOf("\n\n"));
    parents.set(sha!, [...header.matchAll(/^parent ([0-9a-f]+)$/gm)].map((found) => found[1]!));
    at = end + 1 + Number(size) + 1;
  }
  return parents;
};

// To git the last commits of a shallow clone have no parents; the commits themselves say that they have.
const withBoundary = async (git: Git, listed: readonly Listed[]): Promise<readonly Listed[]> => {
  const roots = listed.filter(({ parents }) => parents.length === 0);
  const answer = await git.run(["cat-file", "--batch"], roots.map(({ sha }) => `${sha}\n`).join(""));
  if (answer.code !== 0) throw faultOf(answer.stderr, "Cannot read the commits where the clone ends");
  const parents = parentsIn(latin1(answer.stdout));
  return listed.map((commit) => {
    const real = commit.parents.length === 0 ? parents.get(commit.sha) ?? [] : [];
    return real.length === 0 ? commit : { ...commit, parents: real, boundary: true };
  });
};

/** Branch heads by name without `refs/heads/`; bytes that are not UTF-8 as `\ooo`. */
export const listBranches = async ({ git }: Repository): Promise<ReadonlyMap<string, string>> => {
  const found = await asked(
    git,
    ["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"],
    "Cannot list the branches",
  );
  return new Map(found.map((line) => {
    const at = line.indexOf(" ");
    const name = line.slice(at + 1 + "refs/heads/".length);
    return [asUtf8(name) ?? cQuoted(name), line.slice(0, at)];
  }));
};

/** Whether `to` has `from` behind it. What is not here any more cannot be behind anything. */
export const isBehind = async ({ git }: Repository, from: string, to: string): Promise<boolean> =>
  (await git.run(["merge-base", "--is-ancestor", from, to])).code === 0;
