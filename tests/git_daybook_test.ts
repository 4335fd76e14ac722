import assert from "node:assert/strict";
import { importGit } from "../adapters/git/import.ts";
import { importSample } from "../adapters/git/sample.ts";
import { translatePush } from "../adapters/github/push.ts";
import { recordPush } from "../adapters/github/record.ts";
import { systemClock } from "../adapters/system/world.ts";
import { WORDS_LIMITS } from "../events/commit_text.ts";
import { isSealed } from "../events/personal.ts";
import { openDaybook } from "../main.ts";
import { BY, commit, Place } from "./git_given.ts";

type Recorded = {
  readonly author: { readonly name: string; readonly email: string; readonly message?: string };
  readonly subject: string;
};

Deno.test("a repository goes through the whole daybook: sealed, counted, and the same when it is said again", async () => {
  await using place = await Place.make();
  const history = Array.from(
    { length: 120 },
    (_, n) =>
      commit({
        mark: n + 1,
        message: `commit ${n}\n\nSigned-off-by: Ada Byron <ada@example.com>`,
        files: { [`f${n % 7}`]: `${n}\n` },
      }),
  ).join("");
  const large = commit({
    message: "everything",
    files: Object.fromEntries(Array.from({ length: 3_000 }, (_, n) => [`${"deep/".repeat(12)}${n}`, "x\n"])),
  });
  const path = await place.repository("whole", history + large + "reset refs/heads/side\nfrom :50\n\n");
  const daybook = await openDaybook({ data: ":memory:" });
  try {
    const options = { path, by: BY, clock: systemClock, env: place.env };
    const first = await importGit(daybook, options);
    assert.ok(first.ok, JSON.stringify(first));
    assert.deepEqual([first.commits.new, first.branches.moved], [121, 2]);
    const size = daybook.log.size;
    const again = await importGit(daybook, options);
    assert.ok(again.ok && again.events === 0 && again.commits.new === 0);
    assert.equal(daybook.log.size, size);

    const events = [...daybook.log.read({ types: ["commits.commit.recorded"] })].flat();
    // Texts that base64url cannot hold by chance.
    assert.doesNotMatch(JSON.stringify(events), /Ada Byron|ada@/);
    const { author } = events[0]!.data as Recorded;
    assert.ok(isSealed(author.name) && isSealed(author.email) && isSealed(author.message!));
    const plain = (daybook.unseal(events[0]!).data as Recorded).author;
    assert.deepEqual([plain.name, plain.email, plain.message], [
      "Ada Byron",
      "ada@example.com",
      "commit 0\n\nSigned-off-by: Ada Byron <ada@example.com>",
    ]);

    const wait = size - 1;
    const { row } = await daybook.row("commits.repository", "whole", { wait });
    const counted = row!.row as { readonly commits: number; readonly added: number; readonly branches: number };
    assert.deepEqual([counted.commits, counted.added, counted.branches], [121, 3_120, 2]);
    const hot = await daybook.view("commits.hotspots", {
      where: { repository: "whole" },
      sort: "churn",
      descending: true,
      limit: 1,
      wait,
    });
    assert.equal((hot.rows[0]!.row as { readonly commits: number }).commits, 18);
    const found = await daybook.view("commits.history", { text: "everything", wait });
    assert.equal(found.rows.length, 1);
  } finally {
    await daybook.close();
  }
});

Deno.test("names and messages that only look sealed keep no commit out, from a repository and from a push", async () => {
  await using place = await Place.make();
  const forged = `sealed:1:s_abcdefghijklmnop:${"A".repeat(60)}`;
  const history = commit({ message: "one", author: `${forged} <${forged}> 1700000000 +0100` }) +
    commit({ message: `\n${forged}\n` }) +
    commit({ message: `${forged}${"A".repeat(WORDS_LIMITS.message_bytes_max)} and more` }) +
    commit({ message: "last" });
  const path = await place.repository("forged", history);
  const daybook = await openDaybook({ data: ":memory:" });
  try {
    const done = await importGit(daybook, { path, by: BY, clock: systemClock, env: place.env });
    assert.ok(done.ok && done.commits.new === 4, JSON.stringify(done));
    const id = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
    const push = translatePush({
      ref: "refs/heads/main",
      before: "0".repeat(40),
      after: id,
      repository: { html_url: "https://github.com/octocat/forged" },
      commits: [{
        id,
        message: "pushed",
        timestamp: "2026-01-05T10:00:00+01:00",
        author: { name: forged, email: "mona@example.com" },
        committer: { name: "Mona", email: forged },
      }],
    }, { by: BY });
    assert.ok(push.is === "push");
    assert.deepEqual(await recordPush(daybook, push, BY), { is: "recorded", commits: 1, known: 0, moves: 1 });
    const told = [...daybook.log.read({ types: ["commits.commit.recorded"] })].flat()
      .map((event) => daybook.unseal(event).data as Recorded);
    assert.deepEqual(
      told.map(({ author, subject }) => [author.name, author.email, author.message, subject.slice(0, 12)]),
      [
        ["", "", undefined, "one"],
        ["Ada Byron", "ada@example.com", undefined, ""],
        ["Ada Byron", "ada@example.com", undefined, "sealed:1:s_a"],
        ["Ada Byron", "ada@example.com", undefined, "last"],
        ["", "mona@example.com", undefined, "pushed"],
      ],
    );
  } finally {
    await daybook.close();
  }
});

Deno.test("the sample and a stored push go through the whole daybook, and are there once", async () => {
  const daybook = await openDaybook({ data: ":memory:" });
  try {
    const sample = await importSample(daybook, { by: BY, clock: systemClock });
    assert.ok(sample.commits.new > 20 && sample.branches.moved === 4);
    const again = await importSample(daybook, { by: BY, clock: systemClock });
    assert.deepEqual([again.commits.new, again.branches.moved, again.events], [0, 0, 0]);
    const id = "6dcb09b5b57875f334f61aebed695e2e4193db5e";
    const mona = { name: "Mona Example", email: null };
    const push = translatePush({
      ref: "refs/heads/main",
      before: "0".repeat(40),
      after: id,
      repository: { html_url: "https://github.com/octocat/hello", pushed_at: 1_767_603_600 },
      commits: [{ id, message: "Say hello", timestamp: "2026-01-05T10:00:00+01:00", author: mona, committer: mona }],
    }, { by: BY });
    assert.ok(push.is === "push");
    assert.deepEqual(await recordPush(daybook, push, BY), { is: "recorded", commits: 1, known: 0, moves: 1 });
    const size = daybook.log.size;
    assert.deepEqual(await recordPush(daybook, push, BY), { is: "recorded", commits: 0, known: 1, moves: 0 });
    assert.equal(daybook.log.size, size);
    assert.doesNotMatch(JSON.stringify(daybook.log.find("https://github.com/octocat/hello", id)), /Mona [A-Z]|@github/);
  } finally {
    await daybook.close();
  }
});
