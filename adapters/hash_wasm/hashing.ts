/** Argon2id (RFC 9106) and bcrypt, on the thread that asks: both take tens of milliseconds, so it is to be one of their own. */
import { argon2id, bcryptVerify } from "hash-wasm";
import { BCRYPT_BYTES_MAX, type Hashed, HASHING, type HashTask } from "./formats.ts";

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

const bcryptFits = async (password: string, hash: string): Promise<boolean> => {
  const bytes = new TextEncoder().encode(password).subarray(0, BCRYPT_BYTES_MAX);
  return bytes.length > 0 && await bcryptVerify({ password: bytes, hash });
};
