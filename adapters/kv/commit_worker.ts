/**
 * The thread that writes (`commit_thread.ts`): waits until there is a commit, makes it, says what came of it. It does not block while it waits
 * (10 to 20 us a commit): the platform asks each thread for its metrics, and exports none of the process's until all have answered.
 */
import { commitIn, following, OUTCOMES, sharedParts, WORDS } from "./commit_wire.ts";
import { Commits } from "./commits.ts";

/** To the thread, once. */
export interface ToCommits {
  readonly path: string;
  readonly shared: SharedArrayBuffer;
}

interface Scope {
  onmessage: ((event: MessageEvent<ToCommits>) => void) | null;
  postMessage(message: null): void;
  close(): void;
}
const scope = globalThis as unknown as Scope;

const serve = async ({ path, shared }: ToCommits): Promise<void> => {
  const { words, bytes } = sharedParts(shared);
  const own = new Uint8Array(bytes.length);
  let commits: Commits | undefined;
  let answered = words[WORDS.answered]!;
  const answer = () => {
    Atomics.store(words, WORDS.answered, answered = following(answered));
    scope.postMessage(null);
  };
  for (;; answer()) {
    while (Atomics.load(words, WORDS.asked) === answered) await Atomics.waitAsync(words, WORDS.asked, answered).value;
    const length = words[WORDS.length]!;
    if (length === 0) break;
    // SQLite takes no memory that another thread may change.
    own.set(bytes.subarray(0, length));
    try {
      const written = (commits ??= new Commits(path)).commit(commitIn(own.subarray(0, length)));
      words[WORDS.outcome] = written ? OUTCOMES.written : OUTCOMES.refused;
    } catch (error) {
      const said = new TextEncoder().encode(error instanceof Error ? error.message : String(error));
      bytes.set(said.subarray(0, bytes.length));
      words[WORDS.length] = Math.min(said.length, bytes.length);
      words[WORDS.outcome] = OUTCOMES.failed;
    }
  }
  commits?.close();
  answer();
};

scope.onmessage = async ({ data }) => {
  await serve(data);
  scope.close();
};
