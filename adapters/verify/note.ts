/**
 * Reads signed notes (https://c2sp.org/signed-note) with Ed25519, the checkpoints in them
 * (https://c2sp.org/tlog-checkpoint) and what witnesses add (https://c2sp.org/tlog-cosignature). Nothing here signs.
 */
import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { nodeCrypto, sha256 } from "./crypto.ts";

/** A note with more signature lines is not read (the specification lets a reader limit them, to no fewer than 16). */
const SIGNATURES_MAX = 100;
/** A longer text is not read as a note. */
const NOTE_CHARACTERS_MAX = 65_536;

const ED25519 = 0x01;
const COSIGNATURE = 0x04;
/** A cosignature is the time it was made, in seconds since 1970, before the signature itself. */
const TIME_BYTES = 8;
// RFC 8410 section 4: SubjectPublicKeyInfo of an Ed25519 key, all but the key.
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

export interface VerifierKey {
  readonly name: string;
  /** Key id, 8 hexadecimal digits. */
  readonly id: string;
  /** Whether it signs the text itself, or as a witness the text and when it was seen. */
  readonly signs: "text" | "time and text";
  readonly key: KeyObject;
}

export interface Signature {
  readonly name: string;
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface Note {
  /** What is signed; ends in a newline. */
  readonly text: string;
  readonly signatures: readonly Signature[];
}

export interface CheckpointText {
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

const isName = (name: string): boolean => name !== "" && name.isWellFormed() && !/[\s+\p{Z}\p{Cc}]/u.test(name);

/**
 * Bytes of standard base64 with its padding; `undefined` for anything else, so that no two texts mean the same bytes.
 */
export const fromBase64 = (text: string): Buffer | undefined => {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
};

/**
 * Reads `name+id+key`; `undefined` when it is not a key for Ed25519 signatures or cosignatures, or its id is not that of its name and
 * key.
 */
export const readVerifierKey = (vkey: string): VerifierKey | undefined => {
  const first = vkey.indexOf("+");
  const second = vkey.indexOf("+", first + 1);
  if (first < 0 || second < 0) return undefined;
  const name = vkey.slice(0, first);
  const id = vkey.slice(first + 1, second);
  const bytes = fromBase64(vkey.slice(second + 1));
  if (!isName(name) || !bytes || bytes.length !== 33) return undefined;
  if (bytes[0] !== ED25519 && bytes[0] !== COSIGNATURE) return undefined;
  const expected = sha256().update(`${name}\n`).update(bytes).digest("hex").slice(0, 8);
  if (id !== expected) return undefined;
  const key = nodeCrypto().createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, bytes.subarray(1)]),
    format: "der",
    type: "spki",
  });
  return { name, id, signs: bytes[0] === ED25519 ? "text" : "time and text", key };
};

/** Splits a note into its text and its signatures; `undefined` when it is not formed as one. */
export const readNote = (note: string): Note | undefined => {
  if (note.length > NOTE_CHARACTERS_MAX || !note.isWellFormed() || /[^\n\u{20}-\u{10ffff}]/u.test(note)) {
    return undefined;
  }
  const blank = note.lastIndexOf("\n\n");
  if (blank < 0 || !note.endsWith("\n")) return undefined;
  const lines = note.slice(blank + 2, -1).split("\n");
  if (lines.length > SIGNATURES_MAX) return undefined;
  const signatures: Signature[] = [];
  for (const line of lines) {
    const [dash, name, encoded, ...rest] = line.split(" ");
    const bytes = encoded === undefined ? undefined : fromBase64(encoded);
    if (dash !== "—" || !isName(name!) || !bytes || bytes.length < 5 || rest.length > 0) return undefined;
    signatures.push({ name: name!, id: bytes.toString("hex", 0, 4), bytes: bytes.subarray(4) });
  }
  return { text: note.slice(0, blank + 1), signatures };
};

/** `signed`: by this key. `unsigned`: it has not signed. `wrong`: it is said to have signed, and has not. */
export const signedBy = (note: Note, { name, id, signs, key }: VerifierKey): "signed" | "unsigned" | "wrong" => {
  const own = note.signatures.filter((signature) => signature.name === name && signature.id === id);
  if (own.length === 0) return "unsigned";
  const holds = signs === "text"
    ? ({ bytes }: Signature) => nodeCrypto().verify(null, Buffer.from(note.text), key, bytes)
    : (signature: Signature) => cosigned(note.text, signature, key);
  return own.every(holds) ? "signed" : "wrong";
};

/** tlog-cosignature, "Ed25519 signed message": a header, the time, and the whole text. */
const cosigned = (text: string, { bytes }: Signature, key: KeyObject): boolean => {
  if (bytes.length <= TIME_BYTES) return false;
  const time = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
  if (time >= 2n ** 63n) return false;
  return nodeCrypto().verify(
    null,
    Buffer.from(`cosignature/v1\ntime ${time}\n${text}`),
    key,
    bytes.subarray(TIME_BYTES),
  );
};

/** Origin, size and root, and any number of extension lines; `undefined` for what is not the text of a checkpoint. */
export const readCheckpoint = (text: string): CheckpointText | undefined => {
  if (!text.endsWith("\n")) return undefined;
  const [origin, size, root, ...extensions] = text.slice(0, -1).split("\n");
  if (!origin || !size || !root || extensions.includes("")) return undefined;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) return undefined;
  return fromBase64(root)?.length === 32 ? { origin, size: Number(size), root } : undefined;
};
