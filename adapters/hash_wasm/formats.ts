/** What is hashed and how, without the code that does it: that is loaded in the threads alone. */

export const HASHING = { salt_bytes: 16, hash_bytes: 32 } as const;

/** RFC 9106 section 3.1: memory in KiB, passes over it, lanes. */
export interface Argon2id {
  readonly memory_kib: number;
  readonly passes: number;
  readonly lanes: number;
}

/** What is to be hashed, as it goes to the thread. */
export type HashTask =
  | { readonly is: "argon2id"; readonly password: string; readonly salt: Uint8Array; readonly with: Argon2id }
  | { readonly is: "bcrypt"; readonly password: string; readonly encoded: string };

/** 32 bytes for `argon2id`; whether it fits for `bcrypt`. */
export type Hashed = Uint8Array | boolean;

/** bcrypt reads no further. */
export const BCRYPT_BYTES_MAX = 72;

/** This takes some two seconds, each one more twice as long. What takes more than ten is longer than a thread may be silent. */
export const BCRYPT_COST_MAX = 15;

/**
 * Modular crypt form: version, cost of 4 to 31, 22 characters of salt and 31 of hash. `$2x$` marks hashes of an implementation that was
 * wrong about bytes above 127, and is not taken.
 */
const BCRYPT = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;

/** The cost of a bcrypt hash; `undefined` for what is none, or costs more than is taken. */
export const bcryptCost = (encoded: string): number | undefined => {
  const cost = Number(BCRYPT.exec(encoded)?.[1]);
  return cost <= BCRYPT_COST_MAX ? cost : undefined;
};

/** Whether bcrypt tells this password from every other: it does not see bytes behind the 72nd. */
export const seenWhole = (password: string): boolean => new TextEncoder().encode(password).length <= BCRYPT_BYTES_MAX;
