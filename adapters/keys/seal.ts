/**
 * The sealed text of one personal value: `sealed:1:<subject>:<box>`, or, where a type is kept for a shorter time
 * (`retention_periods.ts`), `sealed:2:<subject>:<period><box>` under a key derived from the subject's and the period's, the period
 * being 22 characters of base64url; the box is base64url of
 *
 *     nonce (12) ‖ place (16) ‖ length of pointer (2, big-endian) ‖ pointer ‖ ciphertext ‖ tag (16)
 *
 * AES-256-GCM under the subject's own key. The associated data is all between nonce and ciphertext; `place` is the
 * first 16 bytes of SHA-256 over stream and event id. So a text is bound to its place and still opens wherever it was
 * copied to.
 *
 * Sealing is a function: the nonce is the first 12 bytes of HMAC-SHA-256, under a key of the subject's, over places,
 * pointers and plain values of all that is sealed in the event (a synthetic nonce, as in RFC 5297), counted up from
 * field to field. The same event gives the same bytes; different ones share a nonce under one key only by a collision
 * of 96 bits.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import type { Subject, SubjectKeys } from "./subjects.ts";

export interface Sealable {
  readonly subject: Subject;
  readonly text: string;
  /** JSON Pointer (RFC 6901) from the root of `data`, under 64 KiB. */
  readonly pointer: string;
}

const NONCE = 12, PLACE = 16, LENGTH = 2, TAG = 16;
const HEAD = NONCE + PLACE + LENGTH;
/** Box of a value whose subject was erased before it came: nothing of it is kept. */
const NOTHING = "erased";
const SCRATCH_BYTES = 64 * 1_024;
// A view on plain bytes is made at a third of the cost of one on a Buffer.
const scratch = new Uint8Array(SCRATCH_BYTES);
const encoder = new TextEncoder();

/** First 16 bytes of SHA-256 over the length of the stream, a colon, the stream and the event's id. */
export const placeOf = (stream: string, id: string): Uint8Array =>
  createHash("sha256").update(`${stream.length}:${stream}${id}`).digest().subarray(0, PLACE);

/** A box being written; its parts are views on the same bytes. `text` is encrypted in place. */
interface Box {
  readonly from: number;
  readonly until: number;
  readonly subject: Subject;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly text: Uint8Array;
  readonly tag: Uint8Array;
}

/** Seals the fields of one event; the texts in the same order. */
export const sealFields = (stream: string, id: string, fields: readonly Sealable[]): string[] => {
  let bound = 0;
  for (const { text, pointer } of fields) bound += HEAD + TAG + 3 * (text.length + pointer.length);
  const bytes = bound <= SCRATCH_BYTES ? scratch : new Uint8Array(bound);
  const base64url = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = fields.find(({ subject }) => subject.keys)?.subject;
  const place = placeOf(stream, id);
  const boxes: Box[] = [];
  let end = 0;
  for (const field of fields) {
    const box = lay(bytes, end, place, field, first);
    boxes.push(box);
    end = box.until;
  }
  if (first) number(boxes, first.keys!, bytes.subarray(0, end));
  for (const box of boxes) encrypt(box);
  return boxes.map(({ subject, from, until }) =>
    `sealed:1:${subject.id}:${subject.keys ? base64url.toString("base64url", from, until) : NOTHING}`
  );
};

/**
 * Writes a box with its text still plain. Where nonce and tag will be stands meanwhile what makes the message of the
 * HMAC unambiguous: the length of the text, and, for all but the first subject, part of their own key, so that the
 * nonce tells nothing of a value to who has only the others' keys.
 */
const lay = (
  bytes: Uint8Array,
  from: number,
  place: Uint8Array,
  { subject, text, pointer }: Sealable,
  first?: Subject,
): Box => {
  const named = encoder.encodeInto(pointer, bytes.subarray(from + HEAD)).written;
  const start = from + HEAD + named;
  const written = encoder.encodeInto(text, bytes.subarray(start)).written;
  const until = start + written + TAG;
  bytes.fill(0, from, from + NONCE);
  bytes[from] = written >>> 24;
  bytes[from + 1] = written >>> 16;
  bytes[from + 2] = written >>> 8;
  bytes[from + 3] = written;
  bytes.set(place, from + NONCE);
  bytes[from + HEAD - 2] = named >>> 8;
  bytes[from + HEAD - 1] = named;
  const tag = bytes.subarray(start + written, until);
  if (subject.keys && subject.id !== first!.id) tag.set(subject.keys.nonce.subarray(0, TAG));
  else tag.fill(0);
  return {
    subject,
    from,
    until,
    nonce: bytes.subarray(from, from + NONCE),
    aad: bytes.subarray(from + NONCE, start),
    text: bytes.subarray(start, start + written),
    tag,
  };
};

/** HMAC-SHA-256 (RFC 2104), its two keyed halves prepared, then one up from box to box. */
const number = (boxes: readonly Box[], { inner, outer }: SubjectKeys, message: Uint8Array): void => {
  const nonce = outer.copy().update(inner.copy().update(message).digest()).digest();
  for (const box of boxes) {
    for (let i = 0; i < NONCE; i++) box.nonce[i] = nonce[i]!;
    for (let i = NONCE - 1; i >= 0 && (nonce[i] = (nonce[i]! + 1) & 0xff) === 0;) i--;
  }
};

const encrypt = ({ subject, nonce, aad, text, tag }: Box): void => {
  if (!subject.keys) return;
  const cipher = createCipheriv("aes-256-gcm", subject.keys.key, nonce);
  cipher.setAAD(aad);
  text.set(cipher.update(text));
  cipher.final();
  tag.set(cipher.getAuthTag());
};

const SHAPE = /^sealed:(?:1:([\w-]+):|2:([\w-]+):([\w-]{22}))([\w-]+)$/;
const PERIOD = /^sealed:2:[\w-]+:([\w-]{22})/;

/** The period of a text that is sealed under one; needs no key. */
export const periodIn = (text: string): string | undefined => PERIOD.exec(text)?.[1];

/** A text of `sealFields` for subjects within a period. */
export const inPeriod = (text: string, period: string): string => {
  const box = text.lastIndexOf(":") + 1;
  return `sealed:2:${text.slice("sealed:1:".length, box)}${period}${text.slice(box)}`;
};

export interface Opened {
  readonly subject: string;
  /** Absent where it is under the subject's key alone. */
  readonly period: string | undefined;
  readonly nonce: Uint8Array;
  /** Place, length of the pointer, pointer. */
  readonly aad: Uint8Array;
  readonly place: Uint8Array;
  readonly pointer: string;
  readonly secret: Uint8Array;
  readonly tag: Uint8Array;
}

/** The parts of a sealed text; `undefined` for anything else. Needs no key and proves nothing. */
export const parts = (text: string): Opened | undefined => {
  const shape = SHAPE.exec(text);
  if (!shape) return undefined;
  const bytes = Buffer.from(shape[4]!, "base64url");
  if (bytes.length < HEAD + TAG) return undefined;
  const start = HEAD + bytes.readUInt16BE(HEAD - LENGTH);
  if (bytes.length < start + TAG) return undefined;
  return {
    subject: (shape[1] ?? shape[2])!,
    period: shape[3],
    nonce: bytes.subarray(0, NONCE),
    aad: bytes.subarray(NONCE, start),
    place: bytes.subarray(NONCE, NONCE + PLACE),
    pointer: bytes.toString("utf8", HEAD, start),
    secret: bytes.subarray(start, bytes.length - TAG),
    tag: bytes.subarray(bytes.length - TAG),
  };
};

/** The plain value; `undefined` when the text is not what was sealed under this key. */
export const open = (key: Uint8Array, { nonce, aad, secret, tag }: Opened): string | undefined => {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce);
  decipher.setAAD(aad);
  decipher.setAuthTag(tag);
  const plain = decipher.update(secret);
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plain.toString("utf8");
};
