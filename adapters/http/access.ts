/**
 * Who may do what: the port of tokens and sessions, and reading them from a request. Keys and hashes live elsewhere; a
 * bearer token is looked at here and forgotten.
 */
import type { Principal } from "../../actors/kernel/daybook.ts";
import type { Scope } from "../../events/scopes.ts";
import type { OwnSession } from "./identity/port.ts";
import { Problem } from "./problem.ts";

/** What a route asks for: one scope, any valid token, or nothing. */
export type Needs = Scope | "any" | "nothing";

export interface Grant {
  /** Opaque id of the token or session: budgets are per id. */
  readonly id: string;
  readonly scopes: readonly string[];
  /** Whose it is (`events/tenants.ts`). */
  readonly tenant: string;
  readonly principal: Principal;
  /** The session of an account, for who has signed in to one. */
  readonly own?: OwnSession;
  /** Those that count, for who has signed in to an account or has a key of one. */
  readonly roles?: readonly string[];
  /** Whose key it is, for who has one. */
  readonly account?: string;
}

/** Synchronous: it stands on the way of every request. Nothing here throws on a wrong token; it is `undefined`. */
export interface Access {
  check(bearer: string): Grant | undefined;
  /** A session for a valid token: the value of the cookie. */
  login(token: string): string | undefined;
  /** `unused`: nobody does anything with it, so that it goes on to be idle. */
  session(cookie: string, unused?: "unused"): Grant | undefined;
  logout(cookie: string): void;
  /** Ends whatever session a cookie stands for, an account's too; it rejects where that could not be recorded. */
  end(cookie: string): Promise<void>;
  /** What must be done before `check` can know this token; absent when nothing must. Never rejects. */
  prove?(bearer: string): Promise<void> | undefined;
  /** Whether who is in this session has shown a second factor a short while ago, or has none to show. */
  isFresh?(own: OwnSession): boolean;
  /** Whether a threat asks who is in a session of this account for a second factor, whatever they want. */
  isChallenged?(account: string): boolean;
  /** Whether a text was made for this session, to go with its requests. */
  isCsrf?(own: OwnSession, text: string): boolean;
}

/** By its prefix no other host and no plain connection can have set it (RFC 6265bis section 4.1.3.2). */
export const COOKIE = "__Host-daybook_session";

/** The value of the session cookie, or of another, if the request has one (RFC 6265 section 5.4: the first of that name). */
export const cookieOf = (header: string | null, name = COOKIE): string | undefined => {
  if (header === null) return undefined;
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
};

// RFC 6750 section 2.1; the scheme's name is case-insensitive (RFC 9110 section 11.1).
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;
// Nobody's token is longer; a longer header is not worth hashing.
export const BEARER_LENGTH_MAX = 2_048;

export type Asked =
  | { readonly is: "granted"; readonly grant: Grant; readonly by: "bearer" | "cookie" }
  | { readonly is: "nobody" }
  | { readonly is: "refused" };

/** The bearer token of a request, if it has one that can be one. */
export const bearerOf = (headers: Headers): string | undefined => {
  const authorization = headers.get("authorization");
  if (authorization === null || authorization.length > BEARER_LENGTH_MAX) return undefined;
  return BEARER.exec(authorization)?.[1];
};

/** Who asks. A bearer token counts before a cookie; a wrong token is refused even if the cookie is good. */
export const whoAsks = (
  { headers }: Request,
  access: Access,
  { bearer = bearerOf(headers), unused }: { readonly bearer?: string | undefined; readonly unused?: "unused" },
): Asked => {
  if (bearer !== undefined || headers.has("authorization")) {
    const grant = bearer === undefined ? undefined : access.check(bearer);
    return grant ? { is: "granted", grant, by: "bearer" } : { is: "refused" };
  }
  const cookie = cookieOf(headers.get("cookie"));
  if (cookie === undefined || cookie === "") return { is: "nobody" };
  const grant = cookie.length > BEARER_LENGTH_MAX ? undefined : access.session(cookie, unused);
  return grant ? { is: "granted", grant, by: "cookie" } : { is: "nobody" };
};

export const CHALLENGE = 'Bearer realm="daybook"';

/** RFC 6750 section 3: the challenge says what was wrong, and for 403 which scope is wanted. */
export const unauthenticated = (refused: boolean): Problem =>
  new Problem(
    "unauthenticated",
    refused ? "The token is not valid, or no longer." : "Send a token: `Authorization: Bearer …`.",
    {
      headers: {
        "www-authenticate": refused ? `${CHALLENGE}, error="invalid_token"` : CHALLENGE,
      },
    },
  );

export const forbidden = (needs: Needs, action: string): Problem =>
  new Problem("forbidden", `This needs the scope ${needs}, and a policy that permits ${action} here.`, {
    members: { scope: needs, action },
    headers: { "www-authenticate": `${CHALLENGE}, error="insufficient_scope", scope="${needs}"` },
  });
