/** Decisions about certificates: what is recorded of them, and when their end is told. */
import assert from "node:assert/strict";
import { type CertificateCommand, certificates } from "../actors/certificates.ts";
import type { CertificateFact } from "../events/certificates.ts";
import { given } from "./given.ts";

const DAY_MS = 86_400_000;
const at = Date.UTC(2026, 0, 5, 9);
const shown = (n: number, days = 30) => ({
  serial: String(n).repeat(32),
  fingerprint: String(n).repeat(64),
  not_before_ms: at,
  not_after_ms: at + days * DAY_MS,
});
const issued = (n: number) => ({
  ...shown(n),
  names: ["localhost"],
  uses: ["server" as const],
  certificate: "-----BEGIN CERTIFICATE-----",
});
const record = (n: number): CertificateCommand => ({
  type: "certificates.certificate.record",
  data: { ...issued(n), soon_ms: 7 * DAY_MS },
});
const look = (n: number): CertificateCommand => ({
  type: "certificates.certificate.look",
  data: { serial: shown(n).serial },
});
const first: CertificateFact = { type: "certificates.certificate.issued", data: issued(1) };
const ends = { serial: shown(1).serial, not_after_ms: shown(1).not_after_ms };
const neared: CertificateFact = { type: "certificates.expiry.neared", data: ends };
const expired: CertificateFact = { type: "certificates.certificate.expired", data: ends };

Deno.test("a certificate that was issued is recorded, and its end is looked for in time", () => {
  const command = look(1);
  given(certificates).when(record(1), { at }).accepted(first).sets(
    { set: "near", at: at + 23 * DAY_MS, command },
    { set: "end", at: at + 30 * DAY_MS, command },
  );
});

Deno.test("the same certificate again changes nothing, another one renews it", () => {
  given(certificates, first).when(record(1), { at }).accepted();
  given(certificates, first).when(record(2), { at }).accepted({
    type: "certificates.certificate.renewed",
    data: { ...issued(2), before: shown(1).serial },
  });
});

Deno.test("that it ends soon, and that it has ended, is told once, and not of one that was renewed", () => {
  given(certificates, first).when(look(1), { at: at + 23 * DAY_MS }).accepted(neared);
  given(certificates, first, neared).when(look(1), { at: at + 24 * DAY_MS }).accepted();
  given(certificates, first, neared).when(look(1), { at: at + 30 * DAY_MS }).accepted(expired);
  given(certificates, first).when(look(1), { at: at + 90 * DAY_MS }).accepted(expired);
  given(certificates, first, expired).when(look(1), { at: at + 90 * DAY_MS }).accepted();
  const renewed: CertificateFact = {
    type: "certificates.certificate.renewed",
    data: { ...issued(2), before: shown(1).serial },
  };
  given(certificates, first, renewed).when(look(1), { at: at + 30 * DAY_MS }).accepted();
  given(certificates).when(look(1), { at }).accepted();
});

Deno.test("one from elsewhere is noted each time it is another", () => {
  const data = { ...shown(1), names: ["example.com"] };
  const note: CertificateCommand = { type: "certificates.certificate.note", data: { ...data, soon_ms: DAY_MS } };
  const found: CertificateFact = { type: "certificates.certificate.found", data };
  given(certificates).when(note, { at }).accepted(found);
  given(certificates, found).when(note, { at }).accepted();
  given(certificates, found).when(record(2), { at }).accepted({
    type: "certificates.certificate.issued",
    data: issued(2),
  });
  given(certificates, first).when(note, { at }).accepted();
  given(certificates).when(note, { at, id: "authority" }).rejected("reserved_name");
  const { state } = given(certificates, first, { ...found, data: { ...data, ...shown(2) } } as CertificateFact);
  assert.deepEqual([state.is === "known" && state.ours, state.is === "known" && state.issued], [false, first.data]);
});

Deno.test("there is one authority, it stays the same, and nothing else has its name", () => {
  const data = { ...shown(1, 3_650), permitted: ["localhost"], certificate: "pem" };
  const make: CertificateCommand = { type: "certificates.authority.record", data: { ...data, soon_ms: DAY_MS } };
  const created: CertificateFact = { type: "certificates.authority.created", data };
  given(certificates).when(make, { at, id: "authority" }).accepted(created);
  given(certificates, created).when(make, { at, id: "authority" }).accepted();
  const other: CertificateCommand = { ...make, data: { ...make.data, ...shown(2) } };
  given(certificates, created).when(other, { at, id: "authority" }).rejected("authority_exists");
  given(certificates).when(make, { at }).rejected("reserved_name");
  given(certificates).when(record(1), { at, id: "authority" }).rejected("reserved_name");
});

Deno.test("a certificate without a use, or with a serial number that is none, does not parse", () => {
  const data = { ...issued(1), soon_ms: 0 };
  given(certificates).when({ type: "certificates.certificate.record", data: { ...data, uses: [] } }).invalid("/uses");
  given(certificates).when({ type: "certificates.certificate.record", data: { ...data, serial: "x" } })
    .invalid("/serial");
});
