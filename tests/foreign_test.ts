/**
 * Other people's code reads what we write: the verifier that sigstore has for its transparency logs (npm:@sigstore/verify, used by npm
 * itself) accepts our checkpoints and inclusion proofs, and refuses them after one changed byte.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { verifyCheckpoint } from "@sigstore/verify/dist/tlog/checkpoint.js";
import { verifyMerkleInclusion } from "@sigstore/verify/dist/tlog/merkle.js";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { catalogue } from "../events/catalogue.ts";
import { inFolder } from "./folder_given.ts";
import { makeLog, ones, signer, Tampered } from "./verify_given.ts";

const SIZE = 700;

/** What sigstore keeps of a log it trusts: its name, and the key with the id that signatures are found by. */
const trusted = () => {
  const [name, id, key] = signer.vkey.split("+") as [string, string, string];
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(key, "base64").subarray(1)]);
  return [{
    baseURL: `https://${name}`,
    logID: Buffer.from(id, "hex"),
    publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }),
    validFor: { start: new Date(0), end: new Date(8.64e15) },
  }];
};

/** The entry at a position of a folder, with its proof, as sigstore has them. */
const entryOf = async (log: FolderReader, position: number) => {
  const checkpoint = (await log.checkpoint())!;
  const proof = log.tree.inclusion(position, checkpoint.size)!;
  return {
    canonicalizedBody: Buffer.from(log.entry(position)!),
    inclusionProof: {
      logIndex: String(position),
      treeSize: String(checkpoint.size),
      rootHash: Buffer.from(checkpoint.root, "base64"),
      hashes: proof.map((hash) => Buffer.from(hash)),
      checkpoint: { envelope: checkpoint.note },
    },
  };
};

type Entry = Awaited<ReturnType<typeof entryOf>>;

const accepted = (entry: Entry): boolean => {
  try {
    const checkpoint = verifyCheckpoint(entry as never, trusted() as never);
    verifyMerkleInclusion(entry as never, checkpoint);
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "TLOG_INCLUSION_PROOF_ERROR", String(error));
    return false;
  }
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
