/** What a certificate says, and what is wrong with it at a time: for whatever uses one, whoever has issued it. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";

/** Clocks that are behind by less than this take a new certificate of ours too. */
export const SKEW_MS = 300_000;

export interface Certificate {
  /** Hexadecimal, in lower case. */
  readonly serial: string;
  /** SHA-256 of the certificate in DER, hexadecimal. */
  readonly fingerprint: string;
  /** Host names and addresses. */
  readonly names: readonly string[];
  /** Ms since 1970. */
  readonly not_before_ms: number;
  readonly not_after_ms: number;
}

/** The first certificate of a PEM text; `undefined` where there is none that can be read. */
export const readCertificate = (text: string): Certificate | undefined => {
  const found = parsed(text);
  if (!found) return undefined;
  const [not_before_ms, not_after_ms] = [Date.parse(found.validFrom), Date.parse(found.validTo)];
  if (Number.isNaN(not_before_ms) || Number.isNaN(not_after_ms)) return undefined;
  return {
    serial: found.serialNumber.toLowerCase(),
    fingerprint: found.fingerprint256.replaceAll(":", "").toLowerCase(),
    names: namesIn(found.subjectAltName ?? ""),
    not_before_ms,
    not_after_ms,
  };
};

const parsed = (text: string): X509Certificate | undefined => {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
};

/** `DNS:localhost, IP Address:127.0.0.1`, as the platform prints a subjectAltName; names that would need quotes are none of ours. */
const namesIn = (text: string): readonly string[] =>
  text.split(", ").flatMap((one) => /^(?:DNS|IP Address):(.+)$/.exec(one)?.[1]?.toLowerCase() ?? []);

/** Whether a private key, PEM, is the certificate's. */
export const belongTogether = (certificate: string, key: string): boolean => {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
};

/** Whether a private key, PEM, wants a passphrase: RFC 7468 section 11, and the older form of RFC 1421. */
export const isEncrypted = (key: string): boolean =>
  /^(?:-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: *4, *ENCRYPTED)/m.test(key);

const CURVES: readonly unknown[] = ["prime256v1", "secp384r1", "secp521r1"];

/** Whether the platform's listeners can sign with a private key, PEM; they refuse others, or fail at each handshake. */
export const signsHandshakes = (key: string): boolean => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength = 0, namedCurve } = {} } = createPrivateKey(
    key,
  );
  if (type === "rsa") return modulusLength >= 2048 && modulusLength <= 8192;
  return type === "ed25519" || (type === "ec" && CURVES.includes(namedCurve));
};

/** Whether a PEM text holds certificates that can all be read, whatever else it holds; handshakes fail by one that cannot. */
export const isChain = (text: string): boolean => areAll(text, "-----BEGIN CERTIFICATE-----");

/** Whether a PEM text holds certificates, and nothing else that says it is one. */
export const areCertificates = (text: string): boolean => areAll(text, "-----BEGIN ");

/** Whether there are certificates, and they are all that begins so. */
const areAll = (text: string, begin: string): boolean => {
  try {
    const { length } = allIn(text);
    return length > 0 && text.split(begin).length === length + 1;
  } catch {
    return false;
  }
};

/** Certificates between a leaf and its authority that are followed at most. */
const CHAIN_MAX = 8;

/** Whether one of the authorities, PEM, has signed the first certificate of a PEM text, or one that those behind it lead to. */
export const isSignedBy = (certificate: string, authorities: string): boolean => {
  try {
    const trusted = allIn(authorities);
    const [leaf, ...between] = allIn(certificate);
    const signs = (issuer: X509Certificate) => (one: X509Certificate) =>
      one.checkIssued(issuer) && one.verify(issuer.publicKey);
    for (let at = leaf, steps = 0; at && steps < CHAIN_MAX; steps++) {
      const one = at;
      if (trusted.some((issuer) => signs(issuer)(one))) return true;
      at = between.find((issuer) => issuer.ca && signs(issuer)(one));
    }
    return false;
  } catch {
    return false;
  }
};

const allIn = (text: string): readonly X509Certificate[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((each) =>
    new X509Certificate(each)
  );

/** Whether who asks for this name, or this address, is answered by the certificate (RFC 6125). */
export const isFor = (certificate: string, name: string): boolean => {
  const found = parsed(certificate);
  if (!found) return false;
  return (isIP(name) === 0 ? found.checkHost(name) : found.checkIP(name)) !== undefined;
};
