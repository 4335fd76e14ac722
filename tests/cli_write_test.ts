/** Commands that act: start, send, import, token, backup, restore, demo; and the client of a running server. */
import { CedarAuthority } from "../adapters/program/access/authority.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import assert from "node:assert/strict";
import type { Outcome } from "../actors/kernel/daybook.ts";
import { isLoopback } from "../adapters/cli/commands/start.ts";
import type { DemoReport } from "../adapters/cli/commands/demo.ts";
import { remoteOver } from "../adapters/cli/remote.ts";
import type { Target } from "../adapters/cli/runtime.ts";
import { type GitImport, ImportFault } from "../adapters/cli/imports.ts";
import { createServer } from "../adapters/http/server.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { LogFault } from "../events/log.ts";
import { givenStage } from "./cli_given.ts";
import type { Stage } from "./cli_given.ts";
import { givenAccess } from "./http_given.ts";

const ADMIN = {
  id: "socket",
  scopes: ["admin"],
  tenant: "default",
  principal: { authtype: "user", authid: "operator" },
} as const;

/** Another process has the lock; it is asked over the routes themselves. */
const elsewhere = (stage: Stage) => {
  const server = createServer({
    authority: new CedarAuthority(shippedModel()),
    daybook: stage.daybook,
    access: givenAccess(),
    clock: systemClock,
    random: systemRandom,
    routes: [{
      method: "GET",
      path: "/status",
      action: "operations.run",
      about: "",
      handle: () => Response.json(stage.daybook.status()),
    }],
  });
  stage.runtime.open = () => Promise.reject(new LogFault("locked", "Cannot open /data: another process has it"));
  const remote = remoteOver(
    async (path, init) => await server.fetch(new Request(`http://control.invalid${path}`, init), undefined, ADMIN),
    () => {},
  );
  stage.runtime.remote = () => Promise.resolve(remote);
  return { server, remote };
};

for (const where of ["with the lock", "through a running server"] as const) {
  Deno.test(`send ${where} tells each outcome with its exit code`, async () => {
    const stage = givenStage();
    const server = where === "with the lock" ? undefined : elsewhere(stage).server;
    const send = (...args: string[]) =>
      stage.json<Outcome & { ok: boolean; facts?: { position: number }[] }>("send", ...args);
    const done = await send("things.counter.raise", "a", `{"by":60}`, "--id", "one");
    assert.deepEqual([done.exit, done.ok, done.is, done.facts?.[0]?.position], [0, true, "accepted", 0]);
    assert.equal((await send("things.counter.raise", "a", `{"by":60}`, "--id", "one")).exit, 0);
    const rejected = await send("things.counter.raise", "a", `{"by":60}`);
    assert.deepEqual([rejected.exit, rejected.is, (rejected as { code?: string }).code], [
      1,
      "rejected",
      "counter_full",
    ]);
    const other = await send("things.counter.raise", "a", `{"by":1}`, "--id", "one");
    assert.deepEqual([other.exit, other.is, (other as { reason?: string }).reason], [1, "conflict", "command_id"]);
    const late = await send("things.counter.raise", "a", `{"by":1}`, "--expect", "7");
    assert.deepEqual([late.exit, late.is, (late as { revision?: number }).revision], [1, "conflict", 0]);
    const invalid = await send("things.counter.raise", "a", `{"by":0}`);
    assert.deepEqual([invalid.exit, invalid.is, (invalid as { issues?: { path: string }[] }).issues?.[0]?.path], [
      2,
      "invalid",
      "/by",
    ]);
    assert.deepEqual((await send("things.counter.lower", "a")).exit, 2);
    const above = await send("things.counter.raise", "a/../b", `{"by":1}`) as { stream?: string };
    assert.equal(above.stream, "things/a/../b");
    for (const id of ["", ".", "..", "a\nb"]) assert.equal((await send("things.counter.raise", id, "{}")).exit, 2, id);
    stage.faults.ask = () => Promise.resolve({ is: "unavailable", reason: "deadline", retryAfterMs: 1_000 });
    const busy = await send("things.counter.raise", "a", `{"by":1}`);
    assert.deepEqual([busy.exit, busy.is], [3, "unavailable"]);
    assert.match(
      (await stage.type("send", "things.counter.raise", "a", `{"by":1}`)).err,
      /^daybook: not done \(deadline\)/,
    );
    await server?.stop();
  });
}

Deno.test("send takes its data from standard input or a file, and prints the facts", async () => {
  const stage = givenStage();
  stage.files.set("-", `{"by":2}`).set("/here/raise.json", `{"by":3}`).set("/data/log.db", "");
  assert.match(
    (await stage.type("send", "things.counter.raise", "a", "-")).out,
    /^accepted {2}things\/a is at revision 0\n.*things\.counter\.raised.*\{"by":2\}\n$/,
  );
  assert.match((await stage.type("send", "things.counter.raise", "a", "@raise.json")).out, /\{"by":3\}/);
  assert.equal((await stage.type("send", "things.counter.raise", "a", "@none.json")).code, 3);
});

Deno.test("send refuses data that would not be recorded to the letter, and asks nobody", async () => {
  for (
    const [data, said] of [
      ["{", /not JSON: /],
      [`{"by":12345678901234567890}`, /\/by: 12345678901234567890 is not representable/],
      [`{"by":1,"by":2}`, /\/by: an object has the same key twice/],
      [String.raw`{"by":"\ud800"}`, /\/by: a string holds a lone surrogate/],
    ] as const
  ) {
    const stage = givenStage();
    const { code, err } = await stage.type("send", "things.counter.raise", "a", data);
    assert.equal(code, 2);
    assert.match(err, said);
    assert.equal(stage.daybook.log.size, 0);
  }
});

Deno.test("the client of a running server tells new from known while others append", async () => {
  const receipt = (id: string, position: number) => ({
    id,
    source: "/t",
    stream: "a/b",
    revision: 0,
    position,
    leaf: "",
  });
  const receipts = [receipt("x", 3), receipt("y", 7), receipt("z", 8), receipt("y", 7)];
  const answer = { accepted: 2, duplicates: 2, size: 20, receipts };
  const remote = remoteOver(() => Promise.resolve(Response.json(answer, { status: 201 })), () => {});
  const sent = ["x", "y", "z", "y"].map((id) => ({ id, source: "/t", type: "things.thing.seen", data: {} }));
  const taken = await remote.ingest(sent, ADMIN.principal);
  assert.deepEqual(taken.ok && taken.receipts.map(({ duplicate }) => duplicate), [true, false, false, true]);
});

Deno.test("the client of a running server tells its status, its views and what became of events", async () => {
  const stage = givenStage();
  const { server, remote } = elsewhere(stage);
  assert.equal((await remote.status()).state, "ready");
  for (const key of ["", ".", ".."]) assert.equal((await remote.row("things.seen", key)).row, undefined);
  const seen = (id: string, data: unknown) => ({
    id,
    source: "/t",
    type: "things.thing.seen",
    data,
    extensions: { tone: "loud" },
  });
  const events = Array.from(
    { length: 1_100 },
    (_, i) => seen(String(i), { name: i % 2 ? "odd/one" : "even", owner: "x".repeat(1_500) }),
  );
  const taken = await remote.ingest(events, ADMIN.principal);
  assert.deepEqual([taken.ok, taken.ok && taken.accepted, taken.ok && taken.receipts.length, taken.ok && taken.size], [
    true,
    1_100,
    1_100,
    1_100,
  ]);
  const again = await remote.ingest(events.slice(0, 3), ADMIN.principal);
  assert.deepEqual([again.ok && again.duplicates, again.ok && again.receipts.every(({ duplicate }) => duplicate)], [
    3,
    true,
  ]);
  assert.equal((stage.log.find("/t", "0") as unknown as { tone?: string }).tone, "loud");
  const refused = await remote.ingest([...events.slice(0, 1_050), seen("bad", { size: 1 })], ADMIN.principal);
  assert.deepEqual([
    refused.ok,
    !refused.ok && refused.conflict,
    !refused.ok && refused.conflict === "invalid" && refused.index,
  ], [false, "invalid", 1_050]);
  assert.deepEqual(await remote.ingest([seen("0", { name: "else" })], ADMIN.principal), {
    ok: false,
    conflict: "id",
    source: "/t",
    id: "0",
    position: 0,
  });
  assert.deepEqual(
    (await remote.ingest([{ ...seen("d", {}), type: "things.counter.raised" }], ADMIN.principal) as { code?: string })
      .code,
    "decided_type",
  );
  assert.deepEqual((await remote.row("things.seen", "odd/one")).row?.row, { name: "odd/one", times: 550 });
  assert.deepEqual((await remote.row("things.seen", "odd/one", { at: 3 })).row?.row, { name: "odd/one", times: 2 });
  assert.deepEqual(await remote.row("things.seen", "none"), { size: 1_100, row: undefined });
  const page = await remote.view("things.seen", { where: { name: "even" }, sort: "times", descending: true, limit: 1 });
  assert.deepEqual(page.rows.map(({ key }) => key), ["even"]);
  const first = await remote.view("things.seen", { limit: 1 });
  assert.deepEqual((await remote.view("things.seen", { limit: 1, after: first.next })).rows.map(({ key }) => key), [
    "odd/one",
  ]);
  await assert.rejects(remote.view("things.seen", { sort: "who" }), { name: "ViewQuestion" });
  assert.deepEqual((await stage.json("view", "things.seen", "even")).row, { name: "even", times: 550 });
  await server.stop();
});

Deno.test("a log that another process has and does not answer for is exit code 3", async () => {
  const stage = givenStage();
  stage.runtime.open = () => Promise.reject(new LogFault("locked", "Cannot open /data"));
  // Time passes at once, so that the test does not.
  stage.runtime.clock = { now: () => 0, monotonic: () => 0, schedule: (_, call) => (queueMicrotask(call), () => {}) };
  const { code, err } = await stage.type("send", "things.counter.raise", "a", `{"by":1}`);
  assert.equal(code, 3);
  assert.match(err, /^daybook: Cannot open \/data \(another process has this log; .*\)\n$/);
});

Deno.test("tokens are made once, listed without their secret, and revoked by id or name", async () => {
  const stage = givenStage();
  const made = await stage.type("token", "create", "ci", "--scopes", "ingest,read", "--expires", "30d");
  assert.deepEqual([made.code, made.out], [0, "secret-t_0\n"]);
  assert.match(made.err, /token ci \(t_0\), scopes ingest, read, until \d{4}-.*; it is not shown again/);
  assert.equal((await stage.json("token", "create", "ci")).token, "secret-t_1");
  const listed = await stage.json<{ tokens: { id: string }[] }>("token", "list");
  assert.deepEqual(listed.tokens.map(({ id }) => id), ["t_0", "t_1"]);
  const table = (await stage.type("token", "list")).out;
  assert.match(table, /t_0 +ci +default +ingest,read .* valid/);
  assert.ok(!table.includes("secret"));
  const two = await stage.type("token", "revoke", "ci");
  assert.deepEqual([two.code, two.err.includes("2 tokens are called")], [2, true]);
  assert.deepEqual(await stage.json("token", "revoke", "t_0"), { ok: true, revoked: "t_0", exit: 0 });
  assert.deepEqual((await stage.json("token", "revoke", "ci")).revoked, "t_1");
  assert.match((await stage.type("token", "list")).out, /t_0 .* revoked 2026/);
});

Deno.test("backup and restore want an empty folder, and keys want a passphrase", async () => {
  const stage = givenStage();
  const asked: unknown[] = [];
  const report = { size: 5, root: "cm9vdA==", bytes: 2_000, keys: false };
  stage.runtime.backup = (...args) => (asked.push(args.slice(0, 3)), Promise.resolve(report));
  stage.runtime.restore = (...args) => (asked.push(args.slice(0, 3)), Promise.resolve(report));
  assert.deepEqual(await stage.json("backup", "b"), { ok: true, folder: "/here/b", ...report, exit: 0 });
  const checkpoint = `origin\n7\n${"A".repeat(43)}=\n`;
  stage.files.set("/here/pass", "open sesame\n").set("/here/kept", checkpoint);
  await stage.type("backup", "b", "--with-keys", "--passphrase-file", "pass");
  stage.env.DAYBOOK_PASSPHRASE = "from the environment";
  await stage.type("backup", "b", "--with-keys");
  assert.match((await stage.type("restore", "b", "--against", "kept")).out, /^5 events, 2\.0 kB, verified, in \/data/);
  const [signal, kept] = [{}, { name: "kept", text: checkpoint }];
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    ["/data", "/here/b", { signal }],
    ["/data", "/here/b", { signal, passphrase: "open sesame" }],
    ["/data", "/here/b", { signal, passphrase: "from the environment" }],
    ["/here/b", "/data", { signal, passphrase: "from the environment", against: [kept], erasures: [], proof: {} }],
  ]);
  stage.files.set("/here/b/log", "").set("/data/log", "").set("/here/empty", "\n");
  assert.equal((await stage.type("backup", "b")).code, 2);
  assert.equal((await stage.type("restore", "c")).code, 2);
  assert.equal((await stage.type("backup", "c", "--with-keys", "--passphrase-file", "empty")).code, 2);
  assert.equal((await stage.type("backup", "c", "--passphrase-file", "pass")).code, 2);
});

const GIT: GitImport = {
  stream: "commits/sample",
  commits: 2,
  events: 2,
  duplicates: 0,
  branches: 1,
  shallow: false,
  empty: false,
  problems: [],
};

/** Stands in for an import: two things are seen. */
const importer = (result: Partial<GitImport> = {}) => async (target: Target): Promise<GitImport> => {
  const done = await target.ingest(
    ["1", "2"].map((id) => ({ id, source: "/repo", type: "things.thing.seen", data: { name: `n${id}` } })),
    ADMIN.principal,
  );
  assert.ok(done.ok);
  return { ...GIT, ...result };
};

Deno.test("import git tells what came in, and of what could not be read", async () => {
  const stage = givenStage();
  stage.runtime.importGit = importer({ shallow: true, problems: ["commit 1234 has a broken date\u001b[31m"] });
  const { code, out } = await stage.type("import", "git", "repo", "--range", "a..b");
  // Done, and found wanting: the history in the log is not whole.
  assert.equal(code, 1);
  assert.match(out, /^commits\/sample: 2 new commits, 1 branch; 2 new events, 0 known already, in /);
  assert.match(
    out,
    /shallow: its history begins where the clone was cut\ncommit 1234 has a broken date\\u001b\[31m\n$/,
  );
  const document = await stage.json<GitImport & { ok: boolean }>("import", "git", "repo");
  assert.deepEqual([document.exit, document.ok, document.commits, document.problems.length], [1, false, 2, 1]);
  stage.runtime.importGit = importer({ commits: 0, events: 0 });
  const again = await stage.type("import", "git", "repo");
  assert.equal(again.code, 0);
  assert.match(again.out, /^commits\/sample: nothing new; 1 branch, in [^\n]+\n$/);
  stage.runtime.importGit = () =>
    Promise.reject(new ImportFault("not_a_repository", "/here/repo is not a git repository"));
  assert.equal((await stage.type("import", "git", "repo")).code, 2);
  stage.runtime.importGit = () => Promise.reject(new ImportFault("no_git", "git was not found"));
  assert.equal((await stage.type("import", "git", "repo")).code, 3);
});

Deno.test("import github takes one body, an array of them, or one a line", async () => {
  const stage = givenStage();
  stage.runtime.importPush = async (target, body) => {
    const { id } = JSON.parse(body);
    if (id === undefined) throw new ImportFault("usage", "this is not a push");
    const done = await target.ingest(
      [{ id, source: "/github", type: "things.thing.seen", data: { name: id } }],
      ADMIN.principal,
    );
    assert.ok(done.ok);
    return {
      commits: done.accepted,
      known: done.duplicates,
      moves: 1,
      ...(id === "3" ? { note: "branch_behind: no" } : {}),
    };
  };
  stage.files.set("/here/one", `{"id":"1"}`).set("/here/array", `[{"id":"1"},{"id":"2"}]`).set(
    "/here/lines",
    `{"id":"2"}\n\n{"id":"3"}\n`,
  );
  const sum = { ok: true, exit: 0, notes: [] };
  assert.deepEqual(await stage.json("import", "github", "one"), { ...sum, bodies: 1, commits: 1, known: 0, moves: 1 });
  assert.deepEqual(await stage.json("import", "github", "array"), {
    ...sum,
    bodies: 2,
    commits: 1,
    known: 1,
    moves: 2,
  });
  assert.deepEqual(await stage.json("import", "github", "lines"), {
    ...sum,
    bodies: 2,
    commits: 1,
    known: 1,
    moves: 2,
    notes: ["lines, body 2 of 2: branch_behind: no"],
  });
  stage.files.set("/here/bad", `{"id":"1"}\n{nope\n`).set("/here/other", `[{"id":"1"},{}]`).set("/here/empty", "\n");
  assert.match((await stage.type("import", "github", "bad")).err, /^daybook: bad, line 2: not JSON\n$/);
  assert.match(
    (await stage.type("import", "github", "other")).err,
    /^daybook: other, body 2 of 2: this is not a push\n$/,
  );
  assert.equal((await stage.type("import", "github", "empty")).code, 2);
  assert.equal((await stage.type("import", "github", "missing")).code, 3);
});

/** `start` in a world where signals come from the test. */
const started = async (
  stage: Stage,
  args: readonly string[],
  { firstToken, terminal = false, fallen }: { firstToken?: string; terminal?: boolean; fallen?: Promise<string> } = {},
) => {
  let [out, err] = ["", ""];
  const did: string[] = [];
  let signal = () => {};
  const ready = new Promise<void>((resolve) => {
    Object.assign(stage.io, {
      out: (text: string) => (out += text, resolve()),
      err: (text: string) => void (err += text),
      terminal: { out: terminal, err: terminal },
      onStop: (call: () => void) => (signal = call, () => void did.push("forgot")),
    });
  });
  stage.runtime.open = () =>
    Promise.resolve({ ...stage.daybook, close: () => Promise.resolve(void did.push("closed")) });
  stage.runtime.serve = async (_, { tell }) => {
    const url = "http://127.0.0.1:1";
    if (firstToken !== undefined) {
      await tell({ url, token: firstToken });
      did.push(`kept with ${stage.files.size} files`);
    }
    return {
      url,
      told: () => void did.push("told"),
      fallen: fallen ?? new Promise(() => {}),
      stop: () => Promise.resolve(void did.push("stopped")),
    };
  };
  const running = stage.type("start", ...args);
  await Promise.race([ready, running]);
  if (fallen === undefined) {
    signal();
    signal();
  }
  const { code } = await running;
  return { code, out, err, did };
};

Deno.test("start prints one line when it is ready, and drains on a signal however often that arrives", async () => {
  const stage = givenStage();
  const { code, out, err, did } = await started(stage, [], { firstToken: "dbk_secret" });
  assert.deepEqual([code, out], [0, "listening on http://127.0.0.1:1\n"]);
  // Not before it was told, or who dies between the two has a token that nobody knows.
  assert.deepEqual(did, ["kept with 1 files", "told", "stopped", "closed", "forgot"]);
  assert.equal(err, "the first token is in /data/first-token\ndraining; once more to stop at once\n");
  assert.equal(stage.files.get("/data/first-token"), "dbk_secret\n");
});

Deno.test("start ends with 3 when the supervision tree has given up, and says why", async () => {
  const fallen = Promise.resolve('"daybook:timers" ended, more than 5 times within 60000 ms: boom');
  const { code, err, did } = await started(givenStage(), [], { fallen });
  assert.deepEqual([code, did], [3, ["told", "stopped", "closed", "forgot"]]);
  assert.equal(
    err,
    'daybook: the supervision tree gave up: "daybook:timers" ended, more than 5 times within 60000 ms: boom\n',
  );
});

Deno.test("start shows the first token to a terminal with a command to paste, and keeps no file of it", async () => {
  const stage = givenStage();
  stage.env.NO_COLOR = "1";
  const { err, out } = await started(stage, ["--json"], { firstToken: "dbk_secret", terminal: true });
  assert.match(err, /curl -s http:\/\/127\.0\.0\.1:1\/events -H 'authorization: Bearer dbk_secret'/);
  assert.equal(stage.files.size, 0);
  assert.deepEqual(JSON.parse(out), { listening: "http://127.0.0.1:1", data: "/data" });
});

Deno.test("start in memory says that nothing is left", async () => {
  const { code, err } = await started(givenStage(), ["--data", ":memory:"]);
  assert.equal(code, 0);
  assert.match(err, /^in memory only/);
});

Deno.test("start listens in the clear on loopback only", async () => {
  for (const host of ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"]) assert.ok(isLoopback(host), host);
  for (
    const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "localhost.example.org", "::ffff:127.0.0.1"]
  ) assert.ok(!isLoopback(host), host);
  const refused = await givenStage().type("start", "--host", "10.0.0.1");
  assert.deepEqual([refused.code, refused.err], [
    2,
    "daybook: --host 10.0.0.1 is not loopback: give --tls-cert and --tls-key, or --behind-proxy ADDRESS\n",
  ]);
  assert.equal((await started(givenStage(), ["--host", "10.0.0.1", "--behind-proxy", "10.0.0.2"])).code, 0);
  assert.equal((await started(givenStage(), ["--host", "10.0.0.1", "--tls-cert", "c", "--tls-key", "k"])).code, 0);
});

const demonstrated = (stage: Stage) => {
  stage.runtime.verify = () =>
    Promise.resolve({
      ok: true,
      size: 2,
      root: "cm9vdA==",
      anchored: 2,
      unanchored: 0,
      signed: 0,
      authenticated: false,
      failures: [],
    });
  stage.runtime.importGit = async (target) => {
    const done = await importer()(target);
    stage.store();
    return done;
  };
};

Deno.test("demo does the whole job on a fresh folder, and says what it did", async () => {
  const stage = givenStage();
  demonstrated(stage);
  const { code, out, err } = await stage.type("demo", "repo");
  assert.deepEqual([code, err], [0, ""]);
  for (
    const said of [
      "1  Import",
      "/here/repo",
      "2 commits on 1 branch became 2 events",
      "2  Follow",
      "3  Audit trail",
      "5  Verify",
      "intact",
      "6  Replay",
      "equal: 1 of 1 views",
      "Try next",
      "--data /data",
    ]
  ) {
    assert.ok(out.includes(said), `${said} in:\n${out}`);
  }
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(out, /\u001b/);
  stage.files.set("/data/log", "");
  assert.equal((await stage.type("demo", "repo")).code, 2);
});

Deno.test("demo takes the sample only when nobody asked for a certain repository, or there is no git", async () => {
  for (
    const [kind, args, sample] of [
      ["not_a_repository", [], "you do not stand in a git repository"],
      ["no_git", [], "git was not found"],
      ["no_git", ["repo"], "git was not found"],
      ["not_a_repository", ["repo"], undefined],
    ] as const
  ) {
    const stage = givenStage();
    demonstrated(stage);
    stage.runtime.importSample = stage.runtime.importGit as (target: Target) => Promise<GitImport>;
    stage.runtime.importGit = () => Promise.reject(new ImportFault(kind, "no"));
    const done = await stage.json<DemoReport>("demo", ...args);
    if (sample === undefined) assert.equal(done.exit, 2);
    else assert.deepEqual([done.exit, done.imported.sample], [0, sample]);
  }
});
