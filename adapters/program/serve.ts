/** The server of an opened daybook: who may come in, what is served, where. */
import { resolve } from "node:path";
import type { Append } from "../../events/log.ts";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { Usage } from "../cli/call.ts";
import type { Serve, ServeOptions, Serving } from "../cli/runtime.ts";
import type { Io } from "../cli/io.ts";
import { inFolderOf, type Settings } from "../cli/settings.ts";
import type { Access, Grant } from "../http/access.ts";
import type { Refusal } from "../http/door.ts";
import { type Authority, LOG } from "../http/authority.ts";
import type { AddressOptions } from "../http/addresses.ts";
import type { Measure } from "../http/metrics.ts";
import type { Route } from "../http/route.ts";
import type { Server } from "../http/server.ts";
import type { Bearer, Keys } from "../keys/keys.ts";
import { systemClock, systemRandom } from "../system/world.ts";
import type { KeptCertificates } from "./certificates/kept.ts";
import type { ListenerTls } from "./certificates/listener.ts";
import { CedarAuthority } from "./access/authority.ts";
import { type Model, modelIn, shippedModel, tenantsOf } from "./access/model.ts";
import { accessRoutes } from "./access/routes.ts";
import { Refusals } from "./access/refusals.ts";
import { usesOf } from "./access/uses.ts";
import { recordModel, recordTokens } from "./access/record.ts";
import type { Opened } from "./opened.ts";
import { exists, FILES, MEMORY } from "./files.ts";
import type { Provider } from "./identity/providers.ts";
import type { Wired } from "./identity/wire.ts";
import type { Limits } from "./limits/limits.ts";
import { listener, unheard } from "./listener.ts";
import { OPERATOR } from "./operator.ts";
import { operatorRoutes } from "./operator_routes.ts";
import { type Secrets, secretsOf } from "./secrets.ts";
import type { RunningStack } from "./stack/stack.ts";
import type { Enforced } from "./threats/enforced.ts";

/** Tokens of programs, and whom accounts let in. */
const accessOf = ({ tokens }: Keys, accounts?: Wired["access"], enforced?: Enforced): Access => {
  // A token that has been proven is the same bearer until it changes.
  const grants = new WeakMap<Bearer, Grant>();
  const grantOf = (bearer: Bearer | undefined): Grant | undefined => {
    if (!bearer) return undefined;
    if (bearer.account !== undefined) return accounts?.ofKey(bearer);
    let grant = grants.get(bearer);
    if (!grant) {
      const { authtype, authid, scopes, tenant } = bearer;
      grants.set(bearer, grant = { id: authid, scopes: [...scopes], tenant, principal: { authtype, authid } });
    }
    return grant;
  };
  return {
    check: (token) => grantOf(tokens.check(token)) ?? accounts?.check(token),
    prove: (token) => accounts?.prove(token),
    isChallenged: (account) => enforced !== undefined && enforced.isChallenged(account),
    isFresh: (own) => accounts !== undefined && accounts.isFresh(own),
    isCsrf: (own, text) => accounts !== undefined && accounts.isCsrf(own, text),
    login(token) {
      const bearer = tokens.check(token);
      // A key is a program's; a person signs in.
      return bearer && bearer.account === undefined ? tokens.createSession(bearer.authid).cookie : undefined;
    },
    session: (cookie, unused) => grantOf(tokens.checkSession(cookie)) ?? accounts?.session(cookie, unused),
    logout: (cookie) => void tokens.endSession(cookie),
    async end(cookie) {
      tokens.endSession(cookie);
      await accounts?.end(cookie);
    },
  };
};

/**
 * Listens on the address of the configuration, and on the folder's own socket: the last child of the supervision tree. Throws what
 * the first listening throws. `begun`: when services have been started, which others wait for.
 */
export const serve = async (
  opened: Opened,
  { data, settings, tell }: Serve,
  io: Io,
): Promise<Omit<Serving, "told"> & { readonly begun: Promise<void> }> => {
  const { server: stated } = settings.config;
  const { enforcedIn, plantThreats } = await import("./threats/plant.ts");
  const standing = enforcedIn(opened);
  const limits = await limitsOf(opened, { data, settings }, io, standing.enforced);
  const { serveIdentity } = await import("./identity/wire.ts");
  const deciding = await decidingOf(settings);
  const secrets = secretsOf(settings, io, opened.keys);
  const refusals = new Refusals(opened.entities, systemClock);
  await recordModel(opened, deciding.model);
  await recordTokens(opened);
  const providers = await signOnProviders(settings, deciding.model, secrets, io);
  const { pages } = settings.config.start;
  const breached = await breachedOf(settings);
  const accounts = serveIdentity(opened, {
    pages,
    breached,
    url: () => url,
    providers,
    limits: limits.signin,
    quotas: limits.quotas,
    ...deciding,
  });
  await plantThreats(opened, standing, accounts.states);
  const sinks = await plantSinks(opened, { data, settings }, io);
  const create = await serverOf(opened, settings, io, {
    webhooks: await webhooksOf(opened.daybook, settings, secrets),
    accounts,
    sinks,
    authority: deciding.authority,
    refused: (refusal) => refusals.count(refusal),
    limits,
    enforced: standing.enforced,
  });
  const tls = await tlsOf(opened, { data, settings }, io);
  let { port } = stated;
  let url = "";
  const http = listener(create, async (server) => {
    const listening = await listenOn(server, { hostname: stated.host, port }, tls);
    if (data !== MEMORY) await listenInside(server, data);
    // Any free port the first time is this one the next time.
    ({ url, port } = listening);
  }, { ...reporting(io), ...(data === MEMORY ? {} : { keep: (server) => keepInside(server, data) }) });
  await opened.tree.add(http);
  await opened.tree.add(refusals.child);
  await opened.tree.add(usesOf(opened.keys.tokens, systemClock));
  await plantControls(opened, settings, io);
  await plantAlerts(opened, settings, io);
  const first = opened.keys.tokens.first();
  if (first) {
    await tell({ url, token: first.token });
    keepFirst(opened, first, io);
  }
  const stack = await stackOf(opened, { data, settings }, io);
  return {
    url,
    fallen: opened.fallen,
    begun: stack?.begun ?? Promise.resolve(),
    async stop() {
      await stack?.stop();
      await opened.tree.stop(http.id).catch(() => {}); // fallen: then it has stopped
      for (const provider of providers.values()) provider.close();
      await breached?.close();
    },
  };
};

/** It is on record soon after; where that cannot be now, with the next start. */
const keepFirst = (opened: Opened, first: { keep(): void }, io: Io): void => {
  first.keep();
  recordTokens(opened).catch((error) => io.err(`daybook: the first token is not on record yet: ${error}\n`));
};

/** By what it is decided who may do what. Policies that somebody wrote are read at once, so that who starts the server is told of mistakes. */
const decidingOf = async (
  { config: { access: { folder }, identity }, file }: Settings,
): Promise<{ readonly model: Model; readonly authority: CedarAuthority }> => {
  const tenants = tenantsOf(identity);
  if (folder === null) {
    const model = shippedModel(tenants);
    return { model, authority: new CedarAuthority(model) };
  }
  const place = inFolderOf(file, folder);
  const model = await modelIn(place, tenants);
  const authority = new CedarAuthority(model, place);
  await authority.ready();
  if (!authority.decide(OPERATOR, "operations.run", LOG).allowed) {
    throw new Usage(
      `the policies in ${place} shut out who works on the machine itself: Token::"operator" may not operations.run`,
    );
  }
  return { model, authority };
};

/** Nothing of it is loaded where there is no file of them. */
const breachedOf = async ({ config: { identity: { passwords: { breached } } }, file }: Settings) =>
  breached === null
    ? undefined
    : await (await import("./identity/breached.ts")).Breached.open(inFolderOf(file, breached.file));

/** Whoever else vouches for people; nothing of it is loaded where there is nobody. */
const signOnProviders = async (
  settings: Settings,
  { roles }: Model,
  secrets: Secrets,
  io: Io,
): Promise<ReadonlyMap<string, Provider>> => {
  if (settings.config.identity.providers.length === 0) return new Map();
  return await (await import("./identity/providers.ts")).providersOf(settings, Object.keys(roles), secrets, io);
};

/** Sinks deliver before anybody is let in; answers what there is to measure of them. */
const plantSinks = async (opened: Opened, options: ServeOptions, io: Io): Promise<readonly Measure[]> => {
  if (options.settings.config.sinks.length === 0) return [];
  const { sinksOf } = await import("./sinks.ts");
  const { supervisor, measures } = await sinksOf(opened, options, io);
  await opened.tree.add(supervisor);
  return measures;
};

/** Facts of the program's own, sealed on the way. */
const appended = ({ keys, log }: Opened, { events }: Append): Promise<unknown> => {
  const sealed = keys.sealer.seal(events, { inside: true });
  if (!sealed.ok) throw new TypeError(`Cannot seal: ${JSON.stringify(sealed.issues)}`);
  return log.append({ events: sealed.events });
};

/** What callers have used before counts before anybody is let in. */
const limitsOf = async (
  opened: Opened,
  { data, settings }: ServeOptions,
  io: Io,
  blocks: Pick<AddressOptions, "blocked" | "blocking">,
): Promise<Limits> => {
  const { Limits } = await import("./limits/limits.ts");
  const limits = new Limits({
    config: settings.config,
    append: (batch) => appended(opened, batch),
    clock: systemClock,
    random: systemRandom,
    secret: () => opened.keys.secret("limits"),
    file: data === MEMORY ? undefined : `${data}/${FILES.limits}`,
    report: (line) => io.err(`daybook: ${line}\n`),
    blocks: { blocked: blocks.blocked, blocking: blocks.blocking },
  });
  await limits.resume();
  await opened.tree.add(limits.child);
  return limits;
};

/** A catalogue that was named is read at once, so that who starts the server is told what is wrong with it. */
const plantControls = async (opened: Opened, settings: Settings, io: Io): Promise<void> => {
  const { start, controls: { folder, every_ms } } = settings.config;
  if (!start.controls) return;
  const place = folder === null ? undefined : inFolderOf(settings.file, folder);
  const read = async () => (await import("./controls_files.ts")).readControls(place);
  const named = place === undefined ? undefined : await read();
  const { watchControls } = await import("./controls/watch.ts");
  await opened.tree.add(watchControls({
    log: opened.daybook.log,
    clock: systemClock,
    recorder: opened.supervision.world.recorder,
    gate: opened.gate,
    catalogue: named ? () => Promise.resolve(named) : read,
    everyMs: every_ms,
    report: (line) => io.err(`daybook: ${line}\n`),
  }));
};

/** Rules of the configuration were read before; a view that is not built here cannot be looked at. */
const plantAlerts = async (opened: Opened, settings: Settings, io: Io): Promise<void> => {
  if (!settings.config.start.alerts) return;
  const { watchAlerts } = await import("./alerts/plant.ts");
  await opened.tree.add(watchAlerts(opened, settings, (line) => io.err(`daybook: ${line}\n`)));
};

/** The services of the configuration, begun; undefined where there are none. */
const stackOf = async (opened: Opened, { data, settings }: ServeOptions, io: Io): Promise<RunningStack | undefined> => {
  if (!settings.stack) {
    const { unwatchedIn, unwatchedText } = await import("./stack/others.ts");
    for (const each of unwatchedIn(opened, undefined)) {
      io.err(`daybook: ${unwatchedText(each)}, and nobody watches them: start --stack FILE does\n`);
    }
    return undefined;
  }
  if (data === MEMORY) {
    throw new Usage("services need a data folder: with --data :memory: they could not be found again");
  }
  const { runStack } = await import("./stack/stack.ts");
  const keeper = () => keeperOf(opened, data, io);
  return await runStack(opened, { data, stack: settings.stack, profile: settings.config.profile, keeper }, io);
};

/**
 * Listens on the folder's own socket alone, until the daybook is closed: for who has the folder for a while and serves nobody else,
 * so that other commands that write go on beside it.
 */
export const serveInside = async (opened: Opened, { data, settings }: ServeOptions, io: Io): Promise<void> => {
  const create = await serverOf(opened, settings, io, await decidingOf(settings));
  await opened.tree.add(listener(create, (server) => listenInside(server, data), reporting(io)));
};

const reporting = (io: Io): Parameters<typeof listener>[2] => ({
  clock: systemClock,
  report: (line) => io.err(`daybook: ${line}\n`),
});

/** What makes the server, anew for each run of it. */
const serverOf = async (
  opened: Opened,
  settings: Settings,
  io: Io,
  { authority, refused, webhooks = [], accounts, sinks = [], limits, enforced }: {
    readonly authority: Authority;
    readonly refused?: (refusal: Refusal) => void;
    readonly webhooks?: readonly Route[];
    readonly accounts?: Wired;
    readonly sinks?: readonly Measure[];
    readonly limits?: Limits;
    readonly enforced?: Enforced;
  },
): Promise<() => Server> => {
  const { createServer } = await import("../http/server.ts");
  const { operationRoutes } = await import("./operations.ts");
  const { daybook, keys } = opened;
  const { server: stated, start } = settings.config;
  const access = accessOf(keys, accounts?.access, enforced);
  const routes = [
    ...operatorRoutes(opened),
    ...accessRoutes(opened),
    ...operationRoutes(opened),
    ...accounts?.routes ?? [],
    ...webhooks,
  ];
  const services = settings.stack ? (await import("./stack/stack.ts")).stackMeasures(daybook) : [];
  const alerts = start.alerts ? (await import("./alerts/measures.ts")).alertMeasures(daybook) : [];
  return () =>
    createServer({
      daybook,
      access,
      authority,
      ...(refused && { refused }),
      clock: systemClock,
      random: systemRandom,
      telemetry: opened.telemetry,
      ...(limits && { rates: limits, addresses: limits.addresses, connected: limits.connected, quotas: limits.quotas }),
      bodyBytesMax: stated.body_bytes_max,
      deadlineMs: stated.deadline_ms,
      openCheckpoint: stated.public_checkpoint,
      parts: { pages: start.pages, docs: start.docs, metrics: start.metrics },
      // Whatever a certificate is made for, it is reached by.
      hosts: [...stated.hosts, ...stated.tls.issued],
      ...(stated.behind_proxy === null ? {} : { behindProxy: stated.behind_proxy }),
      routes,
      measures: [...measuresOf(opened), ...limits?.measures ?? [], ...sinks, ...services, ...alerts],
      report: ({ request, error }) =>
        io.err(`daybook: request ${request}: ${error instanceof Error ? error.message : error}\n`),
    });
};

/** What `/metrics` tells of the log and the entities, beside what the server knows itself. */
const measuresOf = ({ log, entities }: Opened): readonly Measure[] => {
  const one = (kind: Measure["kind"], name: string, help: string, value: () => number): Measure => ({
    name: `daybook_${name}`,
    help,
    kind,
    samples: () => [{ labels: {}, value: value() }],
  });
  return [
    one(
      "counter",
      "log_commits_total",
      "Commits of the log; events through commits is the size of a group.",
      () => log.counts.commits,
    ),
    one("counter", "log_commit_events_total", "Events in them.", () => log.counts.events),
    one("counter", "log_commit_seconds_total", "Time they took.", () => log.counts.ms / 1_000),
    one("gauge", "mailbox_messages", "Messages that wait, over all entities.", () => entities.depth),
    one("counter", "mailbox_taken_total", "Messages that mailboxes of entities took.", () => entities.counts.taken),
    one("counter", "mailbox_refused_total", "Messages that found no room there.", () => entities.counts.refused),
    one("gauge", "entities_resident", "Entities in memory.", () => entities.resident),
    one("counter", "entity_activations_total", "Entities woken.", () => entities.counts.activations),
    one("counter", "entity_passivations_total", "Entities let go.", () => entities.counts.passivations),
    one(
      "counter",
      "entity_races_lost_total",
      "Decisions made anew because others wrote first.",
      () => entities.counts.races_lost,
    ),
  ];
};

/** Receivers of webhooks: each only with its secret, which is what lets its sender in. */
const webhooksOf = async (daybook: Daybook, settings: Settings, secrets: Secrets): Promise<readonly Route[]> => {
  const reference = settings.config.github.webhook_secret;
  if (!settings.config.start.webhooks || reference === null) return [];
  const secret = (await secrets(reference))?.trim();
  if (!secret) throw new Usage("the configuration points at a webhook secret that is not there");
  const { githubWebhook } = await import("./webhooks.ts");
  return [githubWebhook({ target: daybook, secret, by: { authtype: "system", authid: "github" } })];
};

/** What the address of a Unix socket has room for, on Linux (unix(7)): 108 bytes with the zero behind them. */
const SOCKET_PATH_BYTES_MAX = 107;

/** The socket of a process that died is still there; the lock says that it is ours to take away. */
const listenInside = async (server: Server, data: string): Promise<void> => {
  const path = `${data}/${FILES.socket}`;
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw new Usage(`${path} is no name for a socket: at most ${SOCKET_PATH_BYTES_MAX} bytes, this has ${bytes}`);
  }
  if (await exists(path)) await Deno.remove(path);
  server.listenUnix(path, OPERATOR);
};

/** Somebody who tidies up deletes what looks left over; without it no command reaches the server. */
const keepInside = async (server: Server, data: string): Promise<void> => {
  if (!await exists(`${data}/${FILES.socket}`)) await listenInside(server, data);
};

/** What the listener shows, and who renews it; certificates are looked at from now on. */
const tlsOf = async (opened: Opened, { data, settings }: ServeOptions, io: Io): Promise<ListenerTls | undefined> => {
  const { tls } = settings.config.server;
  if (tls.certificate === null && tls.issued.length === 0) return undefined;
  if (data === MEMORY && tls.issued.length > 0) {
    throw new Usage("server.tls.issued: with --data :memory: there is no folder for a certificate");
  }
  const { listenerTls } = await import("./certificates/listener.ts");
  const keeper = await keeperOf(opened, data, io);
  const secret = secretsOf(settings, io, opened.keys);
  return await listenerTls({ settings, parts: opened, keeper, secret });
};

/** Who keeps certificates in the folder, planted when it is first asked for. */
const keeperOf = async (opened: Opened, data: string, io: Io): Promise<KeptCertificates> => {
  const { keeperIn } = await import("./certificates/operations.ts");
  return await keeperIn(opened, { data: resolve(data), report: (line) => io.err(`daybook: ${line}\n`) });
};

const listenOn = async (
  server: Server,
  address: { readonly hostname: string; readonly port: number },
  tls: ListenerTls | undefined,
): Promise<{ readonly url: string; readonly port: number }> => {
  try {
    if (!tls?.strict) return server.listen({ ...address, tls: tls?.present() });
    const listening = await server.listenStrictly({ ...address, tls: tls.present() });
    tls.follow(listening.renew);
    return listening;
  } catch (error) {
    throw unheard(error, address);
  }
};
