/**
 * A small repository out of the program itself, for machines without git: the history of a lighthouse's keeper program, told in
 * the same events as an import of a real one. It has what real ones have: branches, merges, renames, a binary file, a forced move.
 */
import { createHash } from "node:crypto";
import type { Principal } from "../../actors/kernel/daybook.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { repositoryId } from "../../events/commits.ts";
import type { GitImported } from "./import.ts";
import type { RawCommit, RawFile, RawPerson } from "./parse.ts";
import { type ImportTarget, Sender } from "./send.ts";
import { type Listed, translate } from "./translate.ts";

const SAMPLE_SOURCE = "sample-lighthouse";

/** First commit; the others follow at the hours of `STORY`. */
const BEGAN = Date.UTC(2025, 8, 1, 7) / 1000;

const PEOPLE = {
  ida: ["Ida Example", "ida@lighthouse.example", "+0100"],
  ole: ["Ole Example", "ole@lighthouse.example", "+0200"],
  mara: ["Mara Example", "mara@lighthouse.example", "-0330"],
} as const;

/** `status path added deleted`, `R old new added deleted`, `B path` for a binary file. */
type Change = string;
/** Name, hours since the last, who, parents, subject, changes. The name stands in for the sha. */
type Told = readonly [string, number, keyof typeof PEOPLE, readonly string[], string, ...Change[]];

const STORY: readonly Told[] = [
  [
    "start",
    0,
    "ida",
    [],
    "Start the keeper's program",
    "A README.md 24 0",
    "A src/lamp.ts 61 0",
    "A src/clock.ts 38 0",
  ],
  ["test", 5, "ida", ["start"], "Test the lamp at dusk and dawn", "A tests/lamp_test.ts 44 0", "M src/lamp.ts 7 3"],
  ["fog", 20, "ole", ["test"], "Sound the horn in fog", "A src/horn.ts 52 0", "M README.md 6 1"],
  ["fog2", 3, "ole", ["fog"], "Count the blasts, not the pauses", "M src/horn.ts 9 14"],
  ["log", 44, "mara", ["test"], "Write every watch into the log", "A src/watch.ts 73 0", "M src/clock.ts 12 8"],
  ["log2", 2, "mara", ["log"], "A watch ends at noon, not at twelve", "M src/watch.ts 4 4", "M src/clock.ts 3 5"],
  ["merge-fog", 7, "ida", ["log2", "fog2"], "Merge branch 'fog'", "A src/horn.ts 47 0", "M README.md 6 1"],
  ["logo", 30, "mara", ["merge-fog"], "A picture for the README", "B docs/lighthouse.png", "M README.md 3 0"],
  [
    "move",
    50,
    "ida",
    ["logo"],
    "The lamp and the horn are signals",
    "R src/lamp.ts src/signals/lamp.ts 2 2",
    "R src/horn.ts src/signals/horn.ts 2 2",
    "M tests/lamp_test.ts 1 1",
  ],
  [
    "slow",
    26,
    "ole",
    ["move"],
    "Turn the lamp by the sun, not by the clock",
    "M src/signals/lamp.ts 58 21",
    "M src/clock.ts 2 19",
    "A src/sun.ts 88 0",
  ],
  [
    "fix1",
    4,
    "mara",
    ["slow"],
    "Fix: the sun does not set in June that far north",
    "M src/sun.ts 17 6",
    "A tests/sun_test.ts 39 0",
  ],
  [
    "fix2",
    21,
    "mara",
    ["fix1"],
    "Fix: neither does it rise in December",
    "M src/sun.ts 11 5",
    "M tests/sun_test.ts 14 0",
  ],
  ["radio", 70, "ole", ["fix2"], "Answer ships by radio", "A src/radio.ts 120 0", "A tests/radio_test.ts 66 0"],
  ["radio2", 6, "ole", ["radio"], "Say the name of the lighthouse first", "M src/radio.ts 8 3"],
  ["oil", 9, "ida", ["fix2"], "Warn a week before the oil is used up", "A src/oil.ts 41 0", "M src/watch.ts 15 2"],
  ["oil2", 25, "ida", ["oil"], "Oil is measured in litres", "M src/oil.ts 22 20"],
  [
    "storm",
    90,
    "mara",
    ["fix2"],
    "Keep both signals on in a storm",
    "M src/signals/lamp.ts 19 4",
    "M src/signals/horn.ts 13 2",
    "A src/wind.ts 34 0",
  ],
  [
    "harbour",
    3,
    "ida",
    ["oil2", "radio2", "storm"],
    "Merge branches 'radio' and 'storm'",
    "A src/radio.ts 125 0",
    "A tests/radio_test.ts 66 0",
    "A src/wind.ts 34 0",
    "M src/signals/lamp.ts 19 4",
    "M src/signals/horn.ts 13 2",
  ],
  ["drop", 40, "ole", ["harbour"], "The clock is not needed any more", "D src/clock.ts 0 23", "M src/watch.ts 6 9"],
  ["release", 12, "ida", ["drop"], "Release 1.0", "M README.md 12 4", "A CHANGELOG.md 31 0"],
  ["empty", 1, "ida", ["release"], "Build again"],
  [
    "hot",
    130,
    "mara",
    ["empty"],
    "Fix: two lamps at once blew the fuse",
    "M src/signals/lamp.ts 6 11",
    "M tests/lamp_test.ts 18 0",
  ],
  ["try", 2, "ole", ["hot"], "Try LEDs", "M src/signals/lamp.ts 44 40"],
  [
    "try-again",
    20,
    "ole",
    ["hot"],
    "Use LEDs where there is no fuse",
    "M src/signals/lamp.ts 31 12",
    "M src/oil.ts 1 30",
  ],
];

/** In order: where branches went, and whether something was left behind. */
const MOVES: readonly (readonly [branch: string, to: string, forced: boolean])[] = [
  ["main", "hot", false],
  ["radio", "radio2", false],
  ["leds", "try", false],
  ["leds", "try-again", true],
];

const shaOf = (name: string): string => createHash("sha1").update(`lighthouse ${name}`).digest("hex");

const fileOf = (change: Change): RawFile => {
  const [status, ...words] = change.split(" ");
  const renamed = status === "R";
  const [added, deleted] = status === "B" ? [] : words.slice(-2).map(Number);
  return {
    status: status === "B" ? "A" : status!,
    similarity: renamed ? 97 : undefined,
    mode: "100644",
    path: words[renamed ? 1 : 0]!,
    oldPath: renamed ? words[0] : undefined,
    added,
    deleted,
  };
};

/** Parents first, as an import gives them. */
export const sampleCommits = (): readonly { readonly raw: RawCommit; readonly listed: Listed }[] => {
  let seconds = BEGAN;
  return STORY.map(([name, hours, who, parents, message, ...changes]) => {
    seconds += hours * 3_600;
    const [personName, email, offset] = PEOPLE[who];
    const person: RawPerson = { name: personName, email, date: `${seconds} ${offset}` };
    const sha = shaOf(name);
    return {
      raw: { sha, author: person, committer: person, message, files: changes.map(fileOf) },
      listed: { sha, parents: parents.map(shaOf) },
    };
  });
};

export interface SampleOptions {
  readonly by: Principal;
  readonly clock: Clock;
}

/** May be repeated; the second time nothing is new. Throws `LogFault` when the log cannot be written. */
export const importSample = async (target: ImportTarget, { by, clock }: SampleOptions): Promise<GitImported> => {
  const sender = new Sender(target, { by, clock });
  const repository = repositoryId(SAMPLE_SOURCE);
  const commits = sampleCommits();
  for (const { raw, listed } of commits) await sender.send(translate(raw, listed, SAMPLE_SOURCE));
  await sender.flush();
  await sender.settled();
  let moved = 0;
  for (const [n, [branch, name, forced]] of MOVES.entries()) {
    const data = { branch, to: shaOf(name), ...(forced ? { forced } : {}) };
    const outcome = await sender.ask({ type: "commits.branch.move", id: repository, by, command: `sample/${n}`, data });
    if (outcome.is === "accepted" && !outcome.duplicate) moved += outcome.facts.length;
  }
  const { events, recorded } = sender.counts;
  return {
    ok: true,
    source: SAMPLE_SOURCE,
    repository,
    stream: `commits/${repository}`,
    commits: { new: recorded, completed: 0, known: commits.length - recorded },
    events: events + moved,
    branches: { total: new Set(MOVES.map(([branch]) => branch)).size, moved, deleted: 0, rejected: [] },
    shallow: false,
    empty: false,
    unreadable: [],
  };
};
