/** How a key wraps others where they lie: AES-256-GCM, each bound to its place. */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { KeysFault } from "./fault.ts";

const NONCE = 12, TAG = 16, VERSION = 4;

/** A key of its own for each purpose: HKDF-SHA-256 (RFC 5869). */
export const derived = (key: Uint8Array, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key, "", purpose, 32));

/** Tells one root key from another and nothing else of it. */
export const rootCheck = (root: Uint8Array): Uint8Array => derived(root, "daybook root check 1");

/** One key that wraps others. */
export class Wrapping {
  private readonly wrapKey: Uint8Array;

  constructor(key: Uint8Array, private readonly random: (bytes: number) => Uint8Array) {
    this.wrapKey = derived(key, "daybook wrap 1");
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
}

/**
 * The versions of one key. The newest wraps, and each unwraps what it has wrapped: a version (4 bytes, big-endian), and behind it
 * what `Wrapping` makes.
 */
export class Ring {
  private readonly versions = new Map<number, Wrapping>();
  private newest = 0;

  constructor(private readonly random: (bytes: number) => Uint8Array) {}

  add(version: number, key: Uint8Array): void {
    this.versions.set(version, new Wrapping(key, this.random));
    this.newest = Math.max(this.newest, version);
  }

  wrap(what: string, secret: Uint8Array): Uint8Array {
    const version = Buffer.alloc(VERSION);
    version.writeUInt32BE(this.newest);
    return Buffer.concat([version, this.versions.get(this.newest)!.wrap(`${this.newest}\n${what}`, secret)]);
  }

  /** Throws `KeysFault` `truncated` for anything that `wrap` did not make for this place. */
  unwrap(what: string, wrapped: Uint8Array): Uint8Array {
    const version = wrapped.length < VERSION ? undefined : versionOf(wrapped);
    const wrapping = version === undefined ? undefined : this.versions.get(version);
    if (!wrapping) throw damaged();
    return wrapping.unwrap(`${version}\n${what}`, wrapped.subarray(VERSION));
  }
}

/** Under which version of its ring a key was wrapped. */
export const versionOf = (wrapped: Uint8Array): number => new DataView(wrapped.buffer, wrapped.byteOffset).getUint32(0);

const damaged = (cause?: unknown): KeysFault =>
  new KeysFault("truncated", "Cannot unwrap a key: the key database is damaged; restore it from a backup", { cause });
