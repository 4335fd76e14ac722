/** A receipt from the program that wrote the log, checked where the log is not. */
import assert from "node:assert/strict";
import { cosigner } from "../../adapters/keys/note.ts";
import { openDaybook, parseCheckpoint } from "../../main.ts";
import { append, opened } from "../archive_given.ts";
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
    assert.match(people.out, /\nunanchored: the log alone has signed this past \(give --witness\)\n/);
    assert.equal(report.anchored, false);
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

Deno.test("there is no receipt for an event that is not what was signed", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    await opened(data, async (system) => {
      await append(system, 0, EVENTS);
      await system.log.checkpoint(system.log.size);
      // What is not indexed yet is held to its links whenever it is read.
      await system.log.settleIndex(system.log.size);
    });
    const { out: page } = await run(["events", "--since", "211", "--limit", "1", "--json", "--data", data]);
    const content = new TextEncoder().encode(JSON.parse(page).events[0].data.text);
    const bytes = await Deno.readFile(`${data}/log.db`);
    const at = bytes.findIndex((_, i) => content.every((byte, j) => bytes[i + j] === byte));
    await Deno.writeFile(`${data}/log.db`, bytes.with(at, 0x54));
    const file = `${dir}/order.tlog-proof`;
    const { code, out, err } = await run(["receipt", "211", "--out", file, "--data", data]);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, /^daybook: the event at position 211 is not the one that checkpoint \d+ is signed over/);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
    assert.equal((await run(["receipt", "299", "--out", file, "--data", data])).code, 0);
  }));

Deno.test("a receipt by a checkpoint that a witness has cosigned is anchored for who believes the witness", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const key = await written(place);
    const witness = cosigner("witness.example/w1", new Uint8Array(32).fill(3));
    const printed = (await run(["receipt", "7", "--data", data])).out;
    const note = printed.slice(printed.indexOf("\n\n") + 2);
    const [kept, other, bare, file] = ["kept.txt", "other.txt", "bare.txt", "7.tlog-proof"].map((n) => `${dir}/${n}`);
    const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
    await Deno.writeTextFile(kept!, note + witness.cosign(text, 1_700_000_000));
    await Deno.writeTextFile(other!, note.replace(/\n[^\n]{44}\n/, `\n${"A".repeat(43)}=\n`));
    await Deno.writeTextFile(bare!, text);
    const made = await run(["receipt", "7", "--cosigned", kept!, "--out", file!, "--data", data]);
    assert.deepEqual([made.code, made.err], [0, ""]);
    const check = ["receipt", "--check", file!, "--key", key];
    const believed = await run([...check, "--witness", witness.vkey]);
    assert.equal(believed.code, 0);
    assert.match(believed.out, /\nanchored {2}by a witness that was given\n/);
    const stranger = cosigner("witness.example/w1", new Uint8Array(32).fill(4));
    const not = JSON.parse((await run([...check, "--witness", stranger.vkey, "--json"])).out);
    assert.deepEqual([not.ok, not.anchored], [true, false]);
    for (
      const [args, code] of [
        [["receipt", "7", "--cosigned", other!], 1],
        [["receipt", "7", "--cosigned", bare!], 2],
        [["receipt", "99", "--cosigned", kept!, "--witness", witness.vkey], 2],
        [[...check, "--cosigned", kept!], 2],
        [[...check, "--witness", key], 2],
      ] as const
    ) assert.equal((await run([...args, "--data", data])).code, code, args.join(" "));
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
