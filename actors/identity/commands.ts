/**
 * What can be asked about identity. Only the program asks (`inside`): behind each of these it has checked a secret, or that whoever
 * asks may. What the configuration says comes with the command, so that deciding stays a function.
 */
import { z } from "zod";
import { protocol } from "../../events/identity/link.ts";
import { scheme } from "../../events/identity/password.ts";
import { count, IDENTITY_LIMITS, method, opaqueId, principalId, slug, time } from "../../events/identity/shape.ts";
import { signinFacts } from "../../events/identity/signin.ts";
import type { Commands, CommandSchemas } from "../types.ts";

/** An address and a user agent, as they came. */
const whence = { address: z.string().min(1).max(100).optional(), agent: z.string().min(1).max(512).optional() };
const reason = z.string().min(1).max(280).optional();
const ms = count.max(100 * 366 * 86_400_000);

/** When a session ends, and how many an account may have. */
const sessionPolicy = { idle_ms: ms, absolute_ms: ms, sessions_max: count.min(1).max(1_000) };

/** A code that fits: of which factor, and what of it may not come again. */
const second = z.strictObject({ factor: opaqueId, kind: z.enum(["totp", "backup_codes", "passkey"]), counter: count });
const label = z.string().min(1).max(64);

const prefix = z.string().min(1).max(40);
const scopes = z.array(slug).min(1).max(10);

export const identityCommands = {
  "identity.account.create": z.strictObject({
    tenant: slug,
    name: z.string().min(1).max(255),
    email: z.string().min(3).max(254).optional(),
    kind: z.enum(["person", "service"]),
  }),
  "identity.account.disable": z.strictObject({ reason }),
  "identity.account.enable": z.strictObject({ reason, approvedby: principalId.optional() }),
  /** `left`: absent for now. */
  "identity.account.offboard": z.strictObject({ left: time.optional(), reason }),
  "identity.account.lock": z.strictObject({ because: z.enum(["threat", "asked"]), until: time.optional() }),
  /** `threat`: only what a threat led to is taken back. Default: every lock. */
  "identity.account.unlock": z.strictObject({ because: z.literal("threat").optional() }),
  "identity.invitation.issue": z.strictObject({
    invitation: opaqueId,
    purpose: z.enum(["activation", "reset", "upgrade"]),
    valid_ms: ms,
  }),
  /** The hash lies in the key database already. */
  "identity.password.set": z.strictObject({
    credential: opaqueId,
    scheme,
    /** What allows it: the code of an invitation, the password of now, or that there is none and one is brought along. */
    by: z.discriminatedUnion("is", [
      z.strictObject({ is: z.literal("invitation"), invitation: opaqueId }),
      z.strictObject({
        is: z.literal("password"),
        credential: opaqueId,
        because: z.enum(["changed", "raised", "upgraded"]),
        /** The session in which it is changed, which goes on. */
        session: opaqueId.optional(),
      }),
      z.strictObject({ is: z.literal("import") }),
    ]),
  }),
  /** The password behind `credential` was the one that was typed. */
  "identity.signin.complete": z.strictObject({
    credential: opaqueId,
    session: opaqueId,
    kind: z.enum(["browser", "program", "terminal"]),
    /** What was shown beside the password. */
    second: second.optional(),
    ...sessionPolicy,
    ...whence,
  }),
  /** The passkey behind `passkey` was shown, and its holder verified. */
  "identity.signin.present": z.strictObject({
    passkey: second.extend({ kind: z.literal("passkey") }),
    session: opaqueId,
    kind: z.enum(["browser", "program", "terminal"]),
    ...sessionPolicy,
    ...whence,
  }),
  /** A provider vouches for whom this link is to. */
  "identity.signin.federate": z.strictObject({
    link: opaqueId,
    session: opaqueId,
    kind: z.enum(["browser", "program", "terminal"]),
    /** What was shown beside it. */
    second: second.optional(),
    ...sessionPolicy,
    ...whence,
  }),
  /** `by`: the session in which somebody said so. */
  "identity.signin.allow": z.strictObject({
    by: opaqueId,
    session: opaqueId,
    kind: z.enum(["browser", "program", "terminal"]),
    ...sessionPolicy,
    ...whence,
  }),
  "identity.signin.fail": z.strictObject({
    name: z.string().min(1).max(255).optional(),
    method,
    provider: slug.optional(),
    /** What the account itself says to it (locked, disabled) goes before. */
    reason: signinFacts["identity.signin.failed"].shape.reason,
    tried: signinFacts["identity.signin.failed"].shape.tried,
    /** So many in a row lock the account for `lock_ms`, each further one for twice as long, up to `lock_ms_max`. */
    failures_max: count.min(1).max(10),
    lock_ms: ms,
    lock_ms_max: ms,
    /** The passkey that was shown, where its counter had not grown. */
    clone: z.strictObject({ factor: opaqueId, counter: count }).optional(),
    ...whence,
  }),
  /** The refresh token of that generation was shown. */
  "identity.session.refresh": z.strictObject({ session: opaqueId, generation: count, idle_ms: ms, ...whence }),
  /** A page's session was used. */
  "identity.session.touch": z.strictObject({ session: opaqueId, idle_ms: ms, ...whence }),
  "identity.session.end": z.strictObject({
    session: opaqueId,
    because: z.enum(["signed_out", "revoked", "threat"]),
  }),
  /** All, but `keep` where it is given. */
  "identity.session.end_all": z.strictObject({
    because: z.enum(["signed_out_everywhere", "revoked", "threat"]),
    keep: opaqueId.optional(),
  }),
  /** The key database says who they are at the provider, under this id. */
  "identity.link.add": z.strictObject({
    link: opaqueId,
    provider: slug,
    protocol,
    because: z.enum(["created", "asked"]),
  }),
  /** `session`: it goes on. */
  "identity.link.remove": z.strictObject({ link: opaqueId, session: opaqueId.optional() }),
  /** `managed`: roles that a provider may give; `given`: those that it gives. */
  "identity.role.sync": z.strictObject({
    managed: z.array(slug).max(IDENTITY_LIMITS.roles_max),
    given: z.array(z.strictObject({ role: slug, privileged: z.boolean() })).max(IDENTITY_LIMITS.roles_max),
  }),
  "identity.role.grant": z.strictObject({ role: slug, privileged: z.boolean(), approvedby: principalId.optional() }),
  "identity.role.revoke": z.strictObject({ role: slug, approvedby: principalId.optional() }),
  /** Its seed or public key lies in the key database already. `counter`: of the code that proved that it was set up. */
  "identity.factor.enroll": z.strictObject({
    factor: opaqueId,
    kind: z.enum(["totp", "backup_codes", "passkey"]),
    counter: count.optional(),
    label: label.optional(),
  }),
  "identity.factor.rename": z.strictObject({ factor: opaqueId, label }),
  /** `session`: it goes on. */
  "identity.factor.remove": z.strictObject({
    factor: opaqueId,
    because: z.enum(["asked", "reset"]),
    session: opaqueId.optional(),
  }),
  /** Within a session, once more. */
  "identity.factor.verify": z.strictObject({ session: opaqueId, second, fresh_ms: ms }),
  /** Of a program that acts for the account. Its hash lies in the key database already; `each_max`: so many count at a time. */
  "identity.api_key.issue": z.strictObject({
    key: opaqueId,
    prefix,
    scopes,
    valid_ms: ms,
    each_max: count.min(1).max(100),
  }),
  /** `by` may what `key` may, from now on; `key` counts for `overlap_ms`. */
  "identity.api_key.rotate": z.strictObject({
    key: opaqueId,
    by: opaqueId,
    prefix,
    valid_ms: ms,
    overlap_ms: ms,
    each_max: count.min(1).max(100),
  }),
  "identity.api_key.revoke": z.strictObject({ key: opaqueId, because: z.enum(["asked", "compromised"]) }),
  /** Of the keys that sign access tokens. The key lies in the key database already. */
  "identity.key.issue": z.strictObject({ key: opaqueId }),
  /** `by` signs from now on; what `key` signed counts for `overlap_ms`. */
  "identity.key.rotate": z.strictObject({ key: opaqueId, by: opaqueId, overlap_ms: ms }),
  "identity.key.revoke": z.strictObject({ key: opaqueId, because: z.enum(["asked", "compromised", "expired"]) }),
} satisfies CommandSchemas;

export type IdentityCommand = Commands<typeof identityCommands>;
export type CommandData<T extends IdentityCommand["type"]> = Extract<IdentityCommand, { type: T }>["data"];
