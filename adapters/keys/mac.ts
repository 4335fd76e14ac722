/**
 * SHA-256 and HMAC-SHA-256 (RFC 2104) of short messages, without an object of the platform's for each. What of an HMAC does not depend on the
 * message is worked out once for a key; a copy of that goes on.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";

// Nothing here waits, so all share these. They are wiped when a message ends.
const blank = sha256.create();
const hashing = blank.clone();
const mixing = hmac.create(sha256, new Uint8Array(0));

/** 32 bytes. */
export const hashOf = (message: Uint8Array): Uint8Array => blank._cloneInto(hashing).update(message).digest();

/** 32 bytes, new ones each time. */
export type Mac = (message: Uint8Array) => Uint8Array;

export const macUnder = (key: Uint8Array): Mac => {
  const keyed = hmac.create(sha256, key);
  return (message) => keyed._cloneInto(mixing).update(message).digest();
};
