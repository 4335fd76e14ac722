/**
 * The checks as other programs call them: trees and proofs by RFC 9162 section 2.1, notes and checkpoints by C2SP
 * (https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint, https://c2sp.org/tlog-cosignature). Hashes and entries are
 * `Uint8Array`, sizes and indexes non-negative safe integers.
 */
import { canonical, CanonicalError } from "../../events/canonical.ts";
import { readCheckpoint, readNote, readVerifierKey, signedBy } from "./note.ts";
import { isBytes } from "./proofs.ts";
import { leafHash as hashOfLeaf, MerkleTree } from "./tree.ts";

export { type ConsistencyClaim, type InclusionClaim, verifyConsistency, verifyInclusion } from "./proofs.ts";

/** `SHA-256(0x00 ‖ entry)`, 32 bytes (RFC 9162 section 2.1.1). Throws `TypeError` for what is no `Uint8Array`, a text for one. */
export const leafHash = (entry: Uint8Array): Uint8Array => {
  if (!isBytes(entry)) throw new TypeError("an entry is a Uint8Array");
  return new Uint8Array(hashOfLeaf(entry));
};

/**
 * The root hash over entries in their order (RFC 9162 section 2.1.1); of none it is `SHA-256()`. Memory: one hash per level. Throws as
 * `leafHash` does.
 */
export const merkleRoot = (entries: Iterable<Uint8Array>): Uint8Array => {
  const tree = new MerkleTree();
  for (const entry of entries) tree.add(leafHash(entry));
  return new Uint8Array(tree.root());
};

/** What cannot be believed: a note no known key has signed, a text that is not what it should be. */
export class NotProven extends Error {
  override readonly name = "NotProven";
}

/** A note's text and the names of those known keys that have signed it, in the order of their signatures. */
export interface VerifiedNote {
  /** What is signed; ends in a newline. */
  readonly text: string;
  readonly names: readonly string[];
}

/**
 * Opens a signed note (https://c2sp.org/signed-note). `vkeys`: the public keys that are trusted, `name+id+key` each, of Ed25519
 * signatures (type 0x01) or of cosignatures (type 0x04, https://c2sp.org/tlog-cosignature). Signatures of others are passed over.
 *
 * Throws `NotProven` when no known key has signed it, when what is said to be the signature of a known key is none, and for what
 * is not formed as a note; `TypeError` for a key that is none.
 */
export const verifyNote = (note: string, vkeys: Iterable<string>): VerifiedNote => {
  const keys = [...vkeys].map((vkey) => {
    const key = typeof vkey === "string" ? readVerifierKey(vkey) : undefined;
    if (!key) throw new TypeError("a key is name+id+key, of type 0x01 (Ed25519) or 0x04 (cosignature)");
    return key;
  });
  const read = typeof note === "string" ? readNote(note) : undefined;
  if (!read) throw new NotProven("the text is not formed as a signed note");
  const signed = new Map<string, string>();
  for (const key of keys) {
    const state = signedBy(read, key);
    if (state === "wrong") throw new NotProven(`the note has a wrong signature of ${key.name}`);
    if (state === "signed") signed.set(`${key.name} ${key.id}`, key.name);
  }
  if (signed.size === 0) throw new NotProven("no known key has signed the note");
  const order = read.signatures.map(({ name, id }) => signed.get(`${name} ${id}`)).filter((name) => name !== undefined);
  return { text: read.text, names: [...new Set(order)] };
};

/**
 * What the text of a checkpoint says (https://c2sp.org/tlog-checkpoint): to be read from `verifyNote(…).text`, never from a note nobody
 * has verified. Extension lines are passed over. Throws `NotProven` for any other text.
 */
export const parseCheckpoint = (
  text: string,
): { readonly origin: string; readonly size: number; readonly root: Uint8Array } => {
  const said = typeof text === "string" ? readCheckpoint(text) : undefined;
  if (!said) throw new NotProven("the text is not that of a checkpoint");
  return { origin: said.origin, size: said.size, root: Uint8Array.fromBase64(said.root) };
};

const NONCHARACTER = /\p{Noncharacter_Code_Point}/u;

/**
 * The canonical JSON of a value (RFC 8785). Members that are `undefined` are left out, as `JSON.stringify` does.
 * Throws `CanonicalError` on what I-JSON (RFC 7493 section 2) excludes: NaN, infinities, lone surrogates, noncharacters; and on what is
 * no JSON value at all.
 */
export const canonicalize = (value: unknown): string => {
  const text = canonical(value);
  if (NONCHARACTER.test(text)) throw new CanonicalError("not_json", "", "a string holds a noncharacter");
  return text;
};
