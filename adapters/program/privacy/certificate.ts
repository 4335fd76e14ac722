/**
 * The certificate of an erasure: what was erased, what nobody can read any more, what was looked for and where, and that the log is what
 * it was. A JSON document `{ certificate, note }`; the note is a C2SP signed note of the log's key over the certificate's digest.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { canonical } from "../../../events/canonical.ts";
import { subjectId } from "../../../events/privacy.ts";
import { verifyNote } from "../../verify/library.ts";

const LINE = "daybook/erasure-certificate@v1";
const count = z.int().nonnegative();
const root = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
const time = z.iso.datetime({ offset: true });
const recorded = z.strictObject({ position: count, recordedat: time });

const certificateSchema = z.strictObject({
  version: z.literal(1),
  /** The log's name in its checkpoints. */
  origin: z.string(),
  subject: subjectId,
  requested: recorded,
  erased: recorded,
  /** Until when it had to be done. */
  due: time.optional(),
  /** The log before the erasure, as it was signed, and computed again afterwards from the entries as they lie there. */
  before: z.strictObject({ size: count, root }).optional(),
  after: z.strictObject({ size: count, root }),
  /** Whether the whole log was verified, and led to both. */
  verified: z.boolean(),
  unreadable: z.strictObject({
    events: count,
    values: count,
    /** Runs of positions, first and last. */
    positions: z.array(z.tuple([count, count])),
    types: z.record(z.string(), count),
    /** SHA-256 of sealed blobs, base64. */
    blobs: z.array(z.string()),
  }),
  /** Values that could be read all the same; none, when all is well. */
  readable: count,
  /** Every file of the data folder, searched byte by byte for every value that was readable before. */
  scan: z.strictObject({
    /** Different texts and blobs that were looked for; so many more were too short to mean anything, or too many. */
    looked_for: count,
    short: count,
    left: count,
    files: z.array(z.strictObject({ path: z.string(), bytes: count, found: count })),
    found: count,
    /** Events that tell of the person in fields which are nobody's, such as what others wrote: runs of positions. */
    named: z.strictObject({ events: count, positions: z.array(z.tuple([count, count])) }),
  }),
  /** When it was made. */
  at: time,
});
export type Certificate = z.output<typeof certificateSchema>;

/** SHA-256 over the certificate's canonical form (RFC 8785). */
const digestOf = (certificate: Certificate): Uint8Array => createHash("sha256").update(canonical(certificate)).digest();

const noteText = (certificate: Certificate): string =>
  `${LINE}\n${certificate.origin}\nsubject ${certificate.subject}\nsha256 ${digestOf(certificate).toBase64()}\n`;

/** The document, and the SHA-256 of its bytes in hexadecimal. */
export const certificateFile = (
  certificate: Certificate,
  sign: (text: string) => string,
): { readonly text: string; readonly sha256: string } => {
  const text = `${JSON.stringify({ certificate, note: sign(noteText(certificate)) }, null, 2)}\n`;
  return { text, sha256: createHash("sha256").update(text).digest("hex") };
};

export type CheckedCertificate =
  | { readonly ok: true; readonly certificate: Certificate; readonly signed: readonly string[] }
  | { readonly ok: false; readonly because: string };

/** Whether one of these public keys has signed the certificate as it stands there. Never throws. */
export const checkCertificate = (text: string, vkeys: readonly string[]): CheckedCertificate => {
  const no = (because: string): CheckedCertificate => ({ ok: false, because });
  let document: { readonly certificate: Certificate; readonly note: string };
  try {
    document = z.strictObject({ certificate: certificateSchema, note: z.string() }).parse(JSON.parse(text));
  } catch {
    return no("it is no certificate of an erasure, or was written by a newer version");
  }
  const { certificate, note } = document;
  try {
    const { text: said, names } = verifyNote(note, vkeys);
    return said === noteText(certificate)
      ? { ok: true, certificate, signed: names }
      : no("its signature is over another certificate");
  } catch {
    return no("none of the keys has signed it");
  }
};
