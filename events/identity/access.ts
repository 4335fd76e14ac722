/** What gives access beside the password: second factors, roles, keys. */
import { z } from "zod";
import type { FactSchemas } from "../event.ts";
import { personal } from "../personal.ts";
import { accountId, count, IDENTITY_LIMITS, opaqueId, principalId, slug, time, whence } from "./shape.ts";

const kind = z.enum(["totp", "passkey", "backup_codes"]);
const roles = z.array(slug).max(IDENTITY_LIMITS.roles_max);
const roleChange = z.strictObject({
  account: accountId,
  tenant: slug,
  role: slug,
  /** Whether who holds it can change other people's access, or what is recorded of it. */
  privileged: z.boolean(),
  /** All roles before and after, in order of name. */
  before: roles,
  after: roles,
  /** Who agreed, when it was not who did it (`authid`); absent: nobody was asked. */
  approvedby: principalId.optional(),
});
/** Of a key that lets programs in, or signs: `access_token` signs those of sessions. */
const keyKind = z.enum(["api", "access_token"]);

/** What its holder calls it, so that they can tell which is which. */
const label = personal({ subject: "account" });

export const accessFacts = {
  /** From here on it is asked for. Seeds and public keys lie in the key database under the id `factor`. */
  "identity.factor.enrolled": z.strictObject({ account: accountId, factor: opaqueId, kind, label: label.optional() }),
  "identity.factor.renamed": z.strictObject({ account: accountId, factor: opaqueId, label }),
  "identity.factor.removed": z.strictObject({
    account: accountId,
    factor: opaqueId,
    kind,
    because: z.enum(["asked", "replaced", "reset", "spent"]),
  }),
  /** It was proven, in a sign-in or once more within a session. */
  "identity.factor.verified": z.strictObject({
    account: accountId,
    factor: opaqueId,
    kind,
    session: opaqueId.optional(),
    /** What may not come again: the time step of a one-time code (RFC 6238), the place of a backup code, the counter of a passkey. */
    counter: count.optional(),
    /** For so long who is in the session need not prove it again where that is asked for. */
    fresh_until: time.optional(),
  }),
  /**
   * A passkey's counter did not grow: there may be two of it (WebAuthn Level 3 section 6.1.1). It was refused, with a fact of its own.
   */
  "identity.clone.suspected": z.strictObject({
    account: accountId,
    factor: opaqueId,
    /** The one that came, and the highest that was taken. */
    counter: count,
    held: count,
    ...whence,
  }),
  "identity.role.granted": roleChange,
  "identity.role.revoked": roleChange,
  /** `key`: its id; `prefix`: what it begins with, to recognise it by. The secret is shown once, or never leaves the key database. */
  "identity.key.issued": z.strictObject({
    key: opaqueId,
    kind: keyKind,
    account: accountId.optional(),
    prefix: z.string().max(40).optional(),
    scopes: z.array(slug).max(IDENTITY_LIMITS.roles_max).optional(),
    until: time.optional(),
  }),
  /** `by` takes its place; what `key` let in or signed counts until `until`. */
  "identity.key.rotated": z.strictObject({
    key: opaqueId,
    kind: keyKind,
    account: accountId.optional(),
    by: opaqueId,
    until: time,
  }),
  "identity.key.revoked": z.strictObject({
    key: opaqueId,
    kind: keyKind,
    account: accountId.optional(),
    because: z.enum(["asked", "compromised", "expired", "account_disabled"]),
  }),
} satisfies FactSchemas;

export const accessAbout: Readonly<Record<keyof typeof accessFacts, string>> = {
  "identity.factor.enrolled": "A second factor was set up.",
  "identity.factor.renamed": "A second factor is called something else.",
  "identity.clone.suspected": "A passkey's counter did not grow; there may be two of it.",
  "identity.factor.removed": "A second factor counts no more.",
  "identity.factor.verified": "A second factor was proven.",
  "identity.role.granted": "An account was given a role; its roles before and after, and who approved.",
  "identity.role.revoked": "A role was taken from an account; its roles before and after, and who approved.",
  "identity.key.issued": "A key was made.",
  "identity.key.rotated": "A key was replaced; how long the old one still counts.",
  "identity.key.revoked": "A key counts no more.",
};
