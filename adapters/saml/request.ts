/** What we say to a provider of SAML: what we ask, and who we are. */
import { Buffer } from "node:buffer";
import type { Millis } from "../../events/event.ts";
import { ASSERTION, PROTOCOL } from "./namespaces.ts";

/** A request of ours, as the redirect binding has it (SAML 2.0 bindings section 3.4.4.1). */
export const requestOf = async (
  { id, at, to, back, from }: {
    readonly id: string;
    readonly at: Millis;
    /** Where it goes, where the answer goes, and who asks. */
    readonly to: string;
    readonly back: string;
    readonly from: string;
  },
): Promise<string> => {
  const xml = `<samlp:AuthnRequest xmlns:samlp="${PROTOCOL}" xmlns:saml="${ASSERTION}" ID="${id}" Version="2.0"` +
    ` IssueInstant="${new Date(at).toISOString()}" Destination="${escaped(to)}" AssertionConsumerServiceURL="${
      escaped(back)
    }"` +
    ` ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"><saml:Issuer>${escaped(from)}</saml:Issuer>` +
    `<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" AllowCreate="true"/></samlp:AuthnRequest>`;
  const deflated = new Blob([xml]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return Buffer.from(await new Response(deflated).arrayBuffer()).toString("base64");
};

/** What a provider is told of us (SAML 2.0 metadata section 2.4.4). */
export const metadataOf = ({ from, back }: { readonly from: string; readonly back: string }): string =>
  `<?xml version="1.0"?>\n<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${
    escaped(from)
  }">\n` +
  `  <SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="${PROTOCOL}">\n` +
  `    <NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</NameIDFormat>\n` +
  `    <AssertionConsumerService index="0" isDefault="true" Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="${
    escaped(back)
  }"/>\n  </SPSSODescriptor>\n</EntityDescriptor>\n`;

const escaped = (text: string): string => text.replace(/[<>&"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
