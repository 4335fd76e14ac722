/**
 * A small certificate authority (RFC 5280): makes itself a certificate, and certificates for public keys of others. ECDSA over P-256,
 * which everything that speaks TLS takes. Its private key is handed in and kept nowhere here.
 *
 * It certifies nothing but what its own name constraints allow, and no other authorities; what it certifies may be a server, a client,
 * or both, as its extended key usage says.
 */
import "reflect-metadata"; // what @peculiar/x509 is put together by needs it to be there first
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_nameConstraints,
  NameConstraints,
} from "@peculiar/asn1-x509";
import * as x509 from "@peculiar/x509";
import { SKEW_MS } from "./certificate.ts";
import { publicKeyOf } from "./key.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** RFC 5280 section 4.1.2.2: at most 20 bytes, positive. */
const SERIAL_BYTES = 16;

export type Use = "server" | "client";

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** PKCS #8, DER. */
  readonly key: Uint8Array;
}

export interface Times {
  /** Ms since 1970. */
  readonly now: number;
  readonly valid_ms: number;
}

/** An authority's own certificate, PEM. */
export const certifyAuthority = async (
  key: Uint8Array,
  { name, permitted, now, valid_ms, random }: Times & {
    readonly name: string;
    /** Host names and ranges of addresses. */
    readonly permitted: readonly string[];
    readonly random: (bytes: number) => Uint8Array;
  },
): Promise<string> => {
  const keys = { privateKey: await privateKey(key), publicKey: await publicKey(publicKeyOf(key)) };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(random),
    name: [{ CN: [name] }],
    ...times({ now, valid_ms }),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      constraints(permitted),
    ],
  });
  return pem(certificate);
};

/** A certificate, PEM, for a public key (SubjectPublicKeyInfo, DER). It ends no later than the authority's own. */
export const certify = async (
  authority: Authority,
  { name, names, uses, public_key, now, valid_ms, random }: Times & {
    /** Of the subject, for people. */
    readonly name: string;
    /** Host names and addresses. */
    readonly names: readonly string[];
    readonly uses: readonly Use[];
    readonly public_key: Uint8Array;
    readonly random: (bytes: number) => Uint8Array;
  },
): Promise<string> => {
  const issuer = new x509.X509Certificate(authority.certificate);
  const { notBefore, notAfter } = times({ now, valid_ms });
  const own = await publicKey(public_key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(random),
    subject: [{ CN: [name] }],
    issuer: issuer.subjectName.toJSON(),
    notBefore: notBefore < issuer.notBefore ? issuer.notBefore : notBefore,
    notAfter: notAfter > issuer.notAfter ? issuer.notAfter : notAfter,
    publicKey: own,
    signingKey: await privateKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(
        uses.map((use) => x509.ExtendedKeyUsage[use === "server" ? "serverAuth" : "clientAuth"]),
      ),
      ...(names.length === 0 ? [] : [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? "dns" as const : "ip" as const, value })),
        ),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(own),
    ],
  });
  return pem(certificate);
};

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString("pem").trim()}\n`;

/** X.509 counts in seconds. */
const times = ({ now, valid_ms }: Times) => ({
  notBefore: new Date(Math.floor((now - SKEW_MS) / 1_000) * 1_000),
  notAfter: new Date(Math.ceil((now + valid_ms) / 1_000) * 1_000),
});

const serial = (random: (bytes: number) => Uint8Array): string => {
  const bytes = Uint8Array.from(random(SERIAL_BYTES));
  bytes[0] = bytes[0]! & 0x7f | 0x40; // positive, and always of the same length
  return Buffer.from(bytes).toString("hex");
};

/** A kind of name that is not spoken of would be free (RFC 5280 section 4.2.1.10), so all of it is excluded. */
const constraints = (permitted: readonly string[]): x509.Extension => {
  const ranges = permitted.filter((limit) => limit.includes("/"));
  const hosts = permitted.filter((limit) => !limit.includes("/"));
  const excluded = [
    ...(ranges.length === 0 ? [{ iPAddress: "0.0.0.0/0" }, { iPAddress: "::/0" }] : []),
    ...(hosts.length === 0 ? [{ dNSName: "" }] : []),
  ];
  const value = new NameConstraints({
    permittedSubtrees: subtrees([
      ...hosts.map((dNSName) => ({ dNSName })),
      ...ranges.map((iPAddress) => ({ iPAddress })),
    ]),
    ...(excluded.length === 0 ? {} : { excludedSubtrees: subtrees(excluded) }),
  });
  return new x509.Extension(id_ce_nameConstraints, true, AsnConvert.serialize(value));
};

const subtrees = (bases: readonly ConstructorParameters<typeof GeneralName>[0][]): GeneralSubtrees =>
  new GeneralSubtrees(bases.map((base) => new GeneralSubtree({ base: new GeneralName(base) })));

const privateKey = (key: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("pkcs8", new Uint8Array(key), ALGORITHM, false, ["sign"]);

const publicKey = (key: Uint8Array): Promise<CryptoKey> =>
  crypto.subtle.importKey("spki", new Uint8Array(key), ALGORITHM, true, ["verify"]);
