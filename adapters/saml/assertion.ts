/** What a signed assertion says (SAML 2.0 core section 2), read from the bytes that were signed and from nothing else. */
import type { Millis } from "../../events/event.ts";
import { SignedXml } from "./libraries.ts";
import { ASSERTION } from "./namespaces.ts";
import { childrenOf, isNamed, parsed, type XmlElement } from "./structure.ts";

export interface Assertion {
  readonly issuer: string;
  readonly subject: string;
  readonly format: string;
  /** In whose terms, where it is said. */
  readonly qualifier?: string;
  readonly audiences: readonly (readonly string[])[];
  /** It counts from the one to before the other; each that is stated. */
  readonly from: readonly Millis[];
  readonly until: readonly Millis[];
  readonly attributes: Readonly<Record<string, readonly string[]>>;
}

const BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/** `undefined` where something is missing that must be there (SAML 2.0 profiles section 4.1.4.2). */
export const assertionIn = (xml: string): Assertion | undefined => {
  const root = parsed(xml);
  if (!root || !isNamed(root, ASSERTION, "Assertion")) return undefined;
  const [subject] = named(root, "Subject");
  const [conditions] = named(root, "Conditions");
  const [name] = subject ? named(subject, "NameID") : [];
  const confirmed = (subject ? named(subject, "SubjectConfirmation") : [])
    .filter((each) => each.getAttribute("Method") === BEARER)
    .flatMap((each) => named(each, "SubjectConfirmationData"));
  if (!subject || !conditions || !name || confirmed.length === 0) return undefined;
  const qualifier = name.getAttribute("NameQualifier");
  return {
    issuer: textIn(named(root, "Issuer")[0]),
    subject: textIn(name),
    format: name.getAttribute("Format") ?? "",
    ...(qualifier && { qualifier }),
    audiences: named(conditions, "AudienceRestriction").map((each) => named(each, "Audience").map(textIn)),
    from: [conditions, ...confirmed].flatMap((each) => timeIn(each, "NotBefore")),
    until: [
      ...timeIn(conditions, "NotOnOrAfter"),
      // It is stated for each confirmation; one that is not is over.
      ...confirmed.map((each) => timeIn(each, "NotOnOrAfter")[0] ?? 0),
    ],
    attributes: attributesIn(root),
  };
};

const named = (within: XmlElement, name: string): readonly XmlElement[] =>
  childrenOf(within).filter((each) => isNamed(each, ASSERTION, name));

const textIn = (element: XmlElement | undefined): string => element?.textContent?.trim() ?? "";

const timeIn = (element: XmlElement, name: string): readonly Millis[] => {
  const text = element.getAttribute(name);
  if (!text) return [];
  const time = Date.parse(text);
  // What is no time is never and always over.
  return [Number.isNaN(time) ? (name === "NotBefore" ? Infinity : 0) : time];
};

const attributesIn = (root: XmlElement): Assertion["attributes"] => {
  const attributes = new Map<string, string[]>();
  for (const attribute of named(root, "AttributeStatement").flatMap((each) => named(each, "Attribute"))) {
    const name = attribute.getAttribute("Name") ?? "";
    attributes.set(name, [...attributes.get(name) ?? [], ...named(attribute, "AttributeValue").map(textIn)]);
  }
  return Object.fromEntries(attributes);
};

/**
 * The bytes that the assertion's own signature covers, if one of these certificates has made it. To be asked of a document whose
 * structure holds.
 */
export const signedBy = (xml: string, certificates: readonly string[]): string | undefined => {
  const root = parsed(xml)!;
  const assertion = childrenOf(root).find((each) => isNamed(each, ASSERTION, "Assertion"))!;
  const signature = childrenOf(assertion).find(({ localName }) => localName === "Signature")!;
  for (const publicCert of certificates) {
    // What a document says of keys is not looked at.
    const signed = new SignedXml({ publicCert, getCertFromKeyInfo: () => null });
    try {
      signed.loadSignature(signature);
      if (signed.checkSignature(xml)) {
        const [covered, ...others] = signed.getSignedReferences();
        return others.length === 0 ? covered : undefined;
      }
    } catch {
      // Not by this one, or by none that it could be read with.
    }
  }
  return undefined;
};
