/** Real repositories in temporary folders, and a daybook small enough to see through, for the tests of the git importer. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ViewQuestion } from "../projections/views.ts";
import { commits as actor } from "../actors/commits.ts";
import type { Ask, Incoming, Ingested, Outcome } from "../actors/kernel/daybook.ts";
import { type GitImported, type GitImportOptions, importGit } from "../adapters/git/import.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { systemClock } from "../adapters/system/world.ts";
import { type CommitFact, commits as domain } from "../events/commits.ts";
import type { Event, FactType, StreamId } from "../events/event.ts";
import type { NewEvent } from "../events/log.ts";

export const BY = { authtype: "system", authid: "importer" } as const;

const PATH = Deno.env.get("PATH")!;

/** A folder that is gone after the test, with what git is given as environment there: no configuration of the machine. */
export class Place implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  static async make(): Promise<Place> {
    return new Place(await Deno.makeTempDir({ prefix: "daybook-git-" }));
  }

  get env(): Record<string, string> {
    return { PATH, HOME: this.folder, XDG_CONFIG_HOME: this.folder, GIT_CONFIG_NOSYSTEM: "1" };
  }

  /** Runs git and answers what it printed; bytes go in and come out as ISO 8859-1. */
  async git(where: string, args: readonly string[], stdin = "", env: Record<string, string> = {}): Promise<string> {
    const child = new Deno.Command("git", {
      args: ["-C", `${this.folder}/${where}`, ...args],
      clearEnv: true,
      env: {
        ...this.env,
        GIT_AUTHOR_NAME: "Ada Byron",
        GIT_AUTHOR_EMAIL: "ada@example.com",
        GIT_AUTHOR_DATE: "1700000000 +0100",
        GIT_COMMITTER_NAME: "Ada Byron",
        GIT_COMMITTER_EMAIL: "ada@example.com",
        GIT_COMMITTER_DATE: "1700000000 +0100",
        GIT_ALLOW_PROTOCOL: "file",
        ...env,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new Uint8Array(Buffer.from(stdin, "latin1"))).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    assert.equal(code, 0, `git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return Buffer.from(stdout).toString("latin1").trim();
  }

  /** A new repository whose history is a stream for `git fast-import`, bytes as ISO 8859-1. */
  async repository(name: string, stream = "", args: readonly string[] = []): Promise<string> {
    await Deno.mkdir(`${this.folder}/${name}`);
    await this.git(name, ["init", "-q", "-b", "main", ...args]);
    if (stream !== "") await this.git(name, ["fast-import", "--quiet", "--force"], stream);
    return `${this.folder}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

export interface CommitText {
  readonly branch?: string;
  readonly mark?: number;
  readonly author?: string;
  readonly committer?: string;
  readonly message?: string;
  readonly encoding?: string;
  readonly from?: string;
  readonly merge?: readonly string[];
  /** Path to content; `null` deletes. Bytes as ISO 8859-1. */
  readonly files?: Readonly<Record<string, string | null>>;
  /** Further lines, such as `R a b` or `M 160000 …`. */
  readonly lines?: readonly string[];
}

export const ADA = "Ada Byron <ada@example.com> 1700000000 +0100";

const quoted = (path: string): string => `"${path.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
const dataOf = (bytes: string): string => `data ${bytes.length}\n${bytes}\n`;

/** One commit in the words of `git fast-import`. */
export const commit = (text: CommitText = {}): string => {
  const { branch = "main", mark, message = "A change", author = text.committer ?? ADA, committer = ADA } = text;
  return [
    `commit refs/heads/${branch}\n`,
    mark === undefined ? "" : `mark :${mark}\n`,
    `author ${author}\ncommitter ${committer}\n`,
    text.encoding === undefined ? "" : `encoding ${text.encoding}\n`,
    dataOf(message),
    text.from === undefined ? "" : `from ${text.from}\n`,
    ...(text.merge ?? []).map((one) => `merge ${one}\n`),
    ...(text.lines ?? []).map((line) => `${line}\n`),
    ...Object.entries(text.files ?? {}).map(([path, content]) =>
      content === null ? `D ${quoted(path)}\n` : `M 100644 inline ${quoted(path)}\n${dataOf(content)}`
    ),
    "\n",
  ].join("");
};

/** The front door as the importer sees it: schemas, the stream of each event, a log, and an entity without a mailbox. */
export class SmallDaybook {
  readonly log = new MemoryLog({ now: () => Date.UTC(2026, 0, 5) });
  readonly batches: (readonly Incoming[])[] = [];
  /** Called before each ingest; may throw. */
  before: (batch: readonly Incoming[]) => void | Promise<void> = () => {};

  /** It has none. */
  view(name: string): Promise<never> {
    return Promise.reject(new ViewQuestion("unknown_view", name));
  }

  async ingest(batch: readonly Incoming[]): Promise<Ingested> {
    await this.before(batch);
    this.batches.push(batch);
    const events: NewEvent[] = [];
    for (const [index, one] of batch.entries()) {
      const { time, ...event } = one;
      const spec = domain.facts[event.type as FactType];
      if (spec?.kind !== "observed") return { ok: false, conflict: "invalid", index, code: "unknown_type", issues: [] };
      const parsed = spec.schema.safeParse(event.data);
      if (!parsed.success) {
        const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join("/"), message }));
        return { ok: false, conflict: "invalid", index, code: "invalid_data", issues };
      }
      const stream = spec.stream!({ source: event.source, data: event.data });
      events.push({
        ...event,
        stream,
        version: 1,
        authtype: BY.authtype,
        authid: BY.authid,
        time: time ?? "2026-01-05T00:00:00Z",
        timeGiven: time !== undefined,
      });
    }
    return await this.log.append({ events });
  }

  async ask({ type, id, data, causationid, correlationid }: Ask): Promise<Outcome> {
    const stream: StreamId = `commits/${id}`;
    const parsed = actor.commands[type as keyof typeof actor.commands]?.safeParse(data);
    if (!parsed) return { is: "unknown_command" };
    if (!parsed.success) {
      return {
        is: "invalid",
        issues: parsed.error.issues.map(({ path, message }) => ({ path: path.join("/"), message })),
      };
    }
    const state = this.facts(stream).reduce(
      (before, fact) => actor.facts.includes(fact.type as never) ? actor.evolve(before, fact as never) : before,
      actor.initial,
    );
    const decision = actor.decide(state, { type, data: parsed.data } as never, {
      at: 0,
      by: BY.authid,
      fresh: "f",
      id,
    });
    const revision = this.log.head(stream);
    if (!decision.ok) return { is: "rejected", ...decision.rejection, revision };
    const facts: Event[] = [];
    for (const fact of decision.facts) {
      const appended = await this.log.append({
        events: [{
          ...fact,
          id: `f${this.log.size}`,
          source: stream,
          stream,
          version: 1,
          time: "2026-01-05T00:00:00Z",
          authtype: BY.authtype,
          authid: BY.authid,
          ...(causationid && { causationid }),
          ...(correlationid && { correlationid }),
        }],
      });
      assert.ok(appended.ok);
      facts.push(this.all().at(-1)!);
    }
    return {
      is: "accepted",
      stream,
      revision: this.log.head(stream),
      position: this.log.size - 1,
      facts,
      duplicate: false,
    };
  }

  all(): readonly Event<CommitFact>[] {
    return [...this.log.read({})].flat() as Event<CommitFact>[];
  }
  facts(stream: StreamId): readonly Event<CommitFact>[] {
    return [...this.log.read({ stream })].flat() as Event<CommitFact>[];
  }
  of<T extends CommitFact["type"]>(type: T): readonly Event<Extract<CommitFact, { type: T }>>[] {
    return [...this.log.read({ types: [type] })].flat() as Event<Extract<CommitFact, { type: T }>>[];
  }
  /** The one commit with this subject. */
  commit(subject: string): Event<Extract<CommitFact, { type: "commits.commit.recorded" }>>["data"] {
    const found = this.of("commits.commit.recorded").filter(({ data }) => data.subject === subject);
    assert.equal(found.length, 1, `commits with the subject ${subject}: ${found.length}`);
    return found[0]!.data;
  }
  /** What the one commit with this subject changed, in the order of its parts. */
  changes(subject: string) {
    const { sha } = this.commit(subject);
    return this.of("commits.changes.listed").filter(({ data }) => data.sha === sha).flatMap(({ data }) => data.files);
  }
}

export type Options = Partial<GitImportOptions>;

/** Imports, and expects it to come to its end. */
export const imported = async (
  daybook: SmallDaybook,
  place: Place,
  path: string,
  options: Options = {},
): Promise<GitImported> => {
  const outcome = await importGit(daybook, { path, by: BY, clock: systemClock, env: place.env, ...options });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  return outcome;
};

/** Imports, and expects the refusal; answers its message. */
export const refused = async (
  daybook: SmallDaybook,
  place: Place,
  path: string,
  code: string,
  options: Options = {},
): Promise<string> => {
  const outcome = await importGit(daybook, { path, by: BY, clock: systemClock, env: place.env, ...options });
  assert.ok(!outcome.ok, "expected a refusal");
  assert.equal(outcome.code, code, outcome.message);
  assert.ok(outcome.advice.length > 10 && outcome.message.length > 10);
  return outcome.message;
};
