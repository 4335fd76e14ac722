/** Private keys for certificates: ECDSA over P-256, which everything that speaks TLS takes. */
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";

/** PKCS #8, DER. */
export const newKey = (): Uint8Array => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  return new Uint8Array(privateKey.export({ format: "der", type: "pkcs8" }));
};

const keyOf = (key: Uint8Array): KeyObject => createPrivateKey({ key: Buffer.from(key), format: "der", type: "pkcs8" });

export const keyPem = (key: Uint8Array): string => String(keyOf(key).export({ format: "pem", type: "pkcs8" }));

/** SubjectPublicKeyInfo, DER. */
export const publicKeyOf = (key: Uint8Array): Uint8Array =>
  new Uint8Array(createPublicKey(keyOf(key)).export({ format: "der", type: "spki" }));

/** Whether it is a public key of that kind (SubjectPublicKeyInfo, DER). */
export const isPublicKey = (key: Uint8Array): boolean => {
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey({
      key: Buffer.from(key),
      format: "der",
      type: "spki",
    });
    return asymmetricKeyType === "ec" && asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch {
    return false;
  }
};
