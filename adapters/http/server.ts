/**
 * The HTTP server: one way in for every request. It checks who is spoken to, who asks, whether they may and how often,
 * then hands over to the route; whatever is thrown becomes a problem (RFC 9457) and never a stack trace.
 */
import { Hono } from "hono";
import type { Clock, Random } from "../../actors/kernel/world.ts";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { type Access, type Asked, forbidden, type Grant, holds, unauthenticated, whoAsks } from "./access.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { Deadlines } from "./deadline.ts";
import { Guard, type GuardOptions, type Way } from "./guard.ts";
import { type Measure, Metrics, type Tally } from "./metrics.ts";
import { Streams } from "./outflow.ts";
import { Problem, problemResponse } from "./problem.ts";
import { RateLimiter, retryAfter } from "./rate.ts";
import type { Exchange, Route, Site } from "./route.ts";
import { routeTable, type TableOptions } from "./routes.ts";
import { toLogin } from "./pages/login.tsx";
import { problemPage } from "./pages/problem.tsx";
import { continueTrace } from "./trace.ts";

export interface ServerOptions extends GuardOptions, TableOptions {
  readonly daybook: Daybook;
  readonly access: Access;
  readonly clock: Clock;
  readonly random: Random;
  /** What one caller may ask, by token or session, and how often one address may be refused; names as in the configuration. */
  readonly rate?: { readonly window_ms: number; readonly requests_max: number; readonly denied_max: number };
  /** Default `HTTP_LIMITS.body_bytes_max`. */
  readonly bodyBytesMax?: number;
  /** Default `HTTP_LIMITS.request_ms_max`. */
  readonly deadlineMs?: number;
  /** Further routes, such as those of proofs and webhooks; before the page for paths that nobody has. */
  readonly routes?: readonly Route[];
  /** Further metrics, such as group sizes and mailbox depths. */
  readonly measures?: readonly Measure[];
  /** Told of every fault that a caller saw as 500; for the operator's eyes. */
  readonly report?: (
    fault: { readonly request: string; readonly method: string; readonly route: string; readonly error: unknown },
  ) => void;
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
  /** Serves on a Unix socket, everybody who can open it being `grant`. */
  listenUnix(path: string, grant: Grant): Listening;
  /** Takes no more connections, ends the streams, lets other requests finish for at most `graceMs` (default 5,000). Safe to call twice. */
  stop(graceMs?: number): Promise<void>;
}

/** What is known of a connection; `Deno.ServeHandlerInfo` is one. */
export interface Info {
  readonly remoteAddr?: { readonly transport: string; readonly hostname?: string };
}

interface Env {
  Bindings: { readonly remote: string; readonly fixed: Grant | undefined };
}

// More than one process can serve: it stops runaways and nobody else.
const RATE_DEFAULT = { window_ms: 1_000, requests_max: 100_000, denied_max: 100 };

export const createServer = (options: ServerOptions): Server => {
  const { clock, random, daybook } = options;
  const streams = new Streams(clock);
  const metrics = new Metrics(daybook, options.measures ?? [], () => streams.count);
  const bodyBytesMax = options.bodyBytesMax ?? HTTP_LIMITS.body_bytes_max;
  const { window_ms, requests_max, denied_max } = options.rate ?? RATE_DEFAULT;
  const refusals = new RateLimiter(clock, { max: denied_max, window_ms });
  const routes = [...routeTable(options), ...(options.routes ?? [])];
  const site: Site = {
    daybook,
    access: options.access,
    clock,
    random,
    metrics,
    streams,
    bodyBytesMax,
    refusals,
    routes,
  };
  const door = new Door(options, site, new RateLimiter(clock, { max: requests_max, window_ms }));
  const app = new Hono<Env>();
  for (const route of routes) {
    const answer = door.through(route);
    app.on(route.method, [route.path], (c) => answer(c.req.raw, c.env.remote, c.env.fixed));
  }
  const methods = allowed(routes);
  app.notFound((c) => door.elsewhere(c.req.raw, c.env.remote, c.env.fixed, methods));
  const listening: Deno.HttpServer[] = [];
  const fetch: Server["fetch"] = (request, info, fixed) =>
    app.fetch(request, { remote: info?.remoteAddr?.hostname ?? "", fixed });
  const serve = (how: object, fixed?: Grant): Deno.HttpServer => {
    const server = Deno.serve(
      { ...how, onListen() {}, onError: () => broken(door.requestId()) } as Deno.ServeTcpOptions,
      (request, info) => fetch(request, info, fixed),
    );
    listening.push(server);
    return server;
  };
  return {
    routes,
    fetch,
    listen({ hostname, port, tls }) {
      const server = serve({ hostname, port, ...tls });
      const address = server.addr as Deno.NetAddr;
      const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
      return { url: `${tls ? "https" : "http"}://${host}:${address.port}`, port: address.port };
    },
    listenUnix(path, grant) {
      serve({ path }, grant);
      return { url: `unix:${path}`, port: 0 };
    },
    async stop(graceMs = 5_000) {
      streams.stop();
      const closing = Promise.all(listening.splice(0).map((server) => shut(server, clock, graceMs)));
      await closing;
      door.stop();
    },
  };
};

/** `shutdown` waits for what is under way without end, so it gets a grace; what is left then is cut off. */
const shut = async (server: Deno.HttpServer, clock: Clock, graceMs: number): Promise<void> => {
  let cancel = () => {};
  const late = new Promise<"late">((resolve) => {
    cancel = clock.schedule(graceMs, () => resolve("late"));
  });
  const done = server.shutdown();
  await Promise.race([done, late]);
  cancel();
};

const broken = (id: string): Response =>
  problemResponse(new Problem("fault", "The fault has been recorded; quote `instance` when you report it."), id);

/** Methods by pattern of the path, for `Allow`. */
type Allowed = readonly { readonly pattern: RegExp; readonly methods: readonly string[] }[];

const allowed = (routes: readonly Route[]): Allowed => {
  const byPath = new Map<string, string[]>();
  for (const { path, method } of routes) {
    byPath.set(path, [...(byPath.get(path) ?? []), ...(method === "GET" ? ["GET", "HEAD"] : [method])]);
  }
  return [...byPath].map(([path, methods]) => ({
    pattern: new RegExp(`^${path.replaceAll(/:[a-z]+\{\.\+\}/g, ".+").replaceAll(/:[a-z]+/g, "[^/]+")}$`),
    methods: [...methods, "OPTIONS"],
  }));
};

/** What every request passes on its way to a route. */
class Door {
  private readonly guard: Guard;
  private readonly deadlines: Deadlines;
  private readonly boot: string;
  private count = 0;

  constructor(
    private readonly options: ServerOptions,
    private readonly site: Site,
    private readonly rates: RateLimiter,
  ) {
    this.guard = new Guard(options);
    this.deadlines = new Deadlines(options.clock, options.deadlineMs ?? HTTP_LIMITS.request_ms_max);
    this.boot = options.random.id().slice(-12);
  }

  requestId(): string {
    return `${this.boot}-${(++this.count).toString(36)}`;
  }

  stop(): void {
    this.deadlines.stop();
  }

  through(route: Route): (request: Request, remote: string, fixed: Grant | undefined) => Response | Promise<Response> {
    const tallies = new Map<number, Tally>();
    return (request, remote, fixed) => {
      const began = this.options.clock.monotonic();
      const id = this.requestId();
      const finish = (response: Response): Response => {
        const { status } = response;
        let tally = tallies.get(status);
        if (!tally) tallies.set(status, tally = this.site.metrics.request(route.method, route.path, status));
        tally.observe((this.options.clock.monotonic() - began) / 1000);
        return request.method === "HEAD" && response.body ? headOnly(response) : response;
      };
      const fail = (error: unknown): Response =>
        finish(
          this.pageFor(error, route, request, { id, way: this.guard.way(request.headers, remote) }) ??
            this.refuse(error, { id, method: request.method, route: route.path }),
        );
      try {
        const exchange = this.enter(route, request, remote, fixed, id);
        const answer = route.handle(exchange);
        if (!(answer instanceof Promise)) return finish(answer);
        return this.deadlines.race(answer, () => late(exchange)).then(finish, fail);
      } catch (error) {
        return fail(error);
      }
    };
  }

  /** Who comes in, or a problem. */
  private enter(route: Route, request: Request, remote: string, fixed: Grant | undefined, id: string): Exchange {
    const { url, headers } = request;
    const start = pathStart(url);
    const mark = url.indexOf("?", start);
    if (url.length - start > HTTP_LIMITS.target_bytes_max) {
      throw new Problem("target_too_long", `Path and query have at most ${HTTP_LIMITS.target_bytes_max} bytes.`);
    }
    const way = this.guard.way(headers, remote);
    // A Unix socket is no site that a browser could be talked into.
    if (!fixed) this.guard.check(headers, way);
    const asked: Asked = fixed ? { is: "granted", grant: fixed, by: "bearer" } : this.whoAsks(request, route, way);
    const grant = asked.is === "granted" ? asked.grant : undefined;
    if (grant) {
      if (!holds(grant, route.needs)) throw forbidden(route.needs);
      const wait = this.rates.take(grant.id);
      if (wait > 0) throw new Problem("too_many_requests", "This token asks too often.", { headers: retryAfter(wait) });
    }
    const traceparent = headers.get("traceparent");
    return {
      request,
      site: this.site,
      path: mark < 0 ? url.slice(start) : url.slice(start, mark),
      query: mark < 0 ? "" : url.slice(mark + 1),
      grant,
      granted: () =>
        fixed !== undefined || route.needs === "nothing" || whoAsks(request, this.options.access).is === "granted",
      way,
      id,
      traceparent: traceparent === null ? undefined : continueTrace(traceparent, this.options.random),
      reading: false,
    };
  }

  private whoAsks(request: Request, route: Route, way: Way): Asked {
    if (route.needs === "nothing") return { is: "nobody" };
    const asked = whoAsks(request, this.options.access);
    if (asked.is === "granted") return asked;
    if (asked.is === "nobody") throw unauthenticated(false);
    const wait = this.site.refusals.take(way.client);
    if (wait > 0) {
      throw new Problem("too_many_requests", "Too many wrong tokens from this address.", { headers: retryAfter(wait) });
    }
    throw unauthenticated(true);
  }

  /** Paths and methods that no route has. */
  elsewhere(request: Request, remote: string, fixed: Grant | undefined, methods: Allowed): Response {
    const id = this.requestId();
    try {
      if (!fixed) this.guard.check(request.headers, this.guard.way(request.headers, remote));
      const path = request.url.slice(pathStart(request.url)).split("?", 1)[0]!;
      const allow = [...new Set(methods.filter(({ pattern }) => pattern.test(path)).flatMap((entry) => entry.methods))]
        .join(", ");
      if (allow === "") throw new Problem("not_found", "No route has this path; /openapi.json lists them.");
      if (request.method === "OPTIONS") {
        return new Response(null, { status: 204, headers: { allow, "x-request-id": id } });
      }
      throw new Problem("method_not_allowed", `This path takes ${allow}.`, { headers: { allow } });
    } catch (error) {
      return this.refuse(error, { id, method: request.method, route: "" });
    }
  }

  /** A browser that asks for a page gets one: where to sign in, or what is wrong. */
  private pageFor(
    error: unknown,
    route: Route,
    request: Request,
    exchange: Pick<Exchange, "id" | "way">,
  ): Response | undefined {
    if (!route.page || !(error instanceof Problem) || !request.headers.get("accept")?.includes("text/html")) {
      return undefined;
    }
    if (error.code === "unauthenticated") return toLogin(exchange.id, request.url.slice(pathStart(request.url)));
    return problemPage(exchange, error);
  }

  private refuse(error: unknown, { id, method, route }: { id: string; method: string; route: string }): Response {
    if (error instanceof Problem) return problemResponse(error, id);
    this.options.report?.({ request: id, method, route, error });
    return broken(id);
  }
}

const late = (exchange: Exchange): Response =>
  problemResponse(
    exchange.reading
      ? new Problem("slow_request", "The body took too long to arrive.", {
        headers: { connection: "close" },
      })
      : new Problem("deadline", "It was not done in time; it may still be done. Repeat it as it is.", {
        headers: retryAfter(1000),
      }),
    exchange.id,
  );

const headOnly = (response: Response): Response => {
  response.body?.cancel().catch(() => {});
  return new Response(null, { status: response.status, headers: response.headers });
};

/** Where the path begins in a request's URL; it need not be a URL that parses, as the host is the sender's. */
const pathStart = (url: string): number => {
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  return slash < 0 ? url.length : slash;
};
