/** Attempts to sign in: here, with all that was decided, and elsewhere, as a log of another program tells it. */
import { z } from "zod";
import type { FactSchemas } from "../event.ts";
import { personal, pseudonym } from "../personal.ts";
import { accountId, count, IDENTITY_LIMITS, method, opaqueId, slug, whence } from "./shape.ts";

const methods = z.array(method).min(1).max(IDENTITY_LIMITS.methods_max);

/** What a log of another program may say of a sign-in. */
const OBSERVED_MESSAGES = [
  "accepted",
  "failed",
  /** The service knows no such name; whatever is tried then fails, and is told of by itself. */
  "unknown_name",
  /** Its configuration, or a lock, keeps the name out. */
  "not_allowed",
  "too_many_failures",
  /** One of several proofs was given, or is waited for. */
  "partial",
  "disconnected",
  /** A connection that came to no sign-in. */
  "connection",
  "pam",
  "session",
  /** Address and host name do not go together. */
  "reverse_mapping",
] as const;
export type ObservedMessage = typeof OBSERVED_MESSAGES[number];

export const signinFacts = {
  /** Everything that was asked for is proven. */
  "identity.signin.succeeded": z.strictObject({
    account: accountId,
    session: opaqueId,
    methods,
    ...whence,
  }),
  /** Whoever asked was told the same for every reason. */
  "identity.signin.failed": z.strictObject({
    /** Absent: there is no such account. */
    account: accountId.optional(),
    /** As it was typed, where it could be a name; people type passwords there, so it is sealed. */
    name: personal({ subject: "account" }).optional(),
    name_pseudonym: pseudonym({ of: "name" }),
    method,
    /** Who was asked to vouch, by its name in the configuration. */
    provider: slug.optional(),
    reason: z.enum([
      "unknown_account",
      "wrong_secret",
      /** A one-time code, rightly made, that had been taken before. */
      "used_before",
      "locked",
      "disabled",
      /** The account cannot sign in this way: no password, no such factor. */
      "not_enrolled",
      /** It was changed while it was being checked. */
      "changed_meanwhile",
      /** What was begun was not finished in time. */
      "expired",
      /** Of a provider: it said no, or what it said cannot be read. */
      "provider_refused",
      /** The answer is not for what this browser had begun. */
      "wrong_state",
      /** Another provider answered than the one that was asked. */
      "mixed_up",
      "wrong_issuer",
      "wrong_audience",
      "wrong_nonce",
      /** It is signed by no key of the provider. */
      "wrong_signature",
      "unsigned",
      /** What is signed is not what is said. */
      "wrapped",
      /** The provider vouches for somebody whom no account is linked to. */
      "not_linked",
      /** Of a passkey: it was asked for by a page of another site. */
      "wrong_origin",
      /** What was begun is finished already: the same answer came again. */
      "replayed",
      /** Of a passkey: its counter did not grow. */
      "clone_suspected",
    ]),
    /** In a row on this account, this one counted; absent where there is no account, or it does not count. */
    failures: count.optional(),
    /**
     * 16 bits of a keyed hash of the password that was tried, under a key that is thrown away within a day: shows one password tried
     * on many accounts, and is too short to tell which.
     */
    tried: z.string().regex(/^[0-9a-f]{4}$/, "four hexadecimal digits").optional(),
    ...whence,
  }),
  /** Observed: another program's sign-in, as its log tells it. The source is the machine or service. */
  "identity.signin.observed": z.strictObject({
    /** Which program, such as `sshd`. */
    service: z.string().min(1).max(64),
    /** `noted`: it tells of a try, and neither let anybody in nor refused. */
    outcome: z.enum(["accepted", "failed", "noted"]),
    /** Which of the things that such programs say. */
    message: z.enum(OBSERVED_MESSAGES).optional(),
    /** In that program's words: `password`, `publickey`. */
    method: z.string().min(1).max(64).optional(),
    name: personal({ subject: "name" }).optional(),
    name_pseudonym: pseudonym({ of: "name" }),
    /** The service knows no such name. */
    unknown_name: z.literal(true).optional(),
    address: personal({ subject: "name" }).optional(),
    address_pseudonym: pseudonym({ of: "address" }),
    port: count.max(65_535).optional(),
    /** Where the address is, as the source has it: latitude and longitude in degrees, `48.14,11.58`. */
    place: personal({ subject: "name" }).optional(),
    /** So many of them, where the source says it once. Absent: one. */
    times: count.min(1).optional(),
  }),
} satisfies FactSchemas;

export const signinAbout: Readonly<Record<keyof typeof signinFacts, string>> = {
  "identity.signin.succeeded": "Somebody signed in.",
  "identity.signin.failed": "Somebody tried to sign in and was refused.",
  "identity.signin.observed": "Another program accepted or refused a sign-in.",
};
