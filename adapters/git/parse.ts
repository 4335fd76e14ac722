/**
 * Parses what `git diff-tree --stdin -r -z --raw --numstat --format=…` writes: for each commit its header, then its raw lines,
 * then its line counts.
 *
 * Bytes are read as ISO 8859-1, in which every byte is a character and nothing is lost, because cutting at NUL is then one
 * native call; `text.ts` turns what is not ASCII into text.
 */

import { latin1 } from "./text.ts";

/** Header of a record; fields are separated by NUL, which a commit cannot hold. */
export const FORMAT = "c%H%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B";
const FIELDS = 8;

/** A line that is no object name is echoed by git, which then empties its buffer: so we know that a batch is through. */
export const MARK = ".\n";

/** Everything here is bytes as ISO 8859-1. */
export interface RawFile {
  readonly status: string;
  readonly similarity: number | undefined;
  /** Mode of the newer side, or of the older when the file is gone: `100644`. */
  readonly mode: string;
  readonly path: string;
  readonly oldPath: string | undefined;
  /** `undefined`: binary, or not counted. */
  added: number | undefined;
  deleted: number | undefined;
}

export interface RawCommit {
  readonly sha: string;
  readonly author: RawPerson;
  readonly committer: RawPerson;
  readonly message: string;
  readonly files: readonly RawFile[];
}
export interface RawPerson {
  readonly name: string;
  readonly email: string;
  /** `seconds ±hhmm`, as git's `--date=raw`. */
  readonly date: string;
}

export class GitOutputError extends Error {
  override readonly name = "GitOutputError";
}

const RAW = /^:(\d{6}) (\d{6}) [0-9a-f]+ [0-9a-f]+ ([A-Z])(\d*)$/;
const COMMIT = /^c(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const LINES = /^(-|\d+)\t(-|\d+)\t([^]*)$/;

/** Fed with chunks as they come; calls back once for each whole commit and once for each mark. */
export class DiffParser {
  private rest: string[] = [];
  private header: string[] = [];
  private files: RawFile[] = [];
  // Raw entries and line counts come in the same order.
  private counted = 0;
  private raw: RegExpExecArray | undefined;
  private lines: RegExpExecArray | undefined;
  private paths: string[] = [];
  private state: "between" | "header" | "entries" = "between";

  constructor(private readonly on: { commit(commit: RawCommit): void; mark(): void }) {}

  push(chunk: Uint8Array<ArrayBuffer>): void {
    const tokens = latin1(chunk).split("\0");
    const last = tokens.pop()!;
    if (tokens.length > 0) {
      if (this.rest.length > 0) {
        tokens[0] = this.rest.join("") + tokens[0];
        this.rest = [];
      }
      for (const token of tokens) this.token(token);
    }
    if (last !== "") this.rest.push(last);
    if (this.rest.length > 0 && this.state !== "header" && this.atStart()) {
      const rest = this.marks(this.rest.join(""));
      this.rest = rest === "" ? [] : [rest];
    }
  }

  /** Git has ended well: the last commit is whole. */
  end(): void {
    if (this.rest.length > 0 || this.state === "header" || !this.atStart()) {
      throw new GitOutputError("git's output ends within a commit");
    }
    this.finish();
  }

  private atStart(): boolean {
    return this.raw === undefined && this.lines === undefined;
  }

  private token(token: string): void {
    if (this.state === "header") {
      this.header.push(token);
      if (this.header.length === FIELDS) this.state = "entries";
    } else if (this.raw) this.rawPath(token);
    else if (this.lines) this.countedPath(token);
    else {
      const entry = this.marks(token);
      this.entry(entry.startsWith("\n") ? entry.slice(1) : entry);
    }
  }

  /** Takes the marks off the beginning; they end no token, for they hold no NUL. */
  private marks(text: string): string {
    let at = 0;
    for (; text.startsWith(MARK, at); at += MARK.length) {
      this.finish();
      this.on.mark();
    }
    return at === 0 ? text : text.slice(at);
  }

  private entry(token: string): void {
    switch (token[0]) {
      case ":":
        this.raw = RAW.exec(token) ?? unreadable(token);
        return;
      case "c":
        if (!COMMIT.test(token)) unreadable(token);
        this.finish();
        this.header = [token];
        this.state = "header";
        return;
      default: {
        const lines = LINES.exec(token) ?? unreadable(token);
        if (lines[3] === "") this.lines = lines;
        else this.count(lines, lines[3]!);
      }
    }
  }

  private rawPath(path: string): void {
    const [, before, after, status, score] = this.raw!;
    const renamed = status === "R" || status === "C";
    this.paths.push(path);
    if (renamed && this.paths.length < 2) return;
    this.files.push({
      status: status!,
      similarity: score === "" ? undefined : Number(score),
      mode: status === "D" ? before! : after!,
      path,
      oldPath: renamed ? this.paths[0] : undefined,
      added: undefined,
      deleted: undefined,
    });
    this.paths = [];
    this.raw = undefined;
  }

  private countedPath(path: string): void {
    this.paths.push(path);
    if (this.paths.length < 2) return;
    this.count(this.lines!, path);
    this.paths = [];
    this.lines = undefined;
  }

  private count([, added, deleted]: RegExpExecArray, path: string): void {
    while (this.counted < this.files.length && this.files[this.counted]!.path !== path) this.counted++;
    const file = this.files[this.counted++];
    if (!file) throw new GitOutputError("git counts lines of a file that it did not list");
    if (added === "-") return;
    file.added = Number(added);
    file.deleted = Number(deleted);
  }

  private finish(): void {
    if (this.state === "between") return;
    const [head, name, email, date, committerName, committerEmail, committerDate, message] = this.header as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const files = this.files;
    this.header = [];
    this.files = [];
    this.counted = 0;
    this.state = "between";
    this.on.commit({
      sha: head.slice(1),
      author: { name, email, date },
      committer: { name: committerName, email: committerEmail, date: committerDate },
      message,
      files,
    });
  }
}

const unreadable = (token: string): never => {
  throw new GitOutputError(
    `git's output has ${JSON.stringify(token.slice(0, 80))} where a commit, a change or a count was expected`,
  );
};
