/**
 * A sealed blob:
 *
 *     "sealed-blob:1:" ‖ subject ‖ "\n" ‖ nonce (12) ‖ ciphertext ‖ tag (16)
 *
 * AES-256-GCM under the subject's own key; the associated data is the first line. Sealing is a function, as it is for texts
 * (`seal.ts`): the nonce is the first 12 bytes of HMAC-SHA-256, under the subject's key of nonces, over `blob\n` and the
 * SHA-256 of the plain bytes. What is hashed for a text begins with its length, which no text reaches that would read "blob".
 *
 * WebCrypto works beside the thread, and is the faster one for large inputs.
 */
import { Buffer } from "node:buffer";
import { NONCE, TAG } from "./gcm.ts";
import type { Subject, SubjectKeys } from "./subjects.ts";

const MARK = "sealed-blob:1:";
const SUBJECT_CHARS_MAX = 80;
const FIRST_LINE = new RegExp(`^${MARK}([\\w-]{1,${SUBJECT_CHARS_MAX}})\n`);

/** The opaque id of whom a sealed blob tells; `undefined` for bytes that are not sealed. Proves nothing. */
export const subjectOfBlob = (bytes: Uint8Array): string | undefined =>
  FIRST_LINE.exec(Buffer.from(bytes.subarray(0, MARK.length + SUBJECT_CHARS_MAX + 1)).toString("latin1"))?.[1];

const firstLine = (subject: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${MARK}${subject}\n`);

/** Of a subject that was erased before the bytes came, the first line alone. */
export const sealBlob = async (plain: Uint8Array, { id, keys }: Subject): Promise<Uint8Array> => {
  const head = firstLine(id);
  if (!keys) return head;
  const bytes = plain as Uint8Array<ArrayBuffer>;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const nonce = keys.mac(Buffer.concat([Buffer.from("blob\n"), digest]));
  const iv = new Uint8Array(nonce.subarray(0, NONCE));
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: head }, await imported(keys), bytes);
  const sealed = new Uint8Array(head.length + NONCE + box.byteLength);
  sealed.set(head);
  sealed.set(iv, head.length);
  sealed.set(new Uint8Array(box), head.length + NONCE);
  return sealed;
};

/** The plain bytes; `undefined` when they are not what was sealed under this key. */
export const openBlob = async (
  sealed: Uint8Array,
  subject: string,
  keys: SubjectKeys,
): Promise<Uint8Array | undefined> => {
  const head = firstLine(subject);
  const box = sealed.subarray(head.length + NONCE) as Uint8Array<ArrayBuffer>;
  if (box.length < TAG) return undefined;
  const iv = new Uint8Array(sealed.subarray(head.length, head.length + NONCE));
  const key = await imported(keys);
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: head }, key, box));
  } catch {
    return undefined;
  }
};

const imported = ({ key }: SubjectKeys): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", new Uint8Array(key), "AES-GCM", false, ["encrypt", "decrypt"]);
