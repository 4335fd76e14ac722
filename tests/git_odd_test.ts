import assert from "node:assert/strict";
import { importGit } from "../adapters/git/import.ts";
import { Git } from "../adapters/git/process.ts";
import { listCommits } from "../adapters/git/repository.ts";
import { systemClock } from "../adapters/system/world.ts";
import { BY, commit, imported, Place, refused, SmallDaybook } from "./git_given.ts";
import { run } from "./end_to_end/program.ts";

const line = (n: number) =>
  Array.from(
    { length: n },
    (_, i) => commit({ mark: i + 1, message: `commit ${i + 1}`, files: { [`f${i}`]: `content ${i}\n` } }),
  ).join("");

/** The file of a loose object. */
const objectFile = (repository: string, sha: string) => `${repository}/.git/objects/${sha.slice(0, 2)}/${sha.slice(2)}`;

/** Like `repository`, with every object in a file of its own, so that one can be taken away. */
const loose = async (place: Place, name: string, stream: string): Promise<string> => {
  const path = await place.repository(name, stream);
  const packs = `${path}/.git/objects/pack`;
  for await (const { name: pack } of Deno.readDir(packs)) {
    if (!pack.endsWith(".pack")) continue;
    await Deno.rename(`${packs}/${pack}`, `${place.folder}/${pack}`);
    const bytes = await Deno.readFile(`${place.folder}/${pack}`);
    let text = "";
    for (let i = 0; i < bytes.length; i += 4_096) text += String.fromCharCode(...bytes.subarray(i, i + 4_096));
    await place.git(name, ["unpack-objects", "-q"], text);
  }
  for await (const { name: rest } of Deno.readDir(packs)) await Deno.remove(`${packs}/${rest}`);
  return path;
};

Deno.test("an empty repository is called empty", async () => {
  await using place = await Place.make();
  const daybook = new SmallDaybook();
  const outcome = await imported(daybook, place, await place.repository("empty"));
  assert.deepEqual([outcome.empty, outcome.commits.new, daybook.log.size], [true, 0, 0]);
});

Deno.test("a bare repository, a folder within and a linked work tree are the repository", async () => {
  await using place = await Place.make();
  await place.repository("work", line(3));
  await place.git("", ["clone", "-q", "--bare", "work", "bare.git"]);
  await place.git("work", ["checkout", "-q", "main"]);
  await Deno.mkdir(`${place.folder}/work/within/deep`, { recursive: true });
  await place.git("work", ["worktree", "add", "-q", "--detach", "../linked"]);
  for (const [folder, source] of [["bare.git", "bare"], ["work/within/deep", "work"], ["linked", "linked"]] as const) {
    const outcome = await imported(new SmallDaybook(), place, `${place.folder}/${folder}`);
    assert.deepEqual([outcome.commits.new, outcome.source, outcome.branches.total], [3, source, 1], folder);
  }
});

Deno.test("a folder whose name has more than one line is itself, and not what its first line names", async () => {
  await using place = await Place.make();
  await place.repository("one", commit({ message: "of one", files: { a: "1\n" } }), ["--bare"]);
  const daybook = new SmallDaybook();
  for (const [name, args] of [["one\n\ntwo", ["--bare"]], ["one\nthree", []]] as const) {
    const path = await place.repository(name, commit({ message: `of ${name}`, files: { a: "1\n" } }), args);
    const { source } = await imported(daybook, place, path);
    assert.equal(source, encodeURIComponent(name));
  }
  assert.deepEqual(daybook.of("commits.commit.recorded").map(({ data }) => data.subject), ["of one", "of one three"]);
});

Deno.test("a repository is called as its folder is, in whatever letters, bare or not", async () => {
  await using place = await Place.make();
  for (const [name, args] of [["ünï.git", ["--bare"]], ["große Übung", []]] as const) {
    const path = await place.repository(name, commit({ message: "one", files: { a: "1\n" } }), args);
    const { source } = await imported(new SmallDaybook(), place, path);
    assert.equal(source, encodeURIComponent(name.replace(".git", "")));
  }
});

Deno.test("a head that is on no branch is imported too; stashes and notes are not history", async () => {
  await using place = await Place.make();
  const path = await place.repository("detached", line(2));
  await place.git("detached", ["checkout", "-q", "--detach", "main"]);
  await place.git("detached", ["commit", "-q", "--allow-empty", "-m", "on no branch"]);
  await place.git("detached", ["notes", "add", "-m", "a note"]);
  await Deno.writeTextFile(`${path}/f0`, "changed\n");
  await place.git("detached", ["stash", "-q"]);
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  assert.deepEqual(daybook.of("commits.commit.recorded").map(({ data }) => data.subject), [
    "commit 1",
    "commit 2",
    "on no branch",
  ]);
});

Deno.test("a repository with SHA-256 names is imported as one", async () => {
  await using place = await Place.make();
  const path = await place.repository("sha256", line(2), ["--object-format=sha256"]);
  const daybook = new SmallDaybook();
  assert.equal((await imported(daybook, place, path)).commits.new, 2);
  assert.equal(daybook.commit("commit 2").sha.length, 64);
  assert.deepEqual(daybook.changes("commit 2").map(({ path }) => path), ["f1"]);
});

Deno.test("a shallow clone is called shallow, and completed when its past arrives", async () => {
  await using place = await Place.make();
  await place.repository("deep", line(6));
  await place.git("", ["clone", "-q", "--depth=2", `file://${place.folder}/deep`, "clone"]);
  const path = `${place.folder}/clone`;
  const daybook = new SmallDaybook();
  const options = { source: "deep" };
  const shallow = await imported(daybook, place, path, options);
  assert.deepEqual([shallow.shallow, shallow.commits.new], [true, 2]);
  const boundary = daybook.commit("commit 5");
  assert.deepEqual([boundary.incomplete, boundary.parents, boundary.parts, boundary.files], ["boundary", [], 0, 0]);
  assert.equal(daybook.commit("commit 6").incomplete, undefined);
  assert.equal((await imported(daybook, place, path, options)).events, 0);

  await place.git("clone", ["fetch", "-q", "--deepen=1"]);
  const deeper = await imported(daybook, place, path, options);
  assert.deepEqual([deeper.shallow, deeper.commits], [true, { new: 1, completed: 1, known: 1 }]);
  await place.git("clone", ["fetch", "-q", "--unshallow"]);
  const whole = await imported(daybook, place, path, options);
  assert.deepEqual([whole.shallow, whole.commits], [false, { new: 3, completed: 1, known: 2 }]);
  const completions = daybook.of("commits.commit.completed");
  assert.deepEqual(completions.map(({ causationid }) => causationid), completions.map(({ data }) => data.sha));
  const completed = completions.map(({ data }) => data);
  assert.deepEqual(completed.map(({ sha, parents, files }) => [sha, parents, files]), [
    [boundary.sha, [daybook.commit("commit 4").sha], 1],
    [daybook.commit("commit 4").sha, [daybook.commit("commit 3").sha], 1],
  ]);
  assert.deepEqual(daybook.changes("commit 5").map(({ path }) => path), ["f4"]);
  const size = daybook.log.size;
  await imported(daybook, place, path, options);
  await imported(daybook, place, `${place.folder}/deep`, options);
  assert.equal(daybook.log.size, size);
});

Deno.test("replacements and grafts are somebody's view of history, not history", async () => {
  await using place = await Place.make();
  const path = await place.repository("replaced", line(3));
  const [first, second, third] = await Promise.all(
    ["main~2", "main~1", "main"].map((name) => place.git("replaced", ["rev-parse", name])),
  );
  await place.git("replaced", ["replace", second!, third!, "-f"]);
  await Deno.mkdir(`${path}/.git/info`, { recursive: true });
  await Deno.writeTextFile(`${path}/.git/info/grafts`, `${third}\n`);
  const daybook = new SmallDaybook();
  await imported(daybook, place, path);
  assert.deepEqual(daybook.of("commits.commit.recorded").map(({ data }) => data.subject), [
    "commit 1",
    "commit 2",
    "commit 3",
  ]);
  assert.deepEqual(daybook.commit("commit 2").parents, [first]);
});

Deno.test("commits whose content is damaged are named and left out, and come when it is mended", async () => {
  await using place = await Place.make();
  const path = await loose(place, "damaged", line(200));
  const blob = await place.git("damaged", ["rev-parse", "main~100:f99"]);
  const tree = await place.git("damaged", ["rev-parse", "main~50^{tree}"]);
  const kept = new Map<string, Uint8Array>();
  for (const sha of [blob, tree]) {
    const file = objectFile(path, sha);
    kept.set(file, await Deno.readFile(file));
    await Deno.remove(file);
  }
  const daybook = new SmallDaybook();
  const damaged = await imported(daybook, place, path);
  // The tree is missed by the commit that has it and by the one that is compared with it.
  assert.equal(damaged.unreadable.length, 3);
  assert.equal(damaged.commits.new, 197);
  assert.ok(damaged.unreadable.some(({ why }) => why.includes(blob)), JSON.stringify(damaged.unreadable));
  assert.equal(daybook.of("commits.history.imported").length, 0);
  for (const [file, bytes] of kept) await Deno.writeFile(file, bytes);
  const mended = await imported(daybook, place, path);
  assert.deepEqual([mended.commits.new, mended.unreadable.length], [3, 0]);
});

Deno.test("a history that cannot be walked is refused, and a range may reach what is whole", async () => {
  await using place = await Place.make();
  const path = await loose(place, "holed", line(6));
  const sha = await place.git("holed", ["rev-parse", "main~3"]);
  await Deno.remove(objectFile(path, sha));
  const daybook = new SmallDaybook();
  const message = await refused(daybook, place, path, "corrupt");
  assert.match(message, new RegExp(sha));
  assert.equal(daybook.log.size, 0);
  const rest = await imported(daybook, place, path, { range: ["main~1..main"] });
  assert.equal(rest.commits.new, 1);
});

Deno.test("a branch whose commits cannot be read is damage and no empty repository, and makes no data folder", async () => {
  await using place = await Place.make();
  const path = await place.repository("cut", line(6));
  await place.git("cut", ["gc", "--quiet"]);
  const packs = `${path}/.git/objects/pack`;
  for await (const { name } of Deno.readDir(packs)) {
    if (!name.endsWith(".pack")) continue;
    await Deno.chmod(`${packs}/${name}`, 0o600);
    await Deno.truncate(`${packs}/${name}`, 100);
  }
  const daybook = new SmallDaybook();
  assert.match(await refused(daybook, place, path, "corrupt"), /does not match index|bad object/);
  const data = `${place.folder}/data`;
  const { code, err } = await run("import", "git", path, "--data", data);
  assert.equal(code, 1, err);
  assert.match(err, /^daybook: Cannot list the commits: [^\n]*git fsck[^\n]*\n$/);
  await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
});

Deno.test("a repository of a kind that this git does not know is refused, and what git does not know is named", async () => {
  await using place = await Place.make();
  const path = await place.repository("newer", line(1));
  await place.git("newer", ["config", "core.repositoryformatversion", "1"]);
  await place.git("newer", ["config", "extensions.kept-in-clay", "true"]);
  const message = await refused(new SmallDaybook(), place, path, "unexpected");
  assert.match(message, /: fatal: unknown repository extension found: kept-in-clay$/);
});

Deno.test("a folder that git calls unsafe is not read, and how to allow it is said", async () => {
  await using place = await Place.make();
  const path = await place.repository("theirs", line(1));
  const env = { ...place.env, GIT_TEST_ASSUME_DIFFERENT_OWNER: "1" };
  const daybook = new SmallDaybook();
  const outcome = await importGit(daybook, { path, by: BY, clock: systemClock, env });
  assert.ok(!outcome.ok && outcome.code === "unsafe", JSON.stringify(outcome));
  assert.ok(outcome.advice.includes(`git config --global --add safe.directory ${path}`));
  assert.equal(daybook.log.size, 0);
  await Deno.writeTextFile(`${place.folder}/.gitconfig`, `[safe]\n\tdirectory = ${path}\n`);
  await imported(daybook, place, path, { env });
});

Deno.test("no folder, no repository and no git are three different answers", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.folder}/plain`);
  const daybook = new SmallDaybook();
  await refused(daybook, place, `${place.folder}/nowhere`, "no_such_folder");
  const env = { ...place.env, GIT_CEILING_DIRECTORIES: place.folder };
  await refused(daybook, place, `${place.folder}/plain`, "not_a_repository", { env });
  await refused(daybook, place, place.folder, "git_missing", { env: { PATH: `${place.folder}/plain` } });
});

Deno.test("what is called git and writes without end is given up, and ended", async () => {
  await using place = await Place.make();
  await Deno.writeTextFile(`${place.folder}/git`, "#!/bin/sh\necho $$ > $0.pid\nexec yes\n", { mode: 0o700 });
  const env = { PATH: `${place.folder}:/usr/bin:/bin` };
  const message = await refused(new SmallDaybook(), place, place.folder, "unexpected", { env });
  assert.match(message, /git rev-parse says more than 134217728 bytes/);
  const pid = Number(await Deno.readTextFile(`${place.folder}/git.pid`));
  assert.throws(() => Deno.kill(pid, "SIGCONT"), Deno.errors.NotFound);
});

Deno.test("commits are listed however long the list is, up to so many", async () => {
  await using place = await Place.make();
  await Deno.writeTextFile(`${place.folder}/line`, `${"a".repeat(2 ** 20)}\n`);
  const git = Git.at(place.folder, { PATH: `${place.folder}:/usr/bin:/bin` });
  const listed = async (lines: number, most?: number) => {
    const said = `for i in $(seq ${lines}); do cat ${place.folder}/line; done`;
    await Deno.writeTextFile(`${place.folder}/git`, `#!/bin/sh\n${said}\n`, { mode: 0o700 });
    return await listCommits({ git, source: "long", bare: true, shallow: false }, { most });
  };
  const long = await listed(130);
  assert.deepEqual([long.length, long[129]], [130, { sha: "a".repeat(2 ** 20), parents: [] }]);
  assert.equal((await listed(3, 3)).length, 3);
  await assert.rejects(listed(3, 2), { code: "too_many", message: /more than 2$/ });
});

Deno.test("secrets in a remote's URL are recorded nowhere", async () => {
  await using place = await Place.make();
  const path = await place.repository("remote", line(1));
  await place.git("remote", ["remote", "add", "origin", "https://jane:hunter2@git.example.com/Team/App.git?token=abc"]);
  const daybook = new SmallDaybook();
  const outcome = await imported(daybook, place, path);
  assert.deepEqual([outcome.source, outcome.stream], [
    "https://git.example.com/Team/App",
    "commits/git.example.com:Team:App",
  ]);
  assert.doesNotMatch(JSON.stringify(daybook.all()), /hunter2|jane|token/);
});

Deno.test("help says where a repository has its name from", async () => {
  const { out } = await run("import", "git", "--help");
  assert.match(out, /--name [^]*default: its\s+remote\.origin\.url[^]*else the\s+folder's/);
});

Deno.test("nothing that a hostile repository configures is run, and none of it changes what is recorded", async () => {
  await using place = await Place.make();
  const stream = commit({ mark: 1, message: "start", files: { "a.txt": "1\n2\n3\n", "b.bin": "text\n" } }) +
    commit({
      mark: 2,
      message: "next",
      files: { "a.txt": "1\n2\n3\n4\n", "b.bin": "more\ntext\n", ".gitattributes": "*.txt diff=evil\n*.bin binary\n" },
    });
  const clean = new SmallDaybook();
  await imported(clean, place, await place.repository("clean", stream), { source: "same" });

  const path = await place.repository("hostile", stream);
  const ran = `${place.folder}/ran`;
  const script = `${place.folder}/evil`;
  await Deno.writeTextFile(script, `#!/bin/sh\necho "$0 $@" >> ${ran}\ncat 2>/dev/null\nexit 0\n`, { mode: 0o755 });
  await place.git("hostile", ["checkout", "-q", "main"]);
  const settings: readonly (readonly [string, string])[] = [
    ["core.fsmonitor", script],
    ["core.pager", script],
    ["pager.log", script],
    ["core.sshCommand", script],
    ["core.gitProxy", script],
    ["core.askPass", script],
    ["core.alternateRefsCommand", script],
    ["core.hooksPath", place.folder],
    ["core.attributesFile", `${path}/.gitattributes`],
    ["core.worktree", path],
    ["diff.external", script],
    ["diff.evil.command", script],
    ["diff.evil.textconv", script],
    ["diff.evil.binary", "true"],
    ["diff.renames", "copies"],
    ["diff.orderFile", script],
    ["diff.noprefix", "true"],
    ["diff.algorithm", "patience"],
    ["diff.ignoreSubmodules", "all"],
    ["log.showSignature", "true"],
    ["log.date", "relative"],
    ["log.mailmap", "true"],
    ["gpg.program", script],
    ["format.pretty", "oneline"],
    ["color.ui", "always"],
    ["i18n.logOutputEncoding", "UTF-16"],
    ["filter.evil.clean", script],
    ["filter.evil.smudge", script],
    ["alias.diff-tree", `!${script}`],
    ["alias.rev-list", `!${script}`],
    ["credential.helper", script],
    ["extensions.partialClone", "origin"],
    ["remote.origin.url", `ext::${script}`],
    ["remote.origin.promisor", "true"],
    ["notes.displayRef", "refs/notes/*"],
  ];
  const config = settings.map(([key, value]) => {
    const parts = key.split(".");
    const section = parts.length === 3 ? `[${parts[0]} "${parts[1]}"]` : `[${parts[0]}]`;
    return `${section}\n\t${parts.at(-1)} = "${value}"\n`;
  }).join("");
  const before = await Deno.readTextFile(`${path}/.git/config`);
  await Deno.writeTextFile(`${path}/.git/config`, before + config);
  const daybook = new SmallDaybook();
  await imported(daybook, place, path, { source: "same" });
  await assert.rejects(Deno.stat(ran), Deno.errors.NotFound, "something was run");
  const told = (from: SmallDaybook) => from.all().map(({ type, id, data }) => ({ type, id, data }));
  assert.deepEqual(told(daybook), told(clean));
});

Deno.test("what is missing in a partial clone is not fetched behind anybody's back", async () => {
  await using place = await Place.make();
  await place.repository("server", line(3));
  await place.git("server", ["config", "uploadpack.allowFilter", "true"]);
  await place.git("", ["clone", "-q", "--bare", "--filter=blob:none", `file://${place.folder}/server`, "partial"]);
  const daybook = new SmallDaybook();
  const outcome = await imported(daybook, place, `${place.folder}/partial`, { source: "server" });
  assert.equal(outcome.commits.new, 0);
  assert.equal(outcome.unreadable.length, 3);
});
