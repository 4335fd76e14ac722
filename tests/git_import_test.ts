import assert from "node:assert/strict";
import { BRANCHES_MAX } from "../actors/commits.ts";
import { importGit } from "../adapters/git/import.ts";
import { SEND_LIMITS } from "../adapters/git/send.ts";
import { systemClock } from "../adapters/system/world.ts";
import { LIMITS, LogFault } from "../events/log.ts";
import { BY, commit, imported, Place, refused, SmallDaybook } from "./git_given.ts";

const line = (n: number, from = 1) =>
  Array.from(
    { length: n },
    (_, i) =>
      commit({ mark: from + i, message: `commit ${from + i}`, files: { [`f${(from + i) % 50}`]: `${from + i}\n` } }),
  ).join("");

Deno.test("the same import again brings nothing and records nothing", async () => {
  await using place = await Place.make();
  const path = await place.repository("twice", line(30));
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const size = daybook.log.size;
  const again = await imported(daybook, place, path);
  assert.deepEqual([again.commits.new, again.events, daybook.log.size], [0, 0, size]);
  const batches = daybook.batches.length;
  await imported(daybook, place, path, { range: ["main~10..main"] });
  assert.equal(daybook.batches.length, batches);
});

Deno.test("an import brings what is new since the last, and the branch where it is now", async () => {
  await using place = await Place.make();
  const path = await place.repository("grows", line(5));
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  await place.git(
    "grows",
    ["fast-import", "--quiet"],
    line(3, 6).replace("mark", "from refs/heads/main^0\nmark").replace(
      /from (.*)\n(mark :6\n)((?:.*\n){2}data 8\ncommit 6\n)/,
      "$2$3from $1\n",
    ),
  );
  const more = await imported(daybook, place, path);
  assert.deepEqual(more.commits, { new: 3, completed: 0, known: 0 });
  assert.deepEqual(daybook.of("commits.branch.moved").map(({ data }) => data.forced), [false, false]);
  assert.deepEqual(daybook.of("commits.history.imported").map(({ data }) => data.commits), [5, 3]);
});

Deno.test("an import that was stopped goes on where it was, even within a commit", async () => {
  await using place = await Place.make();
  const files = Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`${"long/".repeat(20)}file-${n}`, "1\n"]));
  const path = await place.repository(
    "stopped",
    line(5) + commit({ mark: 9, message: "large", from: ":5", files }) + line(20, 10),
  );
  const whole = new SmallDaybook();
  await imported(whole, place, path);
  const expected = whole.all().map(({ type, id, data }) => ({ type, id, data }));

  const daybook = new SmallDaybook();
  let left = 2;
  daybook.before = () => {
    if (left-- <= 0) throw new LogFault("full", "no room");
  };
  await assert.rejects(importGit(daybook, { path, by: BY, clock: systemClock, env: place.env }), /no room/);
  const parts = daybook.of("commits.changes.listed").filter(({ data }) => data.part > 0).length;
  assert.ok(
    parts > 0 && !daybook.of("commits.commit.recorded").some(({ data }) => data.subject === "large"),
    "stopped within the large commit",
  );
  daybook.before = () => {};
  const rest = await imported(daybook, place, path);
  assert.equal(rest.commits.known + rest.commits.new, 26);
  const sorted = (events: readonly { readonly id: string }[]) =>
    [...events].filter(({ id }) => !/^(imported|f\d)/.test(id)).sort((a, b) => a.id < b.id ? -1 : 1);
  assert.deepEqual(sorted(daybook.all().map(({ type, id, data }) => ({ type, id, data }))), sorted(expected));
  assert.equal((await imported(daybook, place, path)).commits.new, 0);
});

Deno.test("batches stay below the bounds of an append, and the commit comes after its parts", async () => {
  await using place = await Place.make();
  const files = Object.fromEntries(Array.from({ length: 9_000 }, (_, n) => [`${"long/".repeat(20)}file-${n}`, "1\n"]));
  const empty = Array.from({ length: 600 }, (_, n) => commit({ message: `${n}` })).join("");
  const path = await place.repository("batches", empty + line(100) + commit({ mark: 900, message: "large", files }));
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  for (const batch of daybook.batches) {
    assert.ok(batch.length <= SEND_LIMITS.batch_events_max);
    assert.ok(JSON.stringify(batch).length <= LIMITS.append_bytes_max);
  }
  assert.ok(daybook.batches.some((batch) => batch.length === SEND_LIMITS.batch_events_max));
  const parts = daybook.of("commits.changes.listed").filter(({ data }) => data.sha === daybook.commit("large").sha);
  assert.deepEqual(parts.map(({ data }) => data.part), parts.map((_, n) => n));
  assert.equal(daybook.commit("large").parts, parts.length);
});

Deno.test("at most so many ingests are on their way, and none is sent before its turn", async () => {
  await using place = await Place.make();
  const path = await place.repository("flights", line(2_500));
  const daybook = new SmallDaybook();
  let [flying, most] = [0, 0];
  const full = Promise.withResolvers<void>();
  daybook.before = async () => {
    most = Math.max(most, ++flying);
    if (flying === SEND_LIMITS.in_flight_max) full.resolve();
    await full.promise;
    await new Promise((resolve) => setTimeout(resolve, 20));
    flying--;
  };
  await imported(daybook, place, path);
  assert.equal(most, SEND_LIMITS.in_flight_max);
  const subjects = daybook.of("commits.commit.recorded").map(({ data }) => data.subject);
  assert.deepEqual(subjects, subjects.map((_, n) => `commit ${n + 1}`));
});

Deno.test("an overloaded log is tried again, so many times", async () => {
  await using place = await Place.make();
  const path = await place.repository("busy", line(3));
  const daybook = new SmallDaybook();
  let tries = 0;
  daybook.before = () => {
    if (++tries < 3) throw new LogFault("overloaded", "the queue is full");
  };
  const clock = { ...systemClock, schedule: (_: number, call: () => void) => systemClock.schedule(0, call) };
  await imported(daybook, place, path, { clock });
  daybook.before = () => {
    tries++;
    throw new LogFault("overloaded", "the queue is full");
  };
  tries = 0;
  const path2 = await place.repository("busier", line(3));
  await assert.rejects(imported(daybook, place, path2, { clock }), /the queue is full/);
  assert.equal(tries, SEND_LIMITS.tries_max);
});

Deno.test("an event that the log has with other content ends the import, and is named", async () => {
  await using place = await Place.make();
  const path = await place.repository("clash", line(1));
  const sha = await place.git("clash", ["rev-parse", "main"]);
  const daybook = new SmallDaybook();
  const data = { sha, part: 0, files: [{ path: "other", status: "A" }] };
  await daybook.ingest([{ id: `${sha}/0`, source: "clash", type: "commits.changes.listed", data }]);
  const message = await refused(daybook, place, path, "conflict");
  assert.match(message, new RegExp(`${sha}/0 of clash: position 0`));
});

Deno.test("an import can be stopped, and says how far it came", async () => {
  await using place = await Place.make();
  const path = await place.repository("stop", line(2_000));
  const daybook = new SmallDaybook();
  const stop = new AbortController();
  const outcome = await importGit(daybook, {
    path,
    by: BY,
    clock: systemClock,
    env: place.env,
    signal: stop.signal,
    progress: ({ done }) => done > 300 && stop.abort(),
  });
  assert.ok(!outcome.ok && outcome.code === "stopped");
  assert.ok(outcome.new > 0 && outcome.new < 2_000);
  assert.equal(outcome.new, daybook.of("commits.commit.recorded").length);
  assert.equal((await imported(daybook, place, path)).commits.new, 2_000 - outcome.new);
});

Deno.test("an import of one large commit can be stopped within it", async () => {
  await using place = await Place.make();
  const files = Object.fromEntries(Array.from({ length: 30_000 }, (_, n) => [`${"long/".repeat(20)}file-${n}`, "1\n"]));
  const path = await place.repository("within", commit({ mark: 1, message: "large", files }));
  const daybook = new SmallDaybook();
  const stop = new AbortController();
  daybook.before = () => stop.abort();
  const signal = stop.signal;
  const outcome = await importGit(daybook, { path, by: BY, clock: systemClock, env: place.env, signal });
  assert.ok(!outcome.ok && outcome.code === "stopped");
  assert.match(outcome.message, /after 0 of 1 commits/);
  const listed = daybook.of("commits.changes.listed").length;
  assert.equal(daybook.of("commits.commit.recorded").length, 0);
  const { parts } = await imported(daybook, place, path).then(() => daybook.commit("large"));
  assert.ok(listed > 0 && listed < parts, `${listed} of ${parts}`);
  assert.equal(daybook.of("commits.changes.listed").length, parts);
});

Deno.test("branches move, say whether it was forced, and go where the repository is the one that knows", async () => {
  await using place = await Place.make();
  const path = await place.repository(
    "branches",
    line(4) + "reset refs/heads/old\nfrom :2\n\nreset refs/heads/side\nfrom :3\n\n",
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  await place.git("branches", ["update-ref", "refs/heads/main", "main~2"]);
  await place.git("branches", ["update-ref", "refs/heads/old", "side"]);
  await place.git("branches", ["update-ref", "-d", "refs/heads/side"]);
  const size = daybook.log.size;
  const moved = await imported(daybook, place, path);
  assert.deepEqual(moved.branches, { total: 2, moved: 2, deleted: 0, rejected: [] });
  const facts = daybook.all().slice(size).map(({ data }) => data as { branch: string; forced?: boolean });
  assert.deepEqual(facts.map(({ branch, forced }) => [branch, forced]).sort(), [["main", true], ["old", false]]);
  const pruned = await imported(daybook, place, path, { prune: true });
  assert.deepEqual(pruned.branches, { total: 2, moved: 0, deleted: 1, rejected: [] });
  assert.equal(daybook.of("commits.branch.deleted")[0]!.data.branch, "side");
  assert.equal((await imported(daybook, place, path, { prune: true })).events, 0);
});

Deno.test("an import that is overtaken by a later one does not move the branch back", async () => {
  await using place = await Place.make();
  const path = await place.repository("overtaken", line(2));
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const push = async (message: string) => {
    const sha = await place.git("overtaken", ["commit-tree", "-p", "main", "-m", message, "main^{tree}"]);
    await place.git("overtaken", ["update-ref", "refs/heads/main", sha]);
  };
  await push("third");
  const ask = daybook.ask.bind(daybook);
  let later = 0;
  daybook.ask = async (one) => {
    if (later++ === 0) {
      await push("fourth");
      assert.equal((await imported(daybook, place, path)).branches.moved, 1);
    }
    return await ask(one);
  };
  const done = await imported(daybook, place, path);
  assert.deepEqual(done.branches, { total: 1, moved: 0, deleted: 0, rejected: [] });
  const moves = daybook.of("commits.branch.moved").map(({ data }) => data.to);
  assert.deepEqual(moves.slice(1), [daybook.commit("fourth").sha]);
});

Deno.test("a branch is only ever moved to a commit that is in the log, whatever comes in meanwhile", async () => {
  await using place = await Place.make();
  const path = await place.repository("meanwhile", line(2));
  const daybook = new SmallDaybook();
  daybook.before = async () => {
    daybook.before = () => {};
    const sha = await place.git("meanwhile", ["commit-tree", "-p", "main", "-m", "third", "main^{tree}"]);
    await place.git("meanwhile", ["update-ref", "refs/heads/main", sha]);
    await place.git("meanwhile", ["update-ref", "refs/heads/side", sha]);
  };
  const heads = () => daybook.of("commits.branch.moved").map(({ data }) => data.to);
  const first = await imported(daybook, place, path);
  for (const head of heads()) assert.ok(daybook.log.find("meanwhile", head), `${head} is not in the log`);
  const second = await imported(daybook, place, path);
  assert.deepEqual([first.commits.new, first.branches.moved, second.commits.new, second.branches.moved], [2, 1, 1, 2]);
  assert.equal(heads().at(-1), daybook.commit("third").sha);
});

Deno.test("two imports that end at the same time both come to their end", async () => {
  await using place = await Place.make();
  const path = await place.repository("both", line(3));
  const daybook = new SmallDaybook();
  const both = Promise.withResolvers<void>();
  let [second, ending]: [Promise<unknown> | undefined, number] = [undefined, 0];
  daybook.before = async ([first]) => {
    second ??= imported(daybook, place, path);
    if (first!.type === "commits.history.imported" && ++ending === 2) both.resolve();
    if (first!.type === "commits.history.imported") await both.promise;
  };
  await imported(daybook, place, path);
  await second;
  assert.equal(daybook.of("commits.commit.recorded").length, 3);
  assert.equal((await imported(daybook, place, path)).events, 0);
});

Deno.test("branches beyond the entity's bound are named, not lost in silence", async () => {
  await using place = await Place.make();
  const path = await place.repository("many", line(1));
  const sha = await place.git("many", ["rev-parse", "main"]);
  const daybook = new SmallDaybook();
  daybook.ask = (ask) =>
    Promise.resolve(
      (ask.data as { branch: string }).branch === "main"
        ? {
          is: "rejected",
          code: "too_many_branches",
          because: `The repository has ${BRANCHES_MAX} branches already`,
          revision: 0,
        }
        : { is: "unknown_command" },
    );
  await place.git("many", ["update-ref", "refs/heads/caf\\351", sha]).catch(() => {});
  const { branches } = await imported(daybook, place, path);
  assert.deepEqual(branches.rejected, [`main: The repository has ${BRANCHES_MAX} branches already`]);
});

Deno.test("progress counts up to the total", async () => {
  await using place = await Place.make();
  const path = await place.repository("progress", line(300));
  const seen: string[] = [];
  let last = 0;
  await imported(new SmallDaybook(), place, path, {
    progress: ({ doing, done, total }) => {
      if (seen.at(-1) !== doing) last = 0;
      assert.ok(done >= last && done <= total);
      last = done;
      if (seen.at(-1) !== doing) seen.push(doing);
      if (doing === "commits") assert.equal(total, 300);
    },
  });
  assert.deepEqual(seen, ["listing", "commits", "branches"]);
});

Deno.test("a range brings its commits and no others; what is none is refused", async () => {
  await using place = await Place.make();
  const path = await place.repository("range", line(10));
  const daybook = new SmallDaybook();
  const some = await imported(daybook, place, path, { range: ["main~3..main"] });
  assert.equal(some.commits.new, 3);
  assert.equal(daybook.of("commits.history.imported").length, 0);
  for (const range of ["nowhere", "--all", "-n1", "main main~1", "--output=/tmp/x", "a\nb", "", "f".repeat(40)]) {
    await refused(daybook, place, path, range === "f".repeat(40) ? "corrupt" : "unknown_range", { range: [range] });
  }
  assert.equal((await imported(daybook, place, path)).commits.new, 7);
});
