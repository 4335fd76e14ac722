/**
 * Privacy: what was asked for and done about persons, and about the keys that stand for them. Stream: `privacy/register`, one
 * for all, so that a hold and an erasure that it forbids are decided one after the other.
 *
 * A person is named by the opaque id alone. Reasons are for reading, and hold nothing personal.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas, StreamId } from "./event.ts";

export const PRIVACY_LIMITS = {
  reason_chars_max: 280,
  /** Subjects or types that one hold names. */
  hold_names_max: 200,
  hold_chars_max: 64,
} as const;

/** The one stream of these facts. */
export const PRIVACY_STREAM = "privacy/register" satisfies StreamId;

/** The opaque id of a person, as it stands in sealed texts. */
export const subjectId = z.string().regex(/^[su]_[\w-]{16,64}$/, "the opaque id of a person: s_… or u_…");

/** What a hold is called by who placed it, such as a case number. */
export const holdId = z.string().max(PRIVACY_LIMITS.hold_chars_max).regex(
  /^[A-Za-z0-9][\w.:-]*$/,
  "letters, digits and . _ : -, beginning with a letter or digit",
);

const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
const reason = z.string().min(1).max(PRIVACY_LIMITS.reason_chars_max);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "SHA-256 in hexadecimal");
/** Base64 of 32 bytes, as in checkpoints. */
const root = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "32 bytes in base64");
const types = z.array(z.string().min(1).max(200)).min(1).max(PRIVACY_LIMITS.hold_names_max);

/** Keys by what they are for; so many of each. */
const wrapped = z.strictObject({
  tenants: count,
  subjects: count,
  periods: count,
  secrets: count,
});

export const privacyFacts = {
  /** Durable before anything is destroyed. Whoever finds it without an erasure behind it finishes the work. */
  "privacy.subject.erasure_requested": z.strictObject({
    subject: subjectId,
    /** Until when it must be done, where a law or contract says so. */
    due: time.optional(),
    reason: reason.optional(),
    /** The log as it was before: size and root of the newest checkpoint. What is computed again after the erasure must be equal. */
    before: z.strictObject({ size: count, root }).optional(),
  }),
  /** The key and every way to it are gone from the key database, and what held copies has let go of them. */
  "privacy.subject.erased": z.strictObject({
    subject: subjectId,
    /** `none`: there was no key to destroy any more, as after a crash between the destruction and this fact. */
    key: z.enum(["destroyed", "none"]),
    /** `restore`: an erasure known elsewhere, applied again to a copy that did not have it. Default: a request. */
    because: z.enum(["restore"]).optional(),
  }),
  /** What was looked for and computed again after an erasure, and the certificate that says so. */
  "privacy.erasure.certified": z.strictObject({
    subject: subjectId,
    /** Of the certificate's bytes. */
    certificate: sha256,
    /** The tree was computed again from the entries at this size. */
    size: count,
    root,
    /** Events with a value that nobody can read any more. */
    unreadable: count,
    /** Files of the data folder that were searched, and those in which something of the person was found. */
    files: count,
    found: count,
  }),
  /** A person was given what the log holds of them. */
  "privacy.subject.exported": z.strictObject({
    subject: subjectId,
    /** The log's size when it was read. */
    size: count,
    events: count,
    values: count,
    blobs: count,
  }),
  /** Nothing it covers may be erased, archived or destroyed while it stands. Without subjects and types it covers everything. */
  "privacy.hold.placed": z.strictObject({
    hold: holdId,
    reason,
    subjects: z.array(subjectId).min(1).max(PRIVACY_LIMITS.hold_names_max).optional(),
    types: types.optional(),
    /** It ends by itself then. */
    until: time.optional(),
  }),
  "privacy.hold.lifted": z.strictObject({ hold: holdId, reason }),
  /**
   * What is personal in events of the type and the month (`202611`, UTC, of their time) cannot be read any more: it was kept for so many
   * days behind the month's end. Of the type `pseudonyms` (`PSEUDONYMS`): what stands for an address in that month cannot be made
   * again. Whoever finds this fact and the key finishes the work.
   */
  "privacy.period.destroyed": z.strictObject({
    type: z.string().min(1).max(200),
    period: z.string().regex(/^\d{6}$/, "a year and a month, such as 202611"),
    after_days: count,
  }),
  /** Every key is wrapped under the version `to`; none was left under `from`, which may be destroyed. */
  "privacy.root_key.rotated": z.strictObject({ from: count, to: count, keys: wrapped }),
} satisfies FactSchemas;

/** In the place of a type: the pseudonyms of a month, which stand in events of any type. */
export const PSEUDONYMS = "pseudonyms";

export type PrivacyFact = Facts<typeof privacyFacts>;

const about: Readonly<Record<keyof typeof privacyFacts, string>> = {
  "privacy.subject.erasure_requested": "Somebody's personal data is to be erased.",
  "privacy.subject.erased": "A person's key was destroyed; what was sealed under it cannot be read any more.",
  "privacy.erasure.certified": "An erasure was checked, and certified.",
  "privacy.subject.exported": "A person's data was handed out to answer their request for access.",
  "privacy.hold.placed": "A legal hold forbids erasing and archiving what it covers.",
  "privacy.hold.lifted": "A legal hold was lifted.",
  "privacy.period.destroyed": "The key of a type's month was destroyed: its time was over.",
  "privacy.root_key.rotated": "The root key was replaced, and every key wrapped under the new one.",
};

export const privacy: Domain = {
  name: "privacy",
  facts: Object.fromEntries(
    (Object.keys(privacyFacts) as (keyof typeof privacyFacts)[])
      .map((type) => [type, { schema: privacyFacts[type], kind: "decided", about: about[type] }]),
  ),
};
