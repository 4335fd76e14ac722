/** A person whose key was taken out of the key database, with all that led to it, is missed by `verify`: the log holds values of theirs. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  namedIn,
  SubjectCheck,
  type Subjects,
  SUBJECTS_KNOWN_MAX,
  SUBJECTS_MISSED_MAX,
  SUBJECTS_NAMED_MAX,
} from "../adapters/verify/subjects.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { subjectOf } from "../events/personal.ts";
import { events } from "../events/mod.ts";
import { BY, commit, filled, opened, recorded } from "./end_to_end/privacy_given.ts";
import { run } from "./end_to_end/program.ts";
import { inFolder } from "./folder_given.ts";

/** As if there were none of the keys; who is missed goes into the list. */
const none = (missed: { readonly subject: string; readonly position: number }[]): Subjects => ({
  has: () => false,
  missed: (subject, position) => void missed.push({ subject, position }),
});

/** Whose the authors' names are, and where each comes first. */
const authorsIn = (data: string) =>
  opened(data, (daybook) => {
    const found = new Map<string, number>();
    for (const { type, position, data } of [...daybook.log.read({ from: 0 })].flat()) {
      if (type !== "commits.commit.recorded") continue;
      const subject = subjectOf((data as { author: { name: string } }).author.name)!;
      if (!found.has(subject)) found.set(subject, position);
    }
    return found;
  });

Deno.test("verify misses a key that was removed with all that led to it, and who was erased is not missed", () =>
  inFolder(async (data) => {
    await filled(data);
    const [[ann, annAt], [bob, bobAt]] = [...await authorsIn(data)] as [[string, number], [string, number]];
    // Sent where nothing personal belongs: anybody may.
    await opened(data, async (daybook) => {
      const text = "sealed:1:s_nobodyWhoEverWas:abc";
      const sent = { id: "1", source: "urn:forger", type: "forger.text.sent", data: { text, author: { name: text } } };
      assert.ok((await daybook.ingest([sent], BY)).ok);
    });
    assert.equal((await run("erase", bob, "--reason", "asked for", "--data", data)).code, 0);
    const whole = await run("verify", "--data", data);
    assert.equal(whole.code, 0, whole.out);
    const db = new DatabaseSync(`${data}/keys.db`);
    for (const table of ["identifiers", "subjects"]) {
      assert.ok(db.prepare(`DELETE FROM ${table} WHERE subject = ?`).run(ann).changes > 0, table);
    }
    db.close();
    const { code, out } = await run("verify", "--data", data, "--json");
    const { ok, failed, failures } = JSON.parse(out);
    const key = (subject: string) =>
      `the key of subject ${subject}, of whom there are personal values, or that it was erased`;
    assert.deepEqual([code, ok, failed], [1, false, 1]);
    assert.deepEqual(failures, [{ position: annAt, kind: "key", expected: key(ann), found: "none" }]);

    // In threads and ranges as in one.
    for (const how of [{ threads: 1 }, { threads: 3, rangeEvents: 2 }, { threads: 1, rangeEvents: 2 }]) {
      const missed: { subject: string; position: number }[] = [];
      const report = await verifyLog({ path: `${data}/log.db`, catalogue: events, subjects: none(missed), ...how });
      assert.deepEqual(report.failures, []);
      const authors = missed.filter(({ subject }) => subject === ann || subject === bob);
      assert.deepEqual(authors, [{ subject: ann, position: annAt }, { subject: bob, position: bobAt }]);
      assert.ok(!missed.some(({ subject }) => subject.includes("nobody")));
    }
  }));

Deno.test("of many that are missed the first hundred are told", () =>
  inFolder(async (data) => {
    await filled(data);
    const count = SUBJECTS_MISSED_MAX + 20;
    await opened(data, async (daybook) => {
      const many = Array.from({ length: count }, (_, i) => commit(100 + i, { name: "A", email: `a${i}@example.org` }));
      assert.ok((await daybook.ingest(many, BY)).ok);
      assert.equal(recorded(daybook, "commits.commit.recorded").length, count + 3);
    });
    const missed: { subject: string; position: number }[] = [];
    await verifyLog({ path: `${data}/log.db`, catalogue: events, subjects: none(missed) });
    assert.equal(missed.length, SUBJECTS_MISSED_MAX);
  }));

Deno.test("where texts name more than are held, the events themselves are asked whose values they have", () => {
  const found = new Set<string>();
  const block = (from: number, count: number) => ({
    bytes: new TextEncoder().encode(Array.from({ length: count }, (_, i) => `"sealed:1:s_${from + i}:a"`).join()),
  });
  const told: string[] = [];
  const subjects: Subjects = { has: (subject) => subject === "s_1", missed: (subject) => void told.push(subject) };
  const check = new SubjectCheck(subjects, events);
  namedIn(block(0, SUBJECTS_NAMED_MAX), found);
  assert.equal((check.suspects([...found]) as ReadonlySet<string>).size, SUBJECTS_NAMED_MAX - 1);
  for (let n = 0; n < 2; n++) namedIn(block(SUBJECTS_NAMED_MAX, 500), found);
  assert.equal(found.size, SUBJECTS_NAMED_MAX + 1);
  assert.equal(check.suspects([...found]), "all");
  for (const subject of ["s_1", "s_none", "s_none"]) {
    const name = `sealed:1:${subject}:a`;
    check.judge(
      { type: "commits.commit.recorded", position: 7, data: { author: { name, email: name } } } as never,
      "all",
    );
  }
  assert.deepEqual(told, ["s_none"]);
});

Deno.test("who is known is asked for once, as long as so many are remembered", () => {
  let asked = 0;
  const check = new SubjectCheck({ has: () => ++asked > 0, missed: () => assert.fail("nobody is missed") }, events);
  const many = Array.from({ length: SUBJECTS_KNOWN_MAX + 1 }, (_, i) => `s_${i}`);
  assert.equal(check.unknown([...many.slice(1), ...many.slice(1)]).size, 0);
  assert.equal(asked, SUBJECTS_KNOWN_MAX);
  // One more, and all are forgotten but that one.
  for (const [subject, again] of [["s_0", 1], ["s_0", 1], ["s_1", 2]] as const) {
    check.unknown([subject]);
    assert.equal(asked, SUBJECTS_KNOWN_MAX + again);
  }
});
