/** `/auth/…`: signing in and out, sessions and one's own password, for programs; pages are in `pages.tsx`. */
import { z } from "zod";
import { answers, content, header, inPath, object, problems, text, whole } from "../openapi_parts.ts";
import { Problem } from "../problem.ts";
import { segment } from "../query.ts";
import { type Exchange, json, type Route } from "../route.ts";
import { body, takes } from "./bodies.ts";
import type { Identity, PasswordSet, SignedIn } from "./port.ts";
import { bodyOf, done, fromOf, ownOf, signinRefused, waited } from "./requests.ts";

const name = z.string().min(1).max(255);
/** Longer than any that is taken, so that it is the rules that say no. */
const password = z.string().min(1).max(4_096);
const ticket = z.string().min(1).max(512);

const signInBody = z.strictObject({ name, password });
const refreshBody = z.strictObject({ refresh_token: ticket });
const everywhereBody = z.strictObject({
  /** This session goes on. */
  keep: z.boolean().default(false),
});
const passwordBody = z.strictObject({ current: password, next: password });
const invitationBody = z.strictObject({ code: ticket, password });

export const tokens = object({
  access_token: text,
  token_type: text,
  expires_in: { type: "integer" },
  refresh_token: text,
  session: text,
});
const notice = object(
  {
    time: text,
    since: text,
    type: text,
    about: text,
    times: whole,
    more: { type: "boolean" },
    address: text,
    agent: text,
    suspicious: { type: "boolean" },
    fresh: { type: "boolean" },
  },
  ["time", "type", "about", "times", "suspicious", "fresh"],
);
const hashing = ["overloaded", "unwritable"] as const;

export const authRoutes = (identity: Identity): readonly Route[] => [{
  method: "POST",
  path: "/auth/sign-in",
  action: "signin.use",
  about: "A session for a name and a password. Every refusal is the same.",
  openapi: () => ({
    requestBody: takes(signInBody),
    responses: {
      "200": answers("An access token and a refresh token", content("application/json", tokens)),
      ...problems(
        "nothing",
        "signin_refused",
        "factor_wanted",
        "password_wanted",
        "quota_exceeded",
        ...body,
        ...hashing,
      ),
    },
  }),
  handle: (exchange) => signIn(exchange, identity),
}, {
  method: "POST",
  path: "/auth/refresh",
  action: "signin.use",
  about: "New tokens for a refresh token, which counts once: used again, it ends its session.",
  openapi: () => ({
    parameters: [header("Idempotency-Key", "The same again gives the same tokens, as long as they are the newest.")],
    requestBody: takes(refreshBody),
    responses: {
      "200": answers("An access token and a refresh token", content("application/json", tokens)),
      ...problems("nothing", "refresh_refused", "invalid_header", ...body, "unwritable"),
    },
  }),
  handle: (exchange) => refresh(exchange, identity),
}, {
  method: "POST",
  path: "/auth/sign-out",
  action: "account.use",
  proves: true,
  about: "Ends the session that asks.",
  openapi: () => ({ responses: { "204": { description: "It is over" }, ...problems("any", "csrf", "unwritable") } }),
  async handle(exchange) {
    const own = ownOf(exchange);
    done(await identity.end(own, own.session));
    return nothing(exchange);
  },
}, {
  method: "POST",
  path: "/auth/sign-out-everywhere",
  action: "account.use",
  proves: true,
  about: "Ends every session of the account, or every other.",
  openapi: () => ({
    requestBody: { ...takes(everywhereBody), required: false },
    responses: { "204": { description: "They are over" }, ...problems("any", "csrf", ...body, "unwritable") },
  }),
  async handle(exchange) {
    const own = ownOf(exchange);
    done(await identity.endAll(own, await bodyOf(exchange, everywhereBody)));
    return nothing(exchange);
  },
}, {
  method: "GET",
  path: "/auth/sessions",
  action: "account.use",
  about: "The sessions of the account that asks, and what goes with a request that changes something.",
  openapi: () => ({
    responses: {
      "200": answers(
        "Sessions; `csrf` is for requests with a cookie",
        content(
          "application/json",
          object({ account: text, session: text, csrf: text, sessions: { type: "array", items: { type: "object" } } }),
        ),
      ),
      ...problems("any"),
    },
  }),
  handle(exchange) {
    const own = ownOf(exchange);
    return json(exchange, 200, { ...own, csrf: identity.csrf(own), sessions: identity.sessions(own.account) });
  },
}, {
  method: "GET",
  path: "/auth/notices",
  action: "account.use",
  about:
    "What happened to the account that asks: refused sign-ins, others that let in, changes of what lets in; the newest first.",
  openapi: () => ({
    responses: {
      "200": answers(
        "Notices; `fresh` are those since the sign-in before this session's",
        content("application/json", object({ notices: { type: "array", items: notice } })),
      ),
      ...problems("any"),
    },
  }),
  handle: (exchange) => json(exchange, 200, { notices: identity.notices(ownOf(exchange)) }),
}, {
  method: "DELETE",
  path: "/auth/sessions/:session",
  action: "account.use",
  about: "Ends one session of the account that asks.",
  openapi: () => ({
    parameters: [inPath("session", "Id of the session, as the list has it.")],
    responses: { "204": { description: "It is over" }, ...problems("any", "csrf", "not_found", "unwritable") },
  }),
  async handle(exchange) {
    const own = ownOf(exchange);
    const session = segment(exchange.path.slice("/auth/sessions/".length));
    if (!identity.sessions(own.account).some((each) => each.session === session)) {
      throw new Problem("not_found", "You have no such session.");
    }
    done(await identity.end(own, session));
    return nothing(exchange);
  },
}, {
  method: "POST",
  path: "/auth/password",
  action: "account.use",
  about: "A new password for the current one; every other session ends.",
  openapi: () => ({
    requestBody: takes(passwordBody),
    responses: {
      "204": { description: "It is set" },
      ...problems("any", "csrf", "signin_refused", "weak_password", ...body, ...hashing),
    },
  }),
  async handle(exchange) {
    const own = ownOf(exchange);
    const asked = await bodyOf(exchange, passwordBody);
    return passwordAnswer(exchange, await identity.changePassword(own, asked, fromOf(exchange)), signinRefused);
  },
}, {
  method: "POST",
  path: "/auth/invitation",
  action: "signin.use",
  about: "Sets a password with the code of an invitation, which counts once.",
  openapi: () => ({
    requestBody: takes(invitationBody),
    responses: {
      "204": { description: "It is set; sign in with it" },
      ...problems("nothing", "code_refused", "weak_password", ...body, ...hashing),
    },
  }),
  async handle(exchange) {
    const { code, password } = await bodyOf(exchange, invitationBody);
    return passwordAnswer(exchange, await identity.choosePassword(code, password, fromOf(exchange)), codeRefused);
  },
}, {
  method: "GET",
  path: "/.well-known/jwks.json",
  action: "signin.use",
  about: "The keys that access tokens can be checked by, as a JWK Set (RFC 7517).",
  openapi: () => ({
    responses: {
      "200": answers("Public keys", content("application/jwk-set+json", { type: "object" })),
      ...problems("nothing", "unwritable"),
    },
  }),
  async handle(exchange) {
    return json(exchange, 200, await identity.keys(), {
      "content-type": "application/jwk-set+json",
      "cache-control": "public, max-age=300",
    });
  },
}];

const signIn = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const asked = await bodyOf(exchange, signInBody);
  return signedAnswer(exchange, await identity.signIn({ ...asked, kind: "program" }, fromOf(exchange)));
};

/** What somebody who signs in is told. */
export const signedAnswer = (exchange: Exchange, signed: SignedIn): Response => {
  switch (signed.is) {
    case "in": {
      const { tokens, account, session } = signed;
      return json(exchange, 200, { ...tokens, token_type: "Bearer", account, session });
    }
    case "password_wanted":
      throw new Problem("password_wanted", "Set the password anew with the code, then sign in.", {
        members: { code: signed.code },
      });
    case "factor_wanted":
      throw new Problem("factor_wanted", "Send the ticket with a code to /auth/second within five minutes.", {
        members: { ticket: signed.ticket },
      });
    case "wait":
      throw waited(signed);
    case "refused":
    case "in_page":
      throw signinRefused();
  }
};

const KEY = /^[\x21-\x7e]{1,100}$/;

const refresh = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const key = exchange.request.headers.get("idempotency-key") ?? undefined;
  if (key !== undefined && !KEY.test(key)) {
    throw new Problem("invalid_header", "Idempotency-Key is 1 to 100 visible ASCII characters.");
  }
  const { refresh_token } = await bodyOf(exchange, refreshBody);
  const account = identity.refreshing(refresh_token);
  if (account !== undefined) exchange.spend(account);
  const refreshed = await identity.refresh(refresh_token, fromOf(exchange), key);
  if (refreshed.is === "refused") {
    throw new Problem("refresh_refused", "This refresh token does not count, or no longer; sign in again.");
  }
  const { tokens, session } = refreshed;
  return json(exchange, 200, { ...tokens, token_type: "Bearer", session });
};

const codeRefused = (): Problem =>
  new Problem("code_refused", "This code does not count, or no longer; ask for another.");

const passwordAnswer = (exchange: Exchange, set: PasswordSet, refused: () => Problem): Response => {
  switch (set.is) {
    case "set":
      return nothing(exchange);
    case "refused":
      throw refused();
    case "weak":
      throw new Problem("weak_password", `The new password ${set.because}.`);
    case "wait":
      throw waited(set);
  }
};

export const nothing = ({ id }: Exchange): Response =>
  new Response(null, { status: 204, headers: { "cache-control": "no-store", "x-request-id": id } });
