/**
 * Certificates: those that the folder's own authority has issued, and those from elsewhere that are in use here. Stream:
 * `certificates/{name}`; the authority's own is `certificates/authority`.
 *
 * The certificates themselves are recorded, so that nothing was issued that the log does not tell of; no private key ever is. Names are
 * recorded as they are: nothing personal belongs in them.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas } from "./event.ts";

export const CERTIFICATE_LIMITS = {
  name_chars_max: 150,
  /** Host names and addresses of one certificate. */
  names_max: 50,
  /** PEM. */
  certificate_chars_max: 16_384,
} as const;

/** The stream of the authority's own certificate. */
export const AUTHORITY = "authority";

/** Ms since 1970, as far as a date can be (ECMA-262, 21.4.1.1). */
const instant = z.int().min(-8_640_000_000_000_000).max(8_640_000_000_000_000);
const names = z.array(z.string().min(1).max(253)).max(CERTIFICATE_LIMITS.names_max);
const shown = {
  /** Hexadecimal. */
  serial: z.string().regex(/^[0-9a-f]{1,42}$/),
  /** SHA-256 of the certificate in DER, hexadecimal. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  not_before_ms: instant,
  not_after_ms: instant,
};
const pem = z.string().min(1).max(CERTIFICATE_LIMITS.certificate_chars_max);
export const certificateUses = z.array(z.enum(["server", "client"])).min(1).max(2);
/** Host names and addresses, each once, or none. */
export const certificateNames = names;

const issued = { ...shown, names, uses: certificateUses, certificate: pem };
const ends = { serial: shown.serial, not_after_ms: instant };

export const certificateFacts = {
  "certificates.authority.created": z.strictObject({
    ...shown,
    /** What it may certify: host names and ranges of addresses. */
    permitted: names,
    certificate: pem,
  }),
  "certificates.certificate.issued": z.strictObject(issued),
  /** `before`: serial number of the one that it takes the place of. */
  "certificates.certificate.renewed": z.strictObject({ ...issued, before: shown.serial }),
  /** It was issued elsewhere and is used here. */
  "certificates.certificate.found": z.strictObject({ ...shown, names }),
  "certificates.expiry.neared": z.strictObject(ends),
  "certificates.certificate.expired": z.strictObject(ends),
} satisfies FactSchemas;

export type CertificateFact = Facts<typeof certificateFacts>;

const ABOUT: Readonly<Record<keyof typeof certificateFacts, string>> = {
  "certificates.authority.created": "The folder's own certificate authority was made.",
  "certificates.certificate.issued": "The folder's own authority has certified a public key.",
  "certificates.certificate.renewed":
    "The folder's own authority has certified another public key in place of one before.",
  "certificates.certificate.found": "A certificate that was issued elsewhere is used here.",
  "certificates.expiry.neared": "A certificate ends soon.",
  "certificates.certificate.expired": "A certificate has ended.",
};

export const certificates: Domain = {
  name: "certificates",
  facts: Object.fromEntries(
    Object.entries(certificateFacts).map(([type, schema]) => [
      type,
      { schema, kind: "decided" as const, about: ABOUT[type as keyof typeof certificateFacts] },
    ]),
  ),
};
