/** tlog-tiles folders as they are written, and read back. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { TlogFolder } from "../adapters/tlog/reader.ts";
import { bundleFiles, tlogFiles, writeTlog } from "../adapters/tlog/writer.ts";
import { catalogue } from "../events/catalogue.ts";
import { LogFault } from "../events/log.ts";
import { readBundle, readTileName, tileName, tilesAt } from "../events/tiles.ts";
import { inFolder } from "./folder_given.ts";
import { leaf, mth } from "./proofs_given.ts";
import { withSignedLog, withTlogFolder } from "./tlog_given.ts";

const namesIn = async (folder: string, at = ""): Promise<readonly string[]> => {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, at))) {
    const path = at === "" ? name : `${at}/${name}`;
    names.push(...(isDirectory ? await namesIn(folder, path) : [path]));
  }
  return names.sort();
};

Deno.test("a tile is called as the specification calls it, and no other spelling is read", () => {
  const names: readonly (readonly [number, number, string])[] = [
    [0, 256, "000"],
    [999, 256, "999"],
    [1000, 256, "x001/000"],
    [1_234_067, 256, "x001/x234/067"],
    [1_234_067, 12, "x001/x234/067.p/12"],
    [0, 1, "000.p/1"],
  ];
  for (const [index, width, name] of names) {
    assert.equal(tileName({ index, width }), name);
    assert.deepEqual(readTileName(name), { index, width });
  }
  for (const name of ["", "0", "x000/001", "000.p/256", "000.p/0", "000.p/01", "x001", "000/", "1000", "000.p/1/2"]) {
    assert.equal(readTileName(name), undefined, name);
  }
});

Deno.test("a tree of each size has just the tiles that its hashes fill", () => {
  assert.deepEqual([...tilesAt(0, 0)], []);
  assert.deepEqual([...tilesAt(0, 256)], [{ index: 0, width: 256 }]);
  assert.deepEqual([...tilesAt(0, 257)], [{ index: 0, width: 256 }, { index: 1, width: 1 }]);
  assert.deepEqual([...tilesAt(1, 257)], [{ index: 0, width: 1 }]);
  assert.deepEqual([...tilesAt(1, 255)], []);
  assert.deepEqual([...tilesAt(0, 600, 2)], [{ index: 2, width: 88 }]);
});

Deno.test("a folder holds bundles, tiles and the checkpoint, and nothing else", () =>
  withTlogFolder(600, async (folder, log) => {
    assert.deepEqual(await namesIn(folder), [
      "checkpoint",
      "tile/0/000",
      "tile/0/001",
      "tile/0/002.p/88",
      "tile/1/000.p/2",
      "tile/entries/000",
      "tile/entries/001",
      "tile/entries/002.p/88",
    ]);
    const bundle = await Deno.readFile(join(folder, "tile/entries/002.p/88"));
    assert.equal(bundle[0]! << 8 | bundle[1]!, log.entry(512)!.length, "a length in two bytes, big-endian");
    const entries = readBundle(bundle)!;
    assert.deepEqual(entries.map((entry) => entry.toHex()), [...range(512, 600)].map((at) => log.entry(at)!.toHex()));
    const tile = await Deno.readFile(join(folder, "tile/1/000.p/2"));
    const leaves = [...range(0, 256)].map((at) => leaf(log.entry(at)!));
    assert.equal(tile.subarray(0, 32).toHex(), Uint8Array.from(mth(leaves)).toHex());
    const leaves0 = await Deno.readFile(join(folder, "tile/0/002.p/88"));
    assert.equal(leaves0.subarray(0, 32).toHex(), Uint8Array.from(leaf(log.entry(512)!)).toHex());
    assert.equal(await Deno.readTextFile(join(folder, "checkpoint")), (await log.checkpoint())!.note);
  }));

Deno.test("a file is there under its name only when it is whole", () =>
  withSignedLog([10], (log) =>
    inFolder(async (folder) => {
      const broken = { entry: (position: number) => position < 5 ? log.entry(position) : undefined };
      await assert.rejects(() => writeTlog(folder, bundleFiles(broken, 10)), /the log has no entry 5/);
      assert.deepEqual(await namesIn(folder), []);
    })));

Deno.test("what is written again replaces what was there, and bundles go on from any of them", () =>
  withSignedLog([300, 700], (log, [first, second]) =>
    inFolder(async (folder) => {
      await writeTlog(folder, tlogFiles(log, first!));
      const { files } = await writeTlog(folder, bundleFiles(log, 700, 1), { durable: true });
      assert.equal(files, 2);
      await writeTlog(folder, tlogFiles(log, second!));
      const read = new TlogFolder(folder, 700, catalogue());
      assert.deepEqual(read.entry(650), Uint8Array.from(log.entry(650)!));
    })));

Deno.test("a folder is read back as the log it was", () =>
  withTlogFolder(600, (folder, log) => {
    const read = new TlogFolder(folder, 600, catalogue());
    for (const [from, until] of [[0, 600], [255, 257], [256, 256], [511, 513], [599, 700]] as const) {
      assert.deepEqual([...read.read({ from, until })].flat(), [...log.read({ from, until })].flat());
    }
    const types = [[...log.read({})].flat()[0]!.type];
    assert.deepEqual([...read.read({ types })].flat(), [...log.read({ types })].flat());
    assert.equal(read.entry(600), undefined);
    assert.equal(read.entry(-1), undefined);
    const time = [...log.read({ from: 300, until: 301 })].flat()[0]!.recordedat;
    assert.equal(read.positionAt(time), log.positionAt(time));
    assert.equal(read.positionAt("9999-01-01T00:00:00Z"), 600);
  }));

Deno.test("what is missing, cut or no bundle stops the reader and is named", () =>
  withTlogFolder(300, async (folder) => {
    const reads = () => [...new TlogFolder(folder, 300, catalogue()).read()].flat().length;
    assert.equal(reads(), 300);
    const path = join(folder, "tile/entries/001.p/44");
    const bytes = await Deno.readFile(path);
    const fails = (wanted: RegExp) =>
      assert.throws(
        reads,
        (error) => error instanceof LogFault && error.kind === "truncated" && wanted.test(error.message),
      );
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 1));
    fails(/001\.p\/44: expected a bundle of 44 entries/);
    const first = 2 + (bytes[0]! << 8 | bytes[1]!);
    await Deno.writeFile(path, bytes.subarray(first));
    fails(/expected a bundle of 44 entries/);
    const other = bytes.slice();
    other[2] = 0x20;
    await Deno.writeFile(path, other);
    fails(/entry at position 256/);
    await Deno.remove(path);
    fails(/001\.p\/44/);
    await Deno.writeFile(path, new Uint8Array(17 << 20));
    fails(/longer than any/);
  }));

function* range(from: number, until: number): Generator<number> {
  for (let at = from; at < until; at++) yield at;
}
