/**
 * Who writes. Where who asks has nothing else to do until a commit is made, it is made by that thread, at once: to hand it to another
 * one and back costs half as much again of an append that is alone. Else a thread of its own writes, and this one makes the next ready meanwhile
 * (docs/decisions/0200-commits-go-to-the-file-of-deno-kv.md, 0201-who-comes-back-at-once-goes-together.md).
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch } from "../../events/store.ts";
import { CommitThread, mayCommitApart } from "./commit_thread.ts";
import { wireBytes } from "./commit_wire.ts";
import { type Commit, Commits, PAGE_BYTES } from "./commits.ts";
import { encodeKey } from "./key_encoding.ts";
import { OwnFiles } from "./own_files.ts";

/** Bounds of what is written by the thread that asks, which does nothing else meanwhile. */
export const HERE = {
  /** A commit with more goes to the other thread. */
  bytes_max: 256 * 1_024,
  /**
   * Once the write-ahead log has so many pages SQLite moves them to where they belong (a checkpoint). Where they hold more bytes than that, which
   * takes some tens of ms, the other thread makes the next commit, and so the checkpoint. Pages that say little, one on top of the other, are moved here.
   */
  wal_pages: 1_000,
  wal_bytes_max: 2 * 1_024 * 1_024,
  /** As not all are counted, so many may come of it. */
  wal_pages_max: 1_400,
  /** After so long in commits the event loop has its turn. */
  stay_ms: 1,
  /** A disk on which so many commits after each other took so long is slow, and all go to the other thread for a while. */
  slow_ms: 5,
  slow_commits: 3,
  slow_for_ms: 10_000,
} as const;

/** SQLITE_IOERR (https://sqlite.org/rescode.html#ioerr), of a write or a flush. */
const DISK_FAILED = /disk I\/O error/i;
const UNTRUSTED =
  "the disk failed while it was written; what was not acknowledged may be there or not, and nothing more is " +
  "written until the log is opened again";

export class Writer {
  private readonly here: Commits;
  private readonly files: OwnFiles;
  private thread: CommitThread | undefined;
  /** The last one that is on its way. */
  private last: Promise<void> | undefined;
  /** How long commits have kept the event loop from its turn, and that turn. */
  private stayed = 0;
  private turn: Promise<void> | undefined;
  /** Slow ones after each other. */
  private slow = 0;
  private slowUntil = -Infinity;
  private readonly mayApart = mayCommitApart();
  /** Pages and bytes that were written here since the last thousand. */
  private pages = 0;
  private written = 0;
  private closed: Promise<void> | undefined;
  /** Set once the disk has failed: nothing is written on top of that (docs/decisions/0054-a-disk-that-failed-is-not-asked.md). */
  private failed: LogFault | undefined;

  constructor(private readonly path: string, private readonly clock: Clock) {
    this.here = new Commits(path, this.mayApart ? HERE.wal_pages_max : undefined);
    this.files = new OwnFiles(path);
  }

  /** Why what is written now would be lost, if it would. */
  get lost(): LogFault | undefined {
    try {
      this.expectSound();
      return undefined;
    } catch (fault) {
      return fault as LogFault;
    }
  }

  /** One after another, in the order of asking. Once the disk has failed each is refused as `fenced`, also those that wait by then. */
  commit({ absent, puts, deletes = [], idle }: Batch): Promise<boolean> {
    if (this.closed) return Promise.reject(new LogFault("closed", "the log is closed"));
    const commit: Commit = {
      absent: absent && encodeKey(absent),
      puts: puts.map(([key, value]) => [encodeKey(key), value] as const),
      deletes: deletes.map(encodeKey),
    };
    const { last } = this;
    if (!last && this.takesHere(commit, idle)) return this.commitHere(commit);
    const written = last === undefined
      ? this.commitApart(commit)
      : last.then(() => this.takesHere(commit, idle) ? this.commitHere(commit) : this.commitApart(commit));
    const done: Promise<void> = written.then(() => {}, () => {}).then(() => {
      if (this.last === done) this.last = undefined;
    });
    this.last = done;
    return written;
  }

  /** Whether the commit is made by this thread; it is counted where it is. */
  private takesHere(commit: Commit, idle = !this.thread): boolean {
    if (!this.mayApart) return true;
    const bytes = wireBytes(commit);
    if (!idle || bytes > HERE.bytes_max || this.clock.monotonic() < this.slowUntil) return false;
    return !this.countTowardsCheckpoint(commit, bytes);
  }

  /** Counts the commit; true where with it a checkpoint comes that is too much to make here. */
  private countTowardsCheckpoint({ puts }: Commit, bytes: number): boolean {
    this.written += bytes;
    this.pages += this.here.pagesEach;
    for (const [, { length }] of puts) if (length > PAGE_BYTES / 4) this.pages += Math.ceil(length / PAGE_BYTES);
    if (this.pages < HERE.wal_pages) return false;
    const isDue = this.written > HERE.wal_bytes_max;
    this.pages = this.written = 0;
    return isDue;
  }

  private async commitHere(commit: Commit): Promise<boolean> {
    const began = this.clock.monotonic();
    try {
      this.expectSound();
      return this.here.commit(commit);
    } catch (error) {
      throw this.noted(error);
    } finally {
      await this.stay(this.clock.monotonic() - began);
    }
  }

  /** Who only ever waits for commits made here would keep everybody else from the event loop. */
  private async stay(took: Millis): Promise<void> {
    this.slow = took > HERE.slow_ms ? this.slow + 1 : 0;
    if (this.slow >= HERE.slow_commits) this.slowUntil = this.clock.monotonic() + HERE.slow_for_ms;
    this.stayed += took;
    this.turn ??= new Promise((resolve) =>
      setImmediate(() => {
        this.stayed = 0;
        this.turn = undefined;
        resolve();
      })
    );
    if (this.stayed >= HERE.stay_ms) await this.turn;
  }

  private async commitApart(commit: Commit): Promise<boolean> {
    try {
      this.expectSound();
      if (this.thread?.isDead) this.thread = undefined;
      return await (this.thread ??= new CommitThread(this.path)).commit(commit);
    } catch (error) {
      throw this.noted(error);
    }
  }

  private expectSound(): void {
    if (this.failed) throw this.failed;
    try {
      this.files.look();
    } catch (fault) {
      if ((fault as LogFault).kind === "fenced") this.failed = fault as LogFault;
      throw fault;
    }
  }

  private noted(error: unknown): unknown {
    if (!DISK_FAILED.test(String(error))) return error;
    return this.failed ??= new LogFault("fenced", `${this.path}: ${UNTRUSTED}`, { cause: error });
  }

  /** What was asked for is made before. */
  close(): Promise<void> {
    return this.closed ??= this.end();
  }

  private async end(): Promise<void> {
    await this.last;
    await this.turn;
    await this.thread?.close();
    this.here.close();
  }
}
