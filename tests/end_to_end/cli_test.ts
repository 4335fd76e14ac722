/** The commands as a person types them, in the real program with the permissions of the tasks. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import type { Event } from "../../events/event.ts";
import type { DemoReport } from "../../adapters/cli/commands/demo.ts";
import type { ReplayReport } from "../../adapters/cli/commands/replay.ts";
import { document, fingerprint, repository, run, start, withPlace } from "./cli_given.ts";
import { until } from "../until.ts";

const HELLO = { specversion: "1.0", id: "1", source: "/hello", type: "com.example.hello", data: { hello: "world" } };

Deno.test("a repository is imported, read, verified, replayed, backed up, restored and read again", () =>
  withPlace(async ({ dir, data }) => {
    if (!await repository(`${dir}/repo`)) return console.log("no git: left out");
    const imported = await document<{ commits: number; stream: string }>([
      "import",
      "git",
      "repo",
      "--name",
      "small",
      "--data",
      data,
    ], { cwd: dir });
    assert.deepEqual([imported.exit, imported.commits, imported.stream], [0, 2, "commits/small"]);
    const again = await document<{ commits: number; events: number }>([
      "import",
      "git",
      "repo",
      "--name",
      "small",
      "--data",
      data,
    ], { cwd: dir });
    assert.deepEqual([again.exit, again.commits, again.events], [0, 0, 0]);
    const before = await fingerprint(data);

    const view = await document<{ row: { churn: number } }>([
      "view",
      "commits.hotspots",
      "small/b.txt",
      "--data",
      data,
    ]);
    assert.deepEqual([view.exit, view.row.churn], [0, 2]);
    const status = await document<{ running: boolean; size: number; key: string }>(["status", "--data", data]);
    assert.equal(status.running, false);
    const events = await document<{ events: Event[]; size: number }>([
      "events",
      "--stream",
      "commits/small",
      "--data",
      data,
    ]);
    assert.equal(events.size, status.size);
    const commit = events.events.find(({ type }) => type === "commits.commit.recorded")!;
    assert.equal((commit.data as { author: { name: string } }).author.name, "[sealed]");
    const open = await document<{ events: Event[] }>([
      "events",
      "--stream",
      "commits/small",
      "--personal",
      "--data",
      data,
    ]);
    assert.equal(
      (open.events.find(({ id }) => id === commit.id)!.data as { author: { name: string } }).author.name,
      "Ann Example",
    );
    const explained = await document<{ root: unknown }>(["explain", String(commit.position), "--data", data]);
    assert.ok(explained.root);
    const verified = await document<{ ok: boolean; size: number; authenticated: boolean; root: string }>([
      "verify",
      "--key",
      status.key,
      "--data",
      data,
    ]);
    assert.deepEqual([verified.exit, verified.ok, verified.size, verified.authenticated], [0, true, status.size, true]);
    const replayed = await document<ReplayReport>(["replay", "--check", "--data", data]);
    assert.ok(
      replayed.ok && replayed.views.length > 5 && replayed.views.every(({ equal }) => equal),
      JSON.stringify(replayed),
    );
    // What is shown can be proven: now, as of a position and as of a time.
    const provable = { size: verified.size, root: verified.root };
    const at = String(commit.position);
    const half = await document<ReplayReport>(["replay", "--check", "--until", at, "--data", data]);
    assert.deepEqual([half.ok, half.size], [true, commit.position]);
    for (
      const args of [["commits.history"], ["commits.history", "--at", at], ["audit.trail", "--at", commit.recordedat]]
    ) {
      const page = await document<{ size: number; checkpoint: { note: string } }>(["view", ...args, "--data", data]);
      const { note, ...checkpoint } = page.checkpoint;
      assert.deepEqual(checkpoint, provable, args.join(" "));
      assert.ok(note.includes(`\n${verified.size}\n${verified.root}\n`) && page.size <= verified.size);
    }
    for (const { checkpoint } of [replayed, half]) {
      assert.deepEqual({ size: checkpoint!.size, root: checkpoint!.root }, provable);
    }
    const told = await run(["view", "commits.repository", "--at", at, "--data", data]);
    assert.ok(told.out.includes(`root ${verified.root}`), told.out);
    const exported = await run(["export", "--data", data]);
    assert.equal(exported.out.trim().split("\n").length, status.size);
    assert.deepEqual(await fingerprint(data), before, "commands that read write nothing");

    const pass = { DAYBOOK_PASSPHRASE: "correct horse battery" };
    const backup = await document<{ size: number; root: string }>(["backup", "copy", "--with-keys", "--data", data], {
      cwd: dir,
      env: pass,
    });
    assert.deepEqual([backup.exit, backup.size, backup.root], [0, status.size, verified.root], JSON.stringify(backup));
    const restored = await document<{ root: string }>(["restore", "copy", "--data", `${dir}/back`], {
      cwd: dir,
      env: pass,
    });
    assert.deepEqual([restored.exit, restored.root], [0, verified.root]);
    const there = await document<{ events: Event[] }>([
      "events",
      "--stream",
      "commits/small",
      "--personal",
      "--data",
      `${dir}/back`,
    ]);
    assert.deepEqual(there.events, open.events);
    const moved = await document<{ ok: boolean }>([
      "send",
      "commits.branch.move",
      "small",
      `{"branch":"next","to":"${"1".repeat(40)}"}`,
      "--data",
      `${dir}/back`,
    ]);
    assert.ok(moved.ok, JSON.stringify(moved));
  }));

Deno.test("a log is read where nothing can be written", () =>
  withPlace(async ({ dir, data }) => {
    await run(["send", "commits.branch.move", "r", `{"branch":"main","to":"${"1".repeat(40)}"}`, "--data", data]);
    for (const name of await Array.fromAsync(Deno.readDir(data))) await Deno.chmod(`${data}/${name.name}`, 0o400);
    await Deno.chmod(data, 0o500);
    const before = await fingerprint(data);
    try {
      for (
        const args of [["status"], ["view", "commits.branches"], ["events"], ["verify"], ["replay", "--check"], [
          "export",
        ], ["explain", "0"]]
      ) {
        const { code, err } = await run([...args, "--data", data]);
        assert.equal(code, 0, `${args.join(" ")}: ${err}`);
      }
      assert.deepEqual(await fingerprint(data), before);
    } finally {
      await Deno.chmod(data, 0o700);
    }
    assert.ok(dir);
  }));

Deno.test("a changed byte is found, named, and exit code 1", () =>
  withPlace(async ({ data }) => {
    const moved = await document<{ position: number }>([
      "send",
      "commits.branch.move",
      "r",
      `{"branch":"findme","to":"${"1".repeat(40)}"}`,
      "--data",
      data,
    ]);
    const bytes = await Deno.readFile(`${data}/log.db`);
    const at = new TextDecoder("latin1").decode(bytes).indexOf(`"findme"`);
    assert.ok(at > 0);
    bytes[at + 1] = "g".charCodeAt(0);
    await Deno.writeFile(`${data}/log.db`, bytes);
    const report = await document<{ ok: boolean; failures: { position: number }[] }>(["verify", "--data", data]);
    assert.deepEqual([report.exit, report.ok], [1, false]);
    // Where only hashes tell, it is the first position they cover.
    assert.ok(report.failures[0]!.position <= moved.position, JSON.stringify(report.failures));
    const plain = await run(["verify", "--data", data]);
    assert.match(plain.out, /NOT intact/);
  }));

Deno.test("a restored log that ends before a checkpoint kept elsewhere is read and not gone on with", () =>
  withPlace(async ({ dir, data }) => {
    const send = (branch: string, at: string) =>
      document<{ error?: { code: string } }>(
        ["send", "commits.branch.move", "shop", JSON.stringify({ branch, to: "1".repeat(40) }), "--data", at],
      );
    await Deno.writeTextFile(`${dir}/pass`, "correct horse");
    const keys = ["--with-keys", "--passphrase-file", `${dir}/pass`];
    await send("one", data);
    assert.equal((await document(["backup", `${dir}/early`, "--data", data, ...keys])).exit, 0);
    await send("two", data);
    assert.equal((await document(["backup", `${dir}/late`, "--data", data])).exit, 0);
    const back = ["restore", `${dir}/early`, "--passphrase-file", `${dir}/pass`, "--data"];
    const known = ["--against", `${dir}/late/checkpoint.txt`];
    const restored = await document<{ readOnly?: boolean }>([...back, `${dir}/short`, ...known]);
    assert.deepEqual([restored.exit, restored.readOnly], [0, true]);
    const refused = await send("three", `${dir}/short`);
    assert.deepEqual([refused.exit, refused.error?.code], [1, "truncated"]);
    assert.equal((await document(["view", "commits.branches", "shop/one", "--data", `${dir}/short`])).exit, 0);
    assert.equal((await document([...back, `${dir}/whole`])).exit, 0);
    assert.equal((await send("three", `${dir}/whole`)).exit, 0);
  }));

Deno.test("views that are damaged are read from the log, found wanting, and built again by the next start", () =>
  withPlace(async ({ data }) => {
    const to = "1".repeat(40);
    await document(["send", "commits.branch.move", "shop", `{"branch":"main","to":"${to}"}`, "--data", data]);
    await Deno.writeTextFile(`${data}/views.db`, "not a database, whatever it was ".repeat(400));
    const before = await fingerprint(data);
    const view = await run(["view", "commits.branches", "shop/main", "--data", data]);
    assert.equal(view.code, 0, view.err);
    assert.ok(view.out.includes(to), view.out);
    assert.match(view.err, /^daybook: cannot read .*views\.db: .*\n$/);
    assert.equal((await document(["status", "--data", data])).exit, 0);
    const replayed = await document<ReplayReport>(["replay", "--check", "--data", data]);
    assert.equal(replayed.exit, 1);
    for (const { equal, note } of replayed.views) {
      assert.equal(equal, false);
      assert.match(note ?? "", /cannot read/);
    }
    assert.deepEqual(await fingerprint(data), before);
    await document(["send", "commits.branch.delete", "shop", `{"branch":"main"}`, "--data", data]);
    assert.equal((await document(["replay", "--check", "--data", data])).exit, 0);
  }));

Deno.test("start prints one line, takes events, is asked through its socket by who only knows the folder, and drains", () =>
  withPlace(async ({ data }) => {
    const server = await start(data);
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const { mode } = await Deno.stat(`${data}/first-token`);
    assert.equal(mode! & 0o777, 0o600);
    const taken = await fetch(`${server.url}/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.token}`, "content-type": "application/cloudevents+json" },
      body: JSON.stringify(HELLO),
    });
    assert.equal(taken.status, 201);
    await taken.body?.cancel();
    const status = await document<{ running: boolean; state: string }>(["status", "--data", data]);
    assert.deepEqual([status.running, status.state], [true, "ready"]);
    const sent = await document<{ ok: boolean; stream: string }>([
      "send",
      "commits.branch.move",
      "r",
      `{"branch":"main","to":"${"1".repeat(40)}"}`,
      "--data",
      data,
    ]);
    assert.deepEqual([sent.ok, sent.stream], [true, "commits/r"]);
    const row = await document<{ row: { branch: string } }>(["view", "commits.branches", "r/main", "--data", data]);
    assert.equal(row.row.branch, "main");
    // Through the socket and past it: the folder's keys are for who may read the folder.
    assert.equal((await document(["view", "audit.trail", "--personal", "--limit", "1", "--data", data])).exit, 0);
    const made = await document<{ token: string; id: string }>(["token", "create", "reader", "--data", data]);
    const asks = async (token: string) => {
      const answer = await fetch(`${server.url}/events?limit=1`, { headers: { authorization: `Bearer ${token}` } });
      await answer.body?.cancel();
      return answer.status;
    };
    assert.equal(await asks(made.token), 200);
    await run(["token", "revoke", made.id, "--data", data]);
    await until("it counts no more", () => asks(made.token), (status) => status === 401);
    const second = await run(["start", "--data", data, "--port", "0"]);
    assert.equal(second.code, 3);
    assert.match(second.err, /^daybook: [^\n]*another process[^\n]*\n$/);
    const ended = await server.stop("SIGINT");
    assert.deepEqual([ended.code, ended.out], [0, `listening on ${server.url}\n`]);
    const verified = await document<{ ok: boolean }>(["verify", "--data", data]);
    assert.equal(verified.ok, true);
  }));

Deno.test("a server whose starter is killed without a word gives the folder free", () =>
  withPlace(async ({ data }) => {
    const server = await start(data);
    await server.stop("SIGKILL");
    let sent = { exit: 3 };
    for (let tries = 0; tries < 5 && sent.exit !== 0; tries++) {
      sent = await document([
        "send",
        "commits.branch.move",
        "r",
        `{"branch":"main","to":"${"1".repeat(40)}"}`,
        "--data",
        data,
      ]);
    }
    assert.equal(sent.exit, 0);
    const status = await document<{ running: boolean }>(["status", "--data", data]);
    assert.equal(status.running, false);
  }));

Deno.test("the demo tells its story, as a person reads it and as a document", () =>
  withPlace(async ({ dir }) => {
    const told = await run(["demo", "--data", `${dir}/one`], { cwd: dir });
    assert.equal(told.code, 0, told.err);
    assert.match(told.out, /sample/);
    for (
      const said of [
        "Import",
        "Follow",
        "Audit trail",
        "commits.hotspots",
        "Verify",
        "intact",
        "Replay",
        "equal",
        "Try next",
      ]
    ) assert.ok(told.out.includes(said), said);
    if (!await repository(`${dir}/repo`)) return console.log("no git: left out");
    const report = await document<DemoReport>(["demo", "--data", `${dir}/two`], { cwd: `${dir}/repo` });
    assert.deepEqual([report.exit, report.ok, report.imported.commits, report.imported.sample], [
      0,
      true,
      2,
      undefined,
    ]);
    assert.deepEqual([report.verified.ok, report.replayed.ok], [true, true]);
  }));

Deno.test("an import that could not read all is done and found wanting: exit 1, each commit named, and the rest is there", () =>
  withPlace(async ({ dir, data }) => {
    if (!await repository(`${dir}/repo`)) return console.log("no git: left out");
    const git = async (...args: string[]) => {
      const { stdout } = await new Deno.Command("git", { args: ["-C", `${dir}/repo`, ...args] }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const [sha, tree] = [await git("rev-parse", "HEAD"), await git("rev-parse", "HEAD^{tree}")];
    const object = `${dir}/repo/.git/objects/${tree.slice(0, 2)}/${tree.slice(2)}`;
    const whole = await Deno.readFile(object);
    await Deno.chmod(object, 0o600);
    await Deno.writeTextFile(object, "damaged");
    const wanting = await document<{ ok: boolean; commits: number; problems: string[] }>(
      ["import", "git", `${dir}/repo`, "--data", data],
    );
    assert.deepEqual([wanting.exit, wanting.ok, wanting.commits, wanting.problems.length], [1, false, 1, 1]);
    assert.match(wanting.problems[0]!, new RegExp(`^commit ${sha} was left out: `));
    await Deno.writeFile(object, whole);
    const mended = await document<{ ok: boolean; commits: number }>(["import", "git", `${dir}/repo`, "--data", data]);
    assert.deepEqual([mended.exit, mended.ok, mended.commits], [0, true, 1]);
  }));

Deno.test("while an import has the folder, other commands that write go through its socket", () =>
  withPlace(async ({ dir, data }) => {
    if (!await repository(`${dir}/repo`) || !await repository(`${dir}/other`)) return console.log("no git: left out");
    // A git that waits in the middle of the import until it is told to go on.
    const { PATH } = Deno.env.toObject();
    await Deno.mkdir(`${dir}/bin`);
    const script = [
      "#!/bin/sh",
      `export PATH='${PATH}'`,
      `case " $* " in *" diff-tree "*) : > '${dir}/waits'; while [ ! -e '${dir}/go' ]; do sleep 0.02; done;; esac`,
      'exec git "$@"',
    ];
    await Deno.writeTextFile(`${dir}/bin/git`, script.join("\n") + "\n", { mode: 0o755 });
    const env = { PATH: `${dir}/bin:${PATH}` };
    const importing = run(["import", "git", `${dir}/repo`, "--data", data, "--json"], { env });
    await until("the import waits", () => Deno.stat(`${dir}/waits`).catch(() => undefined));
    const moved = ["commits.branch.move", "r", `{"branch":"main","to":"${"1".repeat(40)}"}`];
    try {
      const sent = await document<{ stream: string }>(["send", ...moved, "--data", data]);
      assert.deepEqual([sent.exit, sent.stream], [0, "commits/r"]);
      const beside = await document<{ commits: number }>(["import", "git", `${dir}/other`, "--data", data]);
      assert.deepEqual([beside.exit, beside.commits], [0, 2]);
      assert.equal((await document<{ running: boolean }>(["status", "--data", data])).running, true);
    } finally {
      await Deno.writeTextFile(`${dir}/go`, "");
    }
    const { code, out, err } = await importing;
    assert.deepEqual([code, err, JSON.parse(out).commits], [0, "", 2]);
    assert.equal((await document<{ running: boolean }>(["status", "--data", data])).running, false);
    assert.equal((await document(["send", ...moved, "--data", data])).exit, 0);
  }));

Deno.test("a folder whose name is too long for a socket cannot be served, and can be imported into", () =>
  withPlace(async ({ dir, data }) => {
    if (!await repository(`${dir}/repo`)) return console.log("no git: left out");
    const long = `${data}/${"d".repeat(120)}`;
    const refused = await run(["start", "--data", long, "--port", "0"]);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /^daybook: [^\n]*at most 107 bytes, this has \d+\n$/);
    const imported = await run(["import", "git", `${dir}/repo`, "--data", long]);
    assert.equal(imported.code, 0);
    assert.match(imported.err, /^nobody else can write meanwhile: [^\n]*at most 107 bytes/);
  }));

Deno.test("an import of what is no repository, or no range of it, is refused before there is a data folder", () =>
  withPlace(async ({ dir, data }) => {
    if (!await repository(`${dir}/repo`)) return console.log("no git: left out");
    for (
      const [typed, code] of [
        [[`${dir}/nowhere`], "usage"],
        [[dir], "not_a_repository"],
        [[`${dir}/repo`, "--range", "nope..main"], "usage"],
      ] as const
    ) {
      const refused = await document<{ error: { code: string; message: string } }>(
        ["import", "git", ...typed, "--data", data],
      );
      assert.deepEqual([refused.exit, refused.error.code], [2, code]);
      assert.doesNotMatch(refused.error.message, /\.\.[^\w]|hint/);
      await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
    }
  }));

Deno.test("where there is no log, who reads is told so and makes none", () =>
  withPlace(async ({ dir, data }) => {
    await Deno.writeTextFile(`${dir}/file`, "");
    for (const folder of [data, `${dir}/file`]) {
      const lists = [["token", "list"], ["secret", "list"]];
      for (const typed of [["verify"], ["events"], ["replay"], ["status"], ["backup", `${dir}/copy`], ...lists]) {
        const refused = await document<{ error: { code: string; message: string } }>([...typed, "--data", folder]);
        assert.deepEqual([refused.exit, refused.error.code], [3, "missing"], `${typed[0]}: ${refused.error.message}`);
        assert.equal(refused.error.message, `there is no log in ${folder}`);
      }
    }
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["file"]);
  }));

Deno.test("where there is no git the demo brings its own history and says so, and an import says what is missing", () =>
  withPlace(async ({ dir, data }) => {
    const env = { PATH: dir };
    const told = await run(["demo", "--data", data], { cwd: dir, env });
    assert.equal(told.code, 0, told.err);
    assert.match(told.out, /sample/);
    const refused = await document<{ error: { code: string } }>(["import", "git", dir, "--data", data], { env });
    assert.deepEqual([refused.exit, refused.error.code], [3, "no_git"]);
  }));

Deno.test("a log goes through a pipe that is closed early, without a word of complaint", () =>
  withPlace(async ({ data }) => {
    for (let i = 0; i < 3; i++) {
      await run(["send", "commits.branch.move", `r${i}`, `{"branch":"main","to":"${"1".repeat(40)}"}`, "--data", data]);
    }
    const shell = new Deno.Command("sh", {
      args: [
        "-c",
        `"${Deno.execPath()}" run -q --no-check ${V8_FLAGS} -A main.ts export --data "${data}" --json | head -c 10`,
      ],
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      stdout: "piped",
      stderr: "piped",
    });
    const { stdout, stderr } = await shell.output();
    assert.deepEqual([new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)], [`{"events":`, ""]);
  }));

Deno.test("a variable that is not UTF-8 is told of by its name, and by no more", () =>
  withPlace(async ({ dir, data }) => {
    const secret = (reference: string) => ["start", "--data", data, "--config", `${dir}/${reference}.yaml`];
    await Deno.writeTextFile(
      `${dir}/env.yaml`,
      "server: { port: 0 }\ngithub: { webhook_secret: { env: DAYBOOK_SECRET } }\n",
    );
    await Deno.writeTextFile(`${dir}/file.yaml`, "server: { port: 0 }\ngithub: { webhook_secret: { file: latin } }\n");
    await Deno.writeFile(`${dir}/latin`, Uint8Array.from([...new TextEncoder().encode("hidden"), 0xff]));
    const cases: readonly (readonly [string, readonly string[], string])[] = [
      ["TMPDIR", ["status", "--data", dir], "the variable TMPDIR"],
      ["DAYBOOK_DATA", ["status"], "the variable DAYBOOK_DATA"],
      ["DAYBOOK_SECRET", secret("env"), "the variable DAYBOOK_SECRET"],
      ["DAYBOOK_NOTHING", secret("file"), `${dir}/latin`],
    ];
    for (const [name, args, what] of cases) {
      const under = ["/bin/sh", "-c", `${name}=$(printf 'hidden\\377'); export ${name}; exec "$0" "$@"`];
      assert.deepEqual(await run(args, { under }), { code: 2, out: "", err: `daybook: ${what} is not UTF-8\n` }, name);
    }
  }));

Deno.test("what was typed wrong, or cannot be, ends with its exit code and one line", () =>
  withPlace(async ({ dir, data }) => {
    const kept = `${dir}/kept`;
    await document(["send", "commits.branch.delete", "shop", `{"branch":"main"}`, "--data", kept]);
    for (
      const [args, code] of [
        [["strat"], 2],
        [["status", "--data", data], 3],
        [["import", "git", dir, "--data", data], 2],
        [["start", "--data", data, "--host", "0.0.0.0"], 2],
        [["start", "--data", data, "--config", "none.yaml"], 2],
        [["restore", dir, "--data", `${dir}/new`], 1],
        [["status", "--data", `${dir}/a,b`], 2],
        [["start", "--data", "/proc/nowhere", "--port", "0"], 3],
        [["verify", "--data", kept, "--key", "not a key"], 2],
      ] as const
    ) {
      const { code: found, out, err } = await run(args, { grants: [] });
      assert.deepEqual([found, out], [code, ""], `${args.join(" ")}: ${err}`);
      assert.match(err, /^daybook: [^\n]+\n$/, args.join(" "));
    }
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const { code, err } = await run(["start", "--data", data, "--port", String(port)]);
    listener.close();
    assert.equal(code, 3);
    assert.ok(err.includes(`127.0.0.1:${port}`), err);
  }));
