/**
 * Files under a passphrase: the key from scrypt (RFC 7914), the rest AES-256-GCM (NIST SP 800-38D). The parameters
 * stand in the file and are part of what is authenticated.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import { z } from "zod";
import { LogFault } from "../../events/log.ts";

/** Named files, small enough to be held in memory. */
export type Bundle = Readonly<Record<string, Uint8Array>>;

export const PASSPHRASE_CHARACTERS_MIN = 8;
/** Bytes of all files together. */
export const BUNDLE_BYTES_MAX = 256 * 1024 * 1024;

/** About 0.4 s and 128 MiB for each guess. `N` is cost, `r` block size, `p` parallelism. */
const COST = { N: 1 << 17, r: 8, p: 1 } as const;
/** What a file may ask of us at most. */
const COST_MAX = { N: 1 << 20, r: 16, p: 4 } as const;

const bytes = z.base64();
const schema = z.strictObject({
  format: z.literal(1),
  kdf: z.strictObject({
    name: z.literal("scrypt"),
    N: z.int().min(1 << 14).max(COST_MAX.N),
    r: z.int().min(8).max(COST_MAX.r),
    p: z.int().min(1).max(COST_MAX.p),
    salt: bytes,
  }),
  cipher: z.strictObject({ name: z.literal("aes-256-gcm"), nonce: bytes, tag: bytes }),
  text: bytes,
});
type Sealed = z.output<typeof schema>;

/** The same letters however the keyboard composed them. */
const keyOf = (passphrase: string, { N, r, p, salt }: Sealed["kdf"]): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options = { N, r, p, maxmem: 256 * N * r };
    scrypt(
      passphrase.normalize("NFKC"),
      Buffer.from(salt, "base64"),
      32,
      options,
      (error, key) => error ? reject(error) : resolve(key),
    );
  });

const authenticated = ({ format, kdf }: Pick<Sealed, "format" | "kdf">): Buffer =>
  Buffer.from(`daybook keys\n${JSON.stringify([format, kdf.name, kdf.N, kdf.r, kdf.p, kdf.salt])}`);

/** Throws `LogFault` `invalid` for a passphrase that is too short, `too_large` for too many bytes. */
export const sealBundle = async (files: Bundle, passphrase: string): Promise<Uint8Array> => {
  if ([...passphrase].length < PASSPHRASE_CHARACTERS_MIN) {
    throw new LogFault(
      "invalid",
      `Cannot seal the keys: a passphrase has at least ${PASSPHRASE_CHARACTERS_MIN} characters`,
    );
  }
  const total = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  if (total > BUNDLE_BYTES_MAX) {
    throw new LogFault("too_large", `Cannot seal the keys: at most ${BUNDLE_BYTES_MAX} bytes, these are ${total}`);
  }
  const kdf = { name: "scrypt" as const, ...COST, salt: randomBytes(16).toString("base64") };
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", await keyOf(passphrase, kdf), nonce);
  cipher.setAAD(authenticated({ format: 1, kdf }));
  const plain = Buffer.from(
    JSON.stringify(
      Object.fromEntries(Object.entries(files).map(([name, file]) => [name, Buffer.from(file).toString("base64")])),
    ),
  );
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  const sealed: Sealed = {
    format: 1,
    kdf,
    cipher: { name: "aes-256-gcm", nonce: nonce.toString("base64"), tag: cipher.getAuthTag().toString("base64") },
    text: text.toString("base64"),
  };
  return Buffer.from(JSON.stringify(sealed) + "\n");
};

/**
 * Throws `LogFault` `invalid` when the passphrase does not open it, `foreign` when it is nothing that was sealed
 * here.
 */
export const openBundle = async (file: Uint8Array, passphrase: string): Promise<Bundle> => {
  let sealed: Sealed;
  try {
    sealed = schema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file)));
  } catch (error) {
    throw new LogFault("foreign", "Cannot open the keys: the file does not hold keys under a passphrase", {
      cause: error,
    });
  }
  const key = await keyOf(passphrase, sealed.kdf);
  try {
    const { nonce, tag } = sealed.cipher;
    const options = { authTagLength: 16 };
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"), options);
    decipher.setAAD(authenticated(sealed));
    decipher.setAuthTag(Buffer.from(tag, "base64"));
    const plain = Buffer.concat([decipher.update(Buffer.from(sealed.text, "base64")), decipher.final()]);
    const files = z.record(z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/), bytes).parse(
      JSON.parse(plain.toString()),
    );
    return Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text, "base64")]));
  } catch (error) {
    throw new LogFault("invalid", "Cannot open the keys: the passphrase is not the one they were sealed under", {
      cause: error,
    });
  }
};
