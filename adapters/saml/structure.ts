/**
 * The shape that a SAML response must have before its signature is looked at (SAML 2.0 core and bindings): one assertion, in the one place
 * where one may be, itself what its signature refers to. Whatever else a document could say in other places is thereby nowhere read:
 * signature wrapping (XSW) needs a second place.
 */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { DOMParser } from "./libraries.ts";
import { ASSERTION, PROTOCOL } from "./namespaces.ts";

export const SAML_LIMITS = {
  /** Of a response, decoded. */
  response_bytes_max: 131_072,
  /** Elements of one response. */
  elements_max: 2_000,
} as const;

export type Misshapen =
  | "provider_refused"
  | "unsigned"
  | "wrapped"
  | "wrong_signature"
  | "wrong_state"
  | "wrong_audience";

const SIGNATURE = "http://www.w3.org/2000/09/xmldsig#";
const ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#";
/** RFC 9231 section 2.3; neither SHA-1 nor what is no signature (HMAC) is among them. */
const SIGNED_BY = ["rsa-sha256", "rsa-sha512"].map((name) => `http://www.w3.org/2001/04/xmldsig-more#${name}`);
const DIGESTED_BY = ["sha256", "sha512"].map((name) => `http://www.w3.org/2001/04/xmlenc#${name}`);

/** What the answer must be for. */
export interface Expected {
  /** Id of the request. */
  readonly request: string;
  /** Where it is posted to. */
  readonly back: string;
}

/** `undefined` for one that may be looked at further. */
export const faultOf = (xml: string, expected: Expected): Misshapen | undefined => {
  // Comments, CDATA, entities and instructions are read differently from one program to the next; none of them is needed.
  if (/<!|<\?(?!xml\s)/.test(xml)) return "provider_refused";
  const root = parsed(xml);
  if (!root || !isNamed(root, PROTOCOL, "Response")) return "provider_refused";
  const all = [...below(root, SAML_LIMITS.elements_max + 1)];
  if (all.length > SAML_LIMITS.elements_max) return "provider_refused";
  const assertions = all.filter(({ localName }) => localName === "Assertion");
  const [assertion] = assertions;
  if (!assertion) return "provider_refused";
  if (all.some(({ localName }) => localName === "EncryptedAssertion" || localName === "Response")) return "wrapped";
  if (assertions.length > 1 || assertion.parentNode !== root || !isNamed(assertion, ASSERTION, "Assertion")) {
    return "wrapped";
  }
  return signatureFault(root, assertion, all) ?? purposeFault(root, all, expected);
};

/** What is read of a document's nodes; the library's own types are those of a browser. */
export interface XmlElement {
  readonly nodeType: number;
  readonly namespaceURI: string | null;
  readonly localName: string;
  readonly parentNode: unknown;
  readonly childNodes: ArrayLike<XmlElement>;
  readonly textContent: string | null;
  getAttribute(name: string): string | null;
}

export const parsed = (xml: string): XmlElement | undefined => {
  const refuse = (message: string) => {
    throw new SyntaxError(message);
  };
  const errorHandler = { warning: refuse, error: refuse, fatalError: refuse };
  try {
    return new DOMParser({ errorHandler }).parseFromString(xml, "text/xml")?.documentElement as XmlElement | undefined;
  } catch {
    return undefined;
  }
};

export const isNamed = ({ namespaceURI, localName }: XmlElement, namespace: string, name: string): boolean =>
  namespaceURI === namespace && localName === name;

/** Elements of XML. */
const ELEMENT = 1;

function* below(node: XmlElement, most: number): Generator<XmlElement> {
  const waiting: XmlElement[] = [...childrenOf(node)];
  for (let seen = 0; waiting.length > 0 && seen < most; seen++) {
    const next = waiting.pop()!;
    yield next;
    waiting.push(...childrenOf(next));
  }
}

export const childrenOf = (node: XmlElement): readonly XmlElement[] =>
  Array.from(node.childNodes).filter(({ nodeType }) => nodeType === ELEMENT);

const signatureFault = (
  root: XmlElement,
  assertion: XmlElement,
  all: readonly XmlElement[],
): Misshapen | undefined => {
  const ids = [root, ...all].flatMap((each) =>
    ["ID", "Id", "id"].map((name) => each.getAttribute(name) ?? "").filter((id) => id !== "")
  );
  if (new Set(ids).size < ids.length) return "wrapped";
  const signatures = all.filter(({ localName }) => localName === "Signature");
  for (const signature of signatures) {
    const of = [root, assertion].find((each) => each === signature.parentNode);
    if (signature.namespaceURI !== SIGNATURE || !of) return "wrapped";
    const inside = [...below(signature, SAML_LIMITS.elements_max)];
    const named = (name: string) => inside.filter(({ localName }) => localName === name);
    const algorithms = (name: string) => named(name).map((each) => each.getAttribute("Algorithm") ?? "");
    const references = named("Reference").map((each) => each.getAttribute("URI"));
    if (references.length !== 1 || references[0] !== `#${of.getAttribute("ID")}` || named("Object").length > 0) {
      return "wrapped";
    }
    if (algorithms("Transform").some((each) => each !== ENVELOPED && each !== EXCLUSIVE)) return "wrapped";
    const signed = algorithms("SignatureMethod").every((each) => SIGNED_BY.includes(each));
    if (!signed || !algorithms("DigestMethod").every((each) => DIGESTED_BY.includes(each))) return "wrong_signature";
  }
  const own = signatures.filter(({ parentNode }) => parentNode === assertion).length;
  if (own > 1 || signatures.length - own > 1) return "wrapped";
  return own === 0 ? "unsigned" : undefined;
};

/** Whether it is posted to where it is meant to be, in answer to what was asked (SAML 2.0 profiles section 4.1.4.3). */
const purposeFault = (
  root: XmlElement,
  all: readonly XmlElement[],
  { request, back }: Expected,
): Misshapen | undefined => {
  const confirmed = all.filter(({ localName }) => localName === "SubjectConfirmationData");
  const answers = [root, ...confirmed].map((each) => each.getAttribute("InResponseTo"));
  if (confirmed.length === 0 || !answers.every((each) => isSame(each ?? "", request))) return "wrong_state";
  const meant = [root.getAttribute("Destination") || back, ...confirmed.map((each) => each.getAttribute("Recipient"))];
  return meant.every((each) => each === back) ? undefined : "wrong_audience";
};

/** In a time that does not tell how much of it was right. */
const isSame = (said: string, drawn: string): boolean => {
  const [given, expected] = [Buffer.from(said), Buffer.from(drawn)];
  return given.length === expected.length && timingSafeEqual(given, expected);
};
