/** The verifier that sigstore has for its transparency logs (npm:@sigstore/verify, used by npm itself), asked about our entries. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { verifyCheckpoint } from "@sigstore/verify/dist/tlog/checkpoint.js";
import { verifyMerkleInclusion } from "@sigstore/verify/dist/tlog/merkle.js";
import type { Checkpoint } from "../events/log.ts";
import { signer } from "./verify_given.ts";

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

/** An entry with its proof, as sigstore has them. */
export const proven = (
  { position, entry, proof, checkpoint }: {
    readonly position: number;
    readonly entry: Uint8Array;
    readonly proof: readonly Uint8Array[];
    readonly checkpoint: Pick<Checkpoint, "size" | "root" | "note">;
  },
) => ({
  canonicalizedBody: Buffer.from(entry),
  inclusionProof: {
    logIndex: String(position),
    treeSize: String(checkpoint.size),
    rootHash: Buffer.from(checkpoint.root, "base64"),
    hashes: proof.map((hash) => Buffer.from(hash)),
    checkpoint: { envelope: checkpoint.note },
  },
});

export type Proven = ReturnType<typeof proven>;

export const accepted = (entry: Proven): boolean => {
  try {
    const checkpoint = verifyCheckpoint(entry as never, trusted() as never);
    verifyMerkleInclusion(entry as never, checkpoint);
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, "TLOG_INCLUSION_PROOF_ERROR", String(error));
    return false;
  }
};
