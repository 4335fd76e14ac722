/**
 * The HTTP server: one way in for every request. It checks who is spoken to, who asks, whether they may and how often,
 * then hands over to the route; whatever is thrown becomes a problem (RFC 9457) and never a stack trace.
 */
import { Hono } from "hono";
import type { Telemetry } from "../../actors/kernel/telemetry.ts";
import type { Clock, Random } from "../../actors/kernel/world.ts";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import type { Access, Grant } from "./access.ts";
import { ACTIONS } from "./actions.ts";
import type { Authority } from "./authority.ts";
import type { Addresses } from "./addresses.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { Deadlines } from "./deadline.ts";
import {
  type Allowed,
  broken,
  type Caller,
  Door,
  type Fault,
  lengthUnknown,
  pathIs,
  type Rates,
  type Refusal,
} from "./door.ts";
import { Guard, type GuardOptions } from "./guard.ts";
import { type Measure, Metrics } from "./metrics.ts";
import { Streams } from "./outflow.ts";
import { RateLimiter } from "./rate.ts";
import type { Route, Site } from "./route.ts";
import { routeTable, type TableOptions } from "./routes.ts";
import type { StrictListener, StrictTls } from "./strict_tls.ts";

export interface ServerOptions extends GuardOptions, TableOptions {
  readonly daybook: Daybook;
  readonly access: Access;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly random: Random;
  /** Absent where nobody traces. */
  readonly telemetry?: Telemetry;
  /** What an account and a token may ask, and how often one address may be refused. Default: much, and kept by this server alone. */
  readonly rates?: Rates & { readonly denied: RateLimiter };
  /** Absent: no tenant has one. */
  readonly quotas?: Site["quotas"];
  /** Absent: every address may ask. */
  readonly addresses?: Addresses;
  /** Told of the connection of every request that has an address. */
  readonly connected?: (address: string, port: number) => void;
  /** Default `HTTP_LIMITS.body_bytes_max`. */
  readonly bodyBytesMax?: number;
  /** Default `HTTP_LIMITS.request_ms_max`. */
  readonly deadlineMs?: number;
  /** Further routes, such as those of proofs and webhooks; before the page for paths that nobody has. */
  readonly routes?: readonly Route[];
  /** Further metrics, such as group sizes and mailbox depths. */
  readonly measures?: readonly Measure[];
  /** Told of every request that is turned away by its problem. */
  readonly refused?: (refusal: Refusal) => void;
  /** Told of every fault that a caller saw as 500; for the operator's eyes. */
  readonly report?: (fault: Fault) => void;
}

export interface Listening {
  /** `http://127.0.0.1:7373`, or `unix:…`. */
  readonly url: string;
  readonly port: number;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface Server {
  readonly routes: readonly Route[];
  /** One request, answered; `fixed` stands for every caller where the way in is the proof, as on the control socket. */
  fetch(request: Request, info?: Info, fixed?: Grant): Response | Promise<Response>;
  listen(options: ListenOptions): Listening;
  /** The same where TLS 1.3 alone is spoken, or clients show certificates; `renew` has another certificate shown from then on. */
  listenStrictly(
    options: ListenOptions & { readonly tls: StrictTls },
  ): Promise<Listening & Pick<StrictListener, "renew">>;
  /** Serves on a Unix socket, everybody who can open it being `grant`: the user that we run as, whatever its folder lets others do. */
  listenUnix(path: string, grant: Grant): Listening;
  /** Rejects when one of the listeners has ended without being told to; `stop` is still to be called. */
  readonly lost: Promise<never>;
  /** Takes no more connections, ends the streams, lets other requests finish for at most `graceMs` (default 5,000). Safe to call twice. */
  stop(graceMs?: number): Promise<void>;
}

/** What is known of a connection; `Deno.ServeHandlerInfo` is one. */
export interface Info {
  readonly remoteAddr?: { readonly transport: string; readonly hostname?: string };
  /** Whether it came over TLS. */
  readonly secure?: boolean;
}

interface Env {
  Bindings: { readonly caller: Caller };
}

const SOCKET_MODE = 0o600;
// More than one process can serve: it stops runaways and nobody else.
const RATE_DEFAULT = { max: 100_000, window_ms: 1_000 };
const DENIED_DEFAULT = { max: 100, window_ms: 1_000 };

export const createServer = (options: ServerOptions): Server => {
  const { clock, random, daybook, telemetry, report = () => {} } = options;
  const streams = new Streams(clock, (error) => report({ request: "", method: "GET", route: "stream", error }));
  const metrics = new Metrics(daybook, options.measures ?? [], () => streams.count);
  const bodyBytesMax = options.bodyBytesMax ?? HTTP_LIMITS.body_bytes_max;
  const rates = options.rates ?? {
    user: new RateLimiter(RATE_DEFAULT),
    token: new RateLimiter(RATE_DEFAULT),
    denied: new RateLimiter(DENIED_DEFAULT),
  };
  const refusals = rates.denied;
  const routes = [...routeTable(options), ...(options.routes ?? [])];
  const site: Site = {
    daybook,
    access: options.access,
    authority: options.authority,
    clock,
    random,
    metrics,
    streams,
    ...(telemetry && { telemetry }),
    bodyBytesMax,
    refusals,
    quotas: options.quotas,
    routes,
  };
  const deadlines = new Deadlines(clock, options.deadlineMs ?? HTTP_LIMITS.request_ms_max);
  const door = new Door(site, {
    guard: new Guard(options),
    rates,
    addresses: options.addresses,
    deadlines,
    methods: allowed(routes),
    report,
    ...(options.refused && { refused: options.refused }),
  });
  const app = new Hono<Env>();
  let ingest: ReturnType<Door["through"]> | undefined;
  for (const route of routes) {
    if (!Object.hasOwn(ACTIONS, route.action ?? "")) {
      throw new Error(`${route.method} ${route.path} has no action, so nobody could say who may`);
    }
    const through = door.through(route);
    if (route.method === "POST" && route.path === "/events") ingest = through;
    app.on(route.method, [route.path.replace(REST, "{[^]+}")], (c) => through(c.req.raw, c.env.caller));
  }
  app.notFound((c) => door.elsewhere(c.req.raw, c.env.caller));
  const listening: Ending[] = [];
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {}); // for those who do not ask
  const ended = (one: Ending, error = new Error("it ended by itself")) => {
    if (listening.includes(one)) lost.reject(new Error(`a listener was lost: ${error.message}`, { cause: error }));
  };
  const answer = (request: Request, caller: Caller): Response | Promise<Response> => {
    const refused = door.turnedAway(request, caller);
    if (refused) return refused;
    // The busiest route by far is known without asking the router.
    if (ingest && request.method === "POST" && pathIs(request.url, "/events")) return ingest(request, caller);
    const answered = app.fetch(request, { caller });
    return request.method === "HEAD" ? Promise.resolve(answered).then(lengthUnknown) : answered;
  };
  const serve = (how: object, secure: boolean, fixed?: Grant): Deno.HttpServer => {
    const server = Deno.serve(
      {
        ...how,
        onListen() {},
        onError: () => broken(door.requestId()),
      } as Deno.ServeTcpOptions,
      (request, info) => {
        // Before anything can fail: until then the span has the name that the sender gave its method.
        if (telemetry !== undefined) telemetry.request(request.method);
        if (options.connected !== undefined && !fixed) connection(info, options.connected);
        return answer(request, { remote: () => remoteOf(info), secure, fixed });
      },
    );
    const one: Ending = { shut: (late) => Promise.race([server.shutdown(), late]) };
    listening.push(one);
    server.finished.then(() => ended(one), (error) => ended(one, error));
    return server;
  };
  return {
    routes,
    fetch: (request, info = {}, fixed) =>
      answer(request, { remote: () => remoteOf(info), secure: info.secure === true, fixed }),
    listen({ hostname, port, tls }) {
      const server = serve({ hostname, port, ...tls }, tls !== undefined);
      const address = server.addr as Deno.NetAddr;
      return { url: urlOf(tls ? "https" : "http", address), port: address.port };
    },
    async listenStrictly({ hostname, port, tls }) {
      const { listenStrictly } = await import("./strict_tls.ts");
      const strict = await listenStrictly({
        hostname,
        port,
        tls,
        answer(request, remote, port) {
          if (telemetry !== undefined) telemetry.request(request.method);
          if (port !== undefined) options.connected?.(remote, port);
          return answer(request, { remote: () => remote, secure: true, fixed: undefined });
        },
        broken: () => broken(door.requestId()),
        refused: () => metrics.refusedHandshake(),
        clock,
      });
      const one: Ending = { shut: (late) => Promise.race([strict.close(), late]).then(() => strict.cut()) };
      listening.push(one);
      strict.lost.catch((error) => ended(one, error));
      return { url: urlOf("https", strict), port: strict.port, renew: strict.renew };
    },
    listenUnix(path, grant) {
      serve({ path }, false, grant);
      // Its folder may have been there before, open to others, and so may be what they make: that we may is what lets anybody in.
      Deno.chmodSync(path, SOCKET_MODE);
      return { url: `unix:${path}`, port: 0 };
    },
    lost: lost.promise,
    async stop(graceMs = 5_000) {
      streams.stop();
      await Promise.all(listening.splice(0).map((one) => shut(one, clock, graceMs)));
      deadlines.stop();
    },
  };
};

/** A listener as it is ended: by itself, or as far as it has come when `late` is over. */
interface Ending {
  shut(late: Promise<void>): Promise<void>;
}

const urlOf = (scheme: string, { hostname, port }: { readonly hostname: string; readonly port: number }): string =>
  `${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;

const connection = ({ remoteAddr }: Deno.ServeHandlerInfo, told: (address: string, port: number) => void): void => {
  if (remoteAddr.transport === "tcp") told(remoteAddr.hostname, remoteAddr.port);
};

const remoteOf = (info: Info): string => info.remoteAddr?.hostname ?? "";

/**
 * `shutdown` waits without end for who does not take an answer, so it gets a grace. Such a connection cannot be cut off
 * from here (aborting a server that is shutting down throws where nobody can catch it); it ends with the process or its peer.
 */
const shut = async (one: Ending, clock: Clock, graceMs: number): Promise<void> => {
  let cancel = () => {};
  const late = new Promise<void>((resolve) => cancel = clock.schedule(graceMs, resolve));
  await one.shut(late);
  cancel();
};

/** All that is left of a path, as routes write it; ends of lines, which `.` leaves out, are told of by whoever reads it. */
const REST = "{.+}";

const allowed = (routes: readonly Route[]): Allowed => {
  const byPath = new Map<string, string[]>();
  for (const { path, method } of routes) {
    byPath.set(path, [...(byPath.get(path) ?? []), ...(method === "GET" ? ["GET", "HEAD"] : [method])]);
  }
  return [...byPath].map(([path, methods]) => ({
    pattern: new RegExp(`^${path.replaceAll(/:[a-z0-9]+\{\.\+\}/g, "[^]+").replaceAll(/:[a-z0-9]+/g, "[^/]+")}$`),
    methods: [...methods, "OPTIONS"],
  }));
};
