/**
 * The program is killed (SIGKILL) at system calls that change its files, those of SQLite among them, where no crash point has a
 * name: once more a start or an end later, whatever was answered is there, once and in its place, and all of it verifies. Skipped with a
 * word where strace is missing, which is a failure in CI.
 */
import assert from "node:assert/strict";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { inFolder } from "../folder_given.ts";
import { installed } from "../installed_given.ts";
import { Lives } from "./lives.ts";
import type { Program } from "./program.ts";

/** Lives that are cut off, over all files; `deno task soak` has more of the same. */
const LIVES = Number(Deno.env.get("DAYBOOK_KILL_CALLS") ?? 4);
/** By the journal SQLite goes into WAL mode and out of it, at each start and each end. */
const JOURNAL = "log.db-journal";
const FILES = [JOURNAL, "log.db", "log.db-wal", "keys.db-journal", "notes.db-wal", "views.db-wal"];
const CALLS = "openat,write,pwrite64,ftruncate,fsync,fdatasync,unlink,rename";
/** Of a life that nothing cuts off: all are busy for so long before it is told to end. */
const BUSY_MS = 50;

/** What is traced. */
const filters = (data: string, files: readonly string[]): readonly string[] => [
  ...["-e", `trace=${CALLS}`],
  ...files.flatMap((file) => ["-P", `${data}/${file}`]),
];

const ended = (program: Program): void => void setTimeout(() => void program.end("SIGTERM"), BUSY_MS);

interface Place {
  readonly file: string;
  readonly call: string;
  /** The thread has made this call on the file so often before, and once more: strace counts each by itself. */
  readonly when: number;
}

/** In the order of the calls. */
const placesIn = (lines: readonly string[], files: readonly string[]): readonly Place[] => {
  const made = new Map<string, number>();
  return lines.flatMap((line) => {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    const file = files.find((name) => line.includes(`/${name}>`) || line.includes(`/${name}"`));
    if (!call || !file) return [];
    const when = 1 + (made.get(`${thread} ${call} ${file}`) ?? 0);
    made.set(`${thread} ${call} ${file}`, when);
    return [{ file, call, when }];
  });
};

Deno.test("killed at any system call that changes its files, it starts again with all that was answered", () =>
  inFolder(async (dir) => {
    if (!installed("strace", "nothing is killed at a system call")) return;
    const random = seededRandom(Number(Deno.env.get("DAYBOOK_SIM_SEED") ?? 1));
    const lives = new Lives(dir, random);
    // The first life makes the files; what the second does all others do, if more or less often.
    await lives.traced(filters(lives.data, FILES), ended);
    const all = placesIn(await lives.traced(["-y", ...filters(lives.data, FILES)], ended), FILES);
    assert.deepEqual(new Set(all.map(({ file }) => file)), new Set(FILES));
    const journals = all.filter(({ file }) => file === JOURNAL);
    let killed = 0;
    for (let life = 0; life < LIVES; life++) {
      // Of the journal one call after another from the last on, in between whatever comes of chance.
      const sure = life % 2 === 0;
      const { file, call, when } = sure ? journals.at(-1 - life / 2 % journals.length)! : random.pick(all);
      const inject = ["-e", `inject=${call}:signal=KILL:when=${when}`];
      const calls = await lives.traced([...filters(lives.data, [file]), ...inject], ended);
      // What is written how often goes by how busy the machine is, but for the journal.
      const cut = calls.some((line) => line.includes("killed by SIGKILL"));
      assert.ok(cut || !sure, `${call} ${when} of ${file} was not reached:\n${calls.join("\n")}`);
      if (cut) killed++;
      await lives.whole();
    }
    console.log(`killed in ${killed} of ${LIVES} lives at system calls, of ${all.length} that one makes on its files`);
  }));
