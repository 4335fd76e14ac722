/**
 * The sealed text of one personal value: `sealed:1:<subject>:<box>`, the box being base64url of
 *
 *     place (16) ‖ nonce (12) ‖ tag (16) ‖ length of pointer (2, big-endian) ‖ pointer ‖ ciphertext
 *
 * AES-256-GCM under the subject's own key. The associated data is `place ‖ pointer`, `place` being the first 16 bytes of
 * SHA-256 over stream and event id: so the text is bound to its place and still opens wherever it was copied to.
 *
 * Sealing is a function: the nonce is the first 12 bytes of HMAC-SHA-256 over place, pointers and plain values of all that is
 * sealed in the event (a synthetic nonce, as in RFC 5297), counted up from field to field. The same event gives the same
 * bytes; two different ones never share a nonce under one key, but with the chance of a collision of 96 bits.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import type { Subject, SubjectKeys } from "./subjects.ts";

export interface Sealable {
  readonly subject: Subject;
  readonly text: string;
  readonly pointer: string;
}

const PLACE = 16, NONCE = 12, TAG = 16;
const HEAD = PLACE + NONCE + TAG + 2;
/** Box of a value whose subject was erased before it came: nothing of it is kept. */
const NOTHING = "erased";
const SCRATCH_BYTES = 256 * 1_024;
const encoder = new TextEncoder();
const scratch = new Uint8Array(SCRATCH_BYTES);

/** First 16 bytes of SHA-256 over the length of the stream, a colon, the stream and the event's id. */
export const placeOf = (stream: string, id: string): Uint8Array =>
  createHash("sha256").update(`${stream.length}:${stream}${id}`).digest().subarray(0, PLACE);

/** Seals the fields of one event; the texts in the same order. */
export const sealFields = (stream: string, id: string, fields: readonly Sealable[]): string[] => {
  const bound = fields.reduce((sum, { text, pointer }) => sum + 2 * HEAD + 3 * (text.length + pointer.length), PLACE);
  const bytes = bound + 32 * fields.length <= SCRATCH_BYTES ? scratch : new Uint8Array(bound + 32 * fields.length);
  const place = placeOf(stream, id);
  bytes.set(place, 0);
  let end = PLACE;
  const first = fields.find(({ subject }) => subject.keys)?.subject;
  const starts: number[] = [];
  for (const { subject, text, pointer } of fields) {
    // With every further subject's key in it, the nonce tells nothing of a value to who has only the others' keys.
    if (subject.keys && subject.id !== first!.id) {
      bytes.set(subject.keys.nonce, end);
      end += 32;
    }
    const named = encoder.encodeInto(pointer, bytes.subarray(end + 2)).written;
    end = number(bytes, end, named, 2) + named;
    const written = encoder.encodeInto(text, bytes.subarray(end + 4)).written;
    end = number(bytes, end, written, 4);
    starts.push(end - 6 - named, named, end, written);
    end += written;
  }
  const nonce = first && nonceOf(first.keys!, bytes.subarray(0, end));
  return fields.map(({ subject }, i) => {
    if (!subject.keys || !nonce) return `sealed:1:${subject.id}:${NOTHING}`;
    if (i > 0) countUp(nonce);
    const [head, named, at, length] = starts.slice(4 * i, 4 * i + 4) as [number, number, number, number];
    const pointer = bytes.subarray(head, head + 2 + named);
    return `sealed:1:${subject.id}:${
      box(subject.keys, { place, nonce, pointer, plain: bytes.subarray(at, at + length) })
    }`;
  });
};

interface Parts {
  readonly place: Uint8Array;
  readonly nonce: Uint8Array;
  /** With its length in front. */
  readonly pointer: Uint8Array;
  readonly plain: Uint8Array;
}

const box = (keys: SubjectKeys, { place, nonce, pointer, plain }: Parts): string => {
  const cipher = createCipheriv("aes-256-gcm", keys.cipher, nonce);
  const bytes = Buffer.allocUnsafe(HEAD - 2 + pointer.length + plain.length);
  bytes.set(place, 0);
  bytes.set(pointer, PLACE);
  cipher.setAAD(bytes.subarray(0, PLACE + pointer.length));
  bytes.set(nonce, PLACE);
  bytes.set(pointer, HEAD - 2);
  bytes.set(cipher.update(plain), HEAD - 2 + pointer.length);
  cipher.final();
  bytes.set(cipher.getAuthTag(), PLACE + NONCE);
  return bytes.toString("base64url");
};

/** HMAC-SHA-256 (RFC 2104), its two keyed halves prepared. */
const nonceOf = (keys: SubjectKeys, message: Uint8Array): Uint8Array =>
  keys.outer.copy().update(keys.inner.copy().update(message).digest()).digest().subarray(0, NONCE);

const number = (bytes: Uint8Array, at: number, value: number, width: number): number => {
  for (let i = width - 1; i >= 0; i--, value >>>= 8) bytes[at + i] = value & 0xff;
  return at + width;
};

const countUp = (nonce: Uint8Array): void => {
  for (let i = NONCE - 1; i >= 0 && (nonce[i] = (nonce[i]! + 1) & 0xff) === 0;) i--;
};

const SHAPE = /^sealed:1:([\w-]+):([\w-]+)$/;

export interface Opened {
  readonly subject: string;
  readonly place: Uint8Array;
  readonly nonce: Uint8Array;
  readonly tag: Uint8Array;
  readonly pointer: Uint8Array;
  readonly secret: Uint8Array;
}

/** The parts of a sealed text; `undefined` for anything else. Needs no key and proves nothing. */
export const parts = (text: string): Opened | undefined => {
  const shape = SHAPE.exec(text);
  if (!shape) return undefined;
  const bytes = Buffer.from(shape[2]!, "base64url");
  if (bytes.length < HEAD) return undefined;
  const named = bytes.readUInt16BE(HEAD - 2);
  if (bytes.length < HEAD + named) return undefined;
  return {
    subject: shape[1]!,
    place: bytes.subarray(0, PLACE),
    nonce: bytes.subarray(PLACE, PLACE + NONCE),
    tag: bytes.subarray(PLACE + NONCE, HEAD - 2),
    pointer: bytes.subarray(HEAD - 2, HEAD + named),
    secret: bytes.subarray(HEAD + named),
  };
};

/** The plain value; `undefined` when the text is not what was sealed under these keys. */
export const open = (keys: SubjectKeys, { place, nonce, tag, pointer, secret }: Opened): string | undefined => {
  try {
    const decipher = createDecipheriv("aes-256-gcm", keys.cipher, nonce);
    decipher.setAAD(Buffer.concat([place, pointer]));
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(secret), decipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
};
