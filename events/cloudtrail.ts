/**
 * CloudTrail: what was asked of AWS, by whom and how it ended, as its log files tell. Stream: `cloudtrail/{account}`.
 *
 * `source` is the account that was told, `id` AWS's own `eventID`: so the same record out of two files is one event. What tells of a
 * person, and all that callers write freely, is sealed under the key of who called; what secrets are known by is not taken at all.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { FactSchemas } from "./event.ts";
import { personal, pseudonym } from "./personal.ts";

/** Bounds of what one fact holds; all of it together stays below the entry limit of the log once it is sealed. */
export const CLOUDTRAIL_LIMITS = {
  /** Services, actions, regions, codes and ids, each. */
  name_chars_max: 200,
  /** Of a role's ARN. */
  role_chars_max: 2_048,
  /** Names of people and sessions, addresses and programs, each. */
  personal_chars_max: 1_024,
  resource_chars_max: 300,
  /** `request`, `response`, `rest` and `error_message` together, in bytes of UTF-8. */
  texts_bytes_max: 30_000,
  resources_max: 20,
} as const;

const { name_chars_max, role_chars_max, resources_max } = CLOUDTRAIL_LIMITS;
const name = z.string().min(1).max(name_chars_max);
const yes = z.literal(true).optional();
const time = z.iso.datetime({ offset: true });
const whose = { subject: "actor" } as const;
/** What is sealed is longer than what was told, so that bounds of it are the importer's. */
const told = personal(whose);
/** JSON, canonical (RFC 8785): numbers that a double does not hold are strings. */
const json = personal(whose);

export const cloudtrailFacts = {
  "cloudtrail.event.observed": z.strictObject({
    /** Of the record's form, as AWS counts it: `1.09`. */
    event_version: name,
    /** `iam.amazonaws.com` */
    service: name,
    /** `CreateUser` */
    action: name,
    region: name,
    /** 12 digits: whose trail it is. */
    account: z.string().regex(/^\d{12}$/, "an AWS account: 12 digits"),
    /** `Management`, `Data`, `Insight`, `NetworkActivity`. */
    category: name.optional(),
    /** `AwsApiCall`, `AwsConsoleSignIn`, … */
    kind: name.optional(),
    outcome: z.enum(["success", "failure"]),
    error_code: name.optional(),
    read_only: z.boolean().optional(),
    request_id: name.optional(),
    /** The same for what several accounts were told of. */
    shared_event_id: name.optional(),
    /** `IAMUser`, `AssumedRole`, `Root`, `AWSService`, … */
    identity: name.optional(),
    /** Whose identity called, where that is another account: 12 digits, or `anonymous`. */
    identity_account: name.optional(),
    /** ARN of the role that a session is of. */
    role: z.string().min(1).max(role_chars_max).optional(),
    /** The AWS service that called on somebody's behalf. */
    invoked_by: name.optional(),
    /** Whether the session, or the sign-in, had a second factor. Absent: AWS does not say. */
    mfa: z.boolean().optional(),
    session_started: time.optional(),
    /** Who called: the ARN, session name and all; else the best name that the record has. */
    actor: told,
    actor_pseudonym: pseudonym({ of: "actor" }),
    user_name: told.optional(),
    principal: told.optional(),
    /** Id of the access key, which is no secret and tells whose it is. */
    access_key: told.optional(),
    address: told.optional(),
    address_pseudonym: pseudonym({ of: "address" }),
    user_agent: told.optional(),
    error_message: told.optional(),
    /** ARNs of what was touched. */
    resources: z.array(told).max(resources_max).optional(),
    /** So many more than fit. */
    resources_left_out: z.int().positive().optional(),
    request: json.optional(),
    response: json.optional(),
    /** Everything else of the record. */
    rest: json.optional(),
    /** Texts that did not fit, in bytes each. */
    left_out: z.strictObject({
      request: z.int().positive().optional(),
      response: z.int().positive().optional(),
      rest: z.int().positive().optional(),
      error_message: z.int().positive().optional(),
    }).optional(),
    /** A name was longer than its bound, and is cut. */
    cut: yes,
    /** Values that look like secrets and were not taken; `[not taken]` stands in their place. */
    not_taken: z.int().positive().optional(),
  }),
} satisfies FactSchemas;

export type CloudtrailObserved = z.output<typeof cloudtrailFacts["cloudtrail.event.observed"]>;

/** `source` of an account's events. */
export const cloudtrailSource = (account: string): string => `//cloudtrail.amazonaws.com/${account}`;

const ACCOUNT = /^\/\/cloudtrail\.amazonaws\.com\/(\d{12})$/;

export const cloudtrail: Domain = {
  name: "cloudtrail",
  facts: {
    "cloudtrail.event.observed": {
      schema: cloudtrailFacts["cloudtrail.event.observed"],
      kind: "observed",
      stream: ({ source, data }) =>
        `cloudtrail/${ACCOUNT.exec(source)?.[1] ?? (data as { readonly account: string }).account}`,
      about: "Something was asked of AWS, as CloudTrail tells: who, what, where from, and how it ended.",
    },
  },
};
