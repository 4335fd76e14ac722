/**
 * What the process may be told, in one schema: every key has a default and a line that says what it means. The shipped
 * `daybook.yaml` states the same, and a test holds the two together.
 *
 * Units come last in a name (`_ms`, `_bytes_max`). Everything is optional; an unknown key is refused.
 */
import { z } from "zod";
import { certificateName, certificatesSection } from "./certificates.ts";
import { identitySection } from "./identity.ts";
import { rootSecret, secret } from "./secret.ts";
import { count, section } from "./section.ts";
import { sinks } from "./sinks.ts";
import { network, threatsSection } from "./threats.ts";

export type { RootReference, SecretReference } from "./secret.ts";

const yes = (standard: boolean, about: string) => z.boolean().default(standard).meta({ description: about });
const part = (about: string) => z.literal(["profile", true, false]).default("profile").meta({ description: about });

const host = z.string().min(1).max(253).regex(/^[a-z0-9._-]+$/).meta({
  expected: "a host name in lower case, without a port",
});

const MIB = 1_048_576;
const DAY_MS = 86_400_000;

export const schema = z.strictObject({
  profile: z.enum(["minimal", "development", "full", "testing"]).default("full").meta({
    description: "Which parts are started where `start` leaves it to the profile",
  }),

  start: section("What is started: true, false, or what the profile says", {
    pages: part("Pages for people: the status page and signing in"),
    docs: part("The API's description: /openapi.json and /docs"),
    metrics: part("/metrics for Prometheus"),
    projections: part(
      "All views; without them only those that the program itself goes by are folded: of health, services, alerts and sessions",
    ),
    webhooks: part("Receivers of webhooks; each needs its secret as well"),
    controls: part("Evaluation of controls as events come; what is enforced by the record is so without it"),
    alerts: part("Looking for what alerts are about; what stands already is told on without it"),
  }),

  server: section("HTTP", {
    host: z.union([z.string().max(253).regex(/^[A-Za-z0-9._-]+$/), z.ipv6()]).default("127.0.0.1").meta({
      description: "Address to listen on; 0.0.0.0 is every one",
      expected: "a host name or an address, without a port",
    }),
    port: count(0, 65_535, 7373, "Port to listen on; 0 takes a free one"),
    hosts: z.array(host).max(100).default([]).meta({
      description: "Names the server is reached by, beside localhost and addresses; a request for another is 421",
    }),
    behind_proxy: z.union([z.ipv4(), z.ipv6()]).meta({ expected: "an IP address" }).nullable().default(null)
      .meta({
        description: "Address of the reverse proxy in front, whose Forwarded header alone is believed",
      }),
    public_checkpoint: yes(false, "Whether the checkpoint and hash tiles are open without a token; entries never are"),
    body_bytes_max: count(1_024, 64 * MIB, MIB, "Largest request body; a larger one is 413"),
    deadline_ms: count(100, 600_000, 30_000, "How long a request may take in all"),
    allow: z.array(network).max(10_000).default([]).meta({
      description: "Addresses and networks that may ask at all, as 192.0.2.0/24 or 2001:db8::/32; none: everybody",
    }),
    rate: section("Rate limits, in sliding windows; more is 429 with Retry-After", {
      window_ms: count(100, 3_600_000, 1_000, "Length of the window"),
      requests_max: count(1, 10_000_000, 100_000, "Requests of one token within a window"),
      denied_max: count(1, 1_000_000, 100, "Requests of one address that were not let in, within a window"),
      user: section("Of one account, whatever its sessions", {
        window_ms: count(100, 3_600_000, 60_000, "Length of the window"),
        requests_max: count(1, 10_000_000, 100, "Requests within a window"),
      }),
    }),
    tls: section("TLS: both of certificate and key, or issued, or nothing", {
      certificate: z.string().min(1).nullable().default(null).meta({
        description: "File with the certificate chain, PEM",
      }),
      key: secret.meta({ description: "The private key, PEM: { file: PATH } or { env: NAME }" }),
      issued: z.array(certificateName).max(50).default([]).meta({
        description: "Instead: names and addresses that the folder's own authority certifies, and renews",
      }),
      clients: z.union([z.literal("ours"), z.strictObject({ file: z.string().min(1) })]).nullable().default(null).meta({
        description:
          "Whose client certificates are demanded: ours, of the folder's own authority, or those of { file: PATH }, PEM; null: none are",
        expected: "ours, or { file: PATH }",
      }),
      min_version: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2").meta({
        description: "Lowest version; TLSv1.3 where issued or clients is stated",
      }),
    }).refine((tls) => (tls.certificate === null) === (tls.key === null), {
      error: "both of certificate and key, or neither",
    }).refine((tls) => tls.certificate === null || tls.issued.length === 0, {
      error: "certificate and key, or issued, not both",
    }).refine(
      ({ certificate, issued, clients, min_version }) =>
        certificate !== null || issued.length > 0 || clients === null && min_version === "TLSv1.2",
      {
        error: "certificate and key, or issued, for clients and min_version to mean anything",
      },
    ),
  }),

  log: section("The log", {
    origin: z.string().min(1).max(255).regex(/^[^\s+]+$/).meta({ expected: "a name without spaces and plus signs" })
      .nullable().default(null).meta({
        description:
          "Name on the checkpoints, as C2SP tlog-checkpoint has it; null makes one with the log, which then stays",
      }),
    sealed_at_rest: yes(
      false,
      "Whether a new folder's log, views and notes are sealed under a key of the key database; a folder stays as it was made",
    ),
    archive: z.string().regex(/^\/./).meta({ expected: "an absolute path" }).nullable().default(null).meta({
      description: "Folder that the beginning of the log was archived to, to read it there; null: it is not attached",
    }),
    queue_events_max: count(1_000, 10_000_000, 100_000, "Events that may wait for their commit; more is 503"),
    queue_bytes_max: count(MIB, 1_024 * MIB, 64 * MIB, "The same in bytes of entries"),
    checkpoint_ms: count(10, 60_000, 1_000, "How long after a commit the signed checkpoint may follow"),
    tail_events_max: count(
      1_000,
      10_000_000,
      114_688,
      "Events that may be durable but not yet in the index; held in memory",
    ),
    filter_bytes_max: count(
      MIB,
      4_096 * MIB,
      64 * MIB,
      "Memory of the filter that answers 'never seen' without a read",
    ),
    cache_bytes_max: count(MIB, 4_096 * MIB, 32 * MIB, "Memory for blocks and index pages read lately"),
    blobs_bytes_max: count(
      64 * MIB,
      4_096 * MIB,
      256 * MIB,
      "Blobs being written at the same time, in bytes; more is 503. One blob has at most 67108864",
    ),
  }),

  keys: section("The key that all other keys lie under; of root and passphrase one, or neither", {
    root: rootSecret.meta({
      description: "The root key: { env: NAME } or { file: PATH }; null keeps it as root.key in the data folder",
    }),
    passphrase: rootSecret.meta({
      description:
        "What the root key is made of instead: { env: NAME } or { file: PATH }, of which the first line counts",
    }),
  }).refine((keys) => keys.root === null || keys.passphrase === null, {
    error: "one of root and passphrase, or neither",
  }),

  kernel: section("Actors and their supervision", {
    entities_max: count(1, 10_000_000, 10_000, "Entities in memory at once; the idlest leave first"),
    passivate_ms: count(10, DAY_MS, 60_000, "How long an entity may be idle before it leaves memory"),
    ask_ms: count(1, 600_000, 5_000, "How long an asker waits who does not say"),
    grace_ms: count(0, 600_000, 10_000, "How long a child may take to stop before it is abandoned and named"),
    restarts: section("How often one supervisor restarts before it gives up (OTP's intensity and period)", {
      max: count(0, 1_000_000, 5, "Restarts within the period"),
      within_ms: count(1, DAY_MS, 60_000, "The period"),
    }),
    backoff: section("Pause before a restart, doubled each time, with jitter", {
      first_ms: count(0, 600_000, 100, "Before the first"),
      max_ms: count(0, DAY_MS, 30_000, "At most"),
    }),
  }),

  projections: section("Views", {
    batch_events_max: count(1, 100_000, 4_000, "Events in one transaction of rows and cursor"),
    poison: z.enum(["stop", "skip"]).default("stop").meta({
      description: "What an event does that a projection cannot apply: stop it, or be skipped and recorded",
    }),
    policies: z.record(
      z.string().regex(/^[a-z_]+\.[a-z_]+$/).meta({ expected: "the name of a projection, as commits.hotspots" }),
      z.enum(["stop", "skip"]),
    ).default({}).meta({
      description: "The same for single projections: { commits.hotspots: skip }",
    }),
    attest: section("When the log is told what a view holds; attestations themselves do not count", {
      events_min: count(1, 1_000_000_000, 10_000, "Events since the view was attested last"),
      ms: count(1_000, 30 * DAY_MS, 3_600_000, "With fewer events, but any: so long"),
    }),
  }),

  retention: section("What is kept for a shorter time than the log", {
    types: z.record(
      z.string().regex(/^[a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+$/).meta({ expected: "a type, as commits.commit.recorded" }),
      z.int().min(0).max(36_500),
    ).default({}).meta({
      description:
        "Days for which what is personal in events of a type can be read, from the end of their month: { commits.commit.recorded: 365 }",
    }),
    pseudonyms: z.int().min(0).max(36_500).nullable().default(null).meta({
      description:
        "Days for which it can be told whose address a pseudonym stands for, from the end of its month; null: as long as the log",
    }),
  }),

  ingest: section("Events from outside", {
    unknown: z.enum(["inbox", "reject"]).default("inbox").meta({
      description: "What becomes of a type nobody has declared: kept in inbox/{source}, or refused",
    }),
    sealed_sources: z.array(z.string().min(1).max(1_024)).max(10_000).default([]).meta({
      description:
        "Sources, each in full, whose undeclared types tell of people: all of data is sealed; attributes, such as subject, stay",
    }),
  }),

  stack: z.record(z.string(), z.unknown()).default({}).meta({
    description: "How the services below are run: { name, order, on_exit } (docs/services.md)",
  }),
  services: z.record(z.string(), z.unknown()).default({}).meta({
    description: "Programs that are started in order and kept healthy, by name (docs/services.md)",
  }),

  certificates: certificatesSection,

  identity: identitySection,

  threats: threatsSection,

  access: section("Who may do what (docs/access.md)", {
    folder: z.string().min(1).nullable().default(null).meta({
      description: "Folder of policies, .cedar files, and roles.json; null takes those that come with the program",
    }),
  }),

  controls: section("Controls (docs/controls.md)", {
    folder: z.string().min(1).nullable().default(null).meta({
      description: "Folder of the catalogue, YAML files; null takes the controls that come with the program",
    }),
    every_ms: count(100, 3_600_000, 5_000, "How often what was recorded is evaluated"),
  }),

  alerting: section("Alerts (docs/alerts.md); where they are told, sinks say", {
    defaults: yes(
      true,
      "Whether the rules that come with the program are looked at; rules below take their place by name",
    ),
    every_ms: count(100, 3_600_000, 1_000, "How often it is looked"),
    group_ms: count(0, 3_600_000, 10_000, "How long alerts that belong together are waited for, to be told together"),
    rules: z.record(z.string(), z.unknown()).default({}).meta({
      description: "Rules by name: { jobs-failed: { title: A job has failed, when: { type: ci.job.failed } } }",
    }),
  }),

  github: section("Webhooks of GitHub", {
    webhook_secret: secret.meta({
      description: "Secret the signatures are checked with: { env: NAME } or { file: PATH }; null refuses all",
    }),
  }),

  sinks: sinks.meta({
    description:
      "Where events go as they come: files, webhooks, receivers of syslog (docs/recipes/siem.md); and alerts: slack, pagerduty, email (docs/alerts.md)",
  }),
});

/** What a part of `start` is when it says "profile". */
export const PROFILES = {
  minimal: {
    pages: false,
    docs: false,
    metrics: false,
    projections: false,
    webhooks: false,
    controls: false,
    alerts: false,
  },
  development: {
    pages: true,
    docs: true,
    metrics: true,
    projections: true,
    webhooks: false,
    controls: true,
    alerts: true,
  },
  full: { pages: true, docs: true, metrics: true, projections: true, webhooks: true, controls: true, alerts: true },
  testing: {
    pages: false,
    docs: false,
    metrics: false,
    projections: true,
    webhooks: true,
    controls: false,
    alerts: false,
  },
} as const satisfies Record<
  z.output<typeof schema>["profile"],
  Record<keyof z.output<typeof schema>["start"], boolean>
>;

type Stated = z.output<typeof schema>;
/** The configuration as the program uses it: whole, checked, the profile's part filled in. */
export type Config = Omit<Stated, "start"> & { readonly start: { readonly [P in keyof Stated["start"]]: boolean } };
