/** The tree over HTTP: what is served is what a checkpoint covers, and other people's way of computing accepts it. */
import assert from "node:assert/strict";
import { inlineBackground } from "../adapters/kv/background.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { MemoryStore } from "../adapters/memory/store.ts";
import { systemClock } from "../adapters/system/world.ts";
import { catalogue } from "../events/catalogue.ts";
import { leafHash, parseCheckpoint, verifyConsistency, verifyInclusion, verifyNote } from "../main.ts";
import { event } from "./contract/log_contract.ts";
import { givenDaybook, type Site, withSite } from "./http_given.ts";
import { leaf, mth } from "./proofs_given.ts";
import { signer } from "./verify_given.ts";

const SIZE = 600;

/** A server over a log with a tree of `SIZE` entries and one event that no checkpoint covers. */
const withTree = async (
  test: (site: Site, log: KvLog) => Promise<void>,
  { open = false, signed = true } = {},
): Promise<void> => {
  const store = new MemoryStore();
  let frozen = false;
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
    signer: {
      origin: signer.name,
      sign(size, root) {
        if (frozen) throw new Error("not now");
        return signer.checkpoint(size, root);
      },
    },
  });
  const append = (from: number, count: number) =>
    log.append({ events: Array.from({ length: count }, (_, i) => event(from + i)) });
  if (signed) {
    await append(0, SIZE);
    await log.checkpoint(SIZE);
  }
  frozen = true;
  await append(log.size, 1);
  const given = givenDaybook();
  const daybook = { ...given.daybook, log, checkpoint: () => log.checkpoint() };
  try {
    await withSite((site) => test(site, log), { daybook, openCheckpoint: open });
  } finally {
    frozen = false;
    await log.close();
  }
};

const bytesOf = async (site: Site, path: string): Promise<Uint8Array> => {
  const response = await site.send(path);
  assert.equal(response.status, 200, path);
  return await response.bytes();
};

const codeOf = async (site: Site, path: string, init: Parameters<Site["send"]>[1] = {}): Promise<[number, string]> => {
  const response = await site.send(path, init);
  const { type } = await response.json() as { type?: string };
  return [response.status, (type ?? "").replace("urn:daybook:problem:", "")];
};

Deno.test("a client of tlog-tiles reads checkpoint, tiles and bundles, and computes the root that was signed", () =>
  withTree(async (site) => {
    const note = new TextDecoder().decode(await bytesOf(site, "/checkpoint"));
    const { size, root } = parseCheckpoint(verifyNote(note, [signer.vkey]).text);
    assert.equal(size, SIZE);
    const hashes: Uint8Array[] = [];
    const entries: Uint8Array[] = [];
    for (const [place, width] of [["000", 256], ["001", 256], ["002.p/88", 88]] as const) {
      const tile = await bytesOf(site, `/tile/0/${place}`);
      assert.equal(tile.length, width * 32);
      for (let i = 0; i < width; i++) hashes.push(tile.slice(i * 32, (i + 1) * 32));
      const bundle = await bytesOf(site, `/tile/entries/${place}`);
      let at = 0;
      for (let i = 0; i < width; i++) {
        const length = bundle[at]! * 256 + bundle[at + 1]!;
        entries.push(bundle.slice(at + 2, at += 2 + length));
      }
      assert.equal(at, bundle.length);
    }
    assert.deepEqual(entries.map(leaf), hashes);
    assert.deepEqual(mth(hashes), root);
    const above = await bytesOf(site, "/tile/1/000.p/2");
    assert.deepEqual(above.slice(0, 32), mth(hashes.slice(0, 256)));
    assert.deepEqual(above.slice(32), mth(hashes.slice(256, 512)));
  }));

Deno.test("tiles and bundles say that they never change, and HEAD says how long a tile is", () =>
  withTree(async (site) => {
    for (const path of ["/tile/0/000", "/tile/1/000.p/1", "/tile/entries/000"]) {
      const response = await site.send(path);
      assert.equal(response.headers.get("content-type"), "application/octet-stream");
      assert.equal(response.headers.get("cache-control"), "private, max-age=31536000, immutable");
      await response.body?.cancel();
    }
    const head = await site.send("/tile/0/000", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-length"), head.body], [200, "8192", null]);
  }));

Deno.test("nothing is served that no checkpoint covers, or that is spelled otherwise", () =>
  withTree(async (site) => {
    const none = [
      ...["002", "002.p/89", "003", "003.p/1", "000.p/256", "000.p/0", "000.p/01", "000.p/", "000.p/300", "0", "00"],
      ...[
        "0000",
        "x000/000",
        "x000",
        "X001/000",
        "x001/000",
        "000/",
        "000/000",
        "%30%30%30",
        "-01",
        "000.P/1",
        "000.p",
      ],
      ...["x999/x999/x999/x999/x999/x999/999", "1e2", "abc"],
    ];
    for (const place of none) {
      assert.deepEqual(await codeOf(site, `/tile/0/${place}`), [404, "not_found"], `tile ${place}`);
      assert.deepEqual(await codeOf(site, `/tile/entries/${place}`), [404, "not_found"], `entries ${place}`);
    }
    for (const level of ["00", "01", "64", "-1", "a", "1", "2", "63"]) {
      assert.deepEqual(await codeOf(site, `/tile/${level}/000`), [404, "not_found"], `level ${level}`);
    }
    assert.deepEqual(await codeOf(site, "/tile/0"), [404, "not_found"]);
  }));

Deno.test("hash tiles, checkpoint and proofs are open by configuration, entries never", async () => {
  const open = ["/checkpoint", "/tile/0/000", "/proofs/inclusion?position=3", "/proofs/consistency?from=3"];
  await withTree(async (site) => {
    for (const path of open) {
      const response = await site.send(path, { as: null });
      assert.equal(response.status, 200, path);
      await response.body?.cancel();
    }
    const tile = await site.send("/tile/0/000", { as: null });
    assert.equal(tile.headers.get("cache-control"), "public, max-age=31536000, immutable");
    await tile.body?.cancel();
    assert.deepEqual(await codeOf(site, "/tile/entries/000", { as: null }), [401, "unauthenticated"]);
  }, { open: true });
  await withTree(async (site) => {
    for (const path of [...open, "/tile/entries/000"]) {
      assert.deepEqual(await codeOf(site, path, { as: null }), [401, "unauthenticated"], path);
      assert.deepEqual(await codeOf(site, path, { as: "ingest" }), [403, "forbidden"], path);
    }
  });
});

Deno.test("proofs are those of the entries, against the checkpoint or an older size", () =>
  withTree(async (site, log) => {
    const json = async (path: string) => await (await site.send(path)).json();
    const bytes = (text: string) => Uint8Array.fromBase64(text);
    for (const query of ["position=0", "position=599", "position=300&size=301", "position=0&size=1"]) {
      const said = await json(`/proofs/inclusion?${query}`);
      const { text } = verifyNote(said.checkpoint, [signer.vkey]);
      const checkpoint = parseCheckpoint(text);
      if (!query.includes("size")) assert.deepEqual([said.size, bytes(said.root)], [checkpoint.size, checkpoint.root]);
      assert.deepEqual(bytes(said.leaf), leafHash(log.entry(said.position)!));
      const claim = { index: said.position, size: said.size, proof: said.proof.map(bytes), root: bytes(said.root) };
      assert.ok(verifyInclusion({ leafHash: bytes(said.leaf), ...claim }), query);
    }
    for (const query of ["from=1", "from=600", "from=255&to=257", "from=256&to=512"]) {
      const said = await json(`/proofs/consistency?${query}`);
      const claim = { size1: said.from, size2: said.to, proof: said.proof.map(bytes) };
      assert.ok(verifyConsistency({ ...claim, root1: bytes(said.root1), root2: bytes(said.root2) }), query);
      if (!query.includes("to")) {
        assert.deepEqual(parseCheckpoint(verifyNote(said.checkpoint, [signer.vkey]).text).root, bytes(said.root2));
      }
    }
  }));

Deno.test("what cannot be proven is refused by its reason", async () => {
  await withTree(async (site) => {
    const refused: Record<string, readonly [number, string]> = {
      "/proofs/inclusion": [400, "invalid_query"],
      "/proofs/inclusion?position=": [400, "invalid_query"],
      "/proofs/inclusion?position=-1": [400, "invalid_query"],
      "/proofs/inclusion?position=1&position=2": [400, "invalid_query"],
      "/proofs/inclusion?position=1&tree=2": [400, "invalid_query"],
      "/proofs/inclusion?position=600": [404, "no_proof"],
      "/proofs/inclusion?position=5&size=5": [404, "no_proof"],
      "/proofs/inclusion?position=0&size=0": [404, "no_proof"],
      "/proofs/inclusion?position=0&size=601": [503, "tree_behind"],
      "/proofs/inclusion?position=0&size=602": [404, "no_proof"],
      "/proofs/inclusion?position=0&size=9007199254740991": [404, "no_proof"],
      "/proofs/consistency?from=0": [404, "no_proof"],
      "/proofs/consistency?from=0&to=0": [404, "no_proof"],
      "/proofs/consistency?from=6&to=5": [404, "no_proof"],
      "/proofs/consistency?from=601": [404, "no_proof"],
      "/proofs/consistency?from=1&to=601": [503, "tree_behind"],
      "/proofs/consistency?from=1&to=602": [404, "no_proof"],
      "/proofs/consistency?to=5": [400, "invalid_query"],
    };
    for (const [path, wanted] of Object.entries(refused)) assert.deepEqual(await codeOf(site, path), wanted, path);
    const behind = await site.send("/proofs/inclusion?position=0&size=601");
    assert.equal(behind.headers.get("retry-after"), "1");
    assert.equal((await behind.json()).size, SIZE);
  });
  await withTree(async (site) => {
    assert.deepEqual(await codeOf(site, "/proofs/inclusion?position=0"), [404, "no_checkpoint"]);
    assert.deepEqual(await codeOf(site, "/proofs/consistency?from=1"), [404, "no_checkpoint"]);
    assert.deepEqual(await codeOf(site, "/tile/0/000.p/1"), [404, "not_found"]);
    assert.deepEqual(await codeOf(site, "/tile/entries/000.p/1"), [404, "not_found"]);
  }, { signed: false });
});
