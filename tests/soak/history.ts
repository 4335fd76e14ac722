/** A repository's history as facts, made by arithmetic: every view of commits has something to fold. Nothing in it is anybody's. */
import type { StreamId } from "../../events/event.ts";
import type { NewEvent } from "../../events/log.ts";

const STREAM: StreamId = "commits/soak";
const SOURCE = "urn:soak:repository";
const FILES = 20_000;
const PEOPLE = 400;
const HOUR = 3_600_000;
const START = Date.UTC(2015, 0, 1);

/** Names in no order, as those of commits are. */
const shaOf = (n: number): string =>
  Array.from({ length: 5 }, (_, i) => mixed(n * 5 + i).toString(16).padStart(8, "0")).join("");
/** Each number another one of 32 bits (the finalizer of MurmurHash3). */
const mixed = (n: number): number => {
  let h = n | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};
const sealedOf = (n: number): string => `sealed:1:u_${String(n).padStart(22, "0")}:${"c2VhbGVk".repeat(4)}`;
const event = (n: number, id: string, type: string, data: unknown): NewEvent => ({
  id,
  source: SOURCE,
  type,
  stream: STREAM,
  version: 1,
  time: new Date(START + n * HOUR).toISOString(),
  authtype: "system",
  authid: "soak",
  data,
});

/** Events come in twos: the files of a commit, and the commit; every hundredth commit moves the branch instead of naming files. */
export const historyAt = (n: number): NewEvent => {
  const commit = Math.floor(n / 2);
  const sha = shaOf(commit + 1);
  const moves = commit % 100 === 99;
  const count = 1 + commit % 4;
  if (n % 2 === 0) {
    if (moves) {
      const data = { branch: `topic/${commit % 37}`, from: null, to: shaOf(commit), forced: false };
      return event(n, `${sha}/moved`, "commits.branch.moved", data);
    }
    const files = Array.from({ length: count }, (_, i) => ({
      // Some files change often, most seldom.
      path: `src/part${(commit * 7 + i) % 50}/file${Math.floor(((commit * 131 + i * 17) % FILES) ** 2 / FILES)}.ts`,
      status: "M",
      added: 1 + (commit + i) % 40,
      deleted: (commit * 3 + i) % 20,
    }));
    return event(n, `${sha}/0`, "commits.changes.listed", { sha, part: 0, files });
  }
  const person = sealedOf(commit % PEOPLE);
  return event(n, sha, "commits.commit.recorded", {
    sha,
    parts: moves ? 0 : 1,
    parents: commit === 0 ? [] : [shaOf(commit)],
    author: { name: person, email: person, pseudonym: `p_2015_${commit % PEOPLE}` },
    times: { authored: new Date(START + n * HOUR).toISOString(), committed: new Date(START + n * HOUR).toISOString() },
    subject: `Change number ${commit} of part ${(commit * 7) % 50}, for a reason`,
    files: moves ? 0 : count,
    added: 1 + commit % 160,
    deleted: commit % 60,
  });
};
