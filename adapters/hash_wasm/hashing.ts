/** Argon2id (RFC 9106) and bcrypt, on the thread that asks: both take tens of milliseconds, so it is to be one of their own. */
import { argon2id, bcryptVerify } from "hash-wasm";

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

/** The password's UTF-8 bytes as they are: nothing is cut, folded or normalised, but what bcrypt cannot see. */
export const hashed = async (task: HashTask): Promise<Hashed> => {
  if (task.is === "bcrypt") return await bcryptFits(task.password, task.encoded);
  const { memory_kib, passes, lanes } = task.with;
  return await argon2id({
    password: task.password,
    salt: task.salt,
    memorySize: memory_kib,
    iterations: passes,
    parallelism: lanes,
    hashLength: HASHING.hash_bytes,
    outputType: "binary",
  });
};

/** bcrypt reads no further. */
export const BCRYPT_BYTES_MAX = 72;

/**
 * Modular crypt form: version, cost of 4 to 31, 22 characters of salt and 31 of hash. `$2x$` marks hashes of an implementation that was
 * wrong about bytes above 127, and is not taken.
 */
const BCRYPT = /^\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/;

/** The cost of a bcrypt hash; `undefined` for what is none. */
export const bcryptCost = (encoded: string): number | undefined => {
  const cost = BCRYPT.exec(encoded)?.[1];
  return cost === undefined ? undefined : Number(cost);
};

/** Whether bcrypt tells this password from every other: it does not see bytes behind the 72nd. */
export const seenWhole = (password: string): boolean => new TextEncoder().encode(password).length <= BCRYPT_BYTES_MAX;

const bcryptFits = async (password: string, hash: string): Promise<boolean> => {
  const bytes = new TextEncoder().encode(password).subarray(0, BCRYPT_BYTES_MAX);
  return bytes.length > 0 && await bcryptVerify({ password: bytes, hash });
};
