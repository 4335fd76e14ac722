/** A git repository, imported by the command line into a fresh folder, beside git's own log of it. */
import { fileURLToPath } from "node:url";
import { commit, Place } from "../tests/git_given.ts";
import type { Measured, Stand } from "./row.ts";

/** Names a repository to import; without it one is made. */
export const REPOSITORY = "DAYBOOK_BENCH_REPOSITORY";
const COMMITS = 2_000;
const FOLDERS = 40;

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

/** Which repository the row is about. */
export const repositoryNamed = (): string => Deno.env.get(REPOSITORY) ?? `${COMMITS} commits made for it`;

/** Small commits of a few files each, one after another. */
const history = (): string =>
  Array.from({ length: COMMITS }, (_, n) =>
    commit({
      message: `Change number ${n}\n\nWhat it does and why, in a line or two of text.`,
      committer: `Person ${n % 30} <person${n % 30}@example.org> ${1_600_000_000 + n * 3_600} +0000`,
      files: Object.fromEntries(Array.from({ length: 1 + n % 4 }, (_, i) => [
        `folder${(n * 7 + i) % FOLDERS}/file${(n * 13 + i * 5) % 50}.ts`,
        Array.from({ length: 20 + n % 30 }, (_, line) => `line ${line} ${(line * n) % 17}\n`).join(""),
      ])),
    })).join("");

const timed = async (command: Deno.Command, units: number): Promise<Measured> => {
  const began = performance.now();
  const { success, stderr } = await command.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return { units, ms: performance.now() - began };
};

export const importing = async (): Promise<Stand> => {
  const place = await Place.make();
  const repository = Deno.env.get(REPOSITORY) ?? await place.repository("made", history());
  const git = (...args: string[]) =>
    new Deno.Command("git", { args: ["-C", repository, ...args], stdout: "piped", stderr: "piped" });
  const counted = await git("rev-list", "--count", "--all").output();
  const commits = Number(new TextDecoder().decode(counted.stdout));
  let round = 0;
  return {
    async ours() {
      const data = `${place.folder}/data${round++}`;
      const measured = await timed(
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-q", "-A", "--config", CONFIG, MAIN, "import", "git", repository, "--data", data],
          env: { NO_COLOR: "1" },
          stdin: "null",
          stdout: "null",
          stderr: "piped",
        }),
        commits,
      );
      await Deno.remove(data, { recursive: true });
      return measured;
    },
    baseline: () =>
      timed(
        new Deno.Command("git", {
          args: ["-C", repository, "log", "--all", "--raw", "--numstat", "-z"],
          stdout: "null",
          stderr: "piped",
        }),
        commits,
      ),
    close: () => place[Symbol.asyncDispose](),
    abandon: () => Deno.removeSync(place.folder, { recursive: true }),
  };
};
