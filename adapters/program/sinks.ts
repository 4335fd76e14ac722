/** The sinks of a configuration, each a child with its transport and format, under a supervisor of their own. */
import type { Child } from "../../actors/kernel/child.ts";
import { Sink } from "../../actors/kernel/sink.ts";
import { NotNow, type Transport } from "../../actors/kernel/transport.ts";
import type { SecretReference } from "../../config/config.ts";
import type { SinkConfig } from "../../config/sinks.ts";
import type { Notification } from "../../events/alerts.ts";
import type { Event } from "../../events/event.ts";
import { events } from "../../events/mod.ts";
import { Usage } from "../cli/call.ts";
import type { ServeOptions } from "../cli/runtime.ts";
import type { Io } from "../cli/io.ts";
import { inFolderOf, type Settings } from "../cli/settings.ts";
import type { Measure } from "../http/metrics.ts";
import { KeysFault } from "../keys/fault.ts";
import { emitterOf } from "../siem/emitter.ts";
import { lineOf, syslogLineOf } from "../siem/format.ts";
import { emailText, emailTransport } from "../sinks/email.ts";
import { fileTransport } from "../sinks/file.ts";
import { pagerdutyText, pagerdutyTransport } from "../sinks/pagerduty.ts";
import { secretsOf } from "../sinks/signing.ts";
import { slackText, slackTransport } from "../sinks/slack.ts";
import { syslogTransport } from "../sinks/syslog.ts";
import { webhookTransport } from "../sinks/webhook.ts";
import { systemClock } from "../system/world.ts";
import { areCertificates, belongTogether } from "../x509/certificate.ts";
import type { Opened } from "./opened.ts";
import { MEMORY } from "./files.ts";
import { followers } from "./followers.ts";
import { misspeltPrefix } from "./misspelt.ts";
import { type Secrets, secretsOf as secretsIn } from "./secrets.ts";
import { VERSION } from "./version.ts";

export interface Sinks {
  readonly supervisor: Child;
  readonly measures: readonly Measure[];
}

/** Throws `Usage` for a secret that is not there, or is none. */
export const sinksOf = async (
  { daybook, keys, outbound, supervision: { bounds, world } }: Opened,
  { data, settings }: ServeOptions,
  io: Io,
): Promise<Sinks> => {
  for (const config of settings.config.sinks) {
    if (config.kind === "file") await refuseLink(config, settings, data);
    expectTypes(config);
  }
  const origin = keys.logKey.signer.name;
  const sinks = await Promise.all(settings.config.sinks.map(async (config) =>
    new Sink({
      name: config.name,
      log: daybook.log,
      ...outbound,
      ...world,
      transport: await transportOf(config, origin, settings, secretsIn(settings, io, keys)),
      types: isChannel(config) ? [NOTIFIED] : config.types,
      wants: wantsOf(config),
      from: config.from,
      line: isChannel(config)
        ? CHANNELS[config.kind](origin)
        : lineFor(config, origin, readable((event) => config.personal ? daybook.unseal(event) : daybook.redact(event))),
      // Each by itself, so that as little as can be is told twice.
      batchEventsMax: isChannel(config) ? 1 : config.batch_events_max,
      deliverMs: config.deliver_ms,
      retry: config.retry,
    })
  ));
  return {
    supervisor: followers("sinks", sinks, bounds, world),
    measures: measuresOf(sinks),
  };
};

/** While the key database cannot be read, nobody knows what of an event may be told. */
const readable = (read: (event: Event) => Event) => (event: Event): Event => {
  try {
    return read(event);
  } catch (error) {
    if (!(error instanceof KeysFault && error.passing)) throw error;
    throw new NotNow(error.message, { cause: error });
  }
};

/** Nothing would ever go out for a misspelt type, and nobody would notice. */
const expectTypes = (config: SinkConfig): void => {
  if (isChannel(config)) return;
  for (const prefix of config.types) {
    const message = misspeltPrefix(prefix, events);
    if (message !== undefined) throw new Usage(`sink ${config.name}: types: ${message}`);
  }
};

/** A name outside of the data folder may lead into it; one that is in it was refused before (`../cli/sink_grants.ts`). */
const refuseLink = async ({ name, path }: SinkConfig & { readonly kind: "file" }, settings: Settings, data: string) => {
  if (data === MEMORY) return;
  // What is not there leads nowhere.
  const real = await Deno.realPath(inFolderOf(settings.file, path)).catch(() => undefined);
  if (real?.startsWith(`${await Deno.realPath(data)}/`)) {
    throw new Usage(`sink ${name}: ${path} leads into the data folder; events go out to somewhere else`);
  }
};

type Channel = SinkConfig & { readonly kind: "slack" | "pagerduty" | "email" };

/** How each kind of channel says what alerts come to. */
const CHANNELS: Readonly<Record<Channel["kind"], (origin: string) => (event: Event) => string>> = {
  slack: () => slackText,
  pagerduty: (origin) => (event) => pagerdutyText(event, origin),
  email: () => emailText,
};
const isChannel = (config: SinkConfig): config is Channel => config.kind in CHANNELS;

const NOTIFIED = "alerts.group.notified";

/** Of notifications those that the sink is for; all else. */
const wantsOf = ({ severities, rules }: SinkConfig) => ({ type, stream, data }: Event): boolean => {
  if (type !== NOTIFIED) return true;
  const { severity } = data as Notification;
  return (severities.length === 0 || severities.includes(severity)) &&
    (rules.length === 0 || rules.includes(stream.slice("alerts/".length)));
};

const lineFor = (
  config: Exclude<SinkConfig, Channel>,
  origin: string,
  read: (event: Event) => Event,
): (event: Event) => string => {
  const emitter = emitterOf(VERSION, origin);
  if (config.kind !== "syslog") return (event) => lineOf(read(event), config.format, emitter);
  const { format, hostname, message_bytes_max: bytesMax } = config;
  const options = { emitter, bytesMax, ...(hostname === null ? {} : { hostname }) };
  return (event) => syslogLineOf(read(event), format, options);
};

const transportOf = async (
  config: SinkConfig,
  origin: string,
  settings: Settings,
  secrets: Secrets,
): Promise<Transport> => {
  const text = async (reference: SecretReference | null, what: string): Promise<string | undefined> => {
    if (reference === null) return undefined;
    const found = await secrets(reference);
    if (found === undefined || found.trim() === "") throw new Usage(`sink ${config.name}: its ${what} is not there`);
    return found;
  };
  const authorities = async (): Promise<string | undefined> => {
    const ca = config.kind === "file" ? undefined : await text(config.ca, "ca");
    if (ca !== undefined && !areCertificates(ca)) {
      throw new Usage(`sink ${config.name}: its ca holds no certificates, PEM`);
    }
    return ca;
  };
  // A request to such a URL cannot be made, and what is in it would be a secret.
  if ("url" in config && new URL(config.url).username + new URL(config.url).password !== "") {
    throw new Usage(`sink ${config.name}: its url has a user or a password in it; say it without`);
  }
  switch (config.kind) {
    case "file":
      return fileTransport(inFolderOf(settings.file, config.path));
    case "webhook": {
      const keys = secretsOf((await text(config.secret, "secret"))!);
      if (!keys) {
        throw new Usage(
          `sink ${config.name}: its secret is none of Standard Webhooks: whsec_ and 24 to 64 bytes in base64`,
        );
      }
      const { url, parallel } = config;
      return webhookTransport({ url, keys, ca: await authorities(), parallel, origin, clock: systemClock });
    }
    case "syslog": {
      const { host, port } = config;
      const [ca, certificate, key] = [
        await authorities(),
        await text(config.certificate, "certificate"),
        await text(config.key, "key"),
      ];
      if (certificate !== undefined && !belongTogether(certificate, key!)) {
        throw new Usage(`sink ${config.name}: its certificate and key do not belong together`);
      }
      const tls = config.tls ? { tls: { ca, certificate, key } } : {};
      return syslogTransport({ host, port, ...tls, settleMs: config.settle_ms, clock: systemClock });
    }
    case "slack": {
      const url = URL.parse((await text(config.webhook_url, "webhook_url"))!.trim());
      if (!url || !/^https?:$/.test(url.protocol) || url.host !== config.host) {
        throw new Usage(
          `sink ${config.name}: its webhook_url is none of HTTP at ${config.host}, which is all that may be reached`,
        );
      }
      return slackTransport({ url: url.href, ca: await authorities() });
    }
    case "pagerduty": {
      const routingKey = (await text(config.routing_key, "routing_key"))!.trim();
      return pagerdutyTransport({ url: config.url, routingKey, ca: await authorities() });
    }
    case "email": {
      const { host, port, tls, username, sender, recipients, deliver_ms } = config;
      const password = (await text(config.password, "password"))?.trim();
      const login = username === null ? {} : { login: { username, password: password! } };
      const ca = await authorities();
      return emailTransport({ host, port, tls, ...login, sender, recipients, ca, origin, answerMs: deliver_ms });
    }
  }
};

/** Labelled by the names that the configuration gives them. */
const measuresOf = (sinks: readonly Sink[]): readonly Measure[] => {
  const of = (kind: Measure["kind"], name: string, help: string, value: (sink: Sink) => number): Measure => ({
    name: `daybook_sink_${name}`,
    help,
    kind,
    samples: () => sinks.map((sink) => ({ labels: { sink: sink.id }, value: value(sink) })),
  });
  return [
    of("gauge", "lag_events", "Events of the log that are not delivered or passed over.", (sink) => sink.lag),
    of("gauge", "unsettled_events", "Events handed over, not known to have arrived.", (sink) => sink.unsettled),
    of("gauge", "failing", "Whether deliveries fail at present.", ({ place }) => place.failing ? 1 : 0),
    of("counter", "delivered_total", "Events that the receiver has.", ({ counts }) => counts.delivered),
    of("counter", "failures_total", "Attempts at a delivery that failed.", ({ counts }) => counts.failed),
    of("counter", "dead_letters_total", "Events that became dead letters.", ({ place }) => place.refused),
  ];
};
