/** `/auth/device…` and `/device`: a terminal is signed in by somebody who is signed in elsewhere (RFC 8628). */
import { z } from "zod";
import { visible } from "../../../events/visible.ts";
import { answers, content, object, problems, text } from "../openapi_parts.ts";
import { page } from "../pages/layout.tsx";
import { Problem } from "../problem.ts";
import { parameters } from "../query.ts";
import { type Exchange, json, type Route } from "../route.ts";
import { nothing, tokens } from "./auth.ts";
import { body, takes } from "./bodies.ts";
import { freshOf } from "./factors.ts";
import { Csrf, Sheet, Wrong } from "./page_parts.tsx";
import type { From, Identity } from "./port.ts";
import { bodyOf, checkCsrf, formOf, fromOf, ownOf, waited, waitedPage } from "./requests.ts";

const tokenBody = z.strictObject({ device_code: z.string().min(1).max(512) });
const answerBody = z.strictObject({ user_code: z.string().min(1).max(64), allow: z.boolean() });
const field = z.string().max(256);
const codeForm = z.strictObject({ csrf: field, code: field });
const answerForm = z.strictObject({ csrf: field, code: field, allow: z.enum(["yes", "no"]) });

const asked = object({
  device_code: text,
  user_code: text,
  verification_uri: text,
  verification_uri_complete: text,
  expires_in: { type: "integer" },
  interval: { type: "integer" },
});

/** `url`: where people reach this server, for who asks over the folder's socket. */
export const deviceRoutes = (identity: Identity, url: () => string): readonly Route[] => [{
  method: "POST",
  path: "/auth/device",
  action: "signin.use",
  about: "A terminal asks to be signed in by somebody who is signed in elsewhere (RFC 8628).",
  openapi: () => ({
    responses: {
      "200": answers("Codes, and where to type one of them", content("application/json", asked)),
      ...problems("nothing", ...body, "overloaded"),
    },
  }),
  async handle(exchange) {
    await bodyOf(exchange, z.strictObject({}));
    const begun = identity.device(fromOf(exchange));
    if (begun.is === "wait") throw waited(begun);
    const { is: _, ...device } = begun;
    const { host, secure, client } = exchange.way;
    const verification_uri = `${client() === "" ? url() : `${secure ? "https" : "http"}://${host}`}/device`;
    const verification_uri_complete = `${verification_uri}?code=${device.user_code}`;
    return json(exchange, 200, { ...device, verification_uri, verification_uri_complete });
  },
}, {
  method: "POST",
  path: "/auth/device/token",
  action: "signin.use",
  about: "The tokens of a terminal, once somebody has allowed it; asked for every few seconds until then.",
  openapi: () => ({
    requestBody: takes(tokenBody),
    responses: {
      "200": answers("An access token and a refresh token", content("application/json", tokens)),
      ...problems("nothing", "device_pending", "device_refused", "quota_exceeded", ...body, "unwritable"),
    },
  }),
  async handle(exchange) {
    const { device_code } = await bodyOf(exchange, tokenBody);
    const polled = await identity.pollDevice(device_code);
    switch (polled.is) {
      case "in": {
        const { tokens, account, session } = polled;
        return json(exchange, 200, { ...tokens, token_type: "Bearer", account, session });
      }
      case "pending":
        throw new Problem("device_pending", "Nobody has answered yet; ask again in some seconds.");
      case "refused":
        throw new Problem("device_refused", "It was refused, is too late, or has its tokens already; begin anew.");
      case "wait":
        throw waited(polled);
    }
  },
}, {
  method: "POST",
  path: "/auth/device/answer",
  action: "account.use",
  about:
    "Allows or refuses a terminal that shows this code. Wants a second factor shown a short while ago, where there is one.",
  openapi: () => ({
    requestBody: takes(answerBody),
    responses: {
      "204": { description: "The terminal is told" },
      ...problems("any", "csrf", "factor_wanted", "not_found", ...body, "unwritable"),
    },
  }),
  async handle(exchange) {
    const own = freshOf(exchange, identity);
    const { user_code, allow } = await bodyOf(exchange, answerBody);
    const waiting = identity.waiting(own, user_code, fromOf(exchange));
    if (waiting && "is" in waiting) throw waited(waiting);
    if (!waiting || !await identity.answerDevice(own, user_code, allow)) throw new Problem("not_found", NONE);
    return nothing(exchange);
  },
}];

export const devicePages = (identity: Identity): readonly Route[] => {
  const route = (method: "GET" | "POST", path: string, about: string, handle: Route["handle"]): Route => ({
    method,
    path,
    action: "account.use",
    page: true,
    ...(method === "POST" ? { csrf: "form" as const } : {}),
    about,
    handle,
  });
  return [
    route("GET", "/device", "The form for the code that a terminal shows.", (exchange) => {
      const { code = "" } = parameters(exchange.query);
      return page(exchange, 200, <Enter code={code} csrf={identity.csrf(ownOf(exchange))} />);
    }),
    route("POST", "/device", "Which terminal shows the code.", (exchange) => look(exchange, identity)),
    route("POST", "/device/answer", "Allows or refuses it.", (exchange) => answer(exchange, identity)),
  ];
};

const NONE = "No terminal waits with this code, or no longer.";

const Enter = ({ code, csrf, wrong }: { readonly code: string; readonly csrf: string; readonly wrong?: string }) => (
  <Sheet title="Sign in a terminal" leave={csrf}>
    <p>Type the code that it shows.</p>
    <form method="post" action="/device">
      <Csrf token={csrf} />
      <label for="code">Code</label>
      <input
        id="code"
        name="code"
        type="text"
        required
        autofocus
        autocomplete="off"
        spellcheck={false}
        value={code}
        maxlength={64}
      />
      <Wrong says={wrong} />
      <button type="submit">Go on</button>
    </form>
  </Sheet>
);

const Question = (
  { code, from, csrf }: { readonly code: string; readonly from: From; readonly csrf: string },
) => (
  <Sheet title="Sign in this terminal?" leave={csrf}>
    <p>
      It asks from <code>{from.address ?? "this machine"}</code>
      {from.agent && (
        <>
          {" "}as <code>{visible(from.agent)}</code>
        </>
      )} and shows <code>{code}</code>. Allow it only if you began this yourself, just now: it will act as you.
    </p>
    <form method="post" action="/device/answer">
      <Csrf token={csrf} />
      <input type="hidden" name="code" value={code} />
      <button type="submit" name="allow" value="yes">Allow it</button>{" "}
      <button type="submit" name="allow" value="no">Refuse it</button>
    </form>
  </Sheet>
);

const look = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, code } = await formOf(exchange, codeForm);
  checkCsrf(identity, own, csrf);
  const waiting = identity.waiting(own, code, fromOf(exchange));
  const token = identity.csrf(own);
  if (waiting && "is" in waiting) {
    return waitedPage(
      waiting,
      (status, says) => page(exchange, status, <Enter code={code} csrf={token} wrong={says} />),
    );
  }
  if (!waiting) return page(exchange, 404, <Enter code={code} csrf={token} wrong={NONE} />);
  // A link may have brought more than its letters, which would be read here as said by us.
  return page(exchange, 200, <Question code={waiting.user_code} from={waiting.from} csrf={token} />);
};

const answer = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, code, allow } = await formOf(exchange, answerForm);
  checkCsrf(identity, own, csrf);
  if (!await identity.answerDevice(own, code, allow === "yes")) {
    return page(exchange, 404, <Enter code={code} csrf={identity.csrf(own)} wrong={NONE} />);
  }
  const says = allow === "yes" ? "The terminal is signed in. It is among your sessions." : "The terminal was refused.";
  return page(
    exchange,
    200,
    <Sheet title="Done" leave={identity.csrf(own)}>
      <p role="status">{says}</p>
      <p class="hint">
        <a href="/account">Your account</a>
      </p>
    </Sheet>,
  );
};
