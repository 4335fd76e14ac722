/** The tiles behind the commits and the proofs that are made of them, held against the definitions of RFC 9162. */
import assert from "node:assert/strict";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { Block } from "../../adapters/kv/block.ts";
import { StoredTree } from "../../adapters/kv/hash_tree.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { TileEdge, tileKey } from "../../adapters/kv/tiles.ts";
import { type Frontier, Tree } from "../../adapters/kv/tree.ts";
import { TILES_PER_STEP, TreeWork } from "../../adapters/kv/tree_work.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { SimulatedClock } from "../../adapters/simulation/clock.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { verifyConsistency, verifyInclusion } from "../../adapters/verify/proofs.ts";
import { catalogue } from "../../events/catalogue.ts";
import type { Batch, Key } from "../../events/store.ts";
import { lying } from "../at_rest_given.ts";
import { consistency, type Hash, leaf, mth, path } from "../proofs_given.ts";
import { event } from "./log_contract.ts";

const WIDTH = 256;

/** Says what is written. */
class Watched extends MemoryStore {
  readonly batches: Batch[] = [];

  override async commit(batch: Batch): Promise<boolean> {
    this.batches.push(batch);
    return await super.commit(batch);
  }

  tiles(): Key[] {
    return this.batches.flatMap(({ puts }) => puts.map(([key]) => key).filter(([name]) => name === "tile"));
  }

  frontier(): Frontier {
    return JSON.parse(new TextDecoder().decode(this.get(["tree"])!));
  }
}

const signer = { origin: "t", sign: (size: number, root: string) => `t\n${size}\n${root}\n` };

const opened = async (store = lying(new Watched())) => {
  const clock = new SimulatedClock(seededRandom(1));
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock,
    background: inlineBackground(store, clock),
    signer,
  });
  const append = async (events: number) => {
    for (let from = log.size, left = events; left > 0; from = log.size) {
      const count = Math.min(left, 1_000);
      await clock.until(log.append({ events: Array.from({ length: count }, (_, i) => event(from + i)) }));
      left -= count;
    }
  };
  return {
    store,
    clock,
    log,
    append,
    leaves: (): Hash[] => Array.from({ length: log.size }, (_, i) => leaf(log.entry(i)!)),
    signed: () => clock.until(log.checkpoint(log.size)),
    close: () => clock.until(log.close()),
  };
};

const joined = (hashes: readonly Hash[]): Uint8Array => Uint8Array.from(hashes.flatMap((hash) => [...hash]));

/** What tlog-tiles says tile `index` of `level` holds in a tree over these leaves; `undefined` where there is none. */
const tileOf = (leaves: readonly Hash[], level: number, index: number, width = WIDTH): Uint8Array | undefined => {
  const span = WIDTH ** level;
  const hashes: Hash[] = [];
  for (let i = index * WIDTH; i < index * WIDTH + width && (i + 1) * span <= leaves.length; i++) {
    hashes.push(mth(leaves.slice(i * span, (i + 1) * span)));
  }
  return hashes.length === width ? joined(hashes) : undefined;
};

const equal = (a: Uint8Array | undefined, b: Uint8Array | undefined, say: string) =>
  assert.deepEqual(a && [...a], b && [...b], say);

Deno.test("tiles hold what the definition says, full ones and the partial ones of the signed size", async () => {
  const { log, append, signed, leaves, close } = await opened();
  for (const count of [1, 254, 1, 1, 300, 5]) {
    await append(count);
    await signed();
    const all = leaves();
    assert.equal(log.tree.size, log.size);
    for (const level of [0, 1, 2]) {
      for (const index of [0, 1, 2]) {
        for (const width of [1, 2, 45, 46, 49, 50, 255, 256]) {
          equal(log.tree.tile(level, index, width), tileOf(all, level, index, width), `${level}/${index}.p/${width}`);
        }
      }
    }
    equal(log.tree.root(log.size), mth(all), "root");
  }
  await close();
});

Deno.test("proofs made of tiles are those of the definition, for every size", async () => {
  const { log, append, signed, leaves, close } = await opened();
  await append(530);
  await signed();
  const all = leaves();
  const sizes = [1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512, 513, 530];
  for (const size of sizes) {
    const d = all.slice(0, size);
    const root = mth(d);
    for (const position of [0, 1, 2, 6, 128, 254, 255, 256, 257, 400, 511, 512, 529].filter((p) => p < size)) {
      const proof = log.tree.inclusion(position, size)!;
      assert.deepEqual(proof.map((hash) => [...hash]), path(position, d).map((hash) => [...hash]));
      assert.ok(verifyInclusion({ leafHash: all[position]!, index: position, size, proof, root }));
    }
    for (const before of sizes.filter((other) => other <= size)) {
      const proof = log.tree.consistency(before, size)!;
      assert.deepEqual(proof.map((hash) => [...hash]), consistency(before, d).map((hash) => [...hash]));
      const claim = { size1: before, size2: size, proof, root1: mth(all.slice(0, before)), root2: root };
      assert.ok(verifyConsistency(claim));
    }
  }
  for (const [position, size] of [[0, 0], [3, 3], [4, 3], [0, 531], [530, 531]] as const) {
    assert.equal(log.tree.inclusion(position, size), undefined, `${position} in ${size}`);
  }
  for (const [from, to] of [[0, 5], [6, 5], [5, 531], [0, 0]] as const) {
    assert.equal(log.tree.consistency(from, to), undefined, `${from} to ${to}`);
  }
  assert.deepEqual([log.tree.root(0), log.tree.root(531)], [undefined, undefined]);
  await close();
});

Deno.test("what has not been signed has no tiles and no proofs yet", async () => {
  const { log, append, signed, close } = await opened();
  await append(3);
  assert.equal(log.tree.size, 0);
  assert.deepEqual([log.tree.tile(0, 0, 1), log.tree.inclusion(0, 1)], [undefined, undefined]);
  await signed();
  await append(1);
  assert.equal(log.tree.size, 3);
  assert.deepEqual([log.tree.tile(0, 0, 4), log.tree.inclusion(0, 4)], [undefined, undefined]);
  await close();
});

Deno.test("a log that is opened again goes on with its tiles, and writes none twice that is full", async () => {
  const store = lying(new Watched());
  const shut = { close: () => Promise.resolve() };
  Object.assign(store, shut);
  for (const count of [300, 1, 211, 700]) {
    const { log, append, signed, leaves, close } = await opened(store);
    const before = store.tiles().length;
    await append(count);
    await signed();
    assert.equal(log.tree.size, log.size);
    equal(log.tree.root(log.size), mth(leaves()), "root");
    for (let index = 0; index < Math.floor(log.size / WIDTH); index++) {
      equal(log.tree.tile(0, index), tileOf(leaves(), 0, index), `tile ${index}`);
    }
    const written = store.tiles().slice(before).filter(([, level]) => level === 0);
    assert.ok(written.every(([, , index]) => (index as number) >= Math.floor((log.size - count) / WIDTH)));
    await close();
  }
});

Deno.test("many tiles are written in commits of bounded size, before the checkpoint that covers them", async () => {
  const { store, log, append, signed, close } = await opened();
  const events = WIDTH * (3 * TILES_PER_STEP + 7) + 9;
  await append(events);
  await signed();
  const commits = store.batches.filter(({ puts }) => puts.some(([[name]]) => name === "tile"));
  assert.ok(commits.length >= 3, `${commits.length}`);
  for (const { puts } of commits) assert.ok(puts.length <= 2 * TILES_PER_STEP + 5, `${puts.length} values`);
  const full = store.tiles().filter(([, level, index]) =>
    level === 0 && (index as number) < Math.floor(events / WIDTH)
  );
  assert.equal(new Set(full.map(([, , index]) => index)).size, Math.floor(events / WIDTH));
  assert.equal(log.tree.size, events);
  await close();
});

/** A log as it was before there were tiles. */
const without = (store: Watched): void => {
  for (const key of store.tiles()) void store.commit({ puts: [], deletes: [key] });
  const { size, nodes } = store.frontier();
  void store.commit({ puts: [[["tree"], new TextEncoder().encode(JSON.stringify({ size, nodes }))]] });
};

Deno.test("a log made before there were tiles signs on at once, and gets its tiles behind that", async () => {
  const store = lying(new Watched());
  Object.assign(store, { close: () => Promise.resolve() });
  const first = await opened(store);
  await first.append(WIDTH * (TILES_PER_STEP + 3) + 5);
  await first.signed();
  await first.close();
  without(store);
  assert.equal(store.frontier().tiled, undefined);

  const { log, clock, append, signed, leaves, close } = await opened(store);
  await append(300);
  const checkpoint = await signed();
  const { size } = log;
  assert.equal(checkpoint!.size, size);
  assert.ok(log.tree.size < size, "the checkpoint did not wait for the tiles");
  await clock.advance(10_000);
  assert.equal(log.tree.size, size);
  const all = leaves();
  equal(log.tree.root(size), mth(all), "root");
  for (let index = 0; index < Math.floor(size / WIDTH); index++) {
    equal(log.tree.tile(0, index), tileOf(all, 0, index), `tile ${index}`);
  }
  equal(log.tree.tile(1, 0, Math.floor(size / WIDTH)), tileOf(all, 1, 0, Math.floor(size / WIDTH)), "level 1");
  // From here on they come with the checkpoints.
  await append(1);
  await signed();
  assert.equal(log.tree.size, size + 1);
  equal(log.tree.root(size + 1), mth(leaves()), "root");
  await close();
});

Deno.test("tiles that are being made up for are gone on with, wherever the log was cut off", async () => {
  const store = lying(new Watched());
  Object.assign(store, { close: () => Promise.resolve() });
  const first = await opened(store);
  const size = WIDTH * (3 * TILES_PER_STEP) + 77;
  await first.append(size);
  await first.signed();
  await first.close();
  const leaves = first.leaves();
  without(store);
  const blocks = (from: number, until: number): Block[] => {
    const [floor] = store.list({ prefix: ["log"], until: from + 1, backward: true, limit: 1 });
    return [...store.list({ prefix: ["log"], from: floor![0], until, limit: 4 })].map(([first, bytes]) =>
      new Block(bytes, first)
    );
  };
  const seen: number[] = [];
  while (store.frontier().tiled !== size) {
    // Each one is cut off when it has written something.
    const work = new TreeWork(store, store.frontier(), blocks);
    let made = work.fill();
    while (!made) made = work.fill();
    await store.commit({ puts: made.puts });
    seen.push(store.frontier().tiled!);
  }
  assert.ok(seen.length >= 3, seen.join());
  assert.ok(seen.every((tiled, i) => i === 0 || tiled > seen[i - 1]!), `it began anew: ${seen}`);
  const tree = new StoredTree(store);
  equal(tree.root(size), mth(leaves), "root");
  equal(tree.tile(0, 5), tileOf(leaves, 0, 5), "tile 5");
  equal(tree.tile(1, 0, 96), tileOf(leaves, 1, 0, 96), "level 1");
});

Deno.test("tiles of the right edge that are missing, short or wrong are made again", async () => {
  for (const spoil of ["missing", "short", "wrong"] as const) {
    const store = lying(new Watched());
    Object.assign(store, { close: () => Promise.resolve() });
    const first = await opened(store);
    await first.append(600);
    await first.signed();
    await first.close();
    const good = store.get(tileKey(0, 2))!;
    const bytes = spoil === "short" ? good.slice(32) : good.map((byte, i) => i === 40 ? byte ^ 1 : byte);
    await store.commit(
      spoil === "missing" ? { puts: [], deletes: [tileKey(0, 2)] } : { puts: [[tileKey(0, 2), bytes]] },
    );
    const { log, clock, append, signed, leaves, close } = await opened(store);
    await append(10);
    await signed();
    await clock.advance(10_000);
    assert.equal(log.tree.size, 610);
    equal(log.tree.tile(0, 2, 98), tileOf(leaves(), 0, 2, 98), spoil);
    equal(log.tree.root(610), mth(leaves()), spoil);
    await close();
  }
});

Deno.test("who has the entries proves without tiles, and the proofs are the same", async () => {
  const store = lying(new Watched());
  const { log, append, signed, leaves, close } = await opened(store);
  const numbers = (proof: readonly Hash[] | undefined) => proof!.map((hash) => [...hash]);
  await append(400);
  await signed();
  const proofs = [log.tree.inclusion(17, 400), log.tree.inclusion(399, 400), log.tree.consistency(256, 400)];
  without(store);
  assert.equal(new StoredTree(store).size, 0);
  const tree = new StoredTree(store, (position) => log.entry(position));
  const again = [tree.inclusion(17, 400), tree.inclusion(399, 400), tree.consistency(256, 400)];
  assert.deepEqual(again.map(numbers), proofs.map(numbers));
  equal(tree.root(400), mth(leaves()), "root");
  await close();
});

Deno.test("a tree of more than 65,536 entries has a third level of tiles", async () => {
  const store = lying(new Watched());
  const edge = TileEdge.read(store, 0)!;
  const tree = new Tree({ size: 0, nodes: [] }, edge);
  const entry = (i: number) => new TextEncoder().encode(String(i));
  const size = 70_000;
  for (let i = 0; i < size; i += 7) {
    tree.add(
      new Uint8Array(Buffer.concat(Array.from({ length: Math.min(7, size - i) }, (_, j) => leaf(entry(i + j))))),
    );
  }
  await store.commit({ puts: [...edge.take(), [["tree"], new TextEncoder().encode(JSON.stringify(tree.frontier()))]] });
  // The example of tlog-tiles, "Partial Tiles".
  const widths = new Map(store.tiles().map((key) => [key.slice(1).join("/"), store.get(key)!.length / 32]));
  assert.equal([...widths].filter(([name, width]) => name.startsWith("0/") && width === 256).length, 273);
  assert.deepEqual(["0/273", "1/0", "1/1", "2/0"].map((name) => widths.get(name)), [112, 256, 17, 1]);
  assert.equal(widths.size, 277);
  const stored = new StoredTree(store);
  equal(stored.root(size), tree.root(), "root");
  for (const position of [0, 255, 256, 65_535, 65_536, 69_999]) {
    const proof = stored.inclusion(position, size)!;
    assert.ok(verifyInclusion({ leafHash: leaf(entry(position)), index: position, size, proof, root: tree.root() }));
  }
  const proof = stored.consistency(65_537, size)!;
  const root1 = stored.root(65_537)!;
  assert.ok(verifyConsistency({ size1: 65_537, size2: size, proof, root1, root2: tree.root() }));
});
