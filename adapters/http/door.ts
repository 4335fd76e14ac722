/**
 * What every request passes on its way to a route: who is spoken to, who asks, whether they may and how often. Whatever
 * is thrown behind it becomes a problem (RFC 9457), never a stack trace.
 */
import { Declined } from "../../actors/kernel/gate.ts";
import { LogFault } from "../../events/log.ts";
import { type Action, ACTIONS, isSensitive } from "./actions.ts";
import { type Addresses, callerOf } from "./addresses.ts";
import { type Asked, bearerOf, CHALLENGE, forbidden, type Grant, unauthenticated, whoAsks } from "./access.ts";
import { type Decision, LOG, type Resource, tenantOf } from "./authority.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import type { Deadlines } from "./deadline.ts";
import type { Guard } from "./guard.ts";
import { prefersPage } from "./media.ts";
import type { Tally } from "./metrics.ts";
import { endOldSession } from "./old_cookie.ts";
import { away, toLogin } from "./pages/login.tsx";
import { problemPage } from "./pages/problem_page.tsx";
import { Problem, problemResponse } from "./problem.ts";
import { rateHeaders, type RateLimiter, retryAfter } from "./rate.ts";
import { type Exchange, type Route, signsIn, type Site } from "./route.ts";
import { deniedTooOften, tooMany } from "./too_many.ts";
import { continueTrace } from "./trace.ts";

/** Methods by pattern of the path, for `Allow`. */
export type Allowed = readonly { readonly pattern: RegExp; readonly methods: readonly string[] }[];

/** A fault as the operator is told of it. */
export interface Fault {
  readonly request: string;
  readonly method: string;
  /** Pattern of the route; empty where none matched. */
  readonly route: string;
  readonly error: unknown;
}

/** A request that was turned away, as far as it is told. */
export interface Refusal {
  /** Empty where no route has the path. */
  readonly action: string;
  readonly because: string;
  readonly principal?: string;
}

/** What somebody may have tried: a request that is no such, not theirs, too much, or for what is not there; not that something is not so. */
const TOLD: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 413, 414, 415, 421]);
/** Of what is not there, who was let in may ask for any event, row or other thing that may come yet: only these are told. */
const TOLD_ABSENT: ReadonlySet<string> = new Set(["not_found", "unknown_command", "unknown_view"]);

export interface DoorOptions {
  readonly refused?: (refusal: Refusal) => void;
  readonly guard: Guard;
  readonly rates: Rates;
  readonly addresses: Addresses | undefined;
  readonly deadlines: Deadlines;
  readonly methods: Allowed;
  readonly report: (fault: Fault) => void;
}

/** How often who asks may: accounts, whatever the session, and tokens of programs. */
export interface Rates {
  readonly user: RateLimiter;
  readonly token: RateLimiter;
}

interface Limit {
  readonly name: "user" | "token";
  readonly key: string;
  readonly limiter: RateLimiter;
}

/** Who sent a request, as far as its connection tells. */
export interface Caller {
  /** The address at the other end, asked for only when it counts. */
  remote(): string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** Stands for every caller where the way in is the proof. */
  readonly fixed: Grant | undefined;
}

export class Door {
  private readonly boot: string;
  private count = 0;

  constructor(private readonly site: Site, private readonly options: DoorOptions) {
    this.boot = site.random.id().slice(-12);
  }

  requestId(): string {
    return `${this.boot}-${(++this.count).toString(36)}`;
  }

  /**
   * The answer to an address that may not ask: before anything of its request is looked at, be it the path or a token, but what the proxy
   * in front says of where it comes from. A Unix socket has no address.
   */
  turnedAway(request: Request, caller: Caller): Response | Promise<Response> | undefined {
    const { addresses, guard } = this.options;
    if (caller.fixed || addresses?.matters !== true) return undefined;
    const way = guard.way(request, caller);
    try {
      addresses.check(way.client);
      return undefined;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.tell(error, "", undefined);
      this.site.metrics.request("*", "*", error.status).observe(0);
      const id = this.requestId();
      const isPage = request.method === "GET" && prefersPage(request);
      const answer = isPage ? problemPage({ id, way }, error) : problemResponse(error, id);
      return request.method === "HEAD" ? headOf(answer) : answer;
    }
  }

  /** The way through to one route. */
  through(route: Route): (request: Request, caller: Caller) => Response | Promise<Response> {
    const tallies = new Map<number, Tally>();
    const { clock } = this.site;
    const answered = (request: Request, caller: Caller): Response | Promise<Response> => {
      const began = clock.monotonic();
      const id = this.requestId();
      const done = (response: Response): Response => {
        const { status } = response;
        let tally = tallies.get(status);
        if (!tally) tallies.set(status, tally = this.site.metrics.request(route.method, route.path, status));
        tally.observe((clock.monotonic() - began) / 1000);
        return status === 401 ? challenging(response) : response;
      };
      let who: string | undefined;
      const failed = (thrown: unknown): Response => {
        const error = problemOf(thrown);
        const page = this.page(error, route, request, caller, id);
        // Who only opened a page is asked to sign in.
        if (page?.status !== 303) this.tell(error, route.action, who);
        return page ?? this.refuse(error, request, route.path, id);
      };
      const refused = (thrown: unknown): Response => done(failed(thrown));
      const go = (): Response | Promise<Response> => {
        try {
          const exchange = this.enter(route, request, caller, { id, began, bearer, known: (grant) => who = grant.id });
          const told = this.telling(exchange, done);
          const answer = route.handle(exchange);
          if (!(answer instanceof Promise)) return told(answer);
          const failing = (error: unknown) => told(failed(error));
          return this.options.deadlines.race(answer, began, {
            done: told,
            failed: failing,
            late: () => failing(late(exchange)),
          });
        } catch (error) {
          return refused(error);
        }
      };
      const bearer = caller.fixed || ACTIONS[route.action] === "nothing" ? undefined : bearerOf(request.headers);
      // A signature must be checked first; a token or cookie is looked up.
      const proving = bearer === undefined ? undefined : this.site.access.prove?.(bearer);
      const ready = this.site.authority.ready();
      if (proving === undefined && ready === undefined) return go();
      return Promise.all([proving, ready]).then(go, refused);
    };
    const ending = { access: this.site.access, deadlines: this.options.deadlines, now: () => clock.monotonic() };
    const way = route.page
      ? (request: Request, caller: Caller) => endOldSession(request, answered(request, caller), ending)
      : answered;
    return (request, caller) => request.method === "HEAD" ? headOf(way(request, caller)) : way(request, caller);
  }

  /** Paths and methods that no route has. */
  elsewhere(request: Request, caller: Caller): Response | Promise<Response> {
    const { clock, metrics } = this.site;
    const began = clock.monotonic();
    const answer = this.nowhere(request, caller);
    metrics.request("*", "*", answer.status).observe((clock.monotonic() - began) / 1000);
    return request.method === "HEAD" ? headOf(answer) : answer;
  }

  private nowhere(request: Request, caller: Caller): Response {
    const id = this.requestId();
    try {
      if (!caller.fixed) {
        this.options.guard.check(request.headers, this.options.guard.way(request, caller));
      }
      const path = request.url.slice(pathStart(request.url)).split("?", 1)[0]!;
      const matching = this.options.methods.filter(({ pattern }) => pattern.test(path));
      const allow = [...new Set(matching.flatMap(({ methods }) => methods))].join(", ");
      if (allow === "") throw new Problem("not_found", "No route has this path; /openapi.json lists them.");
      if (request.method === "OPTIONS") {
        return new Response(null, { status: 204, headers: { allow, "x-request-id": id } });
      }
      throw new Problem("method_not_allowed", `This path takes ${allow}.`, { headers: { allow } });
    } catch (error) {
      this.tell(error, "", undefined);
      return this.told(error, request, caller, id) ?? this.refuse(error, request, "", id);
    }
  }

  /** Who comes in, or a problem. */
  private enter(
    route: Route,
    request: Request,
    caller: Caller,
    { id, began, bearer, known }: {
      readonly id: string;
      readonly began: number;
      /** That of the request, where the route wants to know who asks. */
      readonly bearer: string | undefined;
      readonly known: (grant: Grant) => void;
    },
  ): Exchange {
    const { fixed } = caller;
    const { bodyBytesMax } = this.site;
    const { url, headers } = request;
    const { telemetry, random } = this.site;
    const traced = telemetry?.request(request.method, route.path);
    const start = pathStart(url);
    const mark = url.indexOf("?", start);
    if (url.length - start > HTTP_LIMITS.target_bytes_max) {
      throw new Problem("target_too_long", `Path and query have at most ${HTTP_LIMITS.target_bytes_max} bytes.`);
    }
    const way = this.options.guard.way(request, caller);
    // A Unix socket is no site that a browser could be talked into.
    if (!fixed) this.options.guard.check(headers, way, { foreign: route.foreign === true });
    const asker = fixed ?? this.granted(route, request, { client: way.client, began, bearer });
    if (asker) known(asker);
    const path = mark < 0 ? url.slice(start) : url.slice(start, mark);
    const query = mark < 0 ? "" : url.slice(mark + 1);
    const resource = route.resource?.({ path, query, grant: asker, site: this.site }) ?? usual(route, asker);
    // What policies refuse has asked all the same.
    if (asker && !fixed) this.spend(this.limitOf(asker), began);
    const grant = this.permitted(route.action, resource, asker);
    if (grant) this.checkFactor(route, request, grant);
    return {
      request,
      site: this.site,
      path,
      query,
      grant,
      resource,
      granted: () => fixed !== undefined || grant === undefined || this.isStill(grant, { route, request, resource }),
      may: (action, to = resource) => this.site.authority.decide(grant, action, to).allowed,
      spend: (account) => this.spend(this.userLimit(account), began),
      way,
      // The operator's own commands send what the shipped bound lets through, however narrow the configuration makes it for others.
      bodyBytesMax: fixed ? Math.max(bodyBytesMax, HTTP_LIMITS.body_bytes_max) : bodyBytesMax,
      began,
      id,
      traceparent: traced ?? continueTrace(headers.get("traceparent"), random),
      reading: undefined,
    };
  }

  /** Throws unless policies permit it; where it is sensitive, what comes of it says which ones did. */
  private permitted(action: Action, resource: Resource, grant: Grant | undefined): Grant | undefined {
    const { allowed, policies }: Decision = this.site.authority.decide(grant, action, resource);
    if (!allowed) throw grant === undefined ? unauthenticated(false) : forbidden(ACTIONS[action], action);
    if (grant === undefined || !isSensitive(action)) return grant;
    return { ...grant, principal: { ...grant.principal, policies: policies.join(" ") } };
  }

  /** Whether who was let in would be now, and be shown what they are. */
  private isStill(
    grant: Grant,
    { route, request, resource }: { readonly route: Route; readonly request: Request; readonly resource: Resource },
  ): boolean {
    // That a page was left open is no use of its session.
    const asked = whoAsks(request, this.site.access, { unused: "unused" });
    if (asked.is !== "granted" || this.wantsFactor(route, request, asked.grant)) return false;
    const may = (who: Grant, action: Action) => this.site.authority.decide(who, action, resource).allowed;
    return may(asked.grant, route.action) && may(asked.grant, "personal.read") === may(grant, "personal.read");
  }

  private checkFactor(route: Route, request: Request, grant: Grant): void {
    if (!this.wantsFactor(route, request, grant)) return;
    throw new Problem("factor_wanted", "Show a code to /auth/factors/verify first; it counts for five minutes.");
  }

  /** Under a threat every route wants a factor, but those by which one is shown, and one's own looked at or ended; a key has none to show. */
  private wantsFactor(route: Route, { method }: Request, { own, account = own?.account }: Grant): boolean {
    const { access } = this.site;
    const looks = route.path.startsWith("/auth/") && (method === "GET" || method === "HEAD");
    const open = route.proves === true || looks && own !== undefined;
    const challenged = !open && account !== undefined && access.isChallenged?.(account) === true;
    if (!challenged && !(own && route.fresh)) return false;
    return !(own && access.isFresh?.(own));
  }

  private spend({ name, key, limiter }: Limit, began: number): void {
    const wait = limiter.take(key, began);
    if (wait === 0) return;
    const detail = name === "user" ? "This account asks too often." : "This token asks too often.";
    throw tooMany({ limit: { name, ...limiter.rate }, ms: wait, detail });
  }

  private limitOf({ own, id }: Grant): Limit {
    return own ? this.userLimit(own.account) : { name: "token", key: id, limiter: this.options.rates.token };
  }

  private userLimit(account: string): Limit {
    return { name: "user", key: account, limiter: this.options.rates.user };
  }

  /** People's programs are told what is left with every answer; tokens, which have so much more, when nothing is. */
  private telling({ grant, began }: Exchange, done: (response: Response) => Response): typeof done {
    if (!grant?.own) return done;
    const { name, key, limiter } = this.limitOf(grant);
    return (response) => {
      const told = done(response);
      // Another limit has refused it.
      if (told.headers.has("ratelimit")) return told;
      for (const [header, value] of Object.entries(rateHeaders(name, limiter.rate, limiter.left(key, began)))) {
        told.headers.set(header, value);
      }
      return told;
    };
  }

  /** Throws unless somebody asks; only a wrong token is held against its address, a missing one is not. */
  private granted(
    route: Route,
    request: Request,
    { client, began, bearer }: {
      readonly client: () => string;
      readonly began: number;
      readonly bearer: string | undefined;
    },
  ): Grant | undefined {
    if (ACTIONS[route.action] === "nothing") return undefined;
    const asked = whoAsks(request, this.site.access, { bearer });
    if (asked.is === "granted") {
      this.checkCsrf(route, request, asked);
      return asked.grant;
    }
    if (asked.is === "nobody") throw unauthenticated(false);
    const { refusals } = this.site;
    const wait = refusals.take(callerOf(client()), began);
    if (wait === 0) throw unauthenticated(true);
    throw deniedTooOften(refusals, wait);
  }

  /**
   * A cookie goes along with every request that a page makes the browser send, so one that changes something must also bring a text that
   * only pages of this session know (OWASP's signed double submit). Forms bring it in a field, for their handler to check. Nobody has made
   * such a text for the session of a token.
   */
  private checkCsrf(route: Route, { method, headers }: Request, { by, grant }: Asked & { is: "granted" }): void {
    const { access } = this.site;
    if (by !== "cookie" || method === "GET" || method === "HEAD") return;
    if (grant.own === undefined) {
      throw new Problem(
        "csrf",
        "The session of a token only reads here: send the token itself, `Authorization: Bearer …`.",
      );
    }
    if (route.csrf === "form" || access.isCsrf?.(grant.own, headers.get("x-csrf-token") ?? "")) return;
    throw new Problem("csrf", "Send X-CSRF-Token with what GET /auth/sessions tells.");
  }

  private tell(error: unknown, action: string, principal: string | undefined): void {
    if (!(error instanceof Problem) || !TOLD.has(error.status)) return;
    if (error.status === 404 && principal !== undefined && !TOLD_ABSENT.has(error.code)) return;
    this.options.refused?.({ action, because: error.code, ...(principal === undefined ? {} : { principal }) });
  }

  /** A browser that asks for a page gets one: where to sign in, or what is wrong. */
  private page(error: unknown, route: Route, request: Request, caller: Caller, id: string): Response | undefined {
    if (signsIn(route)) return this.told(error, request, caller, id);
    if (!route.page || !(error instanceof Problem) || !prefersPage(request)) return undefined;
    if (error.code === "unauthenticated") {
      return toLogin(id, this.opened(route, request.url.slice(pathStart(request.url))));
    }
    if (error.code === "factor_wanted" && route.method === "GET") return away({ id }, "/account/factors");
    return this.told(error, request, caller, id);
  }

  /** A browser is told as a page. */
  private told(error: unknown, request: Request, caller: Caller, id: string): Response | undefined {
    if (!(error instanceof Problem) || !prefersPage(request)) return undefined;
    return problemPage({ id, way: this.options.guard.way(request, caller) }, error);
  }

  /** What is opened after signing in: where a form leads there may be no page, so the one above it, which it stands on. */
  private opened({ method }: Route, target: string): string {
    if (method === "GET") return target;
    let path = target.split("?", 1)[0]!;
    const isPage = () =>
      this.options.methods.some(({ pattern, methods }) => methods.includes("GET") && pattern.test(path));
    while (path !== "" && !isPage()) path = path.slice(0, path.lastIndexOf("/"));
    return path || "/";
  }

  private refuse(error: unknown, request: Request, route: string, id: string): Response {
    if (error instanceof Problem) return problemResponse(error, id);
    try {
      this.options.report({ request: id, method: request.method, route, error });
    } catch { /* an answer is owed whether or not the operator can be told */ }
    const passing = passingOf(error);
    return passing ? problemResponse(passing, id) : broken(id);
  }
}

/** What is no fault of a request, or was told to the operator already: of a log that is fenced, and of shapes that views stop at. */
const problemOf = (error: unknown): unknown => {
  if (error instanceof Declined) return declined(error);
  switch (error instanceof LogFault ? error.kind : undefined) {
    case "archived":
      return new Problem("archived", "It can be read where the archive lies; /events has the rest.");
    case "newer":
      return new Problem(
        "newer",
        "A newer version wrote some of what was asked for, and can read it. The rest can be read here.",
      );
    case "fenced": {
      const told = "Where the log ends is not known until it is opened again. Repeat it then, as it is.";
      return new Problem("unwritable", told, { members: { fault: "fenced" }, headers: retryAfter(10_000) });
    }
    default:
      return error;
  }
};

/** What of a failure may be told, where it passes or somebody has to mend it first. Nothing of what was asked for is kept after it. */
const passingOf = (failure: unknown): Problem | undefined => {
  // What an entity decided could not be sealed, for one.
  const error = failure instanceof Error && failure.name === "EntityFault" ? failure.cause : failure;
  if (!(error instanceof Error)) return undefined;
  const headers = retryAfter(10_000);
  if (error.name === "KeysFault" && (error as { readonly passing?: unknown }).passing === true) {
    const told = "The key database cannot be written or read now; what needs no other key goes on. Repeat it as it is.";
    return new Problem("unwritable", told, { headers });
  }
  if (error.name !== "BreachedFault") return undefined;
  const told = "Whether the password is known from a breach cannot be looked up now; nothing was changed.";
  return new Problem("overloaded", told, { headers });
};

const usual = ({ action }: Route, grant: Grant | undefined): Resource =>
  grant && ACTIONS[action] === "any" ? tenantOf(grant.tenant) : LOG;

/** RFC 9110 section 15.5.2: 401 has a challenge, also where a password or code was refused. That a token was wrong is said by who refused it. */
const challenging = (response: Response): Response => {
  if (!response.headers.has("www-authenticate")) response.headers.set("www-authenticate", CHALLENGE);
  return response;
};

/** All that a caller is told of a fault. */
export const broken = (id: string): Response =>
  problemResponse(new Problem("fault", "The fault has been recorded; quote `instance` when you report it."), id);

/** Whoever was declined may try again when the control holds, or is excepted. */
const declined = ({ control, action, because }: Declined): Problem =>
  new Problem("control_failed", `${because}.`, { members: { control, action } });

const late = (exchange: Exchange): Problem => {
  if (exchange.reading === undefined) {
    return new Problem("deadline", "It was not done in time; it may still be done. Repeat it as it is.", {
      headers: retryAfter(1000),
    });
  }
  exchange.reading();
  return new Problem("slow_request", "The body took too long to arrive.", { headers: { connection: "close" } });
};

/** What HEAD is told: the header of GET, with the length of its body (RFC 9110 section 8.6). A stream was not started, so it has none. */
const headOf = async (answer: Response | Promise<Response>): Promise<Response> => {
  const response = await answer;
  if (!response.body) return response;
  const { byteLength } = await response.arrayBuffer();
  const headers = new Headers(response.headers);
  headers.set("content-length", String(byteLength));
  return new Response(null, { status: response.status, headers });
};

/** The platform states length 0 for no body; where HEAD asks for a stream nobody knows the length, so none is stated. */
export const lengthUnknown = (response: Response): Response => {
  const { status, headers } = response;
  if (response.body || headers.has("content-length") || !headers.has("content-type")) return response;
  return new Response(new ReadableStream({ start: (controller) => controller.close() }), { status, headers });
};

/** Where the path begins in a request's URL; it need not be a URL that parses, as the host is the sender's. */
const pathStart = (url: string): number => {
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  return slash < 0 ? url.length : slash;
};

/** Whether a request's URL has exactly this path and no query. */
export const pathIs = (url: string, path: string): boolean =>
  url.endsWith(path) && pathStart(url) === url.length - path.length;
