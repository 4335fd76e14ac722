/** Links: who somebody is at another provider of sign-ins. What it knows them by lies in the key database under the id `link`. */
import { z } from "zod";
import type { FactSchemas } from "../event.ts";
import { accountId, opaqueId, slug } from "./shape.ts";

/** How a provider is asked: OpenID Connect, or SAML 2.0. */
export const protocol = z.enum(["oidc", "saml"]);

export const linkFacts = {
  /** From here on who the provider vouches for is this account. */
  "identity.link.added": z.strictObject({
    account: accountId,
    link: opaqueId,
    /** Name in the configuration. */
    provider: slug,
    protocol,
    /** `created`: the account was made for it; `asked`: by its holder, who was signed in. */
    because: z.enum(["created", "asked"]),
  }),
  "identity.link.removed": z.strictObject({ account: accountId, link: opaqueId, provider: slug, protocol }),
} satisfies FactSchemas;

export const linkAbout: Readonly<Record<keyof typeof linkFacts, string>> = {
  "identity.link.added": "An account was linked to somebody whom a provider of sign-ins vouches for.",
  "identity.link.removed": "A provider of sign-ins vouches for an account no more.",
};
