import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { COMMIT_LIMITS } from "../events/commits.ts";
import { repositorySource } from "../events/commit_text.ts";
import { LIMITS } from "../events/log.ts";
import { ADA, commit, imported, Place, SmallDaybook } from "./git_given.ts";

Deno.test("a history comes parents first, each commit with its changes before it", async () => {
  await using place = await Place.make();
  const path = await place.repository(
    "plain",
    commit({ mark: 1, message: "one", files: { "a.txt": "1\n2\n3\n", "b/c.txt": "x\n" } }) +
      commit({ mark: 2, message: "two", from: ":1", files: { "a.txt": "1\n3\n4\n5\n", "b/c.txt": null } }),
  );
  const daybook = new SmallDaybook();
  const outcome = await imported(daybook, place, path);
  assert.deepEqual(outcome.commits, { new: 2, completed: 0, known: 0 });
  assert.deepEqual(daybook.all().map(({ type }) => type), [
    "commits.changes.listed",
    "commits.commit.recorded",
    "commits.changes.listed",
    "commits.commit.recorded",
    "commits.history.imported",
    "commits.branch.moved",
  ]);
  const [one, two] = [daybook.commit("one"), daybook.commit("two")];
  assert.deepEqual(two, {
    sha: two.sha,
    parts: 1,
    parents: [one.sha],
    author: { name: "Ada Byron", email: "ada@example.com" },
    times: { authored: "2023-11-14T23:13:20+01:00", committed: "2023-11-14T23:13:20+01:00" },
    subject: "two",
    files: 2,
    added: 2,
    deleted: 2,
  });
  assert.deepEqual(daybook.changes("two"), [
    { added: 2, deleted: 1, path: "a.txt", status: "M" },
    { added: 0, deleted: 1, path: "b/c.txt", status: "D" },
  ]);
  const recorded = daybook.of("commits.commit.recorded")[1]!;
  assert.deepEqual([recorded.id, recorded.source, recorded.stream, recorded.time], [
    two.sha,
    "plain",
    "commits/plain",
    "2023-11-14T23:13:20+01:00",
  ]);
  const listed = daybook.of("commits.changes.listed")[1]!;
  assert.deepEqual([listed.id, listed.correlationid], [`${two.sha}/0`, two.sha]);
  const [branch] = daybook.of("commits.branch.moved");
  assert.deepEqual(branch!.data, { branch: "main", from: null, to: two.sha, forced: false });
  // The commit that it points at made it move, and both are one piece of work.
  assert.deepEqual([branch!.causationid, branch!.correlationid], [two.sha, two.sha]);
});

Deno.test("a merge is compared with its first parent, and says that it is one", async () => {
  await using place = await Place.make();
  const path = await place.repository(
    "merges",
    commit({ mark: 1, message: "root", files: { a: "a\n" } }) +
      commit({ branch: "side", mark: 2, message: "side", from: ":1", files: { b: "1\n2\n" } }) +
      commit({ branch: "more", mark: 3, message: "more", from: ":1", files: { c: "1\n2\n3\n" } }) +
      commit({ mark: 4, message: "mine", from: ":1", files: { a: "A\n" } }) +
      commit({ mark: 5, message: "octopus", from: ":4", merge: [":2", ":3"], files: { b: "1\n2\n", c: "1\n2\n3\n" } }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const octopus = daybook.commit("octopus");
  assert.equal(octopus.merge, true);
  assert.deepEqual(octopus.parents, ["mine", "side", "more"].map((subject) => daybook.commit(subject).sha));
  assert.deepEqual([octopus.files, octopus.added, octopus.deleted], [2, undefined, undefined]);
  assert.deepEqual(daybook.changes("octopus"), [{ path: "b", status: "A" }, { path: "c", status: "A" }]);
  assert.equal(daybook.of("commits.changes.listed").filter(({ data }) => data.merge).length, 1);
  assert.equal(daybook.commit("mine").merge, undefined);
});

Deno.test("renames, binary files, symlinks, submodules, modes and empty commits are what git says of them", async () => {
  await using place = await Place.make();
  const lines = Array.from({ length: 20 }, (_, n) => `line ${n}\n`).join("");
  const path = await place.repository(
    "kinds",
    commit({ mark: 1, message: "start", files: { "old.txt": lines, "image.bin": "\0\x01\x02", "run.sh": "echo\n" } }) +
      commit({ message: "rename", files: { "old.txt": null, "new.txt": `${lines}one more\n` } }) +
      commit({ message: "binary", files: { "image.bin": "\0\x03" } }) +
      commit({
        message: "odd",
        lines: [
          `M 120000 inline link\ndata 7\nnew.txt`,
          `M 160000 ${"1".repeat(40)} vendored`,
          `M 100755 inline run.sh\ndata 5\necho\n`,
        ],
      }) +
      commit({ message: "type", lines: [`M 120000 inline run.sh\ndata 7\nnew.txt`] }) +
      commit({ message: "nothing" }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  assert.deepEqual(daybook.changes("rename"), [
    { added: 1, deleted: 0, old_path: "old.txt", path: "new.txt", similarity: 94, status: "R" },
  ]);
  assert.deepEqual(daybook.changes("binary"), [{ binary: true, path: "image.bin", status: "M" }]);
  assert.deepEqual(daybook.changes("odd"), [
    { added: 1, deleted: 0, kind: "symlink", path: "link", status: "A" },
    { added: 0, deleted: 0, path: "run.sh", status: "M" },
    { added: 1, deleted: 0, kind: "submodule", path: "vendored", status: "A" },
  ]);
  assert.deepEqual(daybook.changes("type"), [{ added: 1, deleted: 1, kind: "symlink", path: "run.sh", status: "T" }]);
  const nothing = daybook.commit("nothing");
  assert.deepEqual([nothing.parts, nothing.files], [0, 0]);
});

Deno.test("names of files keep every byte: as they are in UTF-8, quoted where they are not", async () => {
  await using place = await Place.make();
  const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  const odd = [
    'quo"te',
    "ta\tb",
    "new\nline",
    " space ",
    "back\\slash",
    utf8("größe"),
    utf8("日本.txt"),
    utf8("\ufeffbom"),
    "caf\xe9\n",
  ];
  const path = await place.repository(
    "names",
    commit({ message: "odd", files: Object.fromEntries(odd.map((name) => [name, "x\n"])) }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const found = daybook.changes("odd");
  const plain = ['quo"te', "ta\tb", "new\nline", " space ", "back\\slash", "größe", "日本.txt", "\ufeffbom"];
  assert.deepEqual(found.filter(({ quoted }) => !quoted).map(({ path }) => path).sort(), plain.sort());
  assert.deepEqual(found.filter(({ quoted }) => quoted).map(({ path }) => path), ["caf\\351\\n"]);
  assert.ok(found.every(({ added }) => added === 1));
});

Deno.test("a path beyond the bound is cut, and stays one of a kind", async () => {
  await using place = await Place.make();
  const deep = (end: string) => `${"folder/".repeat(700)}${end}`;
  const path = await place.repository(
    "deep",
    commit({ message: "deep", files: { [deep("a")]: "x\n", [deep("b")]: "x\n" } }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const paths = daybook.changes("deep").map(({ path, cut }) => (assert.ok(cut), path));
  assert.equal(new Set(paths).size, 2);
  for (const path of paths) {
    assert.equal(path.length, COMMIT_LIMITS.path_chars_max);
    assert.match(path, /^folder\/.*~[0-9a-f]{64}$/);
  }
});

Deno.test("names and messages in another encoding are read in it; bytes of none are kept one by one", async () => {
  await using place = await Place.make();
  const path = await place.repository(
    "encodings",
    commit({
      mark: 1,
      message: "caf\xe9 named",
      encoding: "ISO-8859-1",
      author: "Ren\xe9 <rene@example.com> 1700000000 +0000",
      committer: ADA,
    }) +
      commit({
        mark: 2,
        message: "caf\xe9 unnamed",
        author: "Ren\xe9 <rene@example.com> 1700000000 +0000",
        committer: ADA,
      }) +
      commit({ mark: 3, message: "caf\xe9 unknown", encoding: "x-nobody-knows" }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  assert.deepEqual([daybook.commit("café named").author.name, daybook.commit("café named").latin1], [
    "René",
    undefined,
  ]);
  assert.deepEqual([daybook.commit("café unnamed").author.name, daybook.commit("café unnamed").latin1], ["René", true]);
  assert.equal(daybook.commit("café unknown").latin1, true);
});

Deno.test("what people wrote is under their address; a subject names nobody", async () => {
  await using place = await Place.make();
  const path = await place.repository(
    "people",
    commit({
      message: "Thanks, Grace Hopper (grace@navy.example)!\n\nSigned-off-by: Jean <jean@example.com>\n",
      author: "Grace Hopper <grace@navy.example> 1700000000 +0000",
      committer: ADA,
    }) +
      commit({ message: "Merge pull request #7 from jean-b/patch-1\n\nA title" }) +
      commit({
        message: "Update GitHub Actions",
        committer: "GitHub <noreply@github.com> 1700000000 +0000",
        author: ADA,
      }) +
      commit({ message: `  \n${"long ".repeat(300)}\n` }) +
      commit({ message: "" }) +
      commit({
        message: "x\n\n" + "ü".repeat(20_000),
        author: "J <> 1700000000 +0000",
        committer: "J <> 1700000000 +0000",
      }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const [thanks, merge, update, long, none, huge] = daybook.of("commits.commit.recorded").map(({ data }) => data);
  assert.equal(thanks!.subject, "Thanks, [personal] ([personal])!");
  assert.deepEqual(thanks!.author, {
    email: "grace@navy.example",
    name: "Grace Hopper",
    message: "Thanks, Grace Hopper (grace@navy.example)!\n\nSigned-off-by: Jean <jean@example.com>",
  });
  assert.deepEqual(thanks!.committer, { email: "ada@example.com", name: "Ada Byron" });
  assert.equal(merge!.subject, "Merge pull request #7 from [personal]/patch-1");
  assert.equal(update!.subject, "Update GitHub Actions");
  assert.equal(update!.author.message, undefined);
  assert.equal(long!.subject.length, COMMIT_LIMITS.subject_chars_max);
  assert.ok(long!.subject.endsWith("…"));
  assert.equal(none!.subject, "");
  assert.deepEqual([huge!.author.email, huge!.author.name], ["", "J"]);
  assert.equal(huge!.message_cut, 3 + 40_000 - 16_000 + 1); // not half a character
  assert.ok(!huge!.author.message!.includes("\ufffd"));
});

Deno.test("a subject names nobody, however their names are spaced, and whoever else is called so", async () => {
  await using place = await Place.make();
  const grace = "Grace  Hopper <grace@navy.example> 1700000000 +0000";
  const path = await place.repository(
    "names",
    commit({ message: "By Grace  Hopper, again", author: grace, committer: ADA }) +
      commit({ message: "By Grace\nHopper, again", author: grace, committer: ADA }) +
      commit({
        message: "By Grace Hopper and Grace",
        author: "Grace <grace@navy.example> 1700000000 +0000",
        committer: "Grace Hopper <hopper@navy.example> 1700000000 +0000",
      }),
  );
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  assert.deepEqual(daybook.of("commits.commit.recorded").map(({ data }) => data.subject), [
    "By [personal], again",
    "By [personal], again",
    "By [personal] and [personal]",
  ]);
});

Deno.test("a subject names nobody either where names stand among other words without a space", async () => {
  await using place = await Place.make();
  const subjectOf = async (name: string, subject: string, author: string) => {
    const utf8 = (text: string) => Buffer.from(text).toString("latin1");
    const person = `${utf8(author)} <a@example.com> 1700000000 +0000`;
    const path = await place.repository(name, commit({ message: utf8(subject), author: person, committer: person }));
    const daybook = new SmallDaybook();
    await imported(daybook, place, path);
    return daybook.of("commits.commit.recorded")[0]!.data.subject;
  };
  assert.equal(await subjectOf("han", "修复王小明报告的错误", "王小明"), "修复[personal]报告的错误");
  assert.equal(await subjectOf("two", "thanks 李雷, fix2李雷", "李雷"), "thanks [personal], fix2[personal]");
  assert.equal(await subjectOf("hangul", "김철수가 보고", "김철수"), "[personal]가 보고");
  assert.equal(await subjectOf("mixed", "感谢Ada报告, Adam", "Ada"), "感谢[personal]报告, Adam");
  // The mark of a long vowel is of two scripts.
  assert.equal(await subjectOf("long", "ユーザーAdaを追加", "Ada"), "ユーザー[personal]を追加");
  assert.equal(await subjectOf("longer", "エミリーfix", "エミリー"), "[personal]fix");
});

Deno.test("broken times are left out, and a commit without an author is still one", async () => {
  await using place = await Place.make();
  const path = await place.repository("times", commit({ message: "good" }));
  const tree = await place.git("times", ["rev-parse", "main^{tree}"]);
  const headers = [
    "author A <a@example.com> 99999999999999999999 +0000\ncommitter A <a@example.com> 253402300800 +0000",
    "author A <a@example.com>\ncommitter A <a@example.com> 1700000000 +9999",
    "committer A <a@example.com> 1700000000 +0000",
    "author A <a@example.com> 1700000000 +051800\ncommitter A <a@example.com> 1700000000 -123456",
  ];
  for (const [n, header] of headers.entries()) {
    const sha = await place.git(
      "times",
      ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
      `tree ${tree}\n${header}\n\nbroken ${n}\n`,
    );
    await place.git("times", ["update-ref", `refs/heads/broken${n}`, sha]);
  }
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  // One that overflows is to git itself the beginning of 1970; one after the year 9999 is no RFC 3339 time.
  assert.deepEqual(daybook.commit("broken 0").times, { authored: "1970-01-01T00:00:00Z" });
  assert.deepEqual(daybook.commit("broken 1").times, { committed: "2023-11-14T22:13:20Z" });
  assert.deepEqual(daybook.commit("broken 2").author, { email: "", name: "" });
  // An offset that is none takes no moment away with it, however long it is.
  const moment = "2023-11-14T22:13:20Z";
  assert.deepEqual(daybook.commit("broken 3").times, { authored: moment, committed: moment });
});

Deno.test("a first commit of 17,000 files fits, in parts below the entry limit", async () => {
  await using place = await Place.make();
  const name = (n: number) => `src/f${"older".repeat(n % 9)}/file-${n}.ts`;
  const files = Object.fromEntries(Array.from({ length: 17_000 }, (_, n) => [name(n), "1\n"]));
  const path = await place.repository("large", commit({ message: "everything", files }));
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  const recorded = daybook.commit("everything");
  assert.deepEqual([recorded.files, recorded.added], [17_000, 17_000]);
  assert.ok(recorded.parts >= 34);
  const all = daybook.changes("everything");
  assert.deepEqual(new Set(all.map(({ path }) => path)), new Set(Object.keys(files)));
  for (const { position } of daybook.all()) assert.ok(daybook.log.entry(position)!.length <= LIMITS.entry_bytes_max);
});

Deno.test("history is what was done, whatever was done", async () => {
  await using place = await Place.make();
  const names = ["a", "b/c", 'q"\t\n', "é\xff", "-x", ".m", "c1"];
  const step = fc.record({
    edits: fc.dictionary(fc.constantFrom(...names), fc.option(fc.integer({ min: 1, max: 4 })), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
    onto: fc.nat(),
    merges: fc.option(fc.nat(), { freq: 3 }),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const model: { tree: Map<string, string>; parents: number[]; changes: Map<string, [string, number, number]> }[] =
        [];
      let stream = "";
      let line = 0;
      for (const [n, { edits, onto, merges }] of steps.entries()) {
        const parent = n === 0 ? undefined : onto % n;
        const other = parent === undefined || merges === null || merges % n === parent ? undefined : merges % n;
        const before = parent === undefined ? new Map<string, string>() : model[parent]!.tree;
        const tree = new Map(before);
        const changes = new Map<string, [string, number, number]>();
        const files: Record<string, string | null> = {};
        for (const [name, size] of Object.entries(edits)) {
          const old = before.get(name);
          const lines = old?.split("\n").length ?? 1;
          if (size === null) {
            if (old === undefined) continue;
            tree.delete(name);
            changes.set(name, ["D", 0, lines - 1]);
          } else {
            // No line ever comes back, so that nothing looks like a rename and all is replaced.
            const content = Array.from({ length: size }, () => `${(line++).toString(36).repeat(9)}\n`).join("");
            tree.set(name, content);
            changes.set(name, [old === undefined ? "A" : "M", size, old === undefined ? 0 : lines - 1]);
          }
          files[name] = tree.get(name) ?? null;
        }
        const parents = [parent, other].filter((one) => one !== undefined);
        model.push({ tree, parents, changes });
        stream += commit({
          branch: n === 0 ? "main" : `b${n}`,
          mark: n + 1,
          message: `step ${n}`,
          ...(parent === undefined ? {} : { from: `:${parent + 1}` }),
          ...(other === undefined ? {} : { merge: [`:${other + 1}`] }),
          files,
        });
      }
      const name = `r${run++}`;
      const daybook = new SmallDaybook();
      await imported(daybook, place, await place.repository(name, stream), { lanes: 1 + run % 3 });
      const at = new Map<string, number>();
      for (const [n, { parents, changes }] of model.entries()) {
        const recorded = daybook.commit(`step ${n}`);
        const place = daybook.of("commits.commit.recorded").findIndex(({ data }) => data.sha === recorded.sha);
        at.set(recorded.sha, place);
        assert.deepEqual(recorded.parents, parents.map((one) => daybook.commit(`step ${one}`).sha));
        const listed = daybook.changes(`step ${n}`).map((
          { path, status, added, deleted },
        ) => [path.replace("\\303\\251\\377", "é\xff"), status, added, deleted]);
        const expected = [...changes].map((
          [name, change],
        ) => [
          name === "é\xff" ? "\\351\\377" : name,
          ...(parents.length > 1 ? [change[0], undefined, undefined] : change),
        ]);
        assert.deepEqual(listed.sort(), expected.sort());
      }
      for (const { data } of daybook.of("commits.commit.recorded")) {
        for (const parent of data.parents) assert.ok(at.get(parent)! < at.get(data.sha)!, "parents first");
      }
    }),
    { numRuns: 15 },
  );
});

Deno.test("a repository is called by its remote, without secrets and whatever the protocol, else by its folder", () => {
  const same = "https://github.com/redis/redis";
  for (
    const url of [
      "https://github.com/redis/redis.git",
      "git@github.com:Redis/redis.git",
      "ssh://git@github.com:22/redis/redis/",
      "git://github.com/redis/redis",
      "https://jane:s3cret@github.com/redis/redis.git?x=1#y",
    ]
  ) {
    assert.equal(repositorySource(url), same);
  }
  assert.equal(repositorySource("https://git.example.com:8443/Team/App.git"), "https://git.example.com:8443/Team/App");
  for (const url of ["/home/jane/app", "../app", "file:///home/jane/app", "C:\\app", "C:/app", ""]) {
    assert.equal(repositorySource(url), undefined);
  }
});
