import assert from "node:assert/strict";
import { NEEDLE_BYTES_MAX, Needles, NEEDLES_MAX, scanBlobs, scanFolder } from "../adapters/program/privacy/scan.ts";
import { sealedOf } from "../adapters/program/privacy/trace.ts";
import { inFolder } from "./folder_given.ts";

const CHUNK = 1 << 20;

const found = async (folder: string, needles: Needles): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries((await scanFolder(folder, needles, () => {})).map(({ path, found }) => [path, found]));

Deno.test("a text is found in the bytes of any file, wherever it lies and however deep", () =>
  inFolder(async (folder) => {
    const needles = new Needles();
    needles.add("ada@example.com");
    needles.add("line\nbreak");
    const at = (length: number) =>
      new Uint8Array([...new Uint8Array(length), ...new TextEncoder().encode("ada@example.com")]);
    await Deno.mkdir(`${folder}/a/b`, { recursive: true });
    await Deno.writeTextFile(`${folder}/a/b/deep`, "x ada@example.com y ada@example.com");
    await Deno.writeTextFile(`${folder}/json`, JSON.stringify({ text: "line\nbreak" }));
    await Deno.writeTextFile(`${folder}/plain`, "line\nbreak");
    await Deno.writeTextFile(`${folder}/other`, "ada@example.co, line break");
    await Deno.writeTextFile(`${folder}/empty`, "");
    // At every place around the border of two pieces.
    for (const off of [-20, -15, -14, -1, 0, 1, 14]) {
      await Deno.writeFile(`${folder}/at${off}`, at(CHUNK + off));
      await Deno.writeFile(`${folder}/longest${off}`, at(CHUNK + needles.overlap + off));
    }
    const { "a/b/deep": deep, json, plain, other, empty, ...borders } = await found(folder, needles);
    assert.deepEqual([deep, json, plain, other, empty], [2, 1, 1, 0, 0]);
    for (const [path, times] of Object.entries(borders)) assert.equal(times, 1, path);
    assert.equal(Object.keys(borders).length, 14);
  }));

Deno.test("a text is found in blobs, wherever one piece of them ends and the next begins", async () => {
  const needles = new Needles();
  needles.add("ada@example.com");
  const bytes = new TextEncoder().encode("xx ada@example.com, ada@example.co, ada@example.com");
  for (let piece = 1; piece <= bytes.length; piece++) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / piece) },
      (_, n) => bytes.subarray(n * piece, (n + 1) * piece),
    );
    const blob = { sha256: "", bytes: bytes.length, read: () => bytes, chunks: () => pieces };
    assert.equal(
      await scanBlobs({ blobs: () => [blob, { ...blob, chunks: () => [] }].values() }, needles),
      2,
      String(piece),
    );
  }
});

Deno.test("what a link leads to is searched, once and in no circle", () =>
  inFolder(async (dir) => {
    const needles = new Needles();
    needles.add("ada@example.com");
    const [folder, elsewhere] = [`${dir}/data`, `${dir}/elsewhere`];
    for (const path of [folder, elsewhere]) await Deno.mkdir(path);
    await Deno.writeTextFile(`${elsewhere}/log.db`, "ada@example.com");
    await Deno.writeTextFile(`${elsewhere}/deep`, "ada@example.com");
    await Deno.symlink(`${elsewhere}/log.db`, `${folder}/log.db`);
    await Deno.mkdir(`${folder}/logs`);
    await Deno.symlink(elsewhere, `${folder}/logs/moved`);
    await Deno.symlink(folder, `${elsewhere}/back`);
    await Deno.symlink("nowhere", `${folder}/nowhere`);
    await Deno.symlink("log.db/nowhere", `${folder}/through`);
    await Deno.symlink("circle", `${folder}/circle`);
    assert.deepEqual(await found(folder, needles), { "log.db": 1, "logs/moved/deep": 1, "logs/moved/log.db": 1 });
  }));

Deno.test("what is too short says nothing, what is long is found by its beginning, and there are at most so many", () =>
  inFolder(async (folder) => {
    const needles = new Needles();
    needles.add("Ada");
    needles.add("Ada");
    needles.addBytes(new Uint8Array(3));
    const long = "a sentence that goes on and on ".repeat(20);
    needles.add(long);
    assert.deepEqual([needles.size, needles.short], [1, 2]);
    await Deno.writeTextFile(`${folder}/file`, `Ada ${long.slice(0, NEEDLE_BYTES_MAX)}`);
    assert.deepEqual(await found(folder, needles), { file: 1 });
    for (let i = 0; i <= NEEDLES_MAX; i++) needles.add(`needle ${i}`);
    assert.deepEqual([needles.size, needles.left], [NEEDLES_MAX, 2]);
  }));

Deno.test("texts of one person are found in a value by their places, those of others are not", () => {
  const ada = "sealed:1:s_adaadaadaadaadaa:eA", bob = "sealed:1:s_bobbobbobbobbobb:eA";
  assert.deepEqual(sealedOf({ "a/b": [bob, { "c~": ada }], d: ada, e: "sealed: no" }, "s_adaadaadaadaadaa"), [
    { pointer: "/a~1b/1/c~0", text: ada },
    { pointer: "/d", text: ada },
  ]);
  assert.deepEqual(sealedOf(ada, "s_adaadaadaadaadaa"), [{ pointer: "", text: ada }]);
});
