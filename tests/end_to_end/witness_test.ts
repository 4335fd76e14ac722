/** A log is anchored at a witness that runs beside it, and held to what the witness has seen. */
import assert from "node:assert/strict";
import { cosigner } from "../../adapters/keys/note.ts";
import { openDaybook } from "../../main.ts";
import { command, run, withPlace } from "./cli_given.ts";

const append = async (data: string, from: number, count: number, note = ""): Promise<void> => {
  const daybook = await openDaybook({ data });
  const events = Array.from({ length: count }, (_, i) => ({
    id: `e-${from + i}`,
    source: "urn:tests",
    type: "tests.thing.happened",
    data: { note },
  }));
  assert.ok((await daybook.ingest(events, { authtype: "system", authid: "tests" })).ok);
  await daybook.close();
};

/** A witness until the test is over: its address and its key. */
const withWitness = async (
  dir: string,
  log: string,
  test: (witness: { readonly url: string; readonly key: string }) => Promise<void>,
): Promise<void> => {
  const child = command(["witness", dir, "--name", "witness.example/w1", "--log", log, "--port", "0", "--json"], {})
    .spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    const { value } = await lines.read();
    const { listening, key } = JSON.parse(value!);
    await test({ url: listening, key });
  } finally {
    child.kill("SIGTERM");
    await lines.cancel();
    await child.stderr.cancel();
    assert.equal((await child.status).code, 0);
  }
};

Deno.test("a log is anchored up to what a witness has cosigned, and another past is not", () =>
  withPlace(async ({ dir, data }) => {
    await append(data, 0, 300);
    const log = JSON.parse((await run(["status", "--data", data, "--json"])).out).key as string;
    const copy = `${dir}/copy`;
    await Deno.mkdir(copy);
    for (const file of ["log.db", "keys.db", "root.key"]) await Deno.copyFile(`${data}/${file}`, `${copy}/${file}`);
    const kept = `${dir}/anchored.txt`;
    await withWitness(`${dir}/witness`, log, async ({ url, key }) => {
      const anchor = (folder: string) => run(["anchor", url, "--key", key, "--out", kept, "--data", folder, "--json"]);
      const first = JSON.parse((await anchor(data)).out);
      assert.ok(first.ok, JSON.stringify(first));
      assert.equal(JSON.parse((await anchor(data)).out).size, first.size, "the same again is no news");
      await append(data, 300, 700);
      const second = JSON.parse((await anchor(data)).out);
      assert.ok(second.ok && second.size > first.size, JSON.stringify(second));
      const anchored = await Deno.readTextFile(kept);
      assert.equal(anchored.match(/^— /gm)!.length, 2);

      await append(data, 1_000, 10);
      const { out } = await run(["verify", "--data", data, "--key", log, "--against", kept, "--json"]);
      const { ok, size, anchored: upTo, unanchored } = JSON.parse(out);
      assert.deepEqual([ok, upTo, unanchored], [true, second.size, size - second.size], out);
      const alone = JSON.parse((await run(["verify", "--data", data, "--key", log, "--json"])).out);
      assert.deepEqual([alone.ok, alone.anchored, alone.unanchored, alone.signed], [true, 0, size, size]);

      // An older copy, as it is and gone on with.
      const older = await anchor(copy);
      assert.deepEqual([older.code, JSON.parse(older.out).ok], [1, false]);
      const short = await run(["verify", "--data", copy, "--key", log, "--against", kept, "--json"]);
      assert.equal(short.code, 1);
      assert.equal(JSON.parse(short.out).failures[0].kind, "truncated");
      await append(copy, 300, 990, "another past");
      const fork = await anchor(copy);
      assert.deepEqual([fork.code, JSON.parse(fork.out).because], [
        1,
        `the witness has seen another past of ${second.size} events`,
      ]);
      const forked = await run(["verify", "--data", copy, "--key", log, "--against", kept, "--json"]);
      assert.equal(forked.code, 1);
      assert.ok(JSON.parse(forked.out).failures.some((one: { kind: string }) => one.kind === "forked"), forked.out);
      assert.equal(await Deno.readTextFile(kept), anchored, "what was kept is as it was");
      assert.equal(
        (await run(["witness", `${dir}/witness`, "--log", log, "--port", "0"])).code,
        3,
        "one witness a folder",
      );
      assert.equal(
        (await run(["anchor", url, "--key", log, "--out", kept, "--data", data])).code,
        2,
        "no key of a witness",
      );
      const other = cosigner("witness.example/w1", new Uint8Array(32)).vkey;
      assert.equal((await run(["anchor", url, "--key", other, "--out", kept, "--data", data])).code, 3, "another key");
    });
    // It remembers across its own end, under the same key.
    await withWitness(`${dir}/witness`, log, async ({ url, key }) => {
      const again = await run(["anchor", url, "--key", key, "--out", kept, "--data", copy, "--json"]);
      assert.deepEqual([again.code, JSON.parse(again.out).ok], [1, false]);
    });
    const witness = cosigner("witness.example/w1", new Uint8Array(32)).vkey;
    const usage = [
      ["anchor", "http://127.0.0.1:1"],
      ["anchor", "ftp://127.0.0.1", "--key", log, "--out", kept],
      ["anchor", "http://127.0.0.1:1", "--key", "no key", "--out", kept],
      ["witness", `${dir}/w2`],
      ["witness", `${dir}/w2`, "--log", "no key"],
      ["witness", `${dir}/w2`, "--log", log, "--name", "two words"],
    ];
    for (const args of usage) assert.equal((await run([...args, "--data", data])).code, 2, args.join(" "));
    assert.equal(
      (await run(["anchor", "http://127.0.0.1:1", "--key", witness, "--out", kept, "--data", data])).code,
      3,
    );
  }));
