/** An audit from the program that wrote the log, carried away, and checked where neither log nor keys are. */
import assert from "node:assert/strict";
import { cosigner } from "../../adapters/keys/note.ts";
import { openDaybook } from "../../main.ts";
import { run, withPlace } from "./cli_given.ts";

const EVENTS = 300;
const witness = cosigner("witness.example/w1", new Uint8Array(32).fill(3));

Deno.test("an audit is written, carried away and checked with nothing of the log; one changed byte is named", () =>
  withPlace(async ({ dir, data }) => {
    const daybook = await openDaybook({ data });
    const events = Array.from({ length: EVENTS }, (_, i) => ({
      id: `e-${i}`,
      source: "urn:tests",
      type: "tests.thing.happened",
      data: { content: `content ${i}` },
    }));
    assert.ok((await daybook.ingest(events, { authtype: "system", authid: "tests" })).ok);
    await daybook.close();
    const { key } = JSON.parse((await run(["status", "--data", data, "--json"])).out);

    const tiles = await run(["export", "--format", "tlog-tiles", "--out", `${dir}/tiles`, "--data", data, "--json"]);
    assert.deepEqual([tiles.code, tiles.err], [0, ""]);
    const note = await Deno.readTextFile(`${dir}/tiles/checkpoint`);
    const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
    await Deno.writeTextFile(`${dir}/kept.txt`, note + witness.cosign(text, 1_700_000_000));

    const asked = ["audit", "--data", data, "--out", `${dir}/made`, "--cosigned", `${dir}/kept.txt`];
    const made = await run([...asked, "--witness", witness.vkey, "--json"]);
    const report = JSON.parse(made.out);
    // Most controls have seen nothing here, and silence is no pass.
    assert.deepEqual([made.code, report.ok, report.written, made.err], [1, false, true, ""]);
    assert.ok(report.size >= EVENTS && report.cosigned === report.size);
    assert.equal(report.size, JSON.parse(tiles.out).size);
    assert.equal((await Deno.stat(`${dir}/made`)).mode! & 0o777, 0o700);

    // The auditor's machine.
    await Deno.rename(`${dir}/made`, `${dir}/carried`);
    await Deno.rename(data, `${dir}/not-here`);
    const check = ["audit", "--check", `${dir}/carried`, "--key", key, "--witness", witness.vkey];
    const checked = await run([...check, "--data", data]);
    assert.deepEqual([checked.code, checked.err], [0, ""]);
    assert.match(checked.out, /^the folder is intact\n/);
    assert.match(checked.out, new RegExp(`anchored {2}up to ${report.size} of ${report.size} events\n`));
    assert.doesNotMatch(checked.out, /not authenticated|unanchored/);
    const alone = await run(["audit", "--check", `${dir}/carried`, "--key", key, "--data", data]);
    assert.equal(alone.code, 0);
    assert.match(alone.out, /^the folder agrees with itself, unanchored\n/);
    assert.doesNotMatch(alone.out, /intact/);
    assert.match(checked.out, /controls {2}\d+ controls evaluated again as of \S+: equal to what the folder says\n/);

    const verified = await run(["verify", "--tiles", `${dir}/tiles`, "--key", key, "--data", data, "--json"]);
    const { ok: intact, size, authenticated } = JSON.parse(verified.out);
    assert.deepEqual([verified.code, intact, size, authenticated], [0, true, report.size, true]);

    const path = `${dir}/carried/log/tile/entries/000`;
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 20]! ^= 1;
    await Deno.writeFile(path, bytes);
    const spoiled = await run([...check, "--data", data, "--json"]);
    const { ok, failures } = JSON.parse(spoiled.out);
    assert.deepEqual([spoiled.code, ok], [1, false]);
    assert.deepEqual(failures[0].path, "log/tile/entries/000");
    assert.ok(failures.some(({ position }: { position?: number }) => position === 255), "the entry is named");
  }));

Deno.test("what is no audit folder, or a place that is taken, is said in one line", () =>
  withPlace(async ({ dir, data }) => {
    const daybook = await openDaybook({ data });
    await daybook.close();
    await Deno.mkdir(`${dir}/taken`);
    await Deno.writeTextFile(`${dir}/taken/file`, "");
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["audit", "--check", data], 1, /is no audit folder: instead of manifest\.json there is none/],
      [["audit", "--check", `${dir}/nowhere`], 2, /there is nothing in .+ to check/],
      [["audit", "--check", `${dir}/taken/file`], 2, /taken\/file is no folder/],
      [["audit", "--out", `${dir}/taken`, "--data", data], 2, /is not empty/],
      [["audit", "--out", `${dir}/taken/file`, "--data", data], 2, /taken\/file is no folder/],
      [["backup", `${dir}/taken/file`, "--data", data], 2, /taken\/file is no folder/],
      [["export", "--format", "tlog-tiles", "--out", `${dir}/taken`, "--data", data], 2, /is not empty/],
    ];
    for (const [args, code, said] of cases) {
      const ran = await run(args);
      assert.equal(ran.code, code, args.join(" "));
      assert.match(ran.err, said);
      assert.equal(ran.err.split("\n").length, 2, "one line, and no stack trace");
    }
    assert.deepEqual([...Deno.readDirSync(`${dir}/taken`)].map(({ name }) => name), ["file"]);
  }));
