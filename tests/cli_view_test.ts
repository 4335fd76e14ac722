/** `view` beside a running server, and of a resting log. */
import assert from "node:assert/strict";
import type { StoppedAt } from "../actors/kernel/daybook.ts";
import { build } from "../adapters/cli/fold.ts";
import { remoteOver } from "../adapters/cli/remote.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { whoCouldView } from "../adapters/program/access/who_could_view.ts";
import { givenStage, readerOf } from "./cli_given.ts";

/** A server whose view has come so far, of which it is asked with `?wait=` in time or not. */
const given = async (come: number, inTime: boolean, stoppedAt?: StoppedAt) => {
  const stage = givenStage();
  for (const id of ["0", "1", "2"]) {
    await stage.daybook.ingest([{ id, source: "/t", type: "things.thing.seen", data: { name: "a" } }], {
      authtype: "user",
      authid: "operator",
    });
  }
  const asked: string[] = [];
  const remote = remoteOver((path) => {
    if (path === "/status") {
      return Promise.resolve(Response.json({ projections: [{ name: "things.seen", stoppedAt }] }));
    }
    asked.push(path);
    return Promise.resolve(
      path.includes("wait=") && !inTime
        ? Response.json({ type: "urn:daybook:problem:view_behind", detail: "not yet" }, { status: 503 })
        : Response.json({ size: come, rows: [], key: "a", row: { name: "a" }, position: 0 }),
    );
  }, () => {});
  stage.runtime.remote = () => Promise.resolve(remote);
  return { stage, asked };
};

Deno.test("view waits for what was in the log when it was typed", async () => {
  const { stage, asked } = await given(3, true);
  const many = await stage.type("view", "things.seen", "--limit", "7");
  const one = await stage.type("view", "things.seen", "a/b");
  assert.deepEqual([many.code, many.err, one.code, one.err], [0, "", 0, ""]);
  assert.deepEqual(asked, ["/views/things.seen?limit=7&wait=2", "/views/things.seen/a%2Fb?wait=2"]);
});

Deno.test("view says of one that stands still that it does, and where it goes on by itself that it goes on", async () => {
  const cause = "LogFault: what lies before position 2 was archived";
  for (const [of, said] of [["event", `stands still: ${cause}`], ["views", "goes on"]] as const) {
    const { stage } = await given(1, true, { position: 1, cause, of });
    for (const asked of [["--limit", "7"], ["a"]]) {
      const { code, err } = await stage.type("view", "things.seen", ...asked);
      assert.deepEqual([code, err], [0, `daybook: the view has come to 1 of 3 events, and ${said}\n`]);
    }
  }
});

Deno.test("view shows what there is of one that does not come so far in time, and says so", async () => {
  const { stage, asked } = await given(1, false);
  const many = await stage.type("view", "things.seen");
  assert.equal(many.code, 0);
  assert.equal(many.err, "daybook: the view has come to 1 of 3 events, and goes on\n");
  assert.deepEqual(asked.map((path) => path.includes("wait=")), [true, false]);
});

Deno.test("view of a position waits for nothing else", async () => {
  const { stage, asked } = await given(1, true);
  const then = await stage.type("view", "things.seen", "a", "--at", "0");
  assert.deepEqual([then.code, then.err, asked], [0, "", ["/views/things.seen/a?at=0"]]);
});

Deno.test("a view that is made when it is asked tells of a time before the log began, too", async () => {
  const stage = givenStage();
  await stage.daybook.ingest([{ id: "0", source: "/t", type: "things.thing.seen", data: { name: "a" } }], {
    authtype: "user",
    authid: "operator",
  });
  stage.runtime.computed = () => Promise.resolve([whoCouldView(stage.daybook.log, { now: () => 0 })]);
  const asked = ["view", "access.who_could", "--at", "1999-01-01", "--where", "resource=log", "--where"];
  const { size, rows } = await stage.json<{ size: number; rows: { row: { principal: string } }[] }>(
    ...asked,
    "action=views.read",
  );
  assert.deepEqual([size, rows.map(({ row }) => row.principal)], [0, ["operator"]]);
  assert.match((await stage.type(...asked, "action=what")).err, /there is no action "what"/);
});

Deno.test("what a server refuses of a view is said once", async () => {
  const { stage } = await given(3, true);
  const message = 'things.seen has no indexed field "colour"; it has: name, times';
  const problem = { type: "urn:daybook:problem:invalid_query", detail: message, errors: [{ path: "?sort", message }] };
  const remote = remoteOver(() => Promise.resolve(Response.json(problem, { status: 400 })), () => {});
  stage.runtime.remote = () => Promise.resolve(remote);
  const { code, err } = await stage.type("view", "things.seen", "--sort", "colour");
  assert.deepEqual([code, err], [2, `daybook: ${message}\n`]);
});

Deno.test("view of a resting log folds what is new and no more, also of one with text", async () => {
  const stage = givenStage();
  const record = (id: string, type: string) =>
    stage.daybook.ingest([{ id, source: "/t", type, data: { name: "a" } }], { authtype: "user", authid: "operator" });
  for (const id of ["0", "1", "2"]) await record(id, "things.thing.seen");
  const [seen] = stage.daybook.projections;
  const texts = { ...seen!, text: (_: unknown, key: string) => `thing ${key}` };
  const stored = new MemoryViews();
  const reader = readerOf(stage.daybook.log);
  build(reader, texts, { scratch: stored, until: 3, progress: () => {} });
  await record("3", "unknown.thing.happened");
  let first = Infinity;
  stage.runtime.projections = () => Promise.resolve([texts]);
  stage.runtime.views = () => Promise.resolve(Object.assign(stored, { close: () => {} }));
  stage.runtime.reader = () =>
    Promise.resolve({
      ...reader,
      size: stage.daybook.log.size,
      read(range) {
        first = Math.min(first, range.from ?? 0);
        return reader.read(range);
      },
    });
  const rows = async (...options: string[]) => {
    const { size, rows: found } = await stage.json<{ size: number; rows: { row: unknown }[] }>(
      ...["view", "things.seen", ...options],
    );
    return [size, ...found.map(({ row }) => row)];
  };
  assert.deepEqual(await rows("--text", "thing"), [4, { name: "a", times: 3 }]);
  await record("4", "things.thing.seen");
  assert.deepEqual(await rows(), [5, { name: "a", times: 4 }]);
  assert.equal(first, 3);
  assert.deepEqual(await rows("--text", "thing"), [5, { name: "a", times: 4 }]);
  assert.equal(first, 0, "of old events, too");
});
