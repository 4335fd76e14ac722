/**
 * Other people's code reads what we write: the verifier that sigstore has for its transparency logs (npm:@sigstore/verify, used by npm
 * itself) accepts our checkpoints and inclusion proofs, and refuses them after one changed byte.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { catalogue } from "../events/catalogue.ts";
import { parseCheckpoint } from "../main.ts";
import { inFolder } from "./folder_given.ts";
import { accepted, proven } from "./foreign_given.ts";
import { path } from "./proofs_given.ts";
import { withTlogFolder } from "./tlog_given.ts";
import { makeLog, ones, Tampered } from "./verify_given.ts";

const SIZE = 700;

/** The entry at a position of a folder, with its proof. */
const entryOf = async (log: FolderReader, position: number) => {
  const checkpoint = (await log.checkpoint())!;
  const proof = log.tree.inclusion(position, checkpoint.size)!;
  return proven({ position, entry: log.entry(position)!, proof, checkpoint });
};

Deno.test("sigstore's verifier accepts checkpoint and proof of every kind of place, and nothing that was changed", () =>
  inFolder(async (dir) => {
    const { path, size } = await makeLog(`${dir}/log.db`, { appends: [300, 350, ...ones(50)] });
    assert.equal(size, SIZE);
    const log = new FolderReader(path, { catalogue: catalogue() });
    try {
      for (const position of [0, 1, 127, 255, 256, 511, 512, 650, 698, 699]) {
        const entry = await entryOf(log, position);
        assert.ok(accepted(entry), `position ${position}`);
        const { inclusionProof: proof } = entry;
        const { hashes, logIndex, checkpoint: { envelope } } = proof;
        const spoiled: Record<string, Partial<typeof proof>> = {
          "another index": { logIndex: String(Number(logIndex) ^ 1) },
          "an index beyond": { logIndex: String(SIZE) },
          "a truncated proof": { hashes: hashes.slice(1) },
          "a padded proof": { hashes: [...hashes, hashes[0]!] },
          "a turned bit": { hashes: hashes.map((hash, i) => i === 3 ? Buffer.from(hash.map((b) => b ^ 1)) : hash) },
          "another size in the checkpoint": { checkpoint: { envelope: envelope.replace("\n700\n", "\n701\n") } },
        };
        for (const [name, change] of Object.entries(spoiled)) {
          assert.ok(!accepted({ ...entry, inclusionProof: { ...proof, ...change } }), `${name} at ${position}`);
        }
      }
    } finally {
      await log.close();
    }
  }));

Deno.test("after one changed byte of the folder sigstore's verifier refuses the entry it is in", () =>
  inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [300, ...ones(30)] });
    const position = 311;
    const file = new Tampered(path);
    const bytes = file.get("log", position).slice();
    const text = new TextDecoder("latin1").decode(bytes);
    bytes[text.indexOf('"text":"') + 8]! ^= 1;
    file.put(bytes, "log", position);
    // Or our own reader would refuse the folder before anybody could ask.
    file.rechain();
    file.close();
    const log = new FolderReader(path, { catalogue: catalogue() });
    try {
      assert.ok(!accepted(await entryOf(log, position)));
      assert.ok(accepted(await entryOf(log, position - 1)), "its neighbour is as it was");
    } finally {
      await log.close();
    }
  }));

/** What somebody finds in a tlog-tiles folder who knows nothing but the specification: the entry, and the proof from the lowest tiles. */
const foundIn = async (folder: string, position: number) => {
  const note = await Deno.readTextFile(join(folder, "checkpoint"));
  const { size, root } = parseCheckpoint(note.slice(0, note.lastIndexOf("\n\n") + 1));
  const named = (index: number) =>
    String(index).padStart(3, "0") + (size - index * 256 < 256 ? `.p/${size - index * 256}` : "");
  const leaves: Uint8Array[] = [];
  for (let index = 0; index * 256 < size; index++) {
    const tile = await Deno.readFile(join(folder, "tile/0", named(index)));
    for (let at = 0; at < tile.length; at += 32) leaves.push(tile.subarray(at, at + 32));
  }
  const bundle = await Deno.readFile(join(folder, "tile/entries", named(Math.floor(position / 256))));
  let at = 0;
  const view = new DataView(bundle.buffer);
  for (let skip = position % 256; skip > 0; skip--) at += 2 + view.getUint16(at);
  const entry = bundle.subarray(at + 2, at + 2 + view.getUint16(at));
  return proven({ position, entry, proof: path(position, leaves), checkpoint: { size, root: root.toBase64(), note } });
};

Deno.test("sigstore's verifier accepts what it finds in a tlog-tiles folder, and refuses it after one changed byte", () =>
  withTlogFolder(SIZE, async (folder) => {
    const positions = [0, 255, 256, 512, 699];
    for (const position of positions) assert.ok(accepted(await foundIn(folder, position)), `position ${position}`);
    const spoil = async (name: string, at: number) => {
      const bytes = await Deno.readFile(join(folder, name));
      bytes[at]! ^= 1;
      await Deno.writeFile(join(folder, name), bytes);
    };
    const spoiled: readonly (readonly [name: string, at: number, position: number])[] = [
      ["tile/entries/001", 60, 256],
      ["tile/0/001", 32 * 9, 256],
      ["checkpoint", 22, 256],
    ];
    for (const [name, at, position] of spoiled) {
      await spoil(name, at);
      assert.ok(!accepted(await foundIn(folder, position)), name);
      await spoil(name, at);
      assert.ok(accepted(await foundIn(folder, position)), `${name} as it was`);
    }
  }));
