/** Commands that read a log whose beginning lies in an archive that is elsewhere: beside the server, after it, and after a kill. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { until } from "../until.ts";
import { document, run } from "./cli_given.ts";
import type { Program } from "./program.ts";
import { Stand, startsIn, tracing } from "./stack_given.ts";

const stack = (traces: string): string => `
stack: { name: yard }
services:
  steady:
    ${tracing(traces, "steady", "echo well; exec sleep 600")}
  early:
    ${tracing(traces, "early", "exec sleep 600")}
    depends_on: [steady]
`;

const ingest = async ({ url, token }: Program, count: number): Promise<void> => {
  for (let at = 0; at < count; at += 100) {
    const body = Array.from({ length: 100 }, (_, i) => ({
      specversion: "1.0",
      id: `e-${at + i}`,
      source: "urn:tests",
      type: "tests.thing.happened",
    }));
    const answer = await fetch(`${url}/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/cloudevents-batch+json" },
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, 201, await answer.text());
  }
};

interface Listed {
  readonly stack: string;
  readonly services: readonly { readonly service: string; readonly instances: readonly { readonly state: string }[] }[];
}

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  Deno.test(`services whose beginnings were archived are seen and stopped from the command line, also after ${signal}`, () =>
    Stand.with(stack, async (stand) => {
      const { data, file, traces } = stand;
      const at = ["--data", data];
      await stand.start();
      const states = async () => {
        const { services } = await document<Listed>(["ps", ...at]);
        return services.map(({ service, instances }) => `${service} ${instances.map(({ state }) => state)}`);
      };
      const well = ["steady healthy", "early healthy"];
      await until("all is well", states, (found) => `${found}` === `${well}`);
      assert.equal((await run(["cert", "issue", "api", "--host", "localhost", ...at])).code, 0);
      const silenced = ["alerts", "silence", "archived", "--until", "2h", "--reason", "tests", ...at];
      assert.equal((await run(silenced)).code, 0);
      const told = async () => [
        await states(),
        await document(["alerts", "list", ...at]).then(({ exit, silences }) => [exit < 2, silences]),
        await document(["cert", "list", ...at]),
        (await run(["logs", "steady", ...at])).out,
      ];
      const before = await told();
      await ingest(stand.program, 1_000);
      const done = await document(["archive", "--before", "768", "--to", `${data}.archive`, ...at]);
      assert.deepEqual([done.exit, done.until], [0, 768]);

      const readable = async () => {
        assert.deepEqual(await told(), before);
        const why = await run(["why", "steady", ...at]);
        assert.deepEqual([why.code, why.err], [0, ""]);
        assert.match(
          why.out,
          /is healthy since .*\nnothing went wrong since position 768; what was before is in an archive/,
        );
        const newest = await run(["events", "--type", "tests.thing.happened", "--limit", "1000", ...at]);
        assert.match(newest.err, /^daybook: there may be older ones: what lies before position \d+ was archived/);
        assert.deepEqual([newest.code, Number(newest.out.trim().split(" ")[0])], [0, done.kept]);
        assert.equal((await run(["events", "--stream", "alerts/archived", ...at])).code, 3, "none of it is here");
        const suggested = await run(["stack", "suggest", ...at]);
        assert.match(suggested.out, /since position 768; what was before is in an archive/);
        assert.equal((await document(["stack", "critical-path", "--stack", file, ...at])).exit, 0);
      };
      await readable();
      await stand.program.end(signal);
      await readable();
      // The end of the server is on record behind the views that tell of it.
      const view = await document<{ size: number; row: { state: string } }>(["view", "health.tree", "daybook", ...at]);
      assert.deepEqual([view.exit, view.row.state], [0, signal === "SIGTERM" ? "stopped" : "running"]);
      if (signal === "SIGTERM") return;

      await stand.start();
      const restarted = await run(["restart", "steady", ...at]);
      assert.deepEqual([restarted.code, restarted.err], [0, ""]);
      assert.equal((await startsIn(traces)).filter(({ name }) => name === "steady").length, 2);
      assert.equal((await run(["down", ...at])).code, 0);
      assert.deepEqual(await states(), ["steady stopped", "early stopped"]);
      assert.deepEqual(await stand.alive(), []);
      assert.equal((await run(["up", "early", ...at])).code, 0);
      assert.deepEqual(await states(), well);
    }));
}

Deno.test("services whose beginnings were archived, by an earlier version, want the archive once", () =>
  Stand.with(stack, async (stand) => {
    const { data, file } = stand;
    const at = ["--data", data];
    await stand.start();
    const states = async () => (await document<Listed>(["ps", ...at])).services?.length;
    await until("all are there", states, (found) => found === 2);
    await ingest(stand.program, 1_000);
    assert.equal((await run(["archive", "--before", "768", "--to", `${data}.archive`, ...at])).code, 0);
    await stand.program.end("SIGTERM");
    // As an earlier version has left them, which archived without snapshots.
    for (
      const [file, left] of [
        ["notes.db", "DELETE FROM notes WHERE key = 'snapshot/services/yard'"],
        ["views.db", "PRAGMA user_version = 1"],
      ] as const
    ) {
      const db = new DatabaseSync(`${data}/${file}`);
      db.exec(left);
      db.close();
    }
    const ps = await run(["ps", ...at]);
    assert.equal(ps.code, 3);
    assert.match(ps.err, /no stored view can be gone on with .*`start` with log.archive builds it again\n$/);
    const started = await run(["start", "--stack", file, "--port", "0", ...at]);
    assert.equal(started.code, 3);
    assert.match(
      started.err,
      /^daybook: how the services stand was archived; `start` with log.archive reads it there$/m,
    );
    await stand.start({ DAYBOOK__LOG__ARCHIVE: `${data}.archive` });
    await until("all are there again", states, (found) => found === 2);
    assert.equal((await run(["down", ...at])).code, 0);
  }));
