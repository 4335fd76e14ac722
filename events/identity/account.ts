/** Accounts: that they exist, may be used, are locked for a while, or belong to nobody any more. */
import { z } from "zod";
import type { FactSchemas } from "../event.ts";
import { personal, pseudonym } from "../personal.ts";
import { accountId, count, opaqueId, principalId, slug, time } from "./shape.ts";

/** Free text about the person, so personal. */
const reason = personal({ subject: "account" }).optional();

export const accountFacts = {
  "identity.account.created": z.strictObject({
    account: accountId,
    tenant: slug,
    /** In the form in which names are compared. */
    name: personal({ subject: "account" }),
    name_pseudonym: pseudonym({ of: "name" }),
    email: personal({ subject: "account" }).optional(),
    /** `service`: a program's; nobody signs in with a password. */
    kind: z.enum(["person", "service"]),
  }),
  /** No sign-in, session or key of the account counts from here on. Its sessions end with facts of their own. */
  "identity.account.disabled": z.strictObject({ account: accountId, reason }),
  "identity.account.enabled": z.strictObject({ account: accountId, reason, approvedby: principalId.optional() }),
  /**
   * The person leaves, or the service is retired: from `left` on no access is due. Whether it was taken in time is told by
   * `identity.account.disabled`, which comes with this fact, or at `left` if that is later.
   */
  "identity.account.offboarded": z.strictObject({ account: accountId, left: time, reason }),
  /**
   * Sign-ins with a password are refused until then, whether or not it is right; absent: until somebody unlocks it. With `asked` all
   * others are as well.
   */
  "identity.account.locked": z.strictObject({
    account: accountId,
    because: z.enum(["failures", "threat", "asked"]),
    /** In a row, since the last success. */
    failures: count,
    until: time.optional(),
  }),
  /**
   * Before its time. A lock whose time is over ends without a fact. With `threat` the lock that a threat led to was taken back, and no
   * other.
   */
  "identity.account.unlocked": z.strictObject({
    account: accountId,
    because: z.enum(["asked", "password_reset", "threat"]),
  }),
  /** Who holds the code may set a password, once, until then. The code itself is nowhere kept. */
  "identity.invitation.issued": z.strictObject({
    account: accountId,
    invitation: opaqueId,
    /** `upgrade`: the imported hash tells only the first 72 bytes of a longer password, so it is to be set anew. */
    purpose: z.enum(["activation", "reset", "upgrade"]),
    until: time,
  }),
  "identity.invitation.used": z.strictObject({ account: accountId, invitation: opaqueId }),
} satisfies FactSchemas;

export const accountAbout: Readonly<Record<keyof typeof accountFacts, string>> = {
  "identity.account.created": "An account was made.",
  "identity.account.disabled": "An account can no longer be used.",
  "identity.account.enabled": "An account can be used again.",
  "identity.account.offboarded": "The holder of an account leaves; no access is due any more.",
  "identity.account.locked": "An account takes no password for a while, or until somebody unlocks it.",
  "identity.account.unlocked": "An account takes passwords again before its lock was over.",
  "identity.invitation.issued": "A code was handed out with which a password can be set once.",
  "identity.invitation.used": "The code of an invitation was used.",
};
