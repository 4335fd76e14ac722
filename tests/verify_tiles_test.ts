/** Every change of the stored tiles is found, named by the first entry it is about, and never taken for one of the entries. */
import assert from "node:assert/strict";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { Failures } from "../adapters/verify/failures.ts";
import { TileCheck } from "../adapters/verify/tiles.ts";
import { HASH_BYTES, MerkleTree } from "../adapters/verify/tree.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { inFolder } from "./folder_given.ts";
import { chance, makeLog, signer, Tampered } from "./verify_given.ts";

const SIZE = 700;

interface Scene {
  readonly file: Tampered;
  below(n: number): number;
}

/** Level, index and hashes of each tile of the log. */
const TILES = [[0, 0, 256], [0, 1, 256], [0, 2, 188], [1, 0, 2]] as const;
const span = (level: number) => 256 ** level;

/** Answers where it must be found. */
const tamperings: Record<string, (scene: Scene) => number> = {
  "a bit of a tile turned": ({ file, below }) => {
    const [level, index, width] = TILES[below(TILES.length)]!;
    const bytes = file.get("tile", level, index).slice();
    const at = below(width * 32);
    bytes[at]! ^= 1 << below(8);
    file.put(bytes, "tile", level, index);
    return (index * 256 + Math.floor(at / 32)) * span(level);
  },
  "a tile deleted": ({ file, below }) => {
    const [level, index] = TILES[below(TILES.length)]!;
    file.delete("tile", level, index);
    return index * 256 * span(level);
  },
  "a tile cut short": ({ file, below }) => {
    const [level, index, width] = TILES[below(TILES.length)]!;
    file.put(file.get("tile", level, index).slice(0, below(width) * 32), "tile", level, index);
    return index * 256 * span(level);
  },
  "a tile cut within a hash": ({ file, below }) => {
    const [level, index, width] = TILES[below(TILES.length)]!;
    file.put(file.get("tile", level, index).slice(0, width * 32 - 1 - below(31)), "tile", level, index);
    return index * 256 * span(level);
  },
  "a tile with more than there is": ({ file, below }) => {
    const [level, index, width] = TILES[2 + below(2)]!;
    const bytes = new Uint8Array((width + 1) * 32);
    bytes.set(file.get("tile", level, index));
    file.put(bytes, "tile", level, index);
    return Math.min(SIZE, (index * 256 + width) * span(level));
  },
  "a tile too wide": ({ file }) => {
    const bytes = new Uint8Array(257 * 32);
    bytes.set(file.get("tile", 0, 0));
    file.put(bytes, "tile", 0, 0);
    return 0;
  },
  "a tile of entries that are not": ({ file, below }) => {
    file.put(file.get("tile", 0, 0), "tile", 0, 3 + below(1_000));
    return SIZE;
  },
  "a tile of a level that is not": ({ file }) => {
    file.put(file.get("tile", 0, 0).slice(0, 32), "tile", 2, 0);
    return 0;
  },
  "two tiles swapped": ({ file }) => {
    const kept = file.get("tile", 0, 0).slice();
    file.put(file.get("tile", 0, 1), "tile", 0, 0);
    file.put(kept, "tile", 0, 1);
    return 0;
  },
};

Deno.test("changes of tiles are found, and which entries they are about", async () => {
  await inFolder(async (dir) => {
    const made = await makeLog(`${dir}/log.db`, { appends: [300, 1, 399] });
    assert.equal(made.size, SIZE);
    assert.deepEqual((await verifyLog({ path: made.path, key: signer.vkey })).failures, []);
    for (const [name, tampering] of Object.entries(tamperings)) {
      for (let seed = 0; seed < 12; seed++) {
        const path = `${dir}/tampered.db`;
        await Deno.copyFile(made.path, path);
        const random = chance(seed);
        const file = new Tampered(path);
        const position = tampering({ file, below: (n) => Math.floor(random() * n) });
        file.close();
        const { ok, failures } = await verifyLog({ path, key: signer.vkey });
        const what = `${name}, seed ${seed}: ${JSON.stringify(failures.slice(0, 3))}`;
        assert.ok(!ok && failures[0]!.kind === "tile", what);
        assert.ok(failures.every(({ kind }) => kind === "tile"), what);
        const atLeast = name === "a tile of a level that is not" ? failures[0]!.position : position;
        assert.equal(failures[0]!.position, atLeast, what);
      }
    }
  });
});

Deno.test("a row among the tiles that is none is foreign", async () => {
  await inFolder(async (dir) => {
    for (const key of [["tile", 0, 0, 0], ["tile", 0], ["tile", 0, "a"], ["tile"]] as const) {
      const { path } = await makeLog(`${dir}/${key.length}${key[2]}.db`, { appends: [10] });
      const file = new Tampered(path);
      file.put(new Uint8Array(32), ...key);
      file.close();
      const { failures } = await verifyLog({ path, key: signer.vkey });
      assert.deepEqual(failures.map(({ kind, position }) => [kind, position]), [["foreign", 0]], key.join());
    }
  });
});

Deno.test("a promise of other tiles than there are is found", async () => {
  await inFolder(async (dir) => {
    const made = await makeLog(`${dir}/log.db`, { appends: [300, 100] });
    for (const tiled of [401, 300, 0, -1, 1.5, "400", null]) {
      const path = `${dir}/tampered.db`;
      await Deno.copyFile(made.path, path);
      const file = new Tampered(path);
      file.put(JSON.stringify({ ...JSON.parse(file.text("tree")), tiled }), "tree");
      file.close();
      const { ok, failures } = await verifyLog({ path, key: signer.vkey });
      assert.ok(!ok, String(tiled));
      const kind = typeof tiled === "number" && tiled >= 0 && tiled <= 400 && Number.isInteger(tiled) ? "tile" : "tree";
      assert.equal(failures[0]!.kind, kind, String(tiled));
    }
  });
});

Deno.test("an entry that was changed is not taken for a tile that was", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [300, 100] });
    const file = new Tampered(path);
    const [first] = file.blocks().slice(-1);
    const entries = file.entries(first!);
    entries[0] = { ...entries[0], data: { text: "another" } };
    file.write(first!, entries);
    file.rechain();
    file.close();
    const { failures } = await verifyLog({ path, key: signer.vkey });
    assert.ok(failures.length > 0 && failures.every(({ kind }) => kind !== "tile"), JSON.stringify(failures));
  });
});

Deno.test("a log without tiles, and one with tiles that no checkpoint covers yet, is sound", async () => {
  await inFolder(async (dir) => {
    const made = await makeLog(`${dir}/log.db`, { appends: [300, 100] });
    const path = `${dir}/without.db`;
    await Deno.copyFile(made.path, path);
    const file = new Tampered(path);
    const { size, nodes } = JSON.parse(file.text("tree"));
    file.run("delete from kv where k >= ? and k < ?", encodeKey(["tile", 0]), encodeKey(["tile", 2 ** 52]));
    file.put(JSON.stringify({ size, nodes }), "tree");
    file.close();
    assert.deepEqual((await verifyLog({ path, key: signer.vkey })).failures, []);

    const cut = `${dir}/cut.db`;
    await Deno.copyFile(made.path, cut);
    const killed = new Tampered(cut);
    for (const name of ["tree", "checkpoint"]) killed.delete(name);
    killed.run(
      "delete from kv where k >= ? and k < ?",
      encodeKey(["checkpoints", 0]),
      encodeKey(["checkpoints", 2 ** 52]),
    );
    killed.close();
    assert.deepEqual((await verifyLog({ path: cut })).failures, []);
  });
});

Deno.test("however many checkpoints the entries do not have, the tiles are gone through once to tell which was changed", () => {
  const leaves = crypto.getRandomValues(new Uint8Array(SIZE * HASH_BYTES));
  let reads = 0;
  const tile = (level: number, index: number) => {
    reads++;
    return level === 0 ? leaves.subarray(index * 256 * HASH_BYTES, (index + 1) * 256 * HASH_BYTES) : undefined;
  };
  const tiles = new TileCheck({ tile, tiles: () => [], tilesOf: () => [] }, new Failures(), undefined);
  tiles.take(0, leaves.with(300 * HASH_BYTES, leaves[300 * HASH_BYTES]! ^ 1));
  const tree = new MerkleTree();
  tree.add(leaves);
  const others = Array.from({ length: SIZE }, (_, size) => ({ size, root: "another" }));
  reads = 0;
  assert.equal(tiles.changed(others, 0), undefined);
  assert.ok(reads <= SIZE + 3, `${reads} tiles were read`);
  assert.deepEqual(tiles.changed([...others, { size: SIZE, root: tree.root().toBase64() }], 0), {
    position: 300,
    leaf: leaves.subarray(300 * HASH_BYTES, 301 * HASH_BYTES).toBase64(),
  });
});
