/** `archive` by the command: beside a server and without, and wherever it is cut off. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { verifyLog } from "../../adapters/verify/verify.ts";
import { openDaybook } from "../../main.ts";
import { document, run, start, withPlace } from "./cli_given.ts";
import { append, archived, asked, opened } from "../archive_given.ts";
import { EMAIL, filled } from "./privacy_given.ts";

const written = async (data: string, count: number): Promise<void> => {
  const daybook = await openDaybook({ data });
  const events = Array.from({ length: count }, (_, i) => ({
    id: `e-${i}`,
    source: "urn:tests",
    type: "tests.thing.happened",
    data: { n: i },
  }));
  for (let at = 0; at < count; at += 100) {
    assert.ok((await daybook.ingest(events.slice(at, at + 100), { authtype: "system", authid: "tests" })).ok);
  }
  await daybook.close();
};

const main = fileURLToPath(new URL("../../main.ts", import.meta.url));

Deno.test("wherever archiving is cut off, nothing is lost, and asking again ends it", () =>
  withPlace(async ({ dir, data }) => {
    await written(data, 900);
    let before = 0;
    for (const point of ["archive.recorded", "archive.marked", "archive.deleted"]) {
      before += 256;
      const to = `${dir}/archive`;
      const args = ["archive", "--before", String(before), "--to", to, "--data", data];
      const { signal } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", V8_FLAGS, "-A", main, ...args],
        env: { DAYBOOK_CRASH_AT: point, NO_COLOR: "1" },
        stdout: "null",
        stderr: "null",
      }).output();
      assert.equal(signal, "SIGKILL", point);
      for (const archive of [undefined, to]) {
        const report = await verifyLog({ path: `${data}/log.db`, ...(archive ? { archive } : {}) });
        assert.deepEqual(report.failures, [], `${point} ${archive}`);
      }
      const again = await document<{ until: number }>(args);
      assert.deepEqual([again.exit, again.until], [0, before], point);
      const report = await verifyLog({ path: `${data}/log.db`, archive: to });
      assert.deepEqual([report.failures, report.archived?.until], [[], before], point);
    }
    const told = await document<{ events: readonly { type: string }[] }>([
      "events",
      "--type",
      "kernel.log.archived",
      "--data",
      data,
    ]);
    assert.equal(told.events.length, 3, "once each");
  }));

Deno.test("beside a running server the log is archived, and what is gone is 410", () =>
  withPlace(async ({ dir, data }) => {
    await written(data, 600);
    const server = await start(data);
    const to = `${dir}/archive`;
    try {
      const done = await document<{ until: number; kept: number; events: number }>([
        "archive",
        "--before",
        "513",
        "--to",
        to,
        "--data",
        data,
      ]);
      assert.deepEqual([done.exit, done.until, done.events], [0, 512, 512]);
      const ask = async (path: string, accept = "application/json") => {
        const answer = await fetch(`${server.url}${path}`, {
          headers: { authorization: `Bearer ${server.token}`, accept },
        });
        return { status: answer.status, body: await answer.text() };
      };
      for (const path of ["/events?from=0", "/events/5", "/tile/entries/000"]) {
        const { status, body } = await ask(path, "*/*");
        assert.deepEqual([status, JSON.parse(body).type], [410, "urn:daybook:problem:archived"], path);
      }
      assert.equal((await ask("/events?from=0", "application/x-ndjson")).status, 410);
      assert.equal((await ask("/follow?from=0", "text/event-stream")).status, 410);
      // Whether it is the same again nobody can say any more, however often it is sent.
      const event = {
        specversion: "1.0",
        id: "e-3",
        source: "urn:tests",
        type: "tests.thing.happened",
        data: { n: 3 },
      };
      const repeated = await fetch(`${server.url}/events`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.token}`, "content-type": "application/cloudevents+json" },
        body: JSON.stringify(event),
      });
      assert.deepEqual([repeated.status, (await repeated.json()).type], [410, "urn:daybook:problem:archived"]);
      assert.equal((await ask(`/events?from=${done.kept}&limit=1`)).status, 200);
      assert.equal((await ask("/proofs/inclusion?position=5")).status, 200);
      assert.equal((await ask("/readyz")).status, 200);
      assert.match((await ask("/tile/0/000", "*/*")).body, /./);
    } finally {
      assert.equal((await server.stop()).code, 0);
    }
    const read = await run(["events", "--since", "0", "--limit", "1", "--data", data]);
    assert.equal(read.code, 3);
    assert.match(read.err, /was archived \(entry bundles 0 to 1\)/);
    const all = await run(["export", "--archive", to, "--data", data]);
    assert.deepEqual([all.code, JSON.parse(all.out.split("\n")[0]!).position], [0, 0]);
    // Views that are built again say which bundles they lack, and are built where they are given.
    for (const name of ["views.db", "notes.db"]) await Deno.remove(`${data}/${name}`);
    const lacking = await run(["replay", "--data", data]);
    assert.deepEqual([lacking.code, lacking.err.includes("entry bundles 0 to 1")], [3, true], lacking.err);
    assert.equal((await run(["replay", "--archive", to, "--data", data])).code, 0);
  }));

Deno.test("holds and erasures go on where all that was decided of them lies in an archive", () =>
  withPlace(async ({ dir, data }) => {
    const to = `${dir}/archive`;
    await filled(data);
    await opened(data, async (system) => {
      await asked(system, "place-hold", { hold: "first", reason: "asked for" });
      await asked(system, "lift-hold", { hold: "first", reason: "over" });
      await append(system, 0, 600, 100);
      assert.equal((await archived(system, data, to, 512)).until, 512);
    });
    for (const file of ["notes.db", "views.db"]) await Deno.remove(`${data}/${file}`);
    const say = async (code: number, ...args: readonly string[]): Promise<string> => {
      const told = await run([...args, "--data", data]);
      assert.equal(told.code, code, `${args.join(" ")}: ${told.out}${told.err}`);
      return told.out + told.err;
    };
    await say(0, "hold", "place", "second", "--reason", "asked for again");
    assert.match(await say(0, "hold", "list"), /^hold .*\nsecond +\S+ +lifted +everything +asked for again\n$/);
    assert.match(await say(1, "erase", EMAIL, "--archive", to), /^daybook: .*second forbids it: asked for again/);
    await say(0, "hold", "lift", "second", "--reason", "over");
    // What there is to look for must be read, or the certificate would say too little; nothing was done.
    assert.match(await say(3, "erase", EMAIL), /^daybook: .*was archived .* or --archive\n$/);
    const erased = await document<{ ok: boolean; unreadable: { events: number } }>(
      ["erase", EMAIL, "--archive", to, "--out", `${dir}/certificate.json`, "--data", data],
    );
    assert.deepEqual([erased.exit, erased.ok, erased.unreadable.events], [0, true, 2]);
  }));

Deno.test("what reads a log finds its archive where the configuration says, or the command", () =>
  withPlace(async ({ dir, data }) => {
    await written(data, 600);
    const to = `${dir}/archive`;
    assert.equal((await run(["archive", "--before", "512", "--to", to, "--data", data])).code, 0);
    await Deno.remove(`${data}/views.db`);
    const asked: readonly (readonly string[])[] = [
      ["view", "audit.trail", "--limit", "4"],
      ["explain", "3"],
    ];
    for (const args of asked) {
      const all = [...args, "--json", "--data", data];
      const without = await run(all);
      assert.equal(without.code, 3, args.join(" "));
      assert.match(without.out, /was archived \(entry bundles 0 to 1\)/);
      const given = await run([...all, "--archive", to]);
      const configured = await run(all, { env: { DAYBOOK__LOG__ARCHIVE: to } });
      assert.deepEqual([given.code, configured.code, configured.out], [0, 0, given.out], args.join(" "));
      assert.match(given.out, /"position":3\b/);
    }
    // What cannot be exported as a whole leaves an older file as it is, and nothing else.
    const before = [...Deno.readDirSync(dir)].length;
    await Deno.writeTextFile(`${dir}/log.ndjson`, "older");
    const exporting = ["export", "--out", `${dir}/log.ndjson`, "--data", data];
    assert.equal((await run(exporting)).code, 3);
    assert.equal(await Deno.readTextFile(`${dir}/log.ndjson`), "older");
    assert.equal((await run([...exporting, "--archive", to])).code, 0);
    const lines = (await Deno.readTextFile(`${dir}/log.ndjson`)).trim().split("\n");
    assert.deepEqual([JSON.parse(lines[3]!).position, [...Deno.readDirSync(dir)].length], [3, before + 1]);
  }));

Deno.test("what is about a log makes none where there is none", () =>
  withPlace(async ({ dir }) => {
    const none = `${dir}/none`;
    const commands = [
      ["archive", "--before", "5", "--to", `${dir}/to`],
      ["keys", "rotate"],
      ["keys", "rotate-log"],
      ["retention", "apply"],
    ];
    for (const command of commands) {
      const { code, err } = await run([...command, "--data", none]);
      assert.deepEqual([code, err], [3, `daybook: there is no log in ${none}\n`], command.join(" "));
      await assert.rejects(Deno.stat(none), Deno.errors.NotFound);
    }
    const sent = [
      [["no.such.thing", "x"], /there is no command no\.such\.thing/],
      [["commits.branch.move", "x", `{"branch":"main"}`], /does not take this data: \/to/],
    ] as const;
    for (const [command, message] of sent) {
      const { code, err } = await run(["send", ...command, "--data", none]);
      assert.equal(code, 2);
      assert.match(err, message);
      await assert.rejects(Deno.stat(none), Deno.errors.NotFound);
    }
  }));

Deno.test("what cannot be archived so is said", () =>
  withPlace(async ({ dir, data }) => {
    await written(data, 20);
    const usage: readonly (readonly string[])[] = [
      ["archive"],
      ["archive", "--before", "5"],
      ["archive", "--to", `${dir}/x`],
      ["archive", "--before", "soon", "--to", `${dir}/x`],
      ["archive", "--before", "5", "--to", `${data}/x`],
      // A number with a digit too many is not all of the log.
      ["archive", "--before", "1000", "--to", `${dir}/x`],
    ];
    for (const args of usage) assert.equal((await run([...args, "--data", data])).code, 2, args.join(" "));
    const none = await run(["archive", "--before", "10", "--to", `${dir}/x`, "--data", data]);
    assert.equal(none.code, 0);
    assert.match(none.out, /^nothing to archive/);
  }));
