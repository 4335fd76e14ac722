/** What the facts of identity have in common: ids, addresses, roles, ways to prove who one is. */
import { z } from "zod";
import { personal, pseudonym } from "../personal.ts";

export const IDENTITY_LIMITS = {
  role_chars_max: 64,
  /** Roles of one account. */
  roles_max: 50,
  /** What was proven in one sign-in. */
  methods_max: 5,
} as const;

/** The opaque id of an account. It is the subject under whose key everything personal of the account is sealed, and the id of its stream. */
export const accountId = z.string().regex(/^u_[\w-]{16,64}$/, "the opaque id of an account: u_…");

/** A random id of a session, password, factor or invitation. It names, and opens nothing. */
export const opaqueId = z.string().regex(/^[\w-]{16,64}$/, "an opaque id of 16 to 64 letters, digits, _ and -");

/** Who acted, as `authid` of the header has it: an account, a token, the program. */
export const principalId = z.string().min(1).max(100);

/** A tenant or role: lower case, digits and - _ within. */
export const slug = z.string().max(IDENTITY_LIMITS.role_chars_max).regex(
  /^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/,
  "lower-case letters, digits, - and _ within",
);

export const time = z.iso.datetime({ offset: true });
export const count = z.int().nonnegative();

/** How somebody proved who they are, once. `device` is what another session allowed (RFC 8628). */
export const method = z.enum(["password", "totp", "backup_code", "passkey", "oidc", "saml", "device", "invitation"]);

/** Whence a request came: who it was about keeps both, sealed; equal ones have equal pseudonyms within a month. */
export const whence = {
  address: personal({ subject: "account" }).optional(),
  address_pseudonym: pseudonym({ of: "address" }),
  agent: personal({ subject: "account" }).optional(),
  agent_pseudonym: pseudonym({ of: "agent" }),
};
