/** Where events go as they come: files, webhooks, receivers of syslog. Each sink has its own place in the log, and waits for nobody. */
import { z } from "zod";
import { secret } from "./secret.ts";

export const SINK_FORMATS = ["ndjson", "ocsf", "syslog", "cef"] as const;
/** Sinks of one process. */
export const SINKS_MAX = 50;

const count = (min: number, max: number, standard: number, about: string) =>
  z.int().min(min).max(max).default(standard).meta({ description: about });

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
  deliver_ms: count(100, 600_000, 30_000, "How long one hand-over may take"),
  retry,
};

const format = (standard: typeof SINK_FORMATS[number]) =>
  z.enum(SINK_FORMATS).default(standard).meta({ description: "What an event looks like" });

const authority = secret.meta({ description: "Certificates of the authorities to trust, PEM: { file: PATH }" });

const KINDS = "one of file, webhook, syslog";

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

export const sinks = z.array(z.discriminatedUnion("kind", [file, webhook, syslog])).max(SINKS_MAX).default([])
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
      if (sink.kind === "webhook" && sink.secret === null) {
        context.addIssue({
          code: "custom",
          path: [i, "secret"],
          message: "a webhook is signed; say where its secret is",
        });
      }
    }
  });

export type SinkConfig = z.output<typeof sinks>[number];
