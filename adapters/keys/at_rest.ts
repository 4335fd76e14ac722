/**
 * Bytes at rest under one 32-byte key: AES-256-GCM (NIST SP 800-38D), the place they lie at as associated data, so that no two
 * values can be exchanged.
 *
 * ```text
 *  … clear bytes, if any
 * 16 salt         names the key: HKDF-SHA-256 (RFC 5869) of the folder's key, with this salt
 * 12 nonce        random
 *  … ciphertext
 * 16 tag
 * ```
 *
 * A value may be sealed again at its place with other content, after a crash or an outcome that is not known, so a nonce cannot
 * come from the place. It is random; and as each run takes a salt of its own, and another one after `SEALS_MAX` values, no
 * key seals more than the 2^32 values that random nonces allow (SP 800-38D section 8.3), however old a folder gets.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Sealing } from "../../events/sealing.ts";

const SALT = 16, NONCE = 12, TAG = 16;
const CIPHER = "aes-256-gcm";
/** Values sealed under one salt. */
const SEALS_MAX = 2 ** 31;
/** Keys held for opening; each run that has sealed something left here is one. */
const KEYS_MAX = 1_000;

export interface SealingOptions {
  /** Random bytes. Default: the system's. */
  readonly random?: (bytes: number) => Uint8Array;
  /** Default `SEALS_MAX`. */
  readonly sealsMax?: number;
}

/** Throws `RangeError` when the key has not 32 bytes. */
export const sealingOf = (
  key: Uint8Array,
  { random = randomBytes, sealsMax = SEALS_MAX }: SealingOptions = {},
): Sealing => {
  if (key.length !== 32) throw new RangeError("a key that seals has 32 bytes");
  const keys = new LRUCache<string, Uint8Array>({ max: KEYS_MAX });
  const derive = (salt: Uint8Array) => new Uint8Array(hkdfSync("sha256", key, salt, "daybook at rest 1", 32));
  const keyOf = (salt: Uint8Array): Uint8Array => {
    const name = String.fromCharCode(...salt);
    let known = keys.get(name);
    if (!known) keys.set(name, known = derive(salt));
    return known;
  };
  let current: { readonly salt: Uint8Array; readonly key: Uint8Array; left: number } | undefined;
  const sealer = () => {
    if (!current || current.left === 0) {
      const salt = random(SALT);
      current = { salt, key: keyOf(salt), left: sealsMax };
    }
    current.left--;
    return current;
  };
  return {
    overhead: SALT + NONCE + TAG,
    check: Buffer.from(hkdfSync("sha256", key, "", "daybook at rest check 1", 16)).toString("base64url"),
    seal(place, bytes, clear = 0) {
      const { salt, key } = sealer();
      const nonce = random(NONCE);
      const cipher = createCipheriv(CIPHER, key, nonce);
      cipher.setAAD(bound(place, bytes, clear));
      const text = cipher.update(clear === 0 ? bytes : bytes.subarray(clear));
      cipher.final();
      const sealed = new Uint8Array(bytes.length + SALT + NONCE + TAG);
      if (clear > 0) sealed.set(bytes.subarray(0, clear));
      sealed.set(salt, clear);
      sealed.set(nonce, clear + SALT);
      sealed.set(text, clear + SALT + NONCE);
      sealed.set(cipher.getAuthTag(), sealed.length - TAG);
      return sealed;
    },
    open(place, sealed, clear = 0) {
      const at = clear + SALT + NONCE;
      const end = sealed.length - TAG;
      if (end < at) return undefined;
      const decipher = createDecipheriv(
        CIPHER,
        keyOf(sealed.subarray(clear, clear + SALT)),
        sealed.subarray(clear + SALT, at),
      );
      decipher.setAAD(bound(place, sealed, clear));
      decipher.setAuthTag(sealed.subarray(end));
      const text = decipher.update(sealed.subarray(at, end));
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      if (clear === 0) return new Uint8Array(text.buffer, text.byteOffset, text.length);
      const bytes = new Uint8Array(clear + text.length);
      bytes.set(sealed.subarray(0, clear));
      bytes.set(text, clear);
      return bytes;
    },
  };
};

/** Associated data: the place, and the bytes that stay clear. A place names itself, so none is the beginning of another. */
const bound = (place: Uint8Array, bytes: Uint8Array, clear: number): Uint8Array => {
  if (clear === 0) return place;
  const all = new Uint8Array(place.length + clear);
  all.set(place);
  all.set(bytes.subarray(0, clear), place.length);
  return all;
};
