/** What leaves and inner nodes of the Merkle tree are hashed as (RFC 9162 section 2.1.1). */
import { createHash } from "node:crypto";

/** What is hashed before an entry, and before two nodes. */
export const LEAF_PREFIX = 0;
export const NODE_PREFIX = 1;
const LEAF = Uint8Array.of(LEAF_PREFIX);
const NODE = Uint8Array.of(NODE_PREFIX);

// By way of hexadecimal digits, as a digest that is a `Buffer` of its own costs half as much again.

/** `MTH({d}) = SHA-256(0x00 || d)`. */
export const leafHash = (entry: Uint8Array): Uint8Array =>
  Uint8Array.fromHex(createHash("sha256").update(LEAF).update(entry).digest("hex"));
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  Uint8Array.fromHex(createHash("sha256").update(NODE).update(left).update(right).digest("hex"));
