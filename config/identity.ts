/** What the configuration says about accounts: how passwords are kept, how long sessions last, when an account locks. */
import { z } from "zod";
import { providers } from "./providers.ts";
import { count, section } from "./section.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Beginnings of streams, or of sources, that one tenant has. */
const TENANT_PREFIXES_MAX = 100;

const sessions = {
  idle_ms: count(MINUTE_MS, 90 * DAY_MS, 30 * MINUTE_MS, "A session that is not used for so long is over"),
  absolute_ms: count(MINUTE_MS, 366 * DAY_MS, DAY_MS / 2, "A session is over after so long, however it is used"),
  concurrent_max: count(1, 1_000, 10, "Sessions of one account; one more ends the oldest"),
};

/** Only letters that a stream's name has as they are, so that a source and its stream of what is unknown belong together. */
const source = z.string().max(200).regex(/^[A-Za-z0-9._~@:+/-]+$/).meta({ expected: "the beginning of a source" });
const stream = z.string().max(200).regex(
  /^(?!(?:access|controls|identity|kernel|privacy|threats)\/)[a-z0-9_-]+\/[A-Za-z0-9._~@:+/-]*$/,
)
  .meta({ expected: "the beginning of streams, domain/…, of no domain that is the installation's own" });
const owned = <T extends z.ZodType>(one: T) => z.array(one).max(TENANT_PREFIXES_MAX).default([]);

const tenant = z.strictObject({
  /** Beginnings of streams that are this tenant's; the longest counts, what none names is `default`'s. */
  streams: owned(stream),
  /** Of sources of events, and so of streams `inbox/{source}`. */
  sources: owned(source),
  /** What the tenant may use; more is 429. */
  quota: z.strictObject({
    /** Within any day. */
    events_max: z.int().min(1).max(1_000_000_000).optional(),
    bytes_max: z.int().min(1).max(1_000_000_000_000).optional(),
    /** At a time. */
    sessions_max: z.int().min(1).max(1_000).optional(),
  }).optional(),
  idle_ms: sessions.idle_ms.unwrap().optional(),
  absolute_ms: sessions.absolute_ms.unwrap().optional(),
  concurrent_max: sessions.concurrent_max.unwrap().optional(),
});

export const identitySection = section("Accounts, and how people sign in", {
  issuer: z.string().min(1).max(255).nullable().default(null).meta({
    description: "Who issues access tokens (`iss`); null: the log's name",
  }),
  audience: z.string().min(1).max(255).default("daybook").meta({ description: "Whom access tokens are for (`aud`)" }),
  access_token_ms: count(MINUTE_MS / 2, 60 * MINUTE_MS, 5 * MINUTE_MS, "How long an access token counts"),
  key_overlap_ms: count(
    60 * MINUTE_MS,
    30 * DAY_MS,
    DAY_MS,
    "How long a replaced signing key still counts; as long as an access token may live, and caches of /.well-known/jwks.json",
  ),
  api_keys: section("Keys with which programs act for an account", {
    valid_ms: count(60 * MINUTE_MS, 366 * DAY_MS, 90 * DAY_MS, "How long one counts, where nothing else is asked for"),
    valid_ms_max: count(60 * MINUTE_MS, 366 * DAY_MS, 366 * DAY_MS, "And at most"),
    overlap_ms: count(0, 30 * DAY_MS, DAY_MS, "How long one that was replaced still counts"),
    each_max: count(1, 100, 20, "Keys of one account"),
  }),
  invitation_ms: count(MINUTE_MS, 30 * DAY_MS, DAY_MS, "How long a code to set a password with counts"),
  sessions: section("Sessions", sessions),
  tenants: z.record(z.string().max(64).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/), tenant).default({})
    .superRefine((all, { addIssue }) => {
      const of = new Map<string, string>();
      for (const [name, { streams, sources }] of Object.entries(all)) {
        if (name === "default" && streams.length + sources.length > 0) {
          addIssue({
            code: "custom",
            path: [name],
            message: "default has all that no other tenant has; it names nothing",
          });
        }
        for (const [kind, prefixes] of [["streams", streams], ["sources", sources]] as const) {
          prefixes.forEach((prefix, index) => {
            const whose = of.get(`${kind} ${prefix}`);
            if (whose !== undefined) {
              addIssue({ code: "custom", path: [name, kind, index], message: `${prefix} is ${whose}'s already` });
            }
            of.set(`${kind} ${prefix}`, name);
          });
        }
      }
    }).meta({
      description:
        "Tenants: what belongs to each, its sessions as far as they differ, and its quota of events and bytes in a day and of sessions: { acme: { streams: [commits/acme-], sources: [/acme/], idle_ms: 900000, quota: { events_max: 100000 } } }",
    }),
  passwords: section("Passwords; hashed with Argon2id (RFC 9106), anew at the next sign-in when these are raised", {
    length_min: count(8, 64, 8, "Shortest, in characters; 15 or more is better"),
    memory_kib: count(7_168, 1_048_576, 19_456, "Memory of one hash"),
    passes: count(1, 100, 2, "Passes over it"),
    lanes: count(1, 16, 1, "Lanes"),
    threads: count(1, 64, 2, "Threads that hash; they begin with the first password"),
    waiting_max: count(1, 100_000, 500, "Passwords that may wait for a thread; more is 503"),
    words: z.array(z.string().min(3).max(64)).max(1_000).default([]).meta({
      description: "Names of your company, products and projects: no password is one of them with something added",
    }),
    breached: z.strictObject({ file: z.string().min(1) }).nullable().default(null).meta({
      description:
        "Passwords from breaches, none of which may be chosen: { file: PATH } of their SHA-1 hashes in order, as the downloader of Pwned Passwords writes it",
    }),
  }),
  passkeys: section("Passkeys", {
    challenge_ms: count(1_000, 60 * MINUTE_MS, 5 * MINUTE_MS, "How long a page waits for one"),
  }),
  away_ms: count(1_000, 60 * MINUTE_MS, 10 * MINUTE_MS, "How long somebody may be at a provider"),
  providers: providers.meta({
    description: "Who else vouches for people: OpenID Connect, SAML 2.0 (docs/accounts.md)",
  }),
  lockout: section("What wrong passwords in a row lead to", {
    failures_max: count(1, 10, 10, "So many lock the account"),
    lock_ms: count(1_000, DAY_MS, MINUTE_MS, "For so long, doubled with each further one"),
    lock_ms_max: count(1_000, 30 * DAY_MS, 60 * MINUTE_MS, "At most"),
  }),
  rate: section("How often a sign-in may be tried; more is 429 with Retry-After", {
    window_ms: count(1_000, DAY_MS, MINUTE_MS, "Length of the window"),
    name_max: count(1, 1_000_000, 20, "On one account name within a window, whether or not there is such an account"),
    address_max: count(1, 1_000_000, 60, "From one address"),
    credential_max: count(1, 1_000_000, 20, "With one password, on whatever accounts"),
  }),
});
