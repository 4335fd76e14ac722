/**
 * What the root key does: wraps the other keys where they lie, and hashes identifiers so that they can be found and
 * not read.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { KeysFault } from "./fault.ts";

const NONCE = 12, TAG = 16;

/** A key of its own for each purpose: HKDF-SHA-256 (RFC 5869). */
export const derived = (key: Uint8Array, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key, "", purpose, 32));

/** Tells one root key from another and nothing else of it. */
export const rootCheck = (root: Uint8Array): Uint8Array => derived(root, "daybook root check 1");

export class Wrapping {
  private readonly wrapKey: Uint8Array;
  private readonly lookupKey: Uint8Array;

  constructor(root: Uint8Array, private readonly random: (bytes: number) => Uint8Array) {
    this.wrapKey = derived(root, "daybook wrap 1");
    this.lookupKey = derived(root, "daybook lookup 1");
  }

  /**
   * AES-256-GCM with a random nonce: nonce, ciphertext, tag. `what` names the place, so that no two can be exchanged.
   */
  wrap(what: string, secret: Uint8Array): Uint8Array {
    const nonce = this.random(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.wrapKey, nonce);
    cipher.setAAD(Buffer.from(what));
    return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  }

  /** Throws `KeysFault` `truncated` for anything that `wrap` did not make for this place. */
  unwrap(what: string, wrapped: Uint8Array): Uint8Array {
    if (wrapped.length < NONCE + TAG) throw damaged();
    const decipher = createDecipheriv("aes-256-gcm", this.wrapKey, wrapped.subarray(0, NONCE));
    decipher.setAAD(Buffer.from(what));
    decipher.setAuthTag(wrapped.subarray(wrapped.length - TAG));
    const secret = decipher.update(wrapped.subarray(NONCE, wrapped.length - TAG));
    try {
      decipher.final();
    } catch (error) {
      throw damaged(error);
    }
    return secret;
  }

  /** HMAC-SHA-256 of an identifier, to find it by. */
  lookup(text: string): Uint8Array {
    return createHmac("sha256", this.lookupKey).update(text).digest();
  }
}

const damaged = (cause?: unknown): KeysFault =>
  new KeysFault("truncated", "Cannot unwrap a key: the key database is damaged; restore it from a backup", { cause });
