/** A restored older copy never goes on in silence: it says that it was restored, or it is read-only, or it is another log. */
import assert from "node:assert/strict";
import { verifyLog } from "../../adapters/verify/verify.ts";
import { openDaybook } from "../../main.ts";
import { document, type Place, run, withPlace } from "./cli_given.ts";

/** Appends, and answers with the checkpoint of all of it. */
const append = async (data: string, from: number, count: number): Promise<string> => {
  const daybook = await openDaybook({ data });
  const events = Array.from({ length: count }, (_, i) => ({
    id: `e-${from + i}`,
    source: "urn:tests",
    type: "tests.thing.happened",
    data: { n: from + i },
  }));
  assert.ok((await daybook.ingest(events, { authtype: "system", authid: "tests" })).ok);
  const checkpoint = (await daybook.checkpoint(daybook.log.size))!;
  await daybook.close();
  return checkpoint.note;
};

/** A backup with its keys, and the checkpoint of what its log went on to. */
const given = async (
  { dir, data }: Place,
): Promise<{ readonly size: number; readonly kept: string; readonly back: readonly string[] }> => {
  await append(data, 0, 10);
  await Deno.writeTextFile(`${dir}/pass`, "correct horse battery\n");
  const pass = ["--passphrase-file", `${dir}/pass`];
  const { size } = await document<{ size: number }>(["backup", `${dir}/copy`, "--with-keys", ...pass, "--data", data]);
  await Deno.writeTextFile(`${dir}/kept.txt`, await append(data, 10, 10));
  return { size, kept: `${dir}/kept.txt`, back: ["restore", `${dir}/copy`, ...pass] };
};

interface Shown {
  readonly events: readonly {
    readonly position: number;
    readonly type: string;
    readonly data: Record<string, unknown>;
  }[];
}
const from = async (data: string, position: number): Promise<Shown["events"]> =>
  (await document<Shown>(["events", "--since", String(position), "--data", data])).events;

Deno.test("a copy that ends before what is known is read and not written, whoever signed what is known", () =>
  withPlace(async (place) => {
    const { dir } = place;
    const { size, kept, back } = await given(place);
    const bare = `${dir}/bare.txt`;
    const note = await Deno.readTextFile(kept);
    await Deno.writeTextFile(bare, note.slice(0, note.indexOf("\n\n") + 1));
    for (const known of [kept, bare]) {
      const data = `${dir}/short-${known === kept ? "signed" : "bare"}`;
      const restored = await document<{ readOnly?: boolean }>([...back, "--against", known, "--data", data]);
      assert.deepEqual([restored.exit, restored.readOnly], [0, true]);
      await assert.rejects(append(data, 50, 1), { name: "LogFault", kind: "truncated" });
      const started = await run(["start", "--port", "0", "--data", data]);
      assert.equal(started.code, 1);
      assert.match(started.err, /can be read, not written/);
      assert.equal((await document<{ size: number }>(["status", "--data", data])).size, size, "nothing was appended");
      assert.ok((await verifyLog({ path: `${data}/log.db` })).ok);
    }
  }));

Deno.test("a copy is held against what the folder it replaces knows, by its log or its keys, and another log's says nothing", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const { size, back } = await given(place);
    for (const gone of ["log.db", "keys.db"]) {
      const replaced = `${dir}/replaced-${gone}`, copy = `${dir}/copy-${gone}`;
      await Deno.mkdir(replaced);
      for (const { name, isFile } of Deno.readDirSync(data)) {
        if (isFile && name !== gone) Deno.copyFileSync(`${data}/${name}`, `${replaced}/${name}`);
      }
      const restored = await document<{ readOnly?: boolean; shorterThan?: { size: number } }>(
        [...back, "--replaces", replaced, "--data", copy],
      );
      assert.deepEqual([restored.exit, restored.readOnly], [0, true], gone);
      assert.ok(restored.shorterThan!.size > size, gone);
      await assert.rejects(append(copy, 50, 1), { name: "LogFault", kind: "truncated" });
      assert.equal((await document<{ size: number }>(["status", "--data", copy])).size, size, "nothing was appended");
    }
    const forked = await run(
      [...back, "--replaces", data, "--new-origin", "example.com/after", "--data", `${dir}/forked`],
    );
    assert.equal(forked.code, 0, forked.err);
    assert.match(forked.out, /^tokens, keys, roles and secrets are those of then: .* counts again$/m);
    await append(`${dir}/forked`, 50, 1);
    const [first] = await from(`${dir}/forked`, size);
    assert.ok((first!.data.beyond as { size: number }).size > size);

    await append(`${dir}/other`, 0, 40);
    const other = await document<{ exit: number; readOnly?: boolean }>(
      [...back, "--replaces", `${dir}/other`, "--data", `${dir}/free`],
    );
    assert.deepEqual([other.exit, other.readOnly], [0, undefined]);
    await append(`${dir}/free`, 50, 1);
  }));

Deno.test("views of what came behind a copy are not those of the copy, and are built again", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const { size, back } = await given(place);
    const later = await openDaybook({ data });
    await later.view("audit.trail", { wait: later.log.size - 1, deadline: 20_000 });
    await later.close();
    const copy = `${dir}/behind`;
    assert.equal((await document([...back, "--data", copy])).exit, 0);
    await Deno.copyFile(`${data}/views.db`, `${copy}/views.db`);
    const read = await run(["view", "audit.trail", "--limit", "1", "--data", copy]);
    assert.match(read.out, new RegExp(`after ${size} events`));
    assert.match(read.err, /events, and the log has/);

    const daybook = await openDaybook({ data: copy });
    try {
      const position = daybook.log.size - 1;
      const shown = await daybook.view("audit.trail", { wait: position, deadline: 20_000, limit: 1_000 });
      assert.ok(shown.size <= daybook.log.size, `${shown.size} of ${daybook.log.size}`);
      const types = shown.rows.map(({ row }) => (row as { type: string }).type);
      assert.equal(types.filter((type) => type === "tests.thing.happened").length, 10);
    } finally {
      await daybook.close();
    }
  }));

Deno.test("a log beside keys of another is not gone on with, nor restored with them", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const { back } = await given(place);
    await append(`${dir}/other`, 0, 3);
    const other = await document([
      "backup",
      `${dir}/others`,
      "--with-keys",
      ...back.slice(2),
      "--data",
      `${dir}/other`,
    ]);
    assert.equal(other.exit, 0);

    const { size } = await document<{ size: number }>(["status", "--data", data]);
    await Deno.mkdir(`${dir}/own`);
    for (const name of ["keys.db", "root.key"]) {
      await Deno.rename(`${data}/${name}`, `${dir}/own/${name}`);
      await Deno.copyFile(`${dir}/other/${name}`, `${data}/${name}`);
    }
    await assert.rejects(append(data, 50, 1), { name: "LogFault", kind: "foreign" });
    const sent = await run([
      "send",
      "commits.branch.move",
      "shop",
      `{"branch":"b","to":"${"c0".repeat(20)}"}`,
      "--data",
      data,
    ]);
    assert.equal(sent.code, 1);
    assert.match(sent.err, /the keys beside the log are not its own/);
    assert.equal((await document<{ size: number }>(["status", "--data", data])).size, size, "nothing was appended");
    for (const name of ["keys.db", "root.key"]) await Deno.rename(`${dir}/own/${name}`, `${data}/${name}`);
    await append(data, 50, 1);

    const copy = `${dir}/copy`;
    await Deno.copyFile(`${dir}/others/keys.sealed`, `${copy}/keys.sealed`);
    const manifest = JSON.parse(await Deno.readTextFile(`${copy}/manifest.json`));
    manifest.files["keys.sealed"] =
      JSON.parse(await Deno.readTextFile(`${dir}/others/manifest.json`)).files["keys.sealed"];
    await Deno.writeTextFile(`${copy}/manifest.json`, JSON.stringify(manifest));
    const restored = await run([...back, "--data", `${dir}/mixed`]);
    assert.equal(restored.code, 1);
    assert.match(restored.err, /the keys beside the log are not its own/);
    assert.throws(() => Deno.statSync(`${dir}/mixed`), Deno.errors.NotFound);
  }));

Deno.test("to go on it takes another name, and says first what it left", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const { size, kept, back } = await given(place);
    const old = await document<{ key: string; log: { origin?: string } }>(["status", "--data", data]);
    const after = `${dir}/after`;
    const name = "log.example/after";
    const restored = await document<{ origin?: string; readOnly?: boolean }>([
      ...back,
      "--against",
      kept,
      "--new-origin",
      name,
      "--data",
      after,
    ]);
    assert.deepEqual([restored.exit, restored.origin, restored.readOnly], [0, name, undefined]);
    const [first] = await from(after, size);
    assert.deepEqual([first!.position, first!.type], [size, "kernel.log.forked"]);
    const { from: left, to, beyond } = first!.data as Record<string, Record<string, unknown>>;
    assert.deepEqual([left!.key, left!.size, to, beyond!.size], [
      old.key,
      size,
      name,
      Number((await Deno.readTextFile(kept)).split("\n")[1]),
    ]);
    assert.equal(left!.origin, old.key.split("+")[0]);

    await append(after, 50, 5);
    const { key } = await document<{ key: string }>(["status", "--data", after]);
    assert.ok(key.startsWith(`${name}+`));
    const own = await verifyLog({ path: `${after}/log.db`, key });
    assert.deepEqual([own.failures, own.signed, own.forks?.length], [[], own.size, 1]);
    const told = await run(["verify", "--data", after, "--key", key]);
    assert.equal(told.code, 0);
    assert.match(
      told.out,
      new RegExp(`fork +up to position ${size} it is a copy of daybook/[0-9a-f]+, from there on ${name}`),
    );
    // Who kept something of the other log sees that this is not it.
    const other = await document<{ failures: { kind: string; position: number }[] }>([
      "verify",
      "--data",
      after,
      "--against",
      kept,
    ]);
    assert.deepEqual([other.exit, other.failures.map(({ kind, position }) => [kind, position])], [1, [[
      "forked",
      size,
    ]]]);
    assert.ok(!(await verifyLog({ path: `${after}/log.db`, key: old.key })).ok);
    // The log that was left goes on as itself.
    await append(data, 20, 1);
    assert.ok((await verifyLog({ path: `${data}/log.db`, key: old.key })).ok);
  }));

Deno.test("a copy that nothing is known against goes on, and says first that it was restored, once", () =>
  withPlace(async (place) => {
    const { dir } = place;
    const { size, back } = await given(place);
    const data = `${dir}/back`;
    assert.equal((await run([...back, "--data", data])).code, 0);
    const mark = await Deno.readTextFile(`${data}/restored.json`);
    await append(data, 50, 1);
    const [first, ...rest] = await from(data, size);
    assert.deepEqual([first!.position, first!.type, first!.data.size], [size, "kernel.log.restored", size]);
    await assert.rejects(Deno.stat(`${data}/restored.json`), Deno.errors.NotFound);
    // As if it had been cut off before it was forgotten.
    await Deno.writeTextFile(`${data}/restored.json`, mark);
    await append(data, 51, 1);
    const again = await from(data, size);
    assert.deepEqual(again.filter(({ type }) => type === "kernel.log.restored").length, 1);
    assert.ok(again.length > rest.length);
    await Deno.writeTextFile(`${data}/restored.json`, "{}");
    await assert.rejects(append(data, 52, 1), { name: "LogFault", kind: "foreign" });
    assert.ok((await verifyLog({ path: `${data}/log.db` })).ok);
  }));

Deno.test("a name that is none, its own, or one without keys to sign under is refused, and nothing is left", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const { back } = await given(place);
    const { key } = await document<{ key: string }>(["status", "--data", data]);
    for (const name of ["with space", "with+plus", key.split("+")[0]!]) {
      const refused = await run([...back, "--new-origin", name, "--data", `${dir}/none`]);
      assert.equal(refused.code, 2, `${name}: ${refused.err}`);
      assert.match(refused.err, /^daybook: Cannot call the log "/);
    }
    const keyless = await run(["restore", `${dir}/copy`, "--new-origin", "log.example/x", "--data", `${dir}/none`]);
    assert.equal(keyless.code, 2);
    assert.match(keyless.err, /needs the keys of the backup/);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["copy", "data", "kept.txt", "pass"]);
  }));
