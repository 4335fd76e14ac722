/**
 * A log that is sealed at rest (`seal` in its format): blocks behind their first 8 bytes, pages of the index and chunks of blobs are
 * each 16 bytes of salt, 12 of nonce, AES-256-GCM ciphertext and a tag of 16. The key is HKDF-SHA-256 (RFC 5869) of the folder's
 * key with the salt; the row's key in the file, and a block's clear bytes, are associated data. Hashes and links are over what it holds.
 */
import { Buffer } from "node:buffer";
import { createDecipheriv, hkdfSync } from "node:crypto";

const SALT = 16;
const NONCE = 12;
const TAG = 16;
const BLOCK_CLEAR = 8;
const CODEC_AT = 4;
const SEALED = 1;
/** Salts whose keys are held. */
const KEYS_MAX = 1_000;

/** What a row holds; a text says why it cannot be told. */
export type Opener = (row: Uint8Array, value: Uint8Array) => Uint8Array | string;

/** What a format says of the key. */
export const sealOf = (key: Uint8Array): string =>
  Buffer.from(hkdfSync("sha256", key, "", "daybook at rest check 1", 16)).toString("base64url");

/** What a format says its log is sealed under; `undefined`: it is clear, or this is no format. */
export const sealIn = (format: Uint8Array): string | undefined =>
  /^\{"format":1,"seal":"([^"]*)"\}$/.exec(Buffer.from(format).toString("latin1"))?.[1];

export const openerOf = (key: Uint8Array): Opener => {
  const keys = new Map<string, Uint8Array>();
  const derived = (salt: Uint8Array): Uint8Array => {
    const name = Buffer.from(salt).toString("latin1");
    let known = keys.get(name);
    if (!known) {
      if (keys.size >= KEYS_MAX) keys.clear();
      keys.set(name, known = new Uint8Array(hkdfSync("sha256", key, salt, "daybook at rest 1", 32)));
    }
    return known;
  };
  return (row, value) => {
    const clear = isBlock(row) ? BLOCK_CLEAR : 0;
    if (clear > 0) {
      // What begins in another way is for who reads blocks to name.
      if (Buffer.compare(value.subarray(0, CODEC_AT), MAGIC) !== 0 || value[CODEC_AT]! > SEALED) return value;
      if (value[CODEC_AT] !== SEALED) return "a block that is not sealed, in a log that is";
    }
    const text = clear + SALT + NONCE;
    const end = value.length - TAG;
    if (end < text) return `${value.length} bytes, too few for what is sealed`;
    const decipher = createDecipheriv(
      "aes-256-gcm",
      derived(value.subarray(clear, clear + SALT)),
      value.subarray(clear + SALT, text),
    );
    decipher.setAAD(Buffer.concat([row, value.subarray(0, clear)]));
    decipher.setAuthTag(value.subarray(end));
    // Not a Buffer, whose parts are Buffers again, which cost more to make than all else that is done with them.
    const opened = new Uint8Array(clear + end - text);
    opened.set(value.subarray(0, clear));
    opened.set(decipher.update(value.subarray(text, end)), clear);
    try {
      decipher.final();
    } catch {
      return "sealed bytes that do not open: changed, cut short, or from another place";
    }
    if (clear > 0) opened[CODEC_AT] = 0;
    return opened;
  };
};

/** Deno KV's key of a block begins with the text "log". */
const isBlock = (row: Uint8Array): boolean => Buffer.compare(row.subarray(0, LOG.length), LOG) === 0;
const MAGIC = Buffer.from("DBK1");
const LOG = Buffer.from([0x02, 0x6c, 0x6f, 0x67, 0x00]);
