/** What a browser answers for a passkey, and where the page stood that asked. */
import { isIP } from "node:net";
import { z } from "zod";
import { textOf } from "../body.ts";
import { parseJson } from "../cloudevents.ts";
import type { Way } from "../guard.ts";
import { Problem } from "../problem.ts";

/** Where a page stands: its origin, and the name that its passkeys are bound to (RP ID). */
export interface Site {
  readonly origin: string;
  readonly rp: string;
}

/** A request, and the way that it came. */
interface Come {
  readonly way: Pick<Way, "host" | "secure">;
}

/** `undefined` where the server is reached by an address: passkeys are bound to names (WebAuthn Level 3 section 5.1.3). */
export const siteOf = ({ way: { host, secure } }: Come): Site | undefined => {
  const { hostname = "" } = URL.parse(`https://${host}`) ?? {};
  if (hostname === "" || hostname.startsWith("[") || isIP(hostname) !== 0) return undefined;
  return { origin: `${secure ? "https" : "http"}://${host}`, rp: hostname };
};

export const siteWanted = (come: Come): Site => {
  const site = siteOf(come);
  if (site) return site;
  throw new Problem("no_passkeys", "Passkeys are bound to a name: come by one, such as localhost, not by an address.");
};

const base64url = z.string().min(1).max(8_192).regex(/^[\w-]+$/, "base64url");
const common = { id: base64url.max(1_400), rawId: base64url.max(1_400), type: z.literal("public-key") };

/** `RegistrationResponseJSON` (section 5.1). What else a browser tells is left out. */
export const made = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: base64url,
    transports: z.array(z.string().max(32)).max(10).optional(),
  }),
});
export type Made = z.output<typeof made>;

/** `AuthenticationResponseJSON` (section 5.1). */
export const asserted = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: base64url.max(128).nullish(),
  }),
});
export type Asserted = z.output<typeof asserted>;

const DEPTH_MAX = 4;

/** Out of a field of a form, where it is JSON. */
export const fromField = <S extends z.ZodType>(schema: S, text: string): z.output<S> => {
  const parsed = schema.safeParse(parseJson(textOf(new TextEncoder().encode(text)), DEPTH_MAX));
  if (parsed.success) return parsed.data;
  throw new Problem("invalid_data", "The form does not bring what an authenticator answers.");
};
