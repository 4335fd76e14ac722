/** `view` beside a running server. */
import assert from "node:assert/strict";
import { remoteOver } from "../adapters/cli/remote.ts";
import { givenStage } from "./cli_given.ts";

/** A server whose view has come so far, of which it is asked with `?wait=` in time or not. */
const given = async (come: number, inTime: boolean) => {
  const stage = givenStage();
  for (const id of ["0", "1", "2"]) {
    await stage.daybook.ingest([{ id, source: "/t", type: "things.thing.seen", data: { name: "a" } }], {
      authtype: "user",
      authid: "operator",
    });
  }
  const asked: string[] = [];
  const remote = remoteOver((path) => {
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

Deno.test("what a server refuses of a view is said once", async () => {
  const { stage } = await given(3, true);
  const message = 'things.seen has no indexed field "colour"; it has: name, times';
  const problem = { type: "urn:daybook:problem:invalid_query", detail: message, errors: [{ path: "?sort", message }] };
  const remote = remoteOver(() => Promise.resolve(Response.json(problem, { status: 400 })), () => {});
  stage.runtime.remote = () => Promise.resolve(remote);
  const { code, err } = await stage.type("view", "things.seen", "--sort", "colour");
  assert.deepEqual([code, err], [2, `daybook: ${message}\n`]);
});
