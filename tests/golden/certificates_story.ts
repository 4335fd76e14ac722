/** Certificates: the authority, one that is renewed, one from elsewhere that is used until it has ended. */
import type { CertificateFact } from "../../events/certificates.ts";
import type { NewEvent } from "../../events/log.ts";
import type { StreamId } from "../../events/event.ts";

type Told = (at: number) => NewEvent;

const begun = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const shown = (n: number, days: number) => ({
  serial: String(n).repeat(32),
  fingerprint: String(n).repeat(64),
  not_before_ms: begun,
  not_after_ms: begun + days * DAY_MS,
});
const ends = (n: number, days: number) => ({ serial: String(n).repeat(32), not_after_ms: begun + days * DAY_MS });
const issued = (n: number, days: number) => ({
  ...shown(n, days),
  names: ["localhost", "127.0.0.1"],
  uses: ["server" as const],
  certificate: pem,
});

const said: readonly (readonly [StreamId, CertificateFact])[] = [
  [
    "certificates/authority",
    {
      type: "certificates.authority.created",
      data: { ...shown(1, 3_650), permitted: ["localhost", "127.0.0.0/8"], certificate: pem },
    },
  ],
  ["certificates/listener", { type: "certificates.certificate.issued", data: issued(2, 30) }],
  ["certificates/listener", { type: "certificates.expiry.neared", data: ends(2, 30) }],
  [
    "certificates/listener",
    { type: "certificates.certificate.renewed", data: { ...issued(3, 60), before: shown(2, 30).serial } },
  ],
  ["certificates/proxy", { type: "certificates.certificate.found", data: { ...shown(4, 20), names: ["example.com"] } }],
  ["certificates/proxy", { type: "certificates.expiry.neared", data: ends(4, 20) }],
  ["certificates/proxy", { type: "certificates.certificate.expired", data: ends(4, 20) }],
];

/** Each step is one commit. */
export const certificatesStory = (): readonly (readonly Told[])[] =>
  said.map(([stream, fact], n) => [
    (at) => ({
      ...fact,
      id: `u_golden:certificates-${n}/0`,
      source: stream,
      stream,
      authtype: "user",
      authid: "operator",
      time: new Date(at).toISOString(),
      version: 1,
    }),
  ]);
