/** `/auth/second` and `/auth/factors/…`: second factors, for programs; pages are in `factor_pages.tsx`. */
import { z } from "zod";
import { answers, content, inPath, object, problems, text } from "../openapi_parts.ts";
import { Problem } from "../problem.ts";
import { segment } from "../query.ts";
import { type Exchange, json, type Route } from "../route.ts";
import { nothing, signedAnswer, tokens } from "./auth.ts";
import { body, takes } from "./bodies.ts";
import type { Identity, OwnSession, Proof } from "./port.ts";
import { bodyOf, done, fromOf, ownOf, signinRefused, waited } from "./requests.ts";

const code = z.string().min(1).max(64);
const secondBody = z.strictObject({ ticket: z.string().min(1).max(512), code });
const enrollBody = z.strictObject({ password: z.string().min(1).max(4_096) });
const confirmBody = z.strictObject({ factor: z.string().min(1).max(64), code });
const codeBody = z.strictObject({ code });

const codes = object({ codes: { type: "array", items: text } });

export const factorRoutes = (identity: Identity): readonly Route[] => [{
  method: "POST",
  path: "/auth/second",
  action: "signin.use",
  about: "The code of a second factor, after the password; a code is taken once.",
  openapi: () => ({
    requestBody: takes(secondBody),
    responses: {
      "200": answers("An access token and a refresh token", content("application/json", tokens)),
      ...problems("nothing", "signin_refused", "quota_exceeded", ...body, "unwritable"),
    },
  }),
  async handle(exchange) {
    return signedAnswer(exchange, await identity.second(await bodyOf(exchange, secondBody), fromOf(exchange)));
  },
}, {
  method: "GET",
  path: "/auth/factors",
  action: "account.use",
  about: "The second factors of the account that asks.",
  openapi: () => ({
    responses: {
      "200": answers(
        "Second factors; of backup codes, how many are left",
        content("application/json", object({ factors: { type: "array", items: { type: "object" } } })),
      ),
      ...problems("any"),
    },
  }),
  handle: (exchange) => json(exchange, 200, { factors: identity.factors(ownOf(exchange).account) }),
}, {
  method: "POST",
  path: "/auth/factors/totp",
  action: "account.use",
  about: "Begins to set up one-time codes (RFC 6238), for who shows the password again.",
  openapi: () => ({
    requestBody: takes(enrollBody),
    responses: {
      "200": answers(
        "The seed, as text, as `otpauth:` URI and as a picture; it counts once a code was confirmed",
        content("application/json", object({ factor: text, secret: text, uri: text, svg: text })),
      ),
      ...problems("any", "csrf", "signin_refused", "factor_wanted", ...body, "overloaded", "unwritable"),
    },
  }),
  async handle(exchange) {
    const own = freshOf(exchange, identity);
    const { password } = await bodyOf(exchange, enrollBody);
    const begun = await identity.enroll(own, password, fromOf(exchange));
    if (begun.is === "wait") throw waited(begun);
    if (begun.is === "refused") throw signinRefused();
    const { factor, secret, uri, svg } = begun;
    return json(exchange, 200, { factor, secret, uri, svg });
  },
}, {
  method: "POST",
  path: "/auth/factors/confirm",
  action: "account.use",
  about: "Shows the first code; from then on one is asked for. The answer has ten backup codes, shown once.",
  openapi: () => ({
    requestBody: takes(confirmBody),
    responses: {
      "200": answers("Backup codes, each for one sign-in", content("application/json", codes)),
      ...problems("any", "csrf", "code_refused", "factor_wanted", ...body, "unwritable"),
    },
  }),
  async handle(exchange) {
    const own = freshOf(exchange, identity);
    return provenAnswer(exchange, await identity.confirm(own, await bodyOf(exchange, confirmBody), fromOf(exchange)));
  },
}, {
  method: "POST",
  path: "/auth/factors/verify",
  action: "account.use",
  proves: true,
  about: "Shows a code within the session; for five minutes nobody asks again.",
  openapi: () => ({
    requestBody: takes(codeBody),
    responses: { "204": { description: "It fits" }, ...problems("any", "csrf", "code_refused", ...body, "unwritable") },
  }),
  async handle(exchange) {
    const own = ownOf(exchange);
    const { code } = await bodyOf(exchange, codeBody);
    return provenAnswer(exchange, await identity.prove(own, code, fromOf(exchange)));
  },
}, {
  method: "POST",
  path: "/auth/factors/backup-codes",
  action: "account.use",
  about: "Ten new backup codes; those before count no more. Wants a code that was shown a short while ago.",
  openapi: () => ({
    responses: {
      "200": answers("Backup codes, each for one sign-in", content("application/json", codes)),
      ...problems("any", "csrf", "factor_wanted", "unwritable"),
    },
  }),
  async handle(exchange) {
    return provenAnswer(exchange, await identity.backupCodes(freshOf(exchange, identity)));
  },
}, {
  method: "DELETE",
  path: "/auth/factors/:factor",
  action: "account.use",
  about: "Takes a second factor away; every other session ends. Wants a code that was shown a short while ago.",
  openapi: () => ({
    parameters: [inPath("factor", "Id of the factor, as the list has it.")],
    responses: {
      "204": { description: "It counts no more" },
      ...problems("any", "csrf", "factor_wanted", "not_found", "unwritable"),
    },
  }),
  async handle(exchange) {
    const own = freshOf(exchange, identity);
    const factor = segment(exchange.path.slice("/auth/factors/".length));
    if (!identity.factors(own.account).some((each) => each.factor === factor)) {
      throw new Problem("not_found", "You have no such second factor.");
    }
    done(await identity.removeFactor(own, factor));
    return nothing(exchange);
  },
}];

/** Who has shown a second factor a short while ago, if there is one to show. */
export const freshOf = (exchange: Exchange, identity: Pick<Identity, "isFresh">): OwnSession => {
  const own = ownOf(exchange);
  if (identity.isFresh(own)) return own;
  throw new Problem("factor_wanted", "Show a code to /auth/factors/verify first; it counts for five minutes.");
};

export const provenAnswer = (exchange: Exchange, proof: Proof): Response => {
  if (proof.is === "wait") throw waited(proof);
  if (proof.is === "refused") throw new Problem("code_refused", "This does not fit, or was taken already.");
  return proof.codes ? json(exchange, 200, { codes: proof.codes }) : nothing(exchange);
};
