/** What the configuration says about certificates: what the folder's own authority may certify, and for how long. */
import { z } from "zod";
import { count } from "./section.ts";

const DAY_MS = 86_400_000;

const LABELS = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*";
/** A host name has a letter in its last label, else it would be an address. */
const hostName = z.string().max(253).regex(new RegExp(`^(?=.*[a-z][a-z0-9-]*$)(?:\\*\\.)?${LABELS}$`));
const below = z.string().max(253).regex(new RegExp(`^(?=.*[a-z][a-z0-9-]*$)${LABELS}$`));

export const certificateName = z.union([hostName, z.ipv4(), z.ipv6()]).meta({
  expected: "a host name in lower case, or an address",
});
const limit = z.union([below, z.cidrv4(), z.cidrv6()]).meta({
  expected: "a host name in lower case, which stands for all below it too, or a range of addresses, as 10.0.0.0/8",
});

export const certificatesSection = z.strictObject({
  permitted: z.array(limit).min(1).max(50).default(["localhost", "internal", "127.0.0.0/8", "::1/128"]).meta({
    description: "What the folder's own authority may certify; stated in its certificate, so it stays as it was made",
  }),
  authority_ms: count(DAY_MS, 36_500 * DAY_MS, 3_650 * DAY_MS, "How long the authority's own certificate is valid"),
  valid_ms: count(1_000, 825 * DAY_MS, 30 * DAY_MS, "How long a certificate is valid that it issues"),
  renew_ms: count(1, 825 * DAY_MS, 10 * DAY_MS, "One that is kept here is renewed when it ends so soon"),
  soon_ms: count(1, 825 * DAY_MS, 7 * DAY_MS, "That a certificate ends so soon is told"),
  look_ms: count(100, DAY_MS, 60_000, "How often files of certificates are looked at, so that new ones are taken up"),
}).refine(({ renew_ms, valid_ms }) => renew_ms < valid_ms, { error: "renew_ms shorter than valid_ms" })
  .prefault({} as never).meta({ description: "Certificates (docs/certificates.md)" });
