import assert from "node:assert/strict";
import fc from "fast-check";
import { systemClock } from "../adapters/system/world.ts";
import { importSample, sampleCommits } from "../adapters/git/sample.ts";
import type { CommitFact } from "../events/commits.ts";
import { commits as domain } from "../events/commits.ts";
import type { Event } from "../events/event.ts";
import {
  commitsActivity,
  commitsBranches,
  commitsHistory,
  commitsHotspots,
  commitsRepository,
  commitsViews,
  isoWeek,
} from "../projections/commits.ts";
import { folder } from "../projections/fold.ts";
import type { Projection } from "../projections/projection.ts";
import { BY, commit, imported, Place, SmallDaybook } from "./git_given.ts";

const sha = (n: number) => (n + 1).toString(16).padStart(40, "0");

/** Rows by key after these events; working rows (`~`) beside them. */
const folded = <V>(projection: Projection<V, CommitFact>, events: readonly Event<CommitFact>[]) => {
  const rows = new Map<string, V>();
  const apply = folder(projection as unknown as Projection, {
    get: (key) => rows.get(key),
    set: ({ key, row }) => void (row === undefined ? rows.delete(key) : rows.set(key, projection.row.parse(row))),
  });
  for (const event of events) apply(event as Event);
  return {
    rows: Object.fromEntries([...rows].filter(([key]) => !key.startsWith("~"))) as Readonly<Record<string, V>>,
    working: [...rows.keys()].filter((key) => key.startsWith("~")),
  };
};

type Data<T extends CommitFact["type"]> = Extract<CommitFact, { type: T }>["data"];

const event = <T extends CommitFact["type"]>(type: T, data: Data<T>, repository = "r"): Event<CommitFact> => {
  const parsed = domain.facts[type]!.schema.parse(data);
  return {
    specversion: "1.0",
    id: "i",
    source: repository,
    type,
    stream: `commits/${repository}`,
    revision: 0,
    position: 0,
    version: 1,
    time: "",
    recordedat: "",
    authtype: "system",
    authid: "a",
    data: parsed,
  } as unknown as Event<CommitFact>;
};

const recorded = (n: number, more: Partial<Data<"commits.commit.recorded">> = {}, repository?: string) =>
  event("commits.commit.recorded", {
    sha: sha(n),
    parts: 0,
    parents: [],
    author: { name: "A", email: "a@example.com" },
    times: { committed: "2026-01-05T00:30:00+01:00" },
    subject: `commit ${n}`,
    files: 0,
    added: 0,
    deleted: 0,
    ...more,
  }, repository);
const listed = (
  n: number,
  part: number,
  files: Data<"commits.changes.listed">["files"],
  more: { merge?: true } = {},
) => event("commits.changes.listed", { sha: sha(n), part, files, ...more });
const edited = (path: string, added: number, deleted: number) => ({ path, added, deleted, status: "M" as const });
const renamed = (old_path: string, path: string, added = 0, deleted = 0) => ({
  path,
  old_path,
  added,
  deleted,
  similarity: 90,
  status: "R" as const,
});

/** One commit with these changes. */
const changed = (
  n: number,
  ...files: Data<"commits.changes.listed">["files"]
) => [listed(n, 0, files), recorded(n, { parts: 1, files: files.length })];

Deno.test("commits.repository counts commits, lines, branches; merges count, their lines do not", () => {
  const { rows } = folded(commitsRepository, [
    recorded(1, { added: 5, deleted: 1 }),
    recorded(2, {
      added: 7,
      deleted: 7,
      merge: true,
      parents: [sha(1), sha(0)],
      times: { committed: "2026-01-01T00:00:00Z" },
    }),
    recorded(3, { times: {} }),
    event("commits.history.imported", { tips: [sha(2)], commits: 3, shallow: false }),
    event("commits.branch.moved", { branch: "main", from: null, to: sha(1), forced: false }),
    event("commits.branch.moved", { branch: "main", from: sha(1), to: sha(2), forced: true }),
    event("commits.branch.moved", { branch: "dev", from: null, to: sha(2), forced: false }),
    event("commits.branch.deleted", { branch: "dev", from: sha(2) }),
    recorded(1, { added: 1 }, "other"),
  ]);
  assert.deepEqual(rows.r, {
    repository: "r",
    source: "r",
    commits: 3,
    merges: 1,
    added: 5,
    deleted: 1,
    first: "2026-01-01T00:00:00.000Z",
    last: "2026-01-04T23:30:00.000Z",
    branches: 1,
    forced: 1,
    incomplete: 0,
    shallow: false,
  });
  assert.equal(rows.other!.commits, 1);
});

Deno.test("commits.branches has a row for each branch there is", () => {
  const { rows } = folded(commitsBranches, [
    event("commits.branch.moved", {
      branch: "main",
      from: null,
      to: sha(1),
      forced: false,
      at: "2026-01-05T00:00:00Z",
    }),
    event("commits.branch.moved", { branch: "main", from: sha(1), to: sha(2), forced: true }),
    event("commits.branch.moved", { branch: "dev", from: null, to: sha(2), forced: false }),
    event("commits.branch.deleted", { branch: "dev", from: sha(2) }),
  ]);
  assert.deepEqual(rows, { "r/main": { repository: "r", branch: "main", head: sha(2), moves: 2, forced: 1 } });
});

Deno.test("commits.history tells of a commit when it is there, and of its size when that is known", () => {
  const before = folded(commitsHistory, [listed(1, 0, [edited("a", 1, 1)])]);
  assert.deepEqual(before.rows, {});
  const incomplete = recorded(1, { incomplete: "boundary" });
  const completed = event("commits.commit.completed", {
    sha: sha(1),
    parts: 1,
    parents: [sha(0), sha(5)],
    merge: true,
    files: 1,
    added: 0,
    deleted: 0,
  });
  assert.equal(folded(commitsHistory, [incomplete]).rows[`r/${sha(1)}`]!.incomplete, "boundary");
  assert.deepEqual(folded(commitsHistory, [incomplete, completed]).rows[`r/${sha(1)}`], {
    repository: "r",
    sha: sha(1),
    at: "2026-01-04T23:30:00.000Z",
    subject: "commit 1",
    author: "A",
    parents: [sha(0), sha(5)],
    merge: true,
    files: 1,
    added: 0,
    deleted: 0,
  });
});

Deno.test("commits.history knows who it was by an opaque id, never by name", () => {
  const sealed = (what: string) => `sealed:1:s_abc:${what}`;
  const { rows } = folded(commitsHistory, [
    recorded(1, { author: { name: sealed("bmFtZQ"), email: sealed("bWFpbA") } }),
  ]);
  assert.deepEqual([rows[`r/${sha(1)}`]!.by, rows[`r/${sha(1)}`]!.author], ["s_abc", "sealed:1:s_abc:bmFtZQ"]);
});

Deno.test("what was incomplete counts once, and its lines when they are known", () => {
  const events = [
    recorded(1, { incomplete: "webhook" }),
    listed(1, 0, [edited("a", 3, 1)]),
    event("commits.commit.completed", {
      sha: sha(1),
      parts: 1,
      parents: [sha(0)],
      committed: "2026-01-04T23:30:00Z",
      files: 1,
      added: 3,
      deleted: 1,
    }),
  ];
  const { rows } = folded(commitsRepository, events);
  assert.deepEqual([rows.r!.commits, rows.r!.added, rows.r!.incomplete], [1, 3, 0]);
  assert.equal(folded(commitsRepository, events.slice(0, 2)).rows.r!.incomplete, 1);
  assert.equal(folded(commitsHotspots, events).rows["r/a"]!.churn, 4);
  assert.equal(folded(commitsHotspots, events.slice(0, 2)).rows["r/a"], undefined);
  const week = folded(commitsActivity, events).rows["r/2026-W01"]!;
  assert.deepEqual([week.commits, week.added, week.files], [1, 3, 1]);
});

Deno.test("commits.activity counts by ISO week in UTC", () => {
  for (
    const [time, week, monday] of [
      ["2026-01-05T00:30:00+01:00", "2026-W01", "2025-12-29"], // still Sunday in UTC
      ["2026-01-05T00:00:00Z", "2026-W02", "2026-01-05"],
      ["2021-01-03T12:00:00Z", "2020-W53", "2020-12-28"],
      ["2024-12-30T00:00:00Z", "2025-W01", "2024-12-30"],
      ["1970-01-01T00:00:00Z", "1970-W01", "1969-12-29"],
      ["1969-12-28T23:59:59Z", "1969-W52", "1969-12-22"],
      ["9999-12-31T23:59:59Z", "9999-W52", "9999-12-27"],
    ] as const
  ) assert.deepEqual(isoWeek(time), { week, monday }, time);
  const { rows } = folded(commitsActivity, [
    recorded(1, { added: 1 }),
    recorded(2, { added: 2 }),
    recorded(3, { times: {} }),
  ]);
  assert.deepEqual(Object.entries(rows).map(([key, { commits, added }]) => [key, commits, added]), [[
    "r/2026-W01",
    2,
    3,
  ], ["r/undated", 1, 0]]);
});

Deno.test("commits.hotspots counts a commit's files only once the commit is there", () => {
  const parts = [listed(1, 0, [edited("a", 1, 0)]), listed(1, 1, [edited("b", 2, 2)])];
  const before = folded(commitsHotspots, parts);
  assert.deepEqual([Object.keys(before.rows), before.working.length], [[], 2]);
  const after = folded(commitsHotspots, [...parts, recorded(1, { parts: 2 })]);
  assert.deepEqual(Object.values(after.rows).map(({ path, churn, commits }) => [path, churn, commits]), [["a", 1, 1], [
    "b",
    4,
    1,
  ]]);
  assert.deepEqual(after.working, []);
});

Deno.test("commits.hotspots passes over merges", () => {
  const { rows, working } = folded(commitsHotspots, [
    listed(1, 0, [edited("a", 9, 9)], { merge: true }),
    recorded(1, { parts: 1, merge: true }),
  ]);
  assert.deepEqual([rows, working], [{}, []]);
});

Deno.test("churn follows a file through renames, swaps and chains, and names that come back", () => {
  const churn = (...events: readonly Event<CommitFact>[]) =>
    Object.fromEntries(Object.values(folded(commitsHotspots, events).rows).map(({ path, churn }) => [path, churn]));
  const start = changed(1, edited("a", 10, 0), edited("b", 1, 0));
  assert.deepEqual(churn(...start, ...changed(2, renamed("a", "c", 2, 1))), { b: 1, c: 13 });
  assert.deepEqual(churn(...start, ...changed(2, renamed("a", "b"), renamed("b", "a"))), { a: 1, b: 10 });
  assert.deepEqual(churn(...start, ...changed(2, renamed("a", "b"), renamed("b", "c"))), { b: 10, c: 1 });
  assert.deepEqual(churn(...start, ...changed(2, renamed("a", "c")), ...changed(3, renamed("c", "d"))), {
    b: 1,
    d: 10,
  });
  // A file of that name was there before: its churn is that of the name.
  assert.deepEqual(
    churn(...start, ...changed(2, { path: "b", added: 0, deleted: 5, status: "D" }), ...changed(3, renamed("a", "b"))),
    { b: 16 },
  );
  // Renamed and made anew in one commit.
  assert.deepEqual(
    churn(...start, ...changed(2, renamed("a", "c"), { path: "a", added: 3, deleted: 0, status: "A" })),
    { a: 3, b: 1, c: 10 },
  );
  const { rows } = folded(commitsHotspots, [
    ...start,
    ...changed(2, renamed("a", "c")),
    ...changed(3, { path: "c", added: 0, deleted: 12, status: "D" }),
  ]);
  assert.deepEqual([rows["r/c"]!.from, rows["r/c"]!.gone, rows["r/c"]!.commits], ["a", true, 3]);
});

Deno.test("a commit of 17,000 files is folded in seconds, not minutes", () => {
  const files = Array.from({ length: 17_000 }, (_, n) => edited(`f${n}`, 1, 0));
  const parts = Array.from({ length: 34 }, (_, part) => listed(1, part, files.slice(part * 500, part * 500 + 500)));
  const began = performance.now();
  const { rows } = folded(commitsHotspots, [...parts, recorded(1, { parts: 34, files: 17_000 })]);
  assert.equal(Object.keys(rows).length, 17_000);
  assert.ok(performance.now() - began < 10_000);
});

Deno.test("repositories do not mix, whatever their paths and branches are called", () => {
  for (const projection of commitsViews as readonly Projection<unknown, CommitFact>[]) {
    const one = [
      ...changed(1, edited("x/y", 1, 1)),
      event("commits.branch.moved", { branch: "x/y", from: null, to: sha(1), forced: false }),
    ];
    const two = one.map((event) => ({ ...event, stream: "commits/r2" as const, source: "r2" }));
    const { rows } = folded(projection, [...one, ...two]);
    const keys = Object.keys(rows);
    assert.equal(keys.length, 2);
    assert.ok(
      keys.some((key) => key === "r" || key.startsWith("r/")) &&
        keys.some((key) => key === "r2" || key.startsWith("r2/")),
      keys.join(),
    );
  }
});

Deno.test("folds take whatever the schemas allow, leave what they are given as it was, and say the same again", () => {
  const path = fc.constantFrom("a", "b", "c", "__proto__", "a/b");
  const file = fc.record({
    path,
    old_path: path,
    status: fc.constantFrom("A" as const, "C" as const, "D" as const, "M" as const, "R" as const, "T" as const),
    added: fc.nat(9),
    deleted: fc.nat(9),
  }, { requiredKeys: ["path", "status"], noNullPrototype: true });
  const any = fc.nat(3).chain((n) =>
    fc.oneof(
      fc.tuple(fc.nat(2), fc.array(file, { minLength: 1, maxLength: 4 })).map(([part, files]) =>
        listed(n, part, files)
      ),
      fc.record({ parts: fc.nat(3), files: fc.nat(9), added: fc.nat(9), deleted: fc.nat(9) }, { noNullPrototype: true })
        .map((more) => recorded(n, more)),
      fc.record({
        sha: fc.constant(sha(n)),
        parts: fc.nat(3),
        parents: fc.constant<string[]>([]),
        files: fc.nat(9),
        added: fc.nat(9),
        deleted: fc.nat(9),
      }, { noNullPrototype: true }).map((data) => event("commits.commit.completed", data)),
      fc.constant(event("commits.branch.moved", { branch: "b", from: null, to: sha(n), forced: false })),
      fc.constant(event("commits.branch.deleted", { branch: "b", from: sha(n) })),
    )
  );
  fc.assert(fc.property(fc.array(any, { maxLength: 25 }), (events) => {
    const kept = structuredClone(events);
    for (const projection of commitsViews as readonly Projection<unknown, CommitFact>[]) {
      assert.deepEqual(folded(projection, events), folded(projection, structuredClone(events)));
    }
    assert.deepEqual(events, kept);
  }));
});

Deno.test("the views of a real repository agree with git about it", async () => {
  await using place = await Place.make();
  const text = Array.from({ length: 12 }, (_, n) => `line ${n}\n`).join("");
  const path = await place.repository(
    "real",
    commit({ mark: 1, message: "one", files: { a: text, b: "b\n" } }) +
      commit({ branch: "side", mark: 2, message: "two", from: ":1", files: { b: "B\nB\n" } }) +
      commit({ mark: 3, message: "three", from: ":1", files: { a: null, "moved/a": `${text}more\n` } }) +
      commit({ mark: 4, message: "four", from: ":3", merge: [":2"], files: { b: "B\nB\n" } }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const { rows } = folded(commitsHotspots, daybook.all());
  assert.deepEqual(
    Object.values(rows).map(({ path, added, deleted, commits }) => [path, added, deleted, commits]).sort(),
    [
      ["b", 3, 1, 2],
      ["moved/a", 13, 0, 2],
    ],
  );
  const [repository] = Object.values(folded(commitsRepository, daybook.all()).rows);
  assert.deepEqual([
    repository!.commits,
    repository!.merges,
    repository!.added,
    repository!.deleted,
    repository!.branches,
  ], [4, 1, 16, 1, 2]);
});

Deno.test("the bundled sample is a history like any other, and is there only once", async () => {
  const daybook = new SmallDaybook();
  const first = await importSample(daybook, { by: BY, clock: systemClock });
  assert.deepEqual([first.commits.new, first.branches.moved], [sampleCommits().length, 4]);
  const seen = new Set<string>();
  for (const { data } of daybook.of("commits.commit.recorded")) {
    for (const parent of data.parents) assert.ok(seen.has(parent), `${data.subject}: parents first`);
    seen.add(data.sha);
  }
  const { rows, working } = folded(commitsHotspots, daybook.all());
  assert.deepEqual(working, []);
  assert.equal(rows["sample-lighthouse/src/signals/lamp.ts"]!.from, "src/lamp.ts");
  const [repository] = Object.values(folded(commitsRepository, daybook.all()).rows);
  assert.deepEqual([repository!.merges, repository!.branches, repository!.forced], [2, 3, 1]);
});
