/** Pages with passkeys: signing in with one, as a second factor, setting one up, calling it something else. */
import { z } from "zod";
import { page } from "../pages/layout.tsx";
import type { Exchange, Route } from "../route.ts";
import { Codes, factors } from "./factor_pages.tsx";
import { freshOf } from "./factors.ts";
import { entered, SecondStep, signInPage } from "./pages.tsx";
import { ownPath } from "../pages/login.tsx";
import { asserted, fromField, made, siteWanted } from "./passkey_bodies.ts";
import { label } from "./passkeys.ts";
import type { Identity } from "./port.ts";
import { checkCsrf, done, field, formOf, fromOf, ownOf, waitedPage } from "./requests.ts";

const response = z.string().max(12_288);
const signInForm = z.strictObject({ ticket: field, response, next: field.optional() });
const secondForm = signInForm.extend({ step: field });
const verifyForm = z.strictObject({ csrf: field, ticket: field, response });
const newForm = verifyForm.extend({ label: field, current: field.optional() });
const renameForm = z.strictObject({ csrf: field, factor: field, label });

const REFUSED = "This passkey does not let you in, or it was asked for too long ago. Try again.";

export const passkeyPages = (identity: Identity): readonly Route[] => {
  const post = (path: string, about: string, handle: Route["handle"], own = true): Route => ({
    method: "POST",
    path,
    action: own ? "account.use" : "signin.use",
    ...(own ? { page: true, csrf: "form" as const } : {}),
    about,
    handle,
  });
  return [
    post(
      "/sign-in/passkey",
      "A session for a passkey, as a cookie.",
      (exchange) => signIn(exchange, identity),
      false,
    ),
    post(
      "/sign-in/second/passkey",
      "The passkey that was asked for after the password.",
      (exchange) => second(exchange, identity),
      false,
    ),
    post("/account/factors/passkey", "Sets up a passkey.", (exchange) => enroll(exchange, identity)),
    {
      ...post(
        "/account/factors/verify-passkey",
        "Shows a passkey once more.",
        (exchange) => verify(exchange, identity),
      ),
      proves: true,
    },
    post("/account/factors/rename", "Calls a second factor something else.", (exchange) => rename(exchange, identity)),
  ];
};

const signIn = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const { ticket, response, next } = await formOf(exchange, signInForm);
  const site = siteWanted(exchange);
  const shown = { ticket, response: fromField(asserted, response), kind: "browser" } as const;
  const signed = await identity.passkeys.signIn(shown, site, fromOf(exchange));
  const again = (status: number, wrong: string) => signInPage(exchange, identity, { status, next, wrong });
  if (signed.is === "refused") return again(401, REFUSED);
  return await entered(exchange, identity, { signed, next, again });
};

const second = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const { step, ticket, response, next } = await formOf(exchange, secondForm);
  const site = siteWanted(exchange);
  const shown = { step, ticket, response: fromField(asserted, response) };
  const signed = await identity.passkeys.second(shown, site, fromOf(exchange));
  const again = (status: number, wrong: string) => {
    const passkey = identity.passkeys.askingSecond(step, site);
    return page(exchange, status, <SecondStep ticket={step} next={ownPath(next)} wrong={wrong} passkey={passkey} />);
  };
  if (signed.is === "refused") return again(401, REFUSED);
  return await entered(exchange, identity, { signed, next, again });
};

const enroll = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, ticket, response, label, current } = await formOf(exchange, newForm);
  checkCsrf(identity, own, csrf);
  const asked = {
    ticket,
    response: fromField(made, response),
    label: label.trim().slice(0, 64) || "Passkey",
    ...(current !== undefined && { password: current }),
  };
  const proof = await identity.passkeys.enroll(own, asked, siteWanted(exchange), fromOf(exchange));
  if (proof.is === "proven" && proof.codes) {
    return page(exchange, 200, <Codes codes={proof.codes} csrf={identity.csrf(own)} />);
  }
  if (proof.is === "proven") return factors(exchange, identity);
  if (proof.is === "wait") return waitedPage(proof, (status, says) => factors(exchange, identity, status, says));
  return factors(exchange, identity, 401, "The password is another one, or the passkey cannot be taken.");
};

const verify = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf, ticket, response } = await formOf(exchange, verifyForm);
  checkCsrf(identity, own, csrf);
  const shown = { ticket, response: fromField(asserted, response) };
  const proof = await identity.passkeys.verify(own, shown, siteWanted(exchange), fromOf(exchange));
  if (proof.is === "proven") return factors(exchange, identity);
  if (proof.is === "refused") return factors(exchange, identity, 401, REFUSED);
  return waitedPage(proof, (status, says) => factors(exchange, identity, status, says));
};

const rename = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf, factor, label } = await formOf(exchange, renameForm);
  checkCsrf(identity, own, csrf);
  if (identity.factors(own.account).some((each) => each.factor === factor)) {
    done(await identity.passkeys.rename(own, factor, label));
  }
  return factors(exchange, identity);
};
