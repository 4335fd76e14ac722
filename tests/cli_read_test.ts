/** Commands that look: status, view, events, explain, replay, verify, export. */
import assert from "node:assert/strict";
import { MemoryViews } from "../adapters/memory/views.ts";
import { ViewsFault } from "../projections/views.ts";
import type { Event } from "../events/event.ts";
import { LogFault } from "../events/log.ts";
import type { Incoming } from "../actors/kernel/daybook.ts";
import { explained } from "../adapters/cli/commands/explain.ts";
import type { Explanation } from "../adapters/cli/commands/explain.ts";
import type { VerifyReport } from "../adapters/cli/runtime.ts";
import type { Reader } from "../adapters/cli/reader.ts";
import { closedAfter, givenStage, readerOf } from "./cli_given.ts";
import type { Stage } from "./cli_given.ts";
import { until } from "./until.ts";

const BY = { authtype: "user", authid: "u_1" } as const;
const thing = (id: string, name: string, extra: Partial<Incoming> & { data?: object } = {}): Incoming => ({
  source: "/tests",
  type: "things.thing.seen",
  time: "2026-01-01T00:00:00Z",
  ...extra,
  id,
  data: { name, ...extra.data },
});
const put = async (stage: Stage, ...events: Incoming[]) => {
  const done = await stage.daybook.ingest(events, BY);
  assert.ok(done.ok);
};

Deno.test("status tells of a stopped log from its folder, and of a running one through its socket", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"), thing("2", "b"));
  stage.store(1);
  const stopped = await stage.json<Record<string, unknown>>("status");
  assert.equal(stopped.exit, 0);
  assert.deepEqual([stopped.running, stopped.state, stopped.size], [false, "stopped", 2]);
  assert.deepEqual(stopped.projections, [{ name: "things.seen", version: 3, state: "at_rest", size: 1, lag: 1 }]);
  assert.match(
    (await stage.type("status")).out,
    /state +stopped, no process has this log\nlog +2 events, 1\.2 kB\ngrowth +\d events, [\d.]+ k?B in 24 hours\n/,
  );
  let closed = 0;
  stage.runtime.remote = () =>
    Promise.resolve({ status: () => Promise.resolve(stage.daybook.status()), close: () => closed++ } as never);
  const running = await stage.json<Record<string, unknown>>("status");
  assert.deepEqual([running.running, running.state, running.deadLetters], [true, "ready", 0]);
  assert.match(
    (await stage.type("status")).out,
    /daybook running\n├─ projections running, 2 restarts\n└─ managers backoff, 7 restarts \(connection refused\)\n/,
  );
  assert.match((await stage.type("status")).out, /dead letters +0\n/);
  const { status } = stage.daybook;
  stage.daybook.status = () => ({ ...status.call(stage.daybook), deadLetters: 1_000, deadLettersEvicted: 19_000 });
  assert.match((await stage.type("status")).out, /dead letters +1,000, and 19,000 that are in the log alone\n/);
  assert.equal(closed, 4);
});

Deno.test("status does not call a log stopped that a process has which does not answer on its socket", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"));
  stage.runtime.isWriting = () => Promise.resolve(true);
  const { running, state, size } = await stage.json<Record<string, unknown>>("status");
  assert.deepEqual([running, state, size], [true, "silent", 1]);
  assert.match(
    (await stage.type("status")).out,
    /state +silent, a process has this log and does not answer on its socket\n/,
  );
});

Deno.test("view lists what there is, and reads rows from the stored view", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"), thing("2", "b"), thing("3", "b"));
  stage.store();
  stage.runtime.scratch = () => Promise.reject(new Error("nothing needs folding"));
  assert.deepEqual((await stage.json<{ views: { name: string }[] }>("view")).views.map(({ name }) => name), [
    "things.seen",
  ]);
  const page = await stage.json<{ size: number; rows: { key: string; row: unknown }[] }>(
    "view",
    "things.seen",
    "--sort",
    "times",
    "--descending",
    "--limit",
    "1",
  );
  assert.equal(page.size, 3);
  assert.deepEqual(page.rows, [{ key: "b", row: { name: "b", times: 2 }, position: 2 }]);
  assert.match(
    (await stage.type("view", "things.seen")).out,
    /^key +times\na +1\nb +2\n\n2 rows, after 3 events\n$/,
  );
  assert.deepEqual((await stage.json("view", "things.seen", "b")).row, { name: "b", times: 2 });
  assert.equal((await stage.type("view", "things.seen", "c")).code, 1);
  for (
    const args of [["--at", "5"], ["--where", "a=b"], ["things.seen", "b", "--limit", "2"], [
      "things.seen",
      "b",
      "--descending",
    ]]
  ) {
    assert.equal((await stage.type("view", ...args)).code, 2, args.join(" "));
  }
  const twice = await stage.type("view", "things.seen", "--where", "name=a", "--where", "name=b");
  assert.deepEqual([twice.code, twice.err], [2, 'daybook: --where names "name" twice; a row has one value there\n']);
  assert.equal((await stage.json<{ ok: boolean }>("view", "things.seen", "c")).ok, false);
});

Deno.test("view reads as of a position or a recorded time", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "b"), thing("2", "b"));
  stage.store();
  assert.deepEqual((await stage.json("view", "things.seen", "b", "--at", "0")).row, { name: "b", times: 1 });
  const [first] = [...stage.log.read({})].flat();
  assert.deepEqual((await stage.json("view", "things.seen", "b", "--at", "2999-01-01")).row, { name: "b", times: 2 });
  assert.equal((await stage.type("view", "things.seen", "--at", "2")).code, 2);
  // Before the first event, as over HTTP: what the view shows after none.
  const { exit, size, rows } = await stage.json("view", "things.seen", "--at", "1999-01-01T00:00:00Z");
  assert.deepEqual({ exit, size, rows }, { exit: 0, size: 0, rows: [] });
  const none = await stage.json("view", "things.seen", "b", "--at", "1999-01-01T00:00:00Z");
  assert.deepEqual([none.exit, none.size], [1, 0]);
  assert.ok(first);
});

for (const [what, stored] of [["missing", undefined], ["behind the log", 1]] as const) {
  Deno.test(`view folds in memory when the stored view is ${what}, and writes nothing`, async () => {
    const stage = givenStage();
    await put(stage, thing("1", "a"), thing("2", "b"), thing("3", "b"));
    if (stored !== undefined) stage.store(stored);
    const page = await stage.json<{ size: number; rows: unknown[] }>("view", "things.seen");
    assert.deepEqual([page.size, page.rows.length], [3, 2]);
    assert.deepEqual((await stage.json("view", "things.seen", "b", "--at", "1")).row, { name: "b", times: 1 });
  });
}

Deno.test("view folds the log when the stored view turns out damaged while it is read, and says so", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"), thing("2", "b"));
  let closed = 0;
  stage.runtime.views = () => {
    const damaged = () => {
      throw new ViewsFault("damaged", "views.db: database disk image is malformed");
    };
    const stores = () => [{ name: "things.seen", version: 3, size: 2, served: true }];
    return Promise.resolve({ stores, row: damaged, list: damaged, close: () => closed++ } as never);
  };
  const page = await stage.type("view", "things.seen");
  assert.equal(page.code, 0);
  assert.match(page.out, /2 rows, after 2 events/);
  assert.match(page.err, /views\.db: database disk image is malformed; start builds them again/);
  assert.match((await stage.type("view", "things.seen", "a")).out, /as of event 0, of 2/);
  assert.equal(closed, 2);
});

Deno.test("view folds the log when what is stored shows more events than it has, and says so", async () => {
  const [stage, other] = [givenStage(), new MemoryViews()];
  await put(stage, thing("1", "a"), thing("2", "b"));
  const [projection] = stage.daybook.projections;
  other.open(projection!).commit([], 9);
  stage.runtime.views = () => Promise.resolve(other);
  const page = await stage.type("view", "things.seen");
  assert.match(page.out, /2 rows, after 2 events/);
  assert.match(page.err, /the view shows 9 events, and the log has 2; start builds them again/);
});

Deno.test("personal values are shown to nobody who does not ask, and to who does", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a", { data: { who: "ann", owner: "s_1" } }));
  stage.store();
  for (const args of [["view", "things.seen"], ["view", "things.seen", "a"], ["events"], ["explain", "0"]]) {
    assert.ok(!(await stage.type(...args)).out.includes("ann"), args.join(" "));
    assert.ok((await stage.type(...args, "--json")).out.includes("[sealed]"), args.join(" "));
    assert.ok((await stage.type(...args, "--json", "--personal")).out.includes(`"ann"`), args.join(" "));
  }
  assert.ok((await stage.type("export")).out.includes("sealed:1:someone:nna"));
  assert.ok((await stage.type("export", "--personal")).out.includes(`"ann"`));
});

Deno.test("control characters of an event never reach the terminal", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a\u001b]0;owned\u0007\u202e\n"));
  stage.store();
  for (
    const args of [["events"], ["view", "things.seen"], ["view", "things.seen", "a\u001b]0;owned\u0007\u202e\n"], [
      "explain",
      "0",
    ]]
  ) {
    const { code, out } = await stage.type(...args);
    assert.equal(code, 0, args.join(" "));
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, args.join(" "));
    assert.match(out, /owned/);
  }
});

Deno.test("events gives the newest in the log's order, a stretch from a moment on, and filters", async () => {
  const stage = givenStage();
  for (let i = 0; i < 60; i++) await put(stage, thing(String(i), i % 2 ? "odd" : "even"));
  const positions = async (...args: string[]) =>
    (await stage.json<{ events: Event[]; size: number }>("events", ...args)).events.map(({ position }) => position);
  assert.deepEqual(await positions(), Array.from({ length: 50 }, (_, i) => i + 10));
  assert.deepEqual(await positions("--limit", "2"), [58, 59]);
  assert.deepEqual(await positions("--since", "57"), [57, 58, 59]);
  assert.deepEqual(await positions("--since", "0", "--limit", "2"), [0, 1]);
  assert.deepEqual(await positions("--stream", "things/odd", "--limit", "2"), [57, 59]);
  assert.deepEqual(await positions("--type", "no.such.type"), []);
  assert.deepEqual(await positions("--since", "2999-01-01T00:00:00Z"), []);
  assert.equal((await positions("--since", "1999-01-01T00:00:00Z")).length, 60);
  assert.equal((await stage.type("events")).out.split("\n").length, 51);
});

Deno.test("events --follow goes on with what comes, until it is stopped", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"));
  let out = "";
  let stop = () => {};
  const seen = (text: string) => until(text, () => out, (out) => out.includes(text));
  Object.assign(stage.io, {
    out: (text: string) => void (out += text),
    onStop: (call: () => void) => (stop = call, () => {}),
  });
  const running = stage.type("events", "--follow", "--json");
  await seen(`"id":"1"`);
  await put(stage, thing("2", "b"), thing("3", "b"));
  await seen(`"id":"3"`);
  stop();
  assert.equal((await running).code, 0);
  assert.deepEqual(out.trim().split("\n").map((line) => JSON.parse(line).position), [0, 1, 2]);
});

Deno.test("a reader that has enough, as head has, ends a command quietly", async () => {
  const stage = givenStage();
  for (let i = 0; i < 60; i++) await put(stage, thing(String(i), "a"));
  for (const args of [["events"], ["export"], ["events", "--json"], ["view", "things.seen"]]) {
    Object.assign(stage.io, closedAfter(10));
    const { code, err } = await stage.type(...args);
    assert.deepEqual([code, err], [0, ""], args.join(" "));
  }
});

Deno.test("export writes each entry exactly as it was hashed, filtered, to a file or as one document", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"), thing("2", "b"), thing("3", "a"));
  const exact = [0, 1, 2].map((position) => new TextDecoder().decode(stage.log.entry(position)!));
  assert.equal((await stage.type("export")).out, exact.map((line) => `${line}\n`).join(""));
  assert.equal((await stage.type("export", "--from", "1", "--to", "2")).out, `${exact[1]}\n`);
  assert.equal((await stage.type("export", "--stream", "things/a")).out, `${exact[0]}\n${exact[2]}\n`);
  assert.equal((await stage.type("export", "--type", "none.such.there")).out, "");
  const document = await stage.json<{ events: Event[]; size: number }>("export");
  assert.deepEqual([document.events.length, document.size], [3, 3]);
  assert.deepEqual((await stage.json<{ events: Event[] }>("export", "--from", "3")).events, []);
  for (const beyond of ["--from", "--to"]) {
    const { code, err } = await stage.type("export", beyond, "4");
    assert.deepEqual([code, err], [2, `daybook: ${beyond} 4 lies behind the end of the log, which has 3 events\n`]);
  }
  const summary = await stage.json("export", "--out", "log.ndjson");
  assert.deepEqual(summary, { ok: true, file: "/here/log.ndjson", events: 3, size: 3, exit: 0 });
  assert.equal(stage.files.get("/here/log.ndjson"), exact.map((line) => `${line}\n`).join(""));
  await put(stage, thing("4", "漢字"));
  const { err } = await stage.type("export", "--from", "3", "--out", "log.ndjson");
  assert.ok(err.includes(`1 event, ${stage.log.entry(3)!.length + 1} B, to /here/log.ndjson`), err);
});

Deno.test("what commands that read write is not written into the data folder, where it could take the place of the log", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"));
  for (const path of ["/data/log.db", "/data/new/folder", "/here/../data/log.db", "/data"]) {
    for (
      const args of [["export", "--out", path], ["receipt", "0", "--out", path], ["audit", "--out", path], [
        "backup",
        path,
      ]]
    ) {
      const { code, err } = await stage.type(...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(err, /lies in the data folder; give another place/);
    }
  }
  assert.deepEqual([...stage.files.keys()], []);
  assert.equal((await stage.type("export", "--out", "/data-2/log.ndjson")).code, 0);
});

Deno.test("explain climbs to what began it and shows all that came of it, across streams and pieces of work", async () => {
  const stage = givenStage();
  await put(
    stage,
    thing("root", "a"),
    thing("other", "x"),
    thing("left", "b", { causationid: "root", correlationid: "root" }),
    thing("right", "c", { causationid: "root", correlationid: "elsewhere" }),
    thing("leaf", "d", { causationid: "left", correlationid: "root" }),
  );
  const { root, events } = await stage.json<Explanation>("explain", "4");
  assert.equal(events, 4);
  assert.deepEqual([
    root.event.id,
    root.effects.map(({ event }) => event.id),
    root.effects[0]!.effects.map(({ event }) => event.id),
  ], ["root", ["left", "right"], ["leaf"]]);
  const { out } = await stage.type("explain", "4");
  assert.match(out, /^0 +things[^\n]*\n├─ 2 +[^\n]*\n│ {2}└─ 4 +[^\n]*◀[^\n]*\n└─ 3 +[^\n]*\n\n4 events\n$/);
  assert.equal((await stage.type("explain", "5")).code, 2);
});

Deno.test("explain shows what belongs to a piece of work below what that is called after, even what came before it", async () => {
  const stage = givenStage();
  const mirror = { source: "/mirror" };
  await put(
    stage,
    thing("sha/0", "a", { correlationid: "sha" }),
    thing("sha/1", "a", { correlationid: "sha" }),
    thing("sha", "a"),
    thing("sha/0", "b", { correlationid: "sha", ...mirror }),
    thing("sha", "b", mirror),
    thing("moved", "a", { causationid: "sha", correlationid: "sha" }),
    thing("moved", "b", { causationid: "sha", correlationid: "sha", ...mirror }),
    thing("alone", "c", { correlationid: "nothing of ours" }),
  );
  for (
    const [asked, root, effects] of [[0, 2, [0, 1, 5]], [2, 2, [0, 1, 5]], [6, 4, [3, 6]], [3, 4, [3, 6]]] as const
  ) {
    const explained = await stage.json<Explanation>("explain", String(asked));
    assert.equal(explained.root.event.position, root);
    assert.deepEqual(explained.root.effects.map(({ event }) => event.position), effects);
    assert.equal(explained.cause, undefined);
  }
  const alone = await stage.json<Explanation>("explain", "7");
  assert.deepEqual([alone.events, alone.cause], [1, undefined]);
});

Deno.test("explain names a cause that no event of the log is, and is cut at its limit with the asked event in it", async () => {
  const stage = givenStage();
  await put(
    stage,
    thing("a", "a", { causationid: "cmd-7" }),
    ...Array.from({ length: 20 }, (_, i) => thing(`e${i}`, "b", { causationid: "a" })),
  );
  const cut = await stage.json<Explanation>("explain", "20", "--limit", "3");
  assert.deepEqual([cut.cause, cut.truncated, cut.root.effects.map(({ event }) => event.position)], ["cmd-7", true, [
    1,
    2,
    20,
  ]]);
  const loop = givenStage();
  await put(loop, thing("x", "a", { causationid: "x" }));
  assert.equal(explained(readerOf(loop.log), 0, { limit: 9, progress: () => {} }).events, 1);
});

Deno.test("explain shows what is here of causes and effects, and that a cause may lie in an archive that is elsewhere", async () => {
  const stage = givenStage();
  await put(
    stage,
    thing("a", "a"),
    thing("b", "a"),
    thing("c", "a", { causationid: "a", correlationid: "a" }),
    thing("d", "a", { causationid: "c", correlationid: "a" }),
    thing("e", "a"),
  );
  const whole = readerOf(stage.log);
  const from = 2;
  const read: Reader["read"] = (range = {}) => {
    if (range.types) return [[{ data: { until: from } } as Event]];
    if ((range.from ?? 0) < from) throw new LogFault("archived", "what lies before was archived");
    return whole.read(range);
  };
  stage.runtime.reader = () => Promise.resolve({ ...whole, size: whole.size, read });
  const { root, cause, ...rest } = await stage.json<Explanation>("explain", "3");
  assert.deepEqual([root.event.position, root.effects[0]!.event.position, cause, rest.from], [2, 3, "a", from]);
  assert.match(
    (await stage.type("explain", "3")).out,
    /^caused by a \(.* or an event before position 2, in an archive\)/,
  );
  assert.equal((await stage.json<Explanation>("explain", "4")).from, undefined);
  assert.equal((await stage.type("explain", "1")).code, 3);
});

Deno.test("explain shows an event at the end of a chain that is longer than its limit, and what led to it", async () => {
  const stage = givenStage();
  const chain = Array.from({ length: 50 }, (_, i) => thing(`e${i}`, "a", { causationid: `e${i - 1}` }));
  await put(stage, ...chain, ...Array.from({ length: 20 }, (_, i) => thing(`f${i}`, "b", { causationid: "e40" })));
  const { root, cause, truncated } = await stage.json<Explanation>("explain", "49", "--limit", "10");
  const way: number[] = [];
  for (let at: Explanation["root"] | undefined = root; at; at = at.effects[0]) way.push(at.event.position);
  assert.deepEqual([way.at(-1), way.length, cause, truncated], [49, 11, undefined, true]);
  const cut = await stage.json<Explanation>("explain", "49", "--limit", "30");
  let last = cut.root;
  while (last.effects.length > 0) last = last.effects[0]!;
  assert.equal(last.event.position, 49, "behind others that fill the tree");
});

Deno.test("replay finds the stored views equal, and a changed one different", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"), thing("2", "b"));
  stage.store();
  const good = await stage.json<{ ok: boolean; views: { equal: boolean; digest: string; rows: number }[] }>(
    "replay",
    "--check",
  );
  assert.deepEqual([good.exit, good.ok, good.views.map(({ equal, rows }) => [equal, rows])], [0, true, [[true, 2]]]);
  const views = (await stage.runtime.views?.("/data")) ?? undefined;
  assert.equal(views, undefined);
  await put(stage, thing("3", "b"));
  // The view lags; it is compared at the size it has.
  const behind = await stage.json<{ size: number; views: { size: number; equal: boolean }[] }>("replay", "--check");
  assert.deepEqual([behind.size, behind.views[0]!.size, behind.views[0]!.equal], [3, 2, true]);
  const beyond = await stage.type("replay", "--until", "4");
  assert.deepEqual([beyond.code, beyond.err], [
    2,
    "daybook: --until 4 lies behind the end of the log, which has 3 events\n",
  ]);
  const plain = await stage.json<{ views: { size: number; equal: null; digest: string }[] }>("replay", "--until", "2");
  assert.deepEqual([plain.views[0]!.size, plain.views[0]!.equal, plain.views[0]!.digest], [
    2,
    null,
    good.views[0]!.digest,
  ]);
});

Deno.test("replay exits with 1 when a stored view says something else than the log", async () => {
  const stage = givenStage();
  await put(stage, thing("1", "a"), thing("2", "b"));
  const tampered = {
    stores: () => [{ name: "things.seen", version: 3, size: 2, served: true }],
    digest: () => ({ name: "things.seen", version: 3, size: 2, rows: 5, digest: "AAAA" }),
    close: () => {},
  };
  stage.runtime.views = () => Promise.resolve(tampered as never);
  const found = await stage.json<{ ok: boolean; views: { equal: boolean; note: string }[] }>("replay", "--check");
  assert.deepEqual([found.exit, found.ok, found.views[0]!.equal], [1, false, false]);
  assert.match((await stage.type("replay", "--check")).out, /differs: the stored view has 5 rows/);
  stage.runtime.views = () =>
    Promise.resolve(
      { ...tampered, digest: () => ({ name: "things.seen", version: 2, size: 2, rows: 5, digest: "AAAA" }) } as never,
    );
  const old = await stage.json<{ ok: boolean; views: { equal: null; note: string }[] }>("replay", "--check");
  assert.deepEqual([old.exit, old.views[0]!.equal], [0, null]);
  assert.match(old.views[0]!.note, /^not_replayable/);
});

Deno.test("verify prints the report, exits with 1 when anything is wrong, and says what was not proven", async () => {
  const stage = givenStage();
  const report: VerifyReport = {
    ok: true,
    size: 9,
    root: "cm9vdA==",
    anchored: 7,
    unanchored: 2,
    signed: 0,
    authenticated: false,
    failures: [],
  };
  const asked: unknown[] = [];
  const note = `origin\n7\n${"A".repeat(43)}=\n`;
  stage.files.set("/here/kept.txt", note).set("/here/other.txt", "a secret");
  stage.runtime.verify = (data, options) => (asked.push([data, options]), Promise.resolve(report));
  assert.deepEqual(await stage.json("verify"), { ...report, exit: 0 });
  const nowhere = await stage.type("verify", "--archive", "none");
  assert.deepEqual([nowhere.code, nowhere.err], [2, "daybook: there is no archive at /here/none\n"]);
  const { out } = await stage.type("verify", "--against", "kept.txt");
  assert.match(out, /^the log is intact up to 7; 2 events unanchored behind\nroot +cm9vdA==\n/);
  assert.match(out, /\nanchored {2}up to 7 of 9 events; 2 unanchored behind\n/);
  assert.match(out, /self-consistent, key not authenticated \(give --key/);
  assert.deepEqual(asked.at(-1), ["/data", {
    key: undefined,
    against: [{ name: "kept.txt", text: note }],
    wide: true,
  }]);
  const other = await stage.type("verify", "--against", "other.txt");
  assert.equal(other.code, 2);
  assert.match(other.err, /^daybook: --against other\.txt is not a checkpoint: [^\n]+\n$/);
  assert.ok(!other.err.includes("secret"));
  stage.runtime.verify = () =>
    Promise.resolve({ ...report, anchored: 0, unanchored: 9, signed: 9, authenticated: true });
  const alone = await stage.type("verify", "--key", "k");
  assert.deepEqual([alone.code, alone.out.split("\n").slice(0, 4)], [0, [
    "the log agrees with itself, unanchored",
    "root      cm9vdA==",
    "unanchored: a cut tail or an older copy would look the same (give --against a checkpoint kept elsewhere)",
    "signed    up to 9 of 9 events, by the key that was given",
  ]]);
  assert.doesNotMatch(alone.out, /intact/);
  stage.runtime.verify = () => Promise.resolve({ ...report, anchored: 9, unanchored: 0 });
  assert.match((await stage.type("verify")).out, /^the log is intact\nroot .+\nanchored {2}up to 9 of 9 events\n/);
  stage.runtime.verify = () =>
    Promise.resolve({ ...report, ok: false, failures: [{ position: 4, kind: "leaf", expected: "a", found: "b" }] });
  const bad = await stage.type("verify", "--key", "k");
  assert.equal(bad.code, 1);
  assert.match(bad.out, /NOT intact: 1 failure, the first at position 4/);
  assert.match(bad.out, /4 {2}leaf {2}a {9}b/);
});
