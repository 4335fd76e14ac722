/**
 * Signatures of messages by Standard Webhooks 1.0
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";

/** What the specification asks of a secret, in bytes. */
const SECRET_BYTES = { min: 24, max: 64 } as const;
/** Secrets that count at the same time, while one takes another's place. */
const SECRETS_MAX = 4;
const PREFIX = "whsec_";

/** Keys out of `whsec_…` in base64, separated by white space; `undefined` where one of them is none. */
export const secretsOf = (text: string): readonly Uint8Array[] | undefined => {
  const written = text.split(/\s+/).filter((part) => part !== "");
  if (written.length === 0 || written.length > SECRETS_MAX) return undefined;
  const keys = written.map((secret) => {
    const encoded = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : "";
    const key = Buffer.from(encoded, "base64");
    const whole = key.toString("base64").replace(/=+$/, "") === encoded.replace(/=+$/, "");
    return whole && key.length >= SECRET_BYTES.min && key.length <= SECRET_BYTES.max ? new Uint8Array(key) : undefined;
  });
  return keys.every((key) => key !== undefined) ? keys : undefined;
};

/** The headers of a message; `at` in milliseconds since 1970. The same message has the same id however often it is sent. */
export const signedHeaders = (
  keys: readonly Uint8Array[],
  { id, at, body }: { readonly id: string; readonly at: number; readonly body: string },
): Readonly<Record<string, string>> => {
  const timestamp = String(Math.floor(at / 1_000));
  const signature = keys.map((key) =>
    `v1,${createHmac("sha256", key).update([id, timestamp, body].join(".")).digest("base64")}`
  ).join(" ");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
};
