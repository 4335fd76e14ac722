/** Sessions: a family of refresh tokens, of which only the newest generation counts. */
import { z } from "zod";
import type { FactSchemas } from "../event.ts";
import { accountId, count, IDENTITY_LIMITS, method, opaqueId, slug, time, whence } from "./shape.ts";

export const sessionFacts = {
  "identity.session.started": z.strictObject({
    account: accountId,
    session: opaqueId,
    tenant: slug,
    /** A page's cookie, a program's tokens, the command line. */
    kind: z.enum(["browser", "program", "terminal"]),
    /** What was proven when it began, each once. */
    factors: z.array(method).min(1).max(IDENTITY_LIMITS.methods_max),
    /** A privileged role counts in it; such count only where more than a password was proven. */
    privileged: z.boolean(),
    /** Those that count in it. */
    roles: z.array(slug).max(IDENTITY_LIMITS.roles_max),
    /** It ends at `idle_until` unless it is used before, and at `until` in any case. */
    idle_until: time,
    until: time,
    /** In the session that allowed it a second factor was shown a short while ago; for so long nobody asks here either. */
    fresh_until: time.optional(),
    ...whence,
  }),
  /**
   * It was used and goes on. `generation` is that of the refresh token that counts now; the first was 0, and a page's session,
   * which has none, stays there.
   */
  "identity.session.refreshed": z.strictObject({
    account: accountId,
    session: opaqueId,
    generation: count,
    idle_until: time,
    ...whence,
  }),
  /** A session's time being over shows when it is looked at, so this may come late; nothing counts after that time. */
  "identity.session.ended": z.strictObject({
    account: accountId,
    session: opaqueId,
    because: z.enum([
      "signed_out",
      "signed_out_everywhere",
      /** By somebody else: an administrator. */
      "revoked",
      "idle",
      "expired",
      /** One more was begun than the account may have at a time. */
      "too_many",
      "password_set",
      "factor_removed",
      "link_removed",
      /** What it may do is not what it began with. */
      "roles_changed",
      "account_disabled",
      "refresh_reused",
      "threat",
    ]),
  }),
  /** A refresh token that had been exchanged came again: somebody has a copy. The session ends with the next fact. */
  "identity.refresh.reused": z.strictObject({
    account: accountId,
    session: opaqueId,
    /** Of the token that came, and of the one that counts. */
    generation: count,
    current: count,
    ...whence,
  }),
} satisfies FactSchemas;

export const sessionAbout: Readonly<Record<keyof typeof sessionFacts, string>> = {
  "identity.session.started": "A session began: what was proven, with which roles, for how long.",
  "identity.session.refreshed": "A session was used and goes on.",
  "identity.session.ended": "A session is over.",
  "identity.refresh.reused": "A refresh token was used twice; its session ends.",
};
