/** The running server, while somebody moves or cuts its files, or its terminal goes away. */
import assert from "node:assert/strict";
import { until } from "../until.ts";
import { inFolder } from "../folder_given.ts";
import { Program, run } from "./program.ts";

const site = ({ url, token }: Program) => {
  const send = async (id: string): Promise<number> => {
    const response = await fetch(`${url}/events`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/cloudevents+json" },
      body: JSON.stringify({ specversion: "1.0", id, source: "/tests", type: "acme.thing.happened", data: { id } }),
    });
    await response.body?.cancel();
    return response.status;
  };
  const ready = async (): Promise<readonly [number, string]> => {
    const response = await fetch(`${url}/readyz`);
    return [response.status, (await response.json()).status];
  };
  return { send, ready };
};

Deno.test("while the folder has another name nothing is acknowledged, and that is said; then it goes on, and has all that was", () =>
  inFolder(async (dir) => {
    const program = await Program.start(`${dir}/data`);
    const { send, ready } = site(program);
    assert.equal(await send("before"), 201);
    await Deno.rename(`${dir}/data`, `${dir}/aside`);
    assert.deepEqual([await send("meanwhile"), await ready()], [503, [503, "unwritable"]]);
    await Deno.rename(`${dir}/aside`, `${dir}/data`);
    assert.equal(await send("after"), 201);
    await until("it is ready", ready, ([status]) => status === 200);
    const { code, err } = await program.end("SIGTERM");
    assert.equal(code, 0);
    assert.match(err, /the log cannot be written: .*\/log\.db is not there any more: it was deleted or moved\n/);
    const { out } = await run("events", "--type", "acme.thing.happened", "--json", "--data", `${dir}/data`);
    assert.deepEqual([...out.matchAll(/"id":"(before|meanwhile|after)"/g)].map(([, id]) => id).slice(0, 1), ["before"]);
    assert.ok(!out.includes("meanwhile") && out.includes("after"));
    assert.equal((await run("verify", "--data", `${dir}/data`)).code, 0);
  }));

Deno.test("a socket that somebody deletes is made again, and commands reach the server", () =>
  inFolder(async (dir) => {
    const program = await Program.start(`${dir}/data`);
    await Deno.remove(`${dir}/data/control.sock`);
    const status = async () => JSON.parse((await run("status", "--json", "--data", `${dir}/data`)).out).state;
    assert.equal(await status(), "silent");
    await until("the socket is there", status, (state) => state === "ready");
    assert.equal((await Deno.stat(`${dir}/data/control.sock`)).mode! & 0o777, 0o600);
    assert.equal((await program.end("SIGTERM")).code, 0);
    await assert.rejects(Deno.stat(`${dir}/data/control.sock`), Deno.errors.NotFound);
  }));

Deno.test("a terminal that goes away ends the server as it is told to, and the next one knows", () =>
  inFolder(async (dir) => {
    const program = await Program.start(`${dir}/data`);
    assert.equal(await site(program).send("before"), 201);
    const { code, err } = await program.end("SIGHUP");
    assert.equal(code, 0);
    assert.match(err, /draining; once more to stop at once\n/);
    const again = await Program.start(`${dir}/data`);
    await again.end("SIGTERM");
    const { out } = await run("events", "--type", "kernel.process.started", "--json", "--data", `${dir}/data`);
    assert.deepEqual([...out.matchAll(/"clean":(\w+)/g)].map(([, clean]) => clean), ["true", "true"]);
  }));

Deno.test("with a log that cannot be read any more the server says how it stands, and prints no stack", () =>
  inFolder(async (dir) => {
    const program = await Program.start(`${dir}/data`);
    const { send, ready } = site(program);
    assert.equal(await send("before"), 201);
    await Deno.truncate(`${dir}/data/log.db-wal`);
    assert.equal(await send("after"), 503);
    // The threads that read the log meet it, too.
    for (let n = 0; n < 10; n++) {
      assert.equal((await ready())[0], 503);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const { out } = await run("status", "--data", `${dir}/data`);
    assert.match(out, /unwritable, running: .*log\.db-wal/);
    const { err } = await program.end("SIGTERM");
    assert.match(err, /log\.db-wal was cut short from \d+ to 0 bytes\n/);
    assert.doesNotMatch(err, /Uncaught|\n +at /);
  }));
