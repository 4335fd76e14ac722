/**
 * What is used of `@xmldom/xmldom` and `xml-crypto`. Their own types bring those of a browser along, which differ from the platform's for
 * the whole program.
 */
export declare class DOMParser {
  constructor(
    options: { readonly errorHandler: Readonly<Record<"warning" | "error" | "fatalError", (message: string) => void>> },
  );
  parseFromString(text: string, type: "text/xml"): { readonly documentElement: unknown } | undefined;
}

export declare class SignedXml {
  constructor(options: { readonly publicCert: string; readonly getCertFromKeyInfo: () => null });
  /** A node of a document. */
  loadSignature(signature: unknown): void;
  checkSignature(xml: string): boolean;
  /** Canonical, as they were signed. */
  getSignedReferences(): readonly string[];
}
