/** What a route is: data that says who may come in, and a function that answers. */
import type { Telemetry } from "../../actors/kernel/telemetry.ts";
import type { Clock, Random } from "../../actors/kernel/world.ts";
import type { Millis } from "../../events/event.ts";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import type { Access, Grant } from "./access.ts";
import type { Action } from "./actions.ts";
import type { Authority, Resource } from "./authority.ts";
import type { Way } from "./guard.ts";
import type { Metrics } from "./metrics.ts";
import type { Streams } from "./outflow.ts";
import type { RateLimiter } from "./rate.ts";

/** What handlers share. */
export interface Site {
  readonly daybook: Daybook;
  readonly access: Access;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly streams: Streams;
  /** Absent where nobody traces. */
  readonly telemetry?: Telemetry;
  readonly bodyBytesMax: number;
  /** Wrong tokens by address. */
  readonly refusals: RateLimiter;
  /** Counts what comes in for a tenant; throws `quota_exceeded`. Absent: nobody counts. */
  readonly quotas?: { spend(tenant: string, used: { readonly events: number; readonly bytes: number }): void };
  /** Every route, for those that tell of them. */
  readonly routes: readonly Route[];
}

/** One request on its way. */
export interface Exchange {
  readonly request: Request;
  readonly site: Site;
  /** Path as sent, still percent-encoded. */
  readonly path: string;
  /** Query as sent, without the question mark. */
  readonly query: string;
  /** Absent on routes that need nothing. */
  readonly grant: Grant | undefined;
  /** Still the same answer as at the door, and as much of it shown; for streams that outlive a revocation. */
  granted(): boolean;
  /** What it is about, as the route says. */
  readonly resource: Resource;
  /** Whether who asks may do this as well; `resource` by default what the route is about. */
  may(action: Action, resource?: Resource): boolean;
  /** Counts as a request of this account, which the door could not know; throws `too_many_requests`. */
  spend(account: string): void;
  readonly way: Way;
  /** Largest body; over it: 413. */
  readonly bodyBytesMax: number;
  /** Monotonic time at which it came. */
  readonly began: Millis;
  /** Id of the request, in `x-request-id` and in problems. */
  readonly id: string;
  /** Our place in the caller's trace; absent when the request sent no `traceparent` and nobody traces here. */
  readonly traceparent: string | undefined;
  /** There while the body is awaited, and gives it up: a request that is late then is the sender's doing. */
  reading: (() => void) | undefined;
}

/** A request as far as it tells what it is about. */
export type Asked = Pick<Exchange, "path" | "query" | "grant" | "site">;

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface Route {
  readonly method: Method;
  /** Pattern in hono's form: `/events/:position`. */
  readonly path: string;
  /** What is done, as policies name it; a route without one is not served. */
  readonly action: Action;
  /** To what; default: one's own tenant where everybody may who has been let in, else the log. What is wrong with a path is thrown as its problem. */
  readonly resource?: (asked: Asked) => Resource;
  /** A page for people: who has no session is sent to `/login`, and refusals are pages too. */
  readonly page?: boolean;
  /** What proves that a request with a cookie comes from a page of its own: a header (default), or a field that the handler checks. */
  readonly csrf?: "form";
  /** Where a second factor is shown, or a session ended by signing out: it answers while a threat asks for one. */
  readonly proves?: true;
  /** Pages of other sites may send a browser here with what they say. It comes without cookies, and nothing is done for it. */
  readonly foreign?: true;
  /** What it does cannot be undone, or changes who may come in: who has signed in shows a second factor first, where there is one. */
  readonly fresh?: true;
  /** One line, for the OpenAPI document. */
  readonly about: string;
  /** The operation in the OpenAPI document, beside what the table says; a function so that it is made only when asked for. */
  readonly openapi?: () => Readonly<Record<string, unknown>>;
  readonly handle: (exchange: Exchange) => Response | Promise<Response>;
}

/** Who signs in is in no session yet, and is told as a page; what is below /auth/ is for programs, some of which ask for a page. */
export const signsIn = ({ action, path }: Pick<Route, "action" | "path">): boolean =>
  action === "signin.use" && !path.startsWith("/auth/");

/** An answer in JSON. Data is never kept by caches: what may be shown changes with scopes and erasure. */
export const json = (exchange: Exchange, status: number, body: unknown, headers?: Record<string, string>): Response =>
  jsonText(exchange, status, JSON.stringify(body), headers);

export const jsonText = (
  exchange: Exchange,
  status: number,
  body: string,
  headers?: Record<string, string>,
): Response =>
  new Response(body, {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": exchange.id,
      ...headers,
    },
  });

export const plain = (
  exchange: Exchange,
  body: string | Uint8Array<ArrayBuffer>,
  type: string,
): Response =>
  new Response(body, {
    headers: {
      "content-type": type,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": exchange.id,
    },
  });

/** What the caller may see of personal values: plain with scope `personal`, else only that there is something. */
export const shown = <T>(exchange: Exchange, value: T): T =>
  exchange.grant && exchange.may("personal.read")
    ? exchange.site.daybook.unseal(value)
    : exchange.site.daybook.redact(value);
