/** A thread that writes commits, one at a time, and the memory through which it is asked. */
import { fileURLToPath } from "node:url";
import { LogFault } from "../../events/log.ts";
import {
  COMMIT_BYTES_MAX,
  following,
  OUTCOMES,
  putCommit,
  SHARED_BYTES,
  sharedParts,
  wireBytes,
  WORDS,
} from "./commit_wire.ts";
import type { ToCommits } from "./commit_worker.ts";
import type { Commit } from "./commits.ts";

/** Whether such a thread may be started: its modules, all of this folder, are read when it is. */
export const mayCommitApart = (): boolean =>
  Deno.permissions.querySync({ name: "read", path: fileURLToPath(new URL(".", import.meta.url)) }).state === "granted";

/** A worker that may write that file and nothing else. */
const workerFor = (path: string): Worker =>
  new Worker(new URL("./commit_worker.ts", import.meta.url), {
    type: "module",
    name: "commits",
    deno: { permissions: { read: [path], write: [path] } },
  });

export class CommitThread {
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private died: string | undefined;
  /** Whoever waits for an answer. */
  private answered: (() => void) | undefined;

  /** It is there at once; the first commit waits for it. `asked`: commits that count as asked for and answered; default 0. */
  constructor(path: string, private readonly worker: Worker = workerFor(path), private asked = 0) {
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    ({ words: this.words, bytes: this.bytes } = sharedParts(shared));
    this.words.fill(asked, WORDS.asked, WORDS.answered + 1);
    this.worker.onerror = (event) => {
      event.preventDefault(); // or the main process dies of it
      this.died = event.message;
      this.answered?.();
    };
    this.worker.onmessage = () => this.answered?.();
    this.worker.postMessage({ path, shared } satisfies ToCommits);
  }

  get isDead(): boolean {
    return this.died !== undefined;
  }

  /** Not before the one before was answered. Rejects with what SQLite says, or, the outcome being unknown, when the thread has died. */
  async commit(commit: Commit): Promise<boolean> {
    const bytes = wireBytes(commit);
    if (bytes > COMMIT_BYTES_MAX) throw new LogFault("too_large", `a commit has at most ${COMMIT_BYTES_MAX} bytes`);
    this.words[WORDS.length] = putCommit(commit, this.bytes);
    await this.ask();
    const outcome = this.words[WORDS.outcome];
    if (outcome !== OUTCOMES.failed) return outcome === OUTCOMES.written;
    throw new Error(new TextDecoder().decode(this.bytes.slice(0, this.words[WORDS.length])));
  }

  private async ask(): Promise<void> {
    const { words } = this;
    // Counted also by a dead one: what it answered last is no answer to this.
    Atomics.store(words, WORDS.asked, this.asked = following(this.asked));
    if (this.died === undefined) {
      await new Promise<void>((resolve) => {
        this.answered = resolve;
        Atomics.notify(words, WORDS.asked);
      });
    }
    if (Atomics.load(words, WORDS.answered) === this.asked) return;
    throw new LogFault("io", `the thread that writes has died: ${this.died}`);
  }

  /** Lets it finish what it has, and ends it. */
  async close(): Promise<void> {
    this.words[WORDS.length] = 0;
    await this.ask().catch(() => {}); // it is dead, as it was to be
    this.worker.terminate();
  }
}
