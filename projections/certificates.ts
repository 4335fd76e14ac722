/** Certificates as they stand: who issued them, for what, until when, and whether that is near. */
import { z } from "zod";
import { AUTHORITY, type CertificateFact } from "../events/certificates.ts";
import type { Projection } from "./projection.ts";

const row = z.strictObject({
  state: z.enum(["valid", "expiring", "expired"]),
  issuer: z.enum(["ours", "elsewhere"]),
  /** Host names and addresses; of the authority what it may certify. */
  names: z.array(z.string()),
  /** `authority`, `server`, `client`; nothing is known of one that was issued elsewhere. */
  uses: z.array(z.string()),
  not_before: z.string(),
  not_after: z.string(),
  serial: z.string(),
  fingerprint: z.string(),
  /** How often another one took its place. */
  renewals: z.int().nonnegative(),
  /** PEM; absent of one that was issued elsewhere. */
  certificate: z.string().optional(),
});
type CertificateRow = z.output<typeof row>;

const time = (ms: number): string => new Date(ms).toISOString();

export const certificatesCurrent: Projection<CertificateRow, CertificateFact> = {
  name: "certificates.current",
  version: 1,
  about: "Certificates, for what, until when, and whether that is near. Key: the name; the authority's is authority.",
  hears: [
    "certificates.authority.created",
    "certificates.certificate.issued",
    "certificates.certificate.renewed",
    "certificates.certificate.found",
    "certificates.expiry.neared",
    "certificates.certificate.expired",
  ],
  row,
  initial: {
    state: "valid",
    issuer: "ours",
    names: [],
    uses: [],
    not_before: "",
    not_after: "",
    serial: "",
    fingerprint: "",
    renewals: 0,
  },
  indexes: ["state", "issuer", "not_after"],
  columns: ["state", "uses", "names", "not_after", "renewals"],
  keys: ({ stream }) => [stream.slice("certificates/".length)],
  apply(row, { type, data }) {
    switch (type) {
      case "certificates.authority.created":
        return { ...shown(row, data), names: data.permitted, uses: [AUTHORITY], certificate: data.certificate };
      case "certificates.certificate.issued":
        return { ...shown(row, data), names: data.names, uses: data.uses, certificate: data.certificate };
      case "certificates.certificate.renewed": {
        const { names, uses, certificate } = data;
        return { ...shown(row, data), names, uses, certificate, renewals: row.renewals + 1 };
      }
      case "certificates.certificate.found": {
        const { certificate: _, ...rest } = shown(row, data);
        return { ...rest, issuer: "elsewhere", names: data.names, uses: [] };
      }
      case "certificates.expiry.neared":
        return row.serial === data.serial && row.state === "valid" ? { ...row, state: "expiring" } : row;
      case "certificates.certificate.expired":
        return row.serial === data.serial ? { ...row, state: "expired" } : row;
    }
  },
};

const shown = (
  row: CertificateRow,
  { serial, fingerprint, not_before_ms, not_after_ms }: {
    readonly serial: string;
    readonly fingerprint: string;
    readonly not_before_ms: number;
    readonly not_after_ms: number;
  },
): CertificateRow => ({
  ...row,
  state: "valid",
  issuer: "ours",
  serial,
  fingerprint,
  not_before: time(not_before_ms),
  not_after: time(not_after_ms),
});
