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
import { createDecipheriv } from "node:crypto";
import { type Ciphers, NONCE, type Place, TAG } from "./gcm.ts";
import { hashOf } from "./mac.ts";
import type { Subject, SubjectKeys } from "./subjects.ts";

export interface Sealable {
  readonly subject: Subject;
  readonly text: string;
  /** JSON Pointer (RFC 6901) from the root of `data`, under 64 KiB. */
  readonly pointer: string;
}

const PLACE = 16, LENGTH = 2;
const HEAD = NONCE + PLACE + LENGTH;
/** Box of a value whose subject was erased before it came: nothing of it is kept. */
const NOTHING = "erased";
const SCRATCH_BYTES = 64 * 1_024;
const scratch = new Uint8Array(SCRATCH_BYTES);
const encoder = new TextEncoder();

/** Texts up to this length are written by us where they are ASCII: the platform's encoder costs more to call. */
const SHORT_CHARS = 64;

/** Writes a text as UTF-8; how many bytes that were. */
const write = (bytes: Uint8Array, at: number, text: string): number => {
  if (text.length > SHORT_CHARS) return encoder.encodeInto(text, bytes.subarray(at)).written;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char > 0x7f) return encoder.encodeInto(text, bytes.subarray(at)).written;
    bytes[at + i] = char;
  }
  return text.length;
};

/** First 16 bytes of SHA-256 over the length of the stream, a colon, the stream and the event's id. */
export const placeOf = (stream: string, id: string): Uint8Array => {
  const name = `${stream.length}:${stream}${id}`;
  const bytes = 3 * name.length <= SCRATCH_BYTES ? scratch : new Uint8Array(3 * name.length);
  return hashOf(bytes.subarray(0, write(bytes, 0, name))).subarray(0, PLACE);
};

/** A box being written: where its parts are among the bytes. */
interface Box extends Place {
  readonly until: number;
  readonly subject: Subject;
}

/** Seals the fields of one event; the texts in the same order. */
export const sealFields = (stream: string, id: string, fields: readonly Sealable[], ciphers: Ciphers): string[] => {
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
  if (first) {
    number(bytes.subarray(0, end), boxes, first.keys!);
    encrypt(bytes, boxes, ciphers);
  }
  return boxes.map(({ subject, nonce, until }) =>
    `sealed:1:${subject.id}:${subject.keys ? base64url.toString("base64url", nonce, until) : NOTHING}`
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
  const named = write(bytes, from + HEAD, pointer);
  const start = from + HEAD + named;
  const written = write(bytes, start, text);
  const tag = start + written;
  bytes.fill(0, from, from + NONCE);
  bytes[from] = written >>> 24;
  bytes[from + 1] = written >>> 16;
  bytes[from + 2] = written >>> 8;
  bytes[from + 3] = written;
  bytes.set(place, from + NONCE);
  bytes[from + HEAD - 2] = named >>> 8;
  bytes[from + HEAD - 1] = named;
  if (subject.keys && subject.id !== first!.id) bytes.set(subject.keys.nonce.subarray(0, TAG), tag);
  else bytes.fill(0, tag, tag + TAG);
  return { subject, nonce: from, associated: from + NONCE, text: start, tag, until: tag + TAG };
};

/** Gives each box its nonce: HMAC-SHA-256 of all there is so far, then one up from box to box. */
const number = (bytes: Uint8Array, boxes: readonly Box[], { mac }: SubjectKeys): void => {
  const nonce = mac(bytes);
  for (const box of boxes) {
    for (let i = 0; i < NONCE; i++) bytes[box.nonce + i] = nonce[i]!;
    for (let i = NONCE - 1; i >= 0 && (nonce[i] = (nonce[i]! + 1) & 0xff) === 0;) i--;
  }
};

/** Neighbours of one subject in one call. */
const encrypt = (bytes: Uint8Array, boxes: readonly Box[], ciphers: Ciphers): void => {
  for (let from = 0, until = 1; from < boxes.length; from = until++) {
    const { keys } = boxes[from]!.subject;
    while (until < boxes.length && boxes[until]!.subject.keys === keys) until++;
    if (keys) ciphers.of(keys.key).seal(bytes, boxes.slice(from, until));
  }
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
