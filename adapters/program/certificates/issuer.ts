/** The folder's own certificate authority at work: its key lies in the key database, and nothing leaves it that is not on record. */
import type { CertificateState } from "../../../actors/certificates.ts";
import type { Millis } from "../../../events/event.ts";
import { AUTHORITY, CERTIFICATE_LIMITS, type CertificateFact } from "../../../events/certificates.ts";
import { Refused } from "../../cli/runtime.ts";
import { systemClock } from "../../system/world.ts";
import { readCertificate } from "../../x509/certificate.ts";
import { isPublicKey, newKey } from "../../x509/key.ts";
import { isName, isPermitted } from "../../x509/names.ts";
import type { Opened } from "../opened.ts";
import { decideIn } from "../decide.ts";

export type IssuingParts = Pick<Opened, "entities" | "keys" | "config">;
export type Use = "server" | "client";

export interface Wanted {
  /** Of the certificate, for people: `certificates/{name}`. */
  readonly name: string;
  /** Host names and addresses. */
  readonly names: readonly string[];
  readonly uses: readonly Use[];
  readonly valid_ms?: Millis;
}

export interface Issued {
  /** PEM. */
  readonly certificate: string;
  /** The authority's own, PEM. */
  readonly authority: string;
  readonly not_after_ms: Millis;
}

const KEY = "certificate authority";
/** As services are named, and theirs with their stack before. */
const NAME = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;

const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes));

type DataOf<T> = Extract<CertificateFact, { readonly type: T }>["data"];

const issuedIn = ({ entities }: Pick<IssuingParts, "entities">, name: string) => {
  const state = entities.look(`certificates/${name}`).state as CertificateState;
  return state.is === "known" ? state.issued : undefined;
};

/** What was issued under a name last. */
export const issuedAs = (parts: Pick<IssuingParts, "entities">, name: string) =>
  issuedIn(parts, name) as DataOf<"certificates.certificate.issued" | "certificates.certificate.renewed"> | undefined;

/** The authority, where one was ever needed. */
export const knownAuthority = (parts: Pick<IssuingParts, "entities">) =>
  issuedIn(parts, AUTHORITY) as DataOf<"certificates.authority.created"> | undefined;

/** The authority's own certificate, and what it may certify; made on first use. */
export const authorityOf = async (
  parts: IssuingParts,
): Promise<{ readonly certificate: string; readonly permitted: readonly string[]; readonly not_after_ms: Millis }> => {
  const known = knownAuthority(parts);
  if (known) return known;
  const { keys, config: { certificates: { permitted, authority_ms, soon_ms } } } = parts;
  const { certifyAuthority } = await import("../../x509/authority.ts");
  const certificate = await certifyAuthority(keys.secret(KEY, newKey), {
    name: `Daybook ${keys.logKey.signer.name}`.slice(0, 64), // RFC 5280 appendix A.1, ub-common-name
    permitted,
    now: systemClock.now(),
    valid_ms: authority_ms,
    random,
  });
  const { names: _, ...shown } = readCertificate(certificate)!;
  const data = { ...shown, permitted: [...permitted], certificate, soon_ms };
  try {
    await decideIn(parts, { type: "certificates.authority.record", id: AUTHORITY, data });
  } catch (error) {
    // Somebody else was first, with the same key.
    if (!(error instanceof Refused && error.code === "authority_exists")) throw error;
  }
  return knownAuthority(parts)!;
};

/** Certifies a public key (SubjectPublicKeyInfo, DER); on record when it resolves. Throws `Refused` for what it may not certify. */
export const issue = async (parts: IssuingParts, wanted: Wanted, public_key: Uint8Array): Promise<Issued> => {
  const { config: { certificates }, keys } = parts;
  const { name, names, uses, valid_ms = certificates.valid_ms } = wanted;
  const authority = await authorityOf(parts);
  refuseUnfit(wanted, authority.permitted);
  if (!isPublicKey(public_key)) throw new Refused("unfit_key", "The public key must be of P-256");
  const { certify } = await import("../../x509/authority.ts");
  const certificate = await certify({ certificate: authority.certificate, key: keys.secret(KEY, newKey) }, {
    name: name.slice(0, 64),
    names,
    uses,
    public_key,
    now: systemClock.now(),
    valid_ms,
    random,
  });
  const { names: _, ...shown } = readCertificate(certificate)!;
  const data = { ...shown, names: [...names], uses: [...uses], certificate, soon_ms: certificates.soon_ms };
  await decideIn(parts, { type: "certificates.certificate.record", id: name, data });
  return { certificate, authority: authority.certificate, not_after_ms: shown.not_after_ms };
};

const refuseUnfit = ({ name, names, uses }: Wanted, permitted: readonly string[]): void => {
  if (name === AUTHORITY || !NAME.test(name) || name.length > CERTIFICATE_LIMITS.name_chars_max) {
    throw new Refused("unfit_name", `"${name}" is no name for a certificate: small letters, digits, - and _`);
  }
  if (uses.includes("server") && names.length === 0) {
    throw new Refused("no_names", "The certificate of a server states the names or addresses that it is reached by");
  }
  for (const each of names) {
    if (!isName(each)) throw new Refused("unfit_host", `"${each}" is neither a host name in lower case nor an address`);
    if (!isPermitted(each, permitted)) {
      throw new Refused(
        "not_permitted",
        `"${each}" lies outside of what the authority may certify: ${permitted.join(", ")}`,
      );
    }
  }
};

/** Tells of a certificate that was issued elsewhere and is used here, so that its end is told in time. */
export const note = async (
  parts: Pick<IssuingParts, "entities" | "config">,
  name: string,
  certificate: string,
): Promise<void> => {
  const read = readCertificate(certificate);
  if (!read) return;
  const names = read.names.slice(0, CERTIFICATE_LIMITS.names_max);
  const { soon_ms } = parts.config.certificates;
  await decideIn(parts, {
    type: "certificates.certificate.note",
    id: name,
    data: { ...read, names: [...names], soon_ms },
  });
};
