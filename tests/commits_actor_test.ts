import assert from "node:assert/strict";
import fc from "fast-check";
import { BRANCHES_MAX, type BranchFact, type CommitCommand, commits, headOf } from "../actors/commits.ts";
import { commitFacts, repositoryId } from "../events/commits.ts";
import { given } from "./given.ts";

const sha = (n: number) => (n + 1).toString(16).padStart(40, "0");
const moved = (
  branch: string,
  from: number | null,
  to: number,
  more: { forced?: boolean; at?: string } = {},
): BranchFact => ({
  type: "commits.branch.moved",
  data: { branch, from: from === null ? null : sha(from), to: sha(to), forced: false, ...more },
});
const move = (branch: string, to: number, more: object = {}): CommitCommand => ({
  type: "commits.branch.move",
  data: { branch, to: sha(to), ...more },
});
const remove = (branch: string, more: object = {}): CommitCommand => ({
  type: "commits.branch.delete",
  data: { branch, ...more },
});

Deno.test("commits.branch.move records a new branch, and then where it moves", () => {
  given(commits).when(move("main", 1)).accepted(moved("main", null, 1));
  given(commits, moved("main", null, 1)).when(move("main", 2)).accepted(moved("main", 1, 2));
});

Deno.test("commits.branch.move says forced only where something is left behind", () => {
  given(commits, moved("main", null, 1)).when(move("main", 2, { forced: true })).accepted(
    moved("main", 1, 2, { forced: true }),
  );
  given(commits).when(move("main", 2, { forced: true })).accepted(moved("main", null, 2));
});

Deno.test("commits.branch.move to where the branch is records nothing", () => {
  given(commits, moved("main", null, 1)).when(move("main", 1, { forced: true })).accepted();
});

Deno.test("commits.branch.move keeps to the place it was told to start from", () => {
  given(commits, moved("main", null, 1)).when(move("main", 2, { from: sha(1) })).accepted(moved("main", 1, 2));
  given(commits, moved("main", null, 1)).when(move("main", 2, { from: sha(7) })).rejected("branch_elsewhere");
  given(commits, moved("main", null, 1)).when(move("main", 2, { from: null })).rejected("branch_elsewhere");
  given(commits).when(move("main", 2, { from: sha(1) })).rejected("branch_elsewhere");
});

Deno.test("commits.branch.move refuses late news", () => {
  const at = "2026-01-05T09:00:00Z";
  const there = moved("main", null, 2, { at });
  given(commits, there).when(move("main", 1, { at: "2026-01-05T09:59:59+01:00" })).rejected("branch_moved_since");
  given(commits, there).when(move("main", 3, { at })).accepted(moved("main", 2, 3, { at }));
  given(commits, there).when(remove("main", { at: "2026-01-05T08:00:00Z" })).rejected("branch_moved_since");
  given(commits, there, moved("main", 2, 3)).when(move("main", 1, { at: "2026-01-05T08:00:00Z" })).rejected(
    "branch_moved_since",
  );
});

Deno.test("commits.branch.move refuses to mix object formats", () => {
  given(commits, moved("main", null, 1))
    .when({ type: "commits.branch.move", data: { branch: "main", to: "a".repeat(64) } })
    .rejected("object_format_differs");
});

Deno.test("commits.branch.delete records the end of a branch, once", () => {
  const gone: BranchFact = { type: "commits.branch.deleted", data: { branch: "main", from: sha(1) } };
  given(commits, moved("main", null, 1)).when(remove("main")).accepted(gone);
  given(commits, moved("main", null, 1), gone).when(remove("main")).accepted();
  given(commits, moved("main", null, 1)).when(remove("main", { from: sha(2) })).rejected("branch_elsewhere");
  const at = "2026-01-05T09:00:00Z";
  given(commits, moved("main", null, 1)).when(remove("main", { at })).accepted({ ...gone, data: { ...gone.data, at } });
});

Deno.test("names and object names that git does not accept do not parse", () => {
  for (
    const name of [
      "",
      "/a",
      "a/",
      "a//b",
      "a..b",
      "a b",
      "a~1",
      "a^",
      "a:b",
      "a?",
      "a*",
      "a[b",
      "a\\b",
      "-a",
      ".a",
      "a/.b",
      "a.",
      "a.lock",
      "a.lock/b",
      "a@{b",
      "a\n",
      "a\x7f",
    ]
  ) {
    given(commits).when({ type: "commits.branch.move", data: { branch: name, to: sha(1) } }).invalid("/branch");
  }
  for (const to of ["0".repeat(40), "A".repeat(40), "abc", "g".repeat(40), "a".repeat(41)]) {
    given(commits).when({ type: "commits.branch.move", data: { branch: "main", to } }).invalid("/to");
  }
  for (
    const name of ["main", "feature/x.y", "größe", "日本", "a@b", "__proto__", "constructor", "x-", "caf\\303\\251"]
  ) {
    given(commits).when(move(name, 1)).accepted(moved(name, null, 1));
  }
});

Deno.test("a move and a deletion tell no time that is longer than any entry", () => {
  const at = (digits: number) => `2026-01-05T09:00:00.${"0".repeat(digits)}+01:00`;
  given(commits).when(move("main", 1, { at: at(9) })).accepted(moved("main", null, 1, { at: at(9) }));
  given(commits).when(move("main", 1, { at: at(70_000) })).invalid("/at");
  given(commits).when(remove("main", { at: at(70_000) })).invalid("/at");
});

Deno.test("a repository has a bounded number of branches; one that goes makes room", () => {
  const full = Array.from({ length: BRANCHES_MAX }, (_, n) => moved(`b${n}`, null, n));
  const there = given(commits, ...full);
  there.when(move("one-more", 1)).rejected("too_many_branches");
  there.when(move("b7", 1)).accepted(moved("b7", 7, 1));
  const { state } = there.when(remove("b7"));
  assert.equal(state.count, BRANCHES_MAX - 1);
});

Deno.test("branch heads are what a map of names would say, whatever happens to them", () => {
  const names = fc.constantFrom("main", "dev", "a/b", "__proto__", "toString", "é");
  const step = fc.record({ branch: names, to: fc.option(fc.nat(20)), forced: fc.boolean() });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const model = new Map<string, string>();
    let state = commits.initial;
    for (const { branch, to, forced } of steps) {
      const decision = commits.decide(state, to === null ? remove(branch) : move(branch, to, { forced }), {
        at: 0,
        by: "u",
        fresh: "f",
        id: "r",
      });
      assert.ok(decision.ok);
      for (const fact of decision.facts) {
        assert.ok(commitFacts[fact.type].safeParse(fact.data).success);
        assert.equal(fact.data.from, model.get(branch) ?? null);
        state = commits.evolve(state, fact);
      }
      to === null ? model.delete(branch) : model.set(branch, sha(to));
    }
    assert.equal(state.count, model.size);
    for (const branch of ["main", "dev", "a/b", "__proto__", "toString", "é"]) {
      assert.equal(headOf(state, branch)?.to, model.get(branch));
    }
    assert.deepEqual(JSON.parse(JSON.stringify(state)), state, "a snapshot is the state");
  }));
});

Deno.test("a repository's id is readable, and different sources have different ones", () => {
  assert.equal(repositoryId("https://github.com/redis/redis"), "github.com:redis:redis");
  assert.equal(repositoryId("linux"), "linux");
  assert.equal(repositoryId("https://example.com:8443/~jane/grüße"), "example.com:8443:~jane:gr%C3%BC%C3%9Fe");
  assert.equal(repositoryId(".."), "_..");
  assert.equal(repositoryId(""), "_");
  assert.equal(repositoryId("\ud800"), "%EF%BF%BD");
  assert.ok(repositoryId("x".repeat(5_000)).length <= 400);
  assert.doesNotMatch(repositoryId("a b/c?d#e\n/f"), /[\s/?#]/);
});
