/** What a certificate says, and what is wrong with it at a time: for whatever uses one, whoever has issued it. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";

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

/** Whether one of the authorities, PEM, has signed the certificate. */
export const isSignedBy = (certificate: string, authorities: string): boolean => {
  try {
    const leaf = new X509Certificate(certificate);
    return (authorities.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [])
      .some((each) => leaf.checkIssued(new X509Certificate(each)) && leaf.verify(new X509Certificate(each).publicKey));
  } catch {
    return false;
  }
};

/** Whether who asks for this name, or this address, is answered by the certificate (RFC 6125). */
export const isFor = (certificate: string, name: string): boolean => {
  const found = parsed(certificate);
  if (!found) return false;
  return (isIP(name) === 0 ? found.checkHost(name) : found.checkIP(name)) !== undefined;
};
