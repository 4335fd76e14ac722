/** Signing in by a provider's word: out to it, back from it, and which account is linked to whom there. */
import { z } from "zod";
import { cookieOf } from "../access.ts";
import { answers, content, inPath, object, problems, text } from "../openapi_parts.ts";
import { page } from "../pages/layout.tsx";
import { away, cookieHeader, ownPath } from "../pages/login.tsx";
import { Problem } from "../problem.ts";
import { parameters, segment } from "../query.ts";
import { retryAfter } from "../rate.ts";
import { type Exchange, json, plain, type Route } from "../route.ts";
import { nothing } from "./auth.ts";
import { freshOf } from "./factors.ts";
import { Csrf, Sheet, Wrong } from "./page_parts.tsx";
import { SecondStep } from "./pages.tsx";
import { siteOf } from "./passkey_bodies.ts";
import type { Identity, SignedOn, SignOnBegun, SignOnPort } from "./port.ts";
import { checkCsrf, done, field, formOf, fromOf, ownOf, waited } from "./requests.ts";

const FLOW = "__Secure-daybook_flow";
const AWAY_S = 600;
const AGAIN_MS = 5_000;

const linkForm = z.strictObject({ csrf: field, provider: field });
const unlinkForm = z.strictObject({ csrf: field, link: field });

const list = (what: string) => object({ [what]: { type: "array", items: { type: "object" } } });

export const signOnRoutes = (identity: Identity): readonly Route[] => [{
  method: "GET",
  path: "/auth/providers",
  action: "signin.use",
  about: "Who else vouches for people here; a browser begins at /sign-in/{protocol}/{name}.",
  openapi: () => ({
    responses: { "200": answers("Providers", content("application/json", list("providers"))), ...problems("nothing") },
  }),
  handle: (exchange) => json(exchange, 200, { providers: identity.signOn.providers }),
}, {
  method: "GET",
  path: "/auth/links",
  action: "account.use",
  about: "To whom at which provider the account that asks is linked.",
  openapi: () => ({
    responses: { "200": answers("Links", content("application/json", list("links"))), ...problems("any") },
  }),
  handle: (exchange) => json(exchange, 200, { links: identity.signOn.links(ownOf(exchange).account) }),
}, {
  method: "DELETE",
  path: "/auth/links/:link",
  action: "account.use",
  about:
    "Takes a link away; every other session ends. Wants a second factor shown a short while ago, where there is one.",
  openapi: () => ({
    parameters: [inPath("link", "Id of the link, as the list has it.")],
    responses: {
      "204": { description: "It counts no more" },
      ...problems("any", "csrf", "factor_wanted", "not_found", "rejected", "unwritable"),
    },
  }),
  async handle(exchange) {
    const own = freshOf(exchange, identity);
    const link = segment(exchange.path.slice("/auth/links/".length));
    if (!identity.signOn.links(own.account).some((each) => each.link === link)) {
      throw new Problem("not_found", "You have no such link.");
    }
    done(await identity.signOn.unlink(own, link));
    return nothing(exchange);
  },
}];

export const signOnPages = (identity: Identity): readonly Route[] => [{
  method: "GET",
  path: "/sign-in/oidc/:provider",
  action: "signin.use",
  about: "Sends the browser to a provider of OpenID Connect.",
  handle: (exchange) => begin(exchange, identity, "oidc"),
}, {
  method: "GET",
  path: "/sign-in/oidc/:provider/callback",
  action: "signin.use",
  about: "Where a provider of OpenID Connect sends the browser back to.",
  async handle(exchange) {
    const name = providerOf(exchange, identity.signOn, "oidc", "/sign-in/oidc/", "/callback");
    const back = { origin: originOf(exchange), ticket: flowOf(exchange), answer: exchange.query };
    return signedOn(exchange, identity, await identity.signOn.finish(name, back, fromOf(exchange)));
  },
}, {
  method: "GET",
  path: "/sign-in/saml/:provider",
  action: "signin.use",
  about: "Sends the browser to a provider of SAML.",
  handle: (exchange) => begin(exchange, identity, "saml"),
}, {
  method: "POST",
  path: "/sign-in/saml/:provider/callback",
  action: "signin.use",
  foreign: true,
  about: "Where a provider of SAML has the browser post its answer; a page of ours takes it on.",
  async handle(exchange) {
    const name = providerOf(exchange, identity.signOn, "saml", "/sign-in/saml/", "/callback");
    const { SAMLResponse, RelayState } = await formOf(exchange, samlForm, SAML_BODY_BYTES_MAX);
    return page(exchange, 200, <TakenOn name={name} response={SAMLResponse} state={RelayState} />);
  },
}, {
  method: "POST",
  path: "/sign-in/saml/:provider/finish",
  action: "signin.use",
  about: "Takes an answer of a provider of SAML, from a page of ours.",
  async handle(exchange) {
    const name = providerOf(exchange, identity.signOn, "saml", "/sign-in/saml/", "/finish");
    const answer = new URLSearchParams(await formOf(exchange, samlForm, SAML_BODY_BYTES_MAX)).toString();
    const back = { origin: originOf(exchange), ticket: flowOf(exchange), answer };
    return signedOn(exchange, identity, await identity.signOn.finish(name, back, fromOf(exchange)));
  },
}, {
  method: "GET",
  path: "/sign-in/saml/:provider/metadata",
  action: "signin.use",
  about: "What a provider of SAML wants to know of us.",
  openapi: () => ({
    parameters: [inPath("provider", "Its name in the configuration.")],
    responses: {
      "200": answers("Metadata of a service provider", content("application/samlmetadata+xml", text)),
      ...problems("nothing", "not_found"),
    },
  }),
  async handle(exchange) {
    const name = providerOf(exchange, identity.signOn, "saml", "/sign-in/saml/", "/metadata");
    const xml = await identity.signOn.metadata(name, { origin: originOf(exchange) });
    return plain(exchange, xml ?? "", "application/samlmetadata+xml");
  },
}, {
  method: "GET",
  path: "/account/links",
  action: "account.use",
  page: true,
  about: "To whom one's account is linked.",
  handle: (exchange) => links(exchange, identity),
}, {
  method: "POST",
  path: "/account/links",
  action: "account.use",
  page: true,
  csrf: "form",
  about: "Sends the browser to a provider, to link the account to whom it vouches for.",
  handle: (exchange) => link(exchange, identity),
}, {
  method: "POST",
  path: "/account/links/remove",
  action: "account.use",
  page: true,
  csrf: "form",
  about: "Takes a link away.",
  handle: (exchange) => unlink(exchange, identity),
}];

/** Base64 with line breaks, or without; what a form doubles in sending it. */
const SAML_BODY_BYTES_MAX = 524_288;
const samlForm = z.strictObject({
  SAMLResponse: z.string().min(1).max(262_144).regex(/^[A-Za-z0-9+/=\s]+$/, "base64"),
  RelayState: z.string().min(1).max(80),
});

/** A cookie that says what was begun does not come along with what another site has a browser post; with our own page's form it does. */
const TakenOn = (
  { name, response, state }: { readonly name: string; readonly response: string; readonly state: string },
) => (
  <Sheet title="Signing in" goesOn>
    <form method="post" action={`/sign-in/saml/${name}/finish`}>
      <input type="hidden" name="SAMLResponse" value={response} />
      <input type="hidden" name="RelayState" value={state} />
      <button type="submit">Go on</button>
    </form>
  </Sheet>
);

const originOf = ({ way: { host, secure } }: Exchange): string => `${secure ? "https" : "http"}://${host}`;

const providerOf = (
  { path }: Exchange,
  { providers }: SignOnPort,
  protocol: "oidc" | "saml",
  ...[before, after = ""]: readonly [string, string?]
): string => {
  const name = segment(path.slice(before.length, path.length - after.length));
  if (providers.some((each) => each.name === name && each.protocol === protocol)) return name;
  throw new Problem("not_found", "There is no such provider.");
};

/** `Lax`, for it must come along when a provider sends the browser back; it opens nothing by itself. */
const flowCookie = (ticket: string, seconds: number): string =>
  `${FLOW}=${ticket}; Path=/sign-in; HttpOnly; SameSite=Lax; Secure; Max-Age=${seconds}`;
const flowOf = ({ request: { headers } }: Exchange): string | undefined => cookieOf(headers.get("cookie"), FLOW);

const begin = async (exchange: Exchange, { signOn }: Identity, protocol: "oidc" | "saml"): Promise<Response> => {
  const name = providerOf(exchange, signOn, protocol, `/sign-in/${protocol}/`);
  const next = ownPath(parameters(exchange.query).next);
  return sent(exchange, await signOn.begin(name, { origin: originOf(exchange), next }, fromOf(exchange)));
};

const sent = (exchange: Exchange, begun: SignOnBegun): Response => {
  if (begun.is === "wait") throw waited(begun);
  if (begun.is === "unavailable") throw unavailable();
  return away(exchange, begun.location, flowCookie(begun.ticket, AWAY_S));
};

const unavailable = (): Problem =>
  new Problem("provider_unavailable", "The provider does not answer as one. Try again in a while.", {
    headers: retryAfter(AGAIN_MS),
  });

const SAYS: Readonly<Record<string, string>> = {
  wrong_state: "This is not what this browser had begun, or the server was started anew since. Begin again.",
  replayed: "This answer was taken already. Begin again.",
  expired: "It took too long. Begin again.",
  mixed_up: "Another provider answered than the one that was asked.",
  not_linked:
    "No account is linked to whom the provider vouches for. Sign in another way, and link your account there.",
  used_before: "Whom the provider vouches for has another account, or this one is linked to somebody else there.",
  changed_meanwhile: "Your session is over. Sign in again.",
  disabled: "The account lets nobody in now.",
};
const NO_WORD = "What the provider says cannot be relied on.";

const signedOn = (exchange: Exchange, identity: Identity, signed: SignedOn): Response => {
  const html = exchange.request.headers.get("accept")?.includes("text/html") === true;
  switch (signed.is) {
    // The browser was led here by another site, so that a cookie for our own pages alone comes along only from the next one on.
    case "in_page": {
      const cookie = cookieHeader(signed.cookie);
      return onward(exchange, { to: ownPath(signed.next), title: "Signed in", cookie });
    }
    case "linked":
      return onward(exchange, { to: "/account/links", title: "Linked" });
    case "factor_wanted": {
      const site = siteOf(exchange);
      const passkey = site && identity.passkeys.askingSecond(signed.ticket, site);
      const { ticket, next } = signed;
      return page(exchange, 200, <SecondStep ticket={ticket} next={ownPath(next)} passkey={passkey} />);
    }
    case "not_signed_on": {
      const { reason } = signed;
      const says = SAYS[reason] ?? NO_WORD;
      if (!html) throw new Problem("sign_on_refused", says, { members: { reason } });
      return page(exchange, 401, <Refused says={says} />, { "set-cookie": flowCookie("", 0) });
    }
    case "unavailable":
      throw unavailable();
    case "wait":
      throw waited(signed);
  }
};

const onward = (
  exchange: Exchange,
  { to, title, cookie }: { readonly to: string; readonly title: string; readonly cookie?: string },
): Response => {
  const body = (
    <Sheet title={title} onward={to}>
      <p>
        <a href={to}>Go on</a>
      </p>
    </Sheet>
  );
  return page(exchange, 200, body, cookie === undefined ? {} : { "set-cookie": cookie });
};

const Refused = ({ says }: { readonly says: string }) => (
  <Sheet title="Not signed in">
    <Wrong says={says} />
    <p class="hint">
      <a href="/sign-in">Sign in</a>
    </p>
  </Sheet>
);

const links = (exchange: Exchange, identity: Identity, status = 200, wrong?: string): Response => {
  const own = ownOf(exchange);
  const [held, csrf] = [identity.signOn.links(own.account), identity.csrf(own)];
  const titles = new Map(identity.signOn.providers.map(({ name, title }) => [name, title]));
  const free = identity.signOn.providers.filter(({ name }) => !held.some(({ provider }) => provider === name));
  return page(
    exchange,
    status,
    <Sheet title="Signing in elsewhere" leave={csrf}>
      {held.length === 0 && <p>Nobody else vouches for you here.</p>}
      <ul>
        {held.map(({ link, provider }) => (
          <li>
            <div>{titles.get(provider) ?? provider}</div>
            <form method="post" action="/account/links/remove">
              <Csrf token={csrf} />
              <input type="hidden" name="link" value={link} />
              <button type="submit">Remove</button>
            </form>
          </li>
        ))}
      </ul>
      <Wrong says={wrong} />
      {free.map(({ name, title }) => (
        <form method="post" action="/account/links">
          <Csrf token={csrf} />
          <input type="hidden" name="provider" value={name} />
          <button type="submit">Link with {title}</button>
        </form>
      ))}
      <p class="hint">
        <a href="/account">Back to the account</a>
      </p>
    </Sheet>,
  );
};

/** A form may lead to our own pages alone, so the page that answers it leads on. */
const link = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, provider } = await formOf(exchange, linkForm);
  checkCsrf(identity, own, csrf);
  const { signOn } = identity;
  if (!signOn.providers.some(({ name }) => name === provider)) {
    throw new Problem("not_found", "There is no such provider.");
  }
  const begun = await signOn.begin(provider, { origin: originOf(exchange), own }, fromOf(exchange));
  if (begun.is === "wait") throw waited(begun);
  if (begun.is === "unavailable") throw unavailable();
  const cookie = flowCookie(begun.ticket, AWAY_S);
  return onward(exchange, { to: begun.location, title: "On to the provider", cookie });
};

const unlink = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, link } = await formOf(exchange, unlinkForm);
  checkCsrf(identity, own, csrf);
  if (!identity.signOn.links(own.account).some((each) => each.link === link)) return links(exchange, identity);
  const outcome = await identity.signOn.unlink(own, link);
  if (outcome.is === "rejected" && outcome.code === "last_way_in") {
    return links(exchange, identity, 409, "Without it you could not sign in: set a password or a passkey up first.");
  }
  done(outcome);
  return links(exchange, identity);
};
