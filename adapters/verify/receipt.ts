/**
 * Receipts: C2SP tlog-proof (https://c2sp.org/tlog-proof) with the entry itself as their extra data, so that whoever has the log's public
 * key needs nothing else to know that the entry is in the log, and where. The extra data is not believed: it is hashed, and the proof is
 * for that hash.
 */
import { NotProven, parseCheckpoint, verifyInclusion, verifyNote } from "./library.ts";
import { fromBase64 } from "./note.ts";
import { HASH_BYTES, leafHash } from "./tree.ts";

const RECEIPT_LINE = "c2sp.org/tlog-proof@v1";
/** More hashes no proof has: a tree has fewer than 2^63 leaves. */
const PROOF_LINES_MAX = 63;

export interface Receipt {
  readonly index: number;
  /** The exact bytes of the entry; absent where the receipt does not carry it. */
  readonly entry: Uint8Array | undefined;
  readonly proof: readonly Uint8Array[];
  /** The checkpoint, a signed note. */
  readonly note: string;
}

/** A receipt that holds. */
export interface Proven {
  readonly index: number;
  readonly entry: Uint8Array;
  readonly origin: string;
  /** Of the tree that the checkpoint is of. */
  readonly size: number;
  readonly root: Uint8Array;
  /** Which of the keys have signed the checkpoint. */
  readonly names: readonly string[];
}

/** Reads a receipt; `undefined` for what is not formed as one. Nothing of it is proven by that. */
export const readReceipt = (text: string): Receipt | undefined => {
  const blank = text.indexOf("\n\n");
  if (blank < 0) return undefined;
  const [first, ...lines] = text.slice(0, blank).split("\n");
  if (first !== RECEIPT_LINE) return undefined;
  const extra = lines[0]?.startsWith("extra ") ? fromBase64(lines.shift()!.slice("extra ".length)) : null;
  const index = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? "")?.[1];
  if (extra === undefined || index === undefined || !Number.isSafeInteger(Number(index))) return undefined;
  const proof = lines.map(fromBase64);
  if (proof.length > PROOF_LINES_MAX || proof.some((hash) => hash?.length !== HASH_BYTES)) return undefined;
  return {
    index: Number(index),
    entry: extra ?? undefined,
    proof: proof as Uint8Array[],
    note: text.slice(blank + 2),
  };
};

/**
 * Checks a receipt against the public keys that are trusted (`name+id+key`). Throws `NotProven` and says why; `TypeError` for a key that
 * is none.
 */
export const checkReceipt = (text: string, vkeys: Iterable<string>): Proven => {
  const keys = [...vkeys];
  const receipt = readReceipt(text);
  if (!receipt) {
    // So that a wrong key is told apart from a wrong receipt.
    verifyKeys(keys);
    throw new NotProven("the file is not formed as a receipt (C2SP tlog-proof)");
  }
  const { text: said, names } = verifyNote(receipt.note, keys);
  const { origin, size, root } = parseCheckpoint(said);
  const { index, entry, proof } = receipt;
  if (entry === undefined) throw new NotProven("the receipt does not carry its entry");
  if (!verifyInclusion({ leafHash: leafHash(entry), index, size, proof, root })) {
    throw new NotProven(`the entry is not proven to be number ${index} of the ${size} that the checkpoint is of`);
  }
  return { index, entry, origin, size, root, names };
};

/** Throws `TypeError` for a key that is none. */
const verifyKeys = (vkeys: readonly string[]): void => {
  try {
    verifyNote("", vkeys);
  } catch (error) {
    if (error instanceof TypeError) throw error;
  }
};
