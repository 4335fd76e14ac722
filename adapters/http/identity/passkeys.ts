/** `/auth/passkeys/…` and `/auth/factors/passkeys…`: passkeys, for programs and scripts; pages are in `passkey_pages.tsx`. */
import { z } from "zod";
import { answers, content, inPath, object, problems, text } from "../openapi_parts.ts";
import { Problem } from "../problem.ts";
import { segment } from "../query.ts";
import { type Exchange, json, type Route } from "../route.ts";
import { nothing, signedAnswer, tokens } from "./auth.ts";
import { body, takes } from "./bodies.ts";
import { freshOf, provenAnswer } from "./factors.ts";
import { asserted, made, siteWanted } from "./passkey_bodies.ts";
import type { Identity, PasskeyAsking } from "./port.ts";
import { bodyOf, done, fromOf, ownOf } from "./requests.ts";

const ticket = z.string().min(1).max(512);
/** What a passkey is called by its holder. */
export const label = z.string().trim().min(1).max(64);
const optionsBody = z.strictObject({ step: ticket.optional() });
const shownBody = z.strictObject({ ticket, response: asserted });
const secondBody = shownBody.extend({ step: ticket });
const madeBody = z.strictObject({
  ticket,
  response: made,
  label: label.default("Passkey"),
  password: z.string().min(1).max(4_096).optional(),
});
const labelBody = z.strictObject({ label });

const asking = answers(
  "What to ask the authenticator (WebAuthn Level 3), and the ticket that goes back with its answer",
  content("application/json", object({ ticket: text, options: { type: "object" } })),
);

export const passkeyRoutes = ({ passkeys, ...identity }: Identity): readonly Route[] => {
  const asked = (exchange: Exchange, asking: PasskeyAsking | undefined): Response => {
    if (!asking) throw new Problem("code_refused", "There is no passkey here that could answer.");
    return json(exchange, 200, asking);
  };
  return [{
    method: "POST",
    path: "/auth/passkeys/options",
    action: "signin.use",
    about:
      "What to ask for, to sign in with a passkey; with the ticket of `factor_wanted` as `step`, as a second factor.",
    openapi: () => ({
      requestBody: takes(optionsBody),
      responses: { "200": asking, ...problems("nothing", "code_refused", "no_passkeys", ...body) },
    }),
    async handle(exchange) {
      const { step } = await bodyOf(exchange, optionsBody);
      const site = siteWanted(exchange);
      return asked(exchange, step === undefined ? passkeys.asking(site) : passkeys.askingSecond(step, site));
    },
  }, {
    method: "POST",
    path: "/auth/passkeys/sign-in",
    action: "signin.use",
    about: "A session for a passkey alone. Every refusal is the same.",
    openapi: () => ({
      requestBody: takes(shownBody),
      responses: {
        "200": answers("An access token and a refresh token", content("application/json", tokens)),
        ...problems("nothing", "signin_refused", "quota_exceeded", "no_passkeys", ...body, "overloaded", "unwritable"),
      },
    }),
    async handle(exchange) {
      const shown = await bodyOf(exchange, shownBody);
      const signed = await passkeys.signIn({ ...shown, kind: "program" }, siteWanted(exchange), fromOf(exchange));
      return signedAnswer(exchange, signed);
    },
  }, {
    method: "POST",
    path: "/auth/passkeys/second",
    action: "signin.use",
    about: "A passkey as the second factor, with the ticket of `factor_wanted` as `step`.",
    openapi: () => ({
      requestBody: takes(secondBody),
      responses: {
        "200": answers("An access token and a refresh token", content("application/json", tokens)),
        ...problems("nothing", "signin_refused", "quota_exceeded", "no_passkeys", ...body, "overloaded", "unwritable"),
      },
    }),
    async handle(exchange) {
      const shown = await bodyOf(exchange, secondBody);
      return signedAnswer(exchange, await passkeys.second(shown, siteWanted(exchange), fromOf(exchange)));
    },
  }, {
    method: "POST",
    path: "/auth/passkeys/verify/options",
    action: "account.use",
    proves: true,
    about: "What to ask for, to show a passkey within the session.",
    openapi: () => ({ responses: { "200": asking, ...problems("any", "csrf", "code_refused", "no_passkeys") } }),
    handle: (exchange) => asked(exchange, passkeys.askingProof(ownOf(exchange), siteWanted(exchange))),
  }, {
    method: "POST",
    path: "/auth/passkeys/verify",
    action: "account.use",
    proves: true,
    about: "Shows a passkey within the session; for five minutes nobody asks again.",
    openapi: () => ({
      requestBody: takes(shownBody),
      responses: {
        "204": { description: "It holds" },
        ...problems("any", "csrf", "code_refused", "no_passkeys", ...body, "overloaded", "unwritable"),
      },
    }),
    async handle(exchange) {
      const own = ownOf(exchange);
      const shown = await bodyOf(exchange, shownBody);
      return provenAnswer(exchange, await passkeys.verify(own, shown, siteWanted(exchange), fromOf(exchange)));
    },
  }, {
    method: "POST",
    path: "/auth/factors/passkeys/options",
    action: "account.use",
    about: "What to ask for, to set up a passkey.",
    openapi: () => ({ responses: { "200": asking, ...problems("any", "csrf", "factor_wanted", "no_passkeys") } }),
    handle: (exchange) => asked(exchange, passkeys.askingNew(freshOf(exchange, identity), siteWanted(exchange))),
  }, {
    method: "POST",
    path: "/auth/factors/passkeys",
    action: "account.use",
    about:
      "Sets up a passkey, for who shows the password again where there is one. The first second factor brings backup codes.",
    openapi: () => ({
      requestBody: takes(madeBody),
      responses: {
        "200": answers(
          "Backup codes, each for one sign-in",
          content("application/json", object({ codes: { type: "array", items: text } })),
        ),
        "204": { description: "It counts; there were backup codes before" },
        ...problems("any", "csrf", "code_refused", "factor_wanted", "no_passkeys", ...body, "overloaded", "unwritable"),
      },
    }),
    async handle(exchange) {
      const own = freshOf(exchange, identity);
      const created = await bodyOf(exchange, madeBody);
      return provenAnswer(exchange, await passkeys.enroll(own, created, siteWanted(exchange), fromOf(exchange)));
    },
  }, {
    method: "PUT",
    path: "/auth/factors/:factor",
    action: "account.use",
    about: "Calls a second factor something else.",
    openapi: () => ({
      parameters: [inPath("factor", "Id of the factor, as the list has it.")],
      requestBody: takes(labelBody),
      responses: {
        "204": { description: "It is called so" },
        ...problems("any", "csrf", "not_found", ...body, "unwritable"),
      },
    }),
    async handle(exchange) {
      const own = ownOf(exchange);
      const { label } = await bodyOf(exchange, labelBody, { required: true });
      const factor = segment(exchange.path.slice("/auth/factors/".length));
      if (!identity.factors(own.account).some((each) => each.factor === factor)) {
        throw new Problem("not_found", "You have no such second factor.");
      }
      done(await passkeys.rename(own, factor, label));
      return nothing(exchange);
    },
  }];
};
