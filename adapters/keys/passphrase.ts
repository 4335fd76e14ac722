/**
 * A root key out of a passphrase: PBKDF2 (RFC 8018 section 5.2) with HMAC-SHA-256. Its parameters lie in the key database
 * beside what it opens; they are no secret.
 */
import { Buffer } from "node:buffer";
import { pbkdf2Sync } from "node:crypto";
import { z } from "zod";
import { KeysFault } from "./fault.ts";

export const PASSPHRASE_CHARACTERS_MIN = 12;
/** About 0.3 s for each guess; what OWASP's password storage cheat sheet asks for of this function. */
export const PBKDF2_ITERATIONS = 600_000;
const SALT_BYTES = 16;

/** Parameters, as they are kept. */
export const kdfSchema = z.strictObject({
  name: z.literal("pbkdf2-hmac-sha256"),
  // What a file may ask of us at most, and what is no guess too cheap.
  iterations: z.int().min(100_000).max(10_000_000),
  /** Base64url. */
  salt: z.string().regex(/^[\w-]{22,86}$/),
});

/** How a passphrase becomes a key. */
export type Kdf = z.output<typeof kdfSchema>;

/** Parameters for a new key. */
export const freshKdf = (random: (bytes: number) => Uint8Array): Kdf => ({
  name: "pbkdf2-hmac-sha256",
  iterations: PBKDF2_ITERATIONS,
  salt: Buffer.from(random(SALT_BYTES)).toString("base64url"),
});

/** Parameters as they were kept. Throws `KeysFault` `truncated` for what are none. */
export const parseKdf = (text: string): Kdf => {
  try {
    return kdfSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new KeysFault(
      "truncated",
      "Cannot use the key database: the parameters of its passphrase are damaged; restore it from a backup",
      { cause: error },
    );
  }
};

/** 32 bytes. The same letters however the keyboard composed them. Throws `KeysFault` `invalid` for too short a passphrase. */
export const keyOfPassphrase = (passphrase: string, { iterations, salt }: Kdf): Uint8Array => {
  if ([...passphrase].length < PASSPHRASE_CHARACTERS_MIN) {
    throw new KeysFault(
      "invalid",
      `Cannot use the passphrase: it has at least ${PASSPHRASE_CHARACTERS_MIN} characters`,
    );
  }
  return pbkdf2Sync(passphrase.normalize("NFKC"), Buffer.from(salt, "base64url"), iterations, 32, "sha256");
};
