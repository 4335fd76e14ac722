/**
 * Signed notes (https://c2sp.org/signed-note), checkpoints (https://c2sp.org/tlog-checkpoint) and cosignatures
 * (https://c2sp.org/tlog-cosignature), with Ed25519.
 */
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** Signs notes under one name. */
export interface NoteSigner {
  /** Name of the key; for a log its origin. */
  readonly name: string;
  /** Public key as others are given it: `name+hex(key id)+base64(0x01 ‖ public key)`. */
  readonly vkey: string;
  /** Ed25519 (RFC 8032) over the bytes: 64 bytes, always the same for the same. About 0.1 ms. */
  sign(bytes: Uint8Array): Uint8Array;
  /**
   * The text with a blank line and our signature line. The text ends in a newline and has no control characters but
   * newlines.
   */
  note(text: string): string;
  /** Our signature line for such a text, which others may sign too; ends in a newline. */
  signature(text: string): string;
  /** The checkpoint of a tree: `root` is its root hash, base64. */
  checkpoint(size: number, root: string): string;
}

/** Cosigns checkpoints as a witness. */
export interface Cosigner {
  readonly name: string;
  /** `name+hex(key id)+base64(0x04 ‖ public key)`. */
  readonly vkey: string;
  /** A signature line for the text of a checkpoint, seen at this time in seconds since 1970; ends in a newline. */
  cosign(text: string, seconds: number): string;
}

const ALGORITHM = 0x01;
const COSIGNATURE = 0x04;
// RFC 8410 section 7 and 4: an Ed25519 key behind this is PKCS #8, or SubjectPublicKeyInfo.
const PRIVATE = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC = Buffer.from("302a300506032b6570032100", "hex");
/** More are refused (the specification asks for at least 16). */
export const SIGNATURES_MAX = 100;

/** Whether a text can name a key: not empty, without Unicode spaces, plus signs or control characters. */
export const isKeyName = (name: string): boolean => name.isWellFormed() && /^[^\s+\p{Z}\p{Cc}]+$/u.test(name);

/** First four bytes of SHA-256(name ‖ 0x0A ‖ type of signature ‖ public key). */
const keyId = (name: string, publicKey: Uint8Array, type = ALGORITHM): Buffer =>
  createHash("sha256").update(`${name}\n`).update(Uint8Array.of(type)).update(publicKey).digest().subarray(0, 4);

/** The key pair of the 32 bytes of an Ed25519 private key. Throws `TypeError` on a name no note can carry. */
const keysOf = (name: string, seed: Uint8Array) => {
  if (!isKeyName(name)) {
    throw new TypeError("a key name is not empty and has no spaces, plus signs or control characters");
  }
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: "der", type: "pkcs8" });
  return { key, publicKey: createPublicKey(key).export({ format: "der", type: "spki" }).subarray(PUBLIC.length) };
};

const vkeyOf = (name: string, publicKey: Uint8Array, type: number): string =>
  `${name}+${keyId(name, publicKey, type).toString("hex")}+${
    Buffer.concat([Uint8Array.of(type), publicKey]).toString("base64")
  }`;

/** `seed`: the 32 bytes of an Ed25519 private key that signs nothing else. Throws `TypeError` on a name no note can carry. */
export const cosigner = (name: string, seed: Uint8Array): Cosigner => {
  const { key, publicKey } = keysOf(name, seed);
  const id = keyId(name, publicKey, COSIGNATURE);
  return {
    name,
    vkey: vkeyOf(name, publicKey, COSIGNATURE),
    cosign(text, seconds) {
      const time = Buffer.alloc(8);
      time.writeBigUInt64BE(BigInt(seconds));
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), key);
      return `— ${name} ${Buffer.concat([id, time, signature]).toString("base64")}\n`;
    },
  };
};

/** `seed`: the 32 bytes of an Ed25519 private key. Throws `TypeError` on a name no note can carry. */
export const noteSigner = (name: string, seed: Uint8Array): NoteSigner => {
  const { key, publicKey } = keysOf(name, seed);
  const id = keyId(name, publicKey);
  const signature = (text: string): string => {
    if (!isNoteText(text)) throw new TypeError("a note ends in a newline and has no control characters but newlines");
    return `— ${name} ${Buffer.concat([id, sign(null, Buffer.from(text), key)]).toString("base64")}\n`;
  };
  const note = (text: string): string => `${text}\n${signature(text)}`;
  return {
    name,
    vkey: vkeyOf(name, publicKey, ALGORITHM),
    sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
    note,
    signature,
    checkpoint: (size, root) => note(checkpointText(name, size, root)),
  };
};

/** C2SP tlog-checkpoint, without extension lines. */
export const checkpointText = (origin: string, size: number, root: string): string => `${origin}\n${size}\n${root}\n`;

const isNoteText = (text: string): boolean =>
  text.isWellFormed() && text.endsWith("\n") && !/[^\n\u{20}-\u{10ffff}]/u.test(text);

export interface NoteVerifier {
  readonly name: string;
  readonly id: string;
  readonly key: KeyObject;
}

/** Reads a public key `name+id+key`; `undefined` when it is none of ours or does not agree with itself. */
export const noteVerifier = (vkey: string): NoteVerifier | undefined => {
  const shape = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey);
  if (!shape || !isKeyName(shape[1]!)) return undefined;
  const [, name, id, encoded] = shape as unknown as [string, string, string, string];
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.toString("base64") !== encoded || bytes.length !== 33 || bytes[0] !== ALGORITHM) return undefined;
  const publicKey = bytes.subarray(1);
  if (keyId(name, publicKey).toString("hex") !== id) return undefined;
  return { name, id, key: createPublicKey({ key: Buffer.concat([PUBLIC, publicKey]), format: "der", type: "spki" }) };
};

/**
 * The text of a note when the key has signed it; `undefined` when it is malformed, not signed by this key, or any
 * signature of this key is wrong. Signatures by other keys are passed over.
 */
export const openNote = (note: string, { name, id, key }: NoteVerifier): string | undefined => {
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !isNoteText(note)) return undefined;
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2, -1).split("\n");
  if (lines.length > SIGNATURES_MAX) return undefined;
  let signed = false;
  for (const line of lines) {
    const shape = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (!shape || !isKeyName(shape[1]!)) return undefined;
    const bytes = Buffer.from(shape[2]!, "base64");
    if (bytes.toString("base64") !== shape[2] || bytes.length < 5) return undefined;
    if (shape[1] !== name || bytes.subarray(0, 4).toString("hex") !== id) continue;
    if (!verify(null, Buffer.from(text), key, bytes.subarray(4))) return undefined;
    signed = true;
  }
  return signed ? text : undefined;
};

/** What a checkpoint's text says; `undefined` when it is not the text of one. */
export const checkpointOf = (
  text: string,
): { readonly origin: string; readonly size: number; readonly root: string } | undefined => {
  const [origin, size, root, ...rest] = text.split("\n");
  if (!origin || !size || !root || rest.pop() !== "" || rest.includes("")) return undefined;
  if (!/^(0|[1-9]\d*)$/.test(size) || !Number.isSafeInteger(Number(size))) return undefined;
  const hash = Buffer.from(root, "base64");
  if (hash.length !== 32 || hash.toString("base64") !== root) return undefined;
  return { origin, size: Number(size), root };
};
