/** Where events go as they come: files, webhooks, receivers of syslog; and where alerts are told. Each sink has its own place in the log, and waits for nobody. */
import { z } from "zod";
import { secret } from "./secret.ts";
import { count } from "./section.ts";

const SINK_FORMATS = ["ndjson", "ocsf", "syslog", "cef"] as const;
/** Of alerts, the most severe last. */
export const SEVERITIES = ["info", "warning", "error", "critical"] as const;
/** Sinks of one process. */
const SINKS_MAX = 50;

const retry = z.strictObject({
  first_ms: count(10, 600_000, 1_000, "Pause before the second attempt"),
  max_ms: count(10, 3_600_000, 60_000, "Longest pause; it doubles each time"),
  attempts_max: z.int().min(1).max(1_000_000).nullable().default(null).meta({
    description: "Attempts after which what waits in line becomes dead letters; null tries for as long as it takes",
  }),
}).prefault({}).meta({ description: "How a failed delivery is tried again" });

const common = {
  name: z.string().min(1).max(60).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/).meta({
    description: "What it is called: it has its place in the log under this name",
    expected: "lower-case letters, digits, - and _ within",
  }),
  types: z.array(z.string().min(1).max(200)).max(200).default([]).meta({
    description: "Only types that begin so, such as identity. or kernel.sink.failed; none: all",
  }),
  from: z.enum(["beginning", "end"]).default("beginning").meta({
    description: "Where it begins when it is new: at the first event, or at the next one",
  }),
  personal: z.boolean().default(false).meta({
    description: "Whether personal values go out in plain text",
  }),
  batch_events_max: count(1, 10_000, 500, "Events handed over in one go"),
  deliver_ms: count(100, 600_000, 30_000, "How long a hand-over may go without an answer"),
  retry,
  severities: z.array(z.enum(SEVERITIES)).max(SEVERITIES.length).default([]).meta({
    description: "Of notifications of alerts only those that are so bad; none: all",
  }),
  rules: z.array(z.string().min(1).max(63)).max(200).default([]).meta({
    description: "Of notifications of alerts only those of these rules; none: all",
  }),
};

/** Channels that people read: they tell of alerts and nothing else (docs/alerts.md). */
const { types: _, personal: __, batch_events_max: ___, ...channel } = {
  ...common,
  from: z.enum(["beginning", "end"]).default("end").meta({
    description: "Where it begins when it is new: at the first event, or at the next one",
  }),
};

const format = (standard: typeof SINK_FORMATS[number]) =>
  z.enum(SINK_FORMATS).default(standard).meta({ description: "What an event looks like" });

const authority = secret.meta({ description: "Certificates of the authorities to trust, PEM: { file: PATH }" });

const KINDS = "one of file, webhook, syslog, slack, pagerduty, email";

const file = z.strictObject({
  ...common,
  kind: z.literal("file").meta({ expected: KINDS }),
  format: format("ndjson"),
  path: z.string().min(1).max(4_096).meta({
    description: "File to append to, one event a line; not within the data folder",
  }),
});

const webhook = z.strictObject({
  ...common,
  kind: z.literal("webhook").meta({ expected: KINDS }),
  format: z.enum(["ndjson", "ocsf"]).default("ndjson").meta({
    description: "What `data` of the message is: the event, or OCSF",
  }),
  url: z.url({ protocol: /^https?$/ }).max(2_048).meta({
    description: "Where messages are posted, signed as Standard Webhooks has it",
    expected: "a URL of HTTP",
  }),
  secret: secret.meta({ description: "Signing secrets, whsec_…, the newest first: { env: NAME } or { file: PATH }" }),
  ca: authority,
  parallel: count(1, 64, 4, "Messages on their way at a time"),
});

const syslog = z.strictObject({
  ...common,
  kind: z.literal("syslog").meta({ expected: KINDS }),
  format: format("syslog"),
  host: z.string().min(1).max(253).regex(/^[A-Za-z0-9.:_-]+$/).meta({
    description: "Name or address of the receiver",
    expected: "a host name or an address",
  }),
  port: z.int().min(1).max(65_535).default(6514).meta({ description: "Its port" }),
  tls: z.boolean().default(true).meta({ description: "Whether over TLS (RFC 5425), or plain TCP (RFC 6587)" }),
  ca: authority,
  certificate: secret.meta({ description: "Our certificate, where the receiver asks for one, PEM" }),
  key: secret.meta({ description: "Its private key, PEM" }),
  hostname: z.string().min(1).max(255).regex(/^[\x21-\x7e]+$/).nullable().default(null).meta({
    description: "HOSTNAME in the messages",
    expected: "printable ASCII without spaces",
  }),
  message_bytes_max: count(480, 131_072, 8_192, "Longer messages go without the event's data"),
  settle_ms: count(
    10,
    60_000,
    1_000,
    "How long a connection must hold after the last message before it counts as delivered",
  ),
}).refine((sink) => (sink.certificate === null) === (sink.key === null), {
  error: "both of certificate and key, or neither",
});

const slack = z.strictObject({
  ...channel,
  kind: z.literal("slack").meta({ expected: KINDS }),
  host: z.string().min(1).max(260).regex(/^[A-Za-z0-9.:[\]_-]+$/).default("hooks.slack.com").meta({
    description: "Host of the URL, with its port where it has one: all that may be reached",
    expected: "a host name or an address, with or without a port",
  }),
  // Not `url`, which is no secret elsewhere: what is pasted here must not be repeated in a message.
  webhook_url: secret.meta({
    description: "The incoming webhook's URL, which lets in whoever has it: { env: NAME } or { file: PATH }",
  }),
  ca: authority,
});

const pagerduty = z.strictObject({
  ...channel,
  kind: z.literal("pagerduty").meta({ expected: KINDS }),
  url: z.url({ protocol: /^https?$/ }).max(2_048).default("https://events.pagerduty.com/v2/enqueue").meta({
    description: "Where events are posted, as the Events API v2 has them",
    expected: "a URL of HTTP",
  }),
  routing_key: secret.meta({ description: "The integration's key: { env: NAME } or { file: PATH }" }),
  ca: authority,
});

const mailbox = z.string().max(254).regex(/^[^\s@<>,;:"()]+@[A-Za-z0-9.-]+$/).meta({
  expected: "an address such as ops@example.com",
});

const email = z.strictObject({
  ...channel,
  kind: z.literal("email").meta({ expected: KINDS }),
  host: z.string().min(1).max(253).regex(/^[A-Za-z0-9.:_-]+$/).meta({
    description: "Name or address of the mail server",
    expected: "a host name or an address",
  }),
  port: z.int().min(1).max(65_535).default(587).meta({ description: "Its port" }),
  tls: z.enum(["starttls", "implicit", "none"]).default("starttls").meta({
    description: "How the way there is encrypted: STARTTLS, which must be there; from the first byte; or not at all",
  }),
  username: z.string().min(1).max(254).nullable().default(null).meta({ description: "Who we are there" }),
  password: secret.meta({ description: "The password: { env: NAME } or { file: PATH }" }),
  sender: mailbox.meta({ description: "Address it comes from" }),
  recipients: z.array(mailbox).min(1).max(50).meta({ description: "Addresses it goes to" }),
  ca: authority,
}).refine((sink) => (sink.username === null) === (sink.password === null), {
  error: "both of username and password, or neither",
}).refine((sink) => sink.tls !== "none" || sink.password === null, {
  path: ["tls"],
  error: "starttls or implicit, for a password",
});

/** What a sink of a kind cannot do without. */
const NEEDED = [
  ["webhook", "secret", "a webhook is signed; say where its secret is"],
  ["slack", "webhook_url", "say where the webhook's URL is: { env: NAME } or { file: PATH }"],
  ["pagerduty", "routing_key", "say where the routing key is: { env: NAME } or { file: PATH }"],
] as const;

export const sinks = z.array(z.discriminatedUnion("kind", [file, webhook, syslog, slack, pagerduty, email])).max(
  SINKS_MAX,
).default([])
  .superRefine((all, context) => {
    const twice = (what: (sink: typeof all[number]) => string | undefined, key: string) => {
      const seen = new Set<string>();
      for (const [i, sink] of all.entries()) {
        const value = what(sink);
        if (value === undefined || !seen.has(value)) seen.add(value ?? "");
        else context.addIssue({ code: "custom", path: [i, key], message: "no two sinks have the same" });
      }
    };
    twice(({ name }) => name, "name");
    twice((sink) => sink.kind === "file" ? sink.path : undefined, "path");
    for (const [i, sink] of all.entries()) {
      for (const [kind, key, message] of NEEDED) {
        if (sink.kind !== kind || (sink as Readonly<Record<string, unknown>>)[key] !== null) continue;
        context.addIssue({ code: "custom", path: [i, key], message });
      }
    }
  });

export type SinkConfig = z.output<typeof sinks>[number];
