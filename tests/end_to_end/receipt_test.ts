/** A receipt from the program that wrote the log, checked where the log is not. */
import assert from "node:assert/strict";
import { openDaybook, parseCheckpoint } from "../../main.ts";
import { includes, leaf } from "../proofs_given.ts";
import { type Place, run, withPlace } from "./cli_given.ts";

const EVENTS = 300;

/** A folder with some events, closed; its public key. */
const written = async ({ data }: Place): Promise<string> => {
  const daybook = await openDaybook({ data });
  const events = Array.from({ length: EVENTS }, (_, i) => ({
    id: `e-${i}`,
    source: "urn:tests",
    type: "tests.thing.happened",
    data: { content: `content ${i}` },
  }));
  const done = await daybook.ingest(events, { authtype: "system", authid: "tests" });
  assert.ok(done.ok);
  await daybook.close();
  return JSON.parse((await run(["status", "--data", data, "--json"])).out).key;
};

Deno.test("a receipt is written, and checked on a machine without the log by nothing but the key", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const key = await written(place);
    const file = `${dir}/order.tlog-proof`;
    const made = await run(["receipt", "211", "--out", file, "--data", data]);
    assert.deepEqual([made.code, made.err], [0, ""]);
    const text = await Deno.readTextFile(file);
    const printed = await run(["receipt", "211", "--data", data]);
    assert.equal(printed.out, text);

    // By the text of C2SP tlog-proof and the second implementation.
    const [head, note] = [text.slice(0, text.indexOf("\n\n")), text.slice(text.indexOf("\n\n") + 2)];
    const [format, extra, index, ...hashes] = head.split("\n");
    assert.deepEqual([format, index], ["c2sp.org/tlog-proof@v1", "index 211"]);
    const entry = Uint8Array.fromBase64(extra!.slice("extra ".length));
    assert.equal(JSON.parse(new TextDecoder().decode(entry)).position, 211);
    const { size, root } = parseCheckpoint(note.slice(0, note.lastIndexOf("\n\n") + 1));
    assert.ok(includes(211, size, leaf(entry), hashes.map((hash) => Uint8Array.fromBase64(hash)), root));

    const elsewhere = `${dir}/nothing-here`;
    const checked = await run(["receipt", "--check", file, "--key", key, "--data", elsewhere, "--json"]);
    const report = JSON.parse(checked.out);
    assert.deepEqual([checked.code, report.ok, report.authenticated, report.position, report.size], [
      0,
      true,
      true,
      211,
      size,
    ]);
    assert.deepEqual(report.event.position, 211);
    assert.ok(!checked.out.includes("content"), "what the entry holds is not told");
    const people = await run(["receipt", "--check", file, "--key", key, "--data", elsewhere]);
    assert.match(people.out, /^the receipt holds: event 211 is among the first/);
    const own = await run(["receipt", "--check", file, "--data", data]);
    assert.equal(own.code, 0);
    assert.match(own.out, /not authenticated/);

    await Deno.writeTextFile(file, text.replace(extra!, `extra ${new TextEncoder().encode("{}").toBase64()}`));
    const forged = await run(["receipt", "--check", file, "--key", key]);
    assert.deepEqual([forged.code, forged.err], [1, ""]);
    assert.match(forged.out, /proves nothing: the entry is not proven to be number 211/);
    await Deno.writeTextFile(file, text.replace("\u2014", "-"));
    assert.equal((await run(["receipt", "--check", file, "--key", key, "--json"])).code, 1);
  }));

Deno.test("receipt says what is wrong with what was typed, and what could not be done", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const key = await written(place);
    const file = `${dir}/a.tlog-proof`;
    await Deno.writeTextFile(file, "something else");
    const usage: readonly (readonly string[])[] = [
      ["receipt"],
      ["receipt", "5", "--check", file],
      ["receipt", "-1"],
      ["receipt", "one"],
      ["receipt", "99999"],
      ["receipt", "5", "--key", key],
      ["receipt", "--check", file, "--key", "daybook+1a2b3c4d+AbC"],
      ["receipt", "--check", file, "--key", key.replace("+", "+0")],
    ];
    for (const args of usage) assert.equal((await run([...args, "--data", data])).code, 2, args.join(" "));
    assert.equal((await run(["receipt", "--check", file, "--data", `${dir}/none`])).code, 2);
    assert.equal((await run(["receipt", "--check", file, "--key", key, "--data", data])).code, 1);
    assert.equal((await run(["receipt", "5", "--data", `${dir}/none`])).code, 3);
    assert.equal((await run(["receipt", "--check", `${dir}/none`, "--key", key])).code, 3);
  }));
