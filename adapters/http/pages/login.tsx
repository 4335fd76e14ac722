/** `/login` and `/logout`: a token in, a session cookie out; the token itself stays in no page and no browser. */
import { COOKIE, cookieOf } from "../access.ts";
import { callerOf } from "../addresses.ts";
import { readBody, textOf } from "../body.ts";
import { parseMedia, refuseCoding } from "../media.ts";
import { Problem } from "../problem.ts";
import { parameters } from "../query.ts";
import { deniedTooOften } from "../too_many.ts";
import type { Exchange } from "../route.ts";
import { Page, page } from "./layout.tsx";

const Login = ({ next, wrong }: { readonly next: string; readonly wrong?: string | undefined }) => (
  <Page title="Sign in · Daybook">
    <main class="login">
      <section>
        <h1>Daybook</h1>
        <p>Sign in with a token.</p>
        <form method="post" action="/login">
          <label for="token">Token</label>
          <input
            id="token"
            name="token"
            type="password"
            required
            autofocus
            autocomplete="current-password"
            spellcheck={false}
            aria-describedby={wrong ? "wrong" : undefined}
          />
          <input type="hidden" name="next" value={next} />
          {wrong && <p class="wrong" id="wrong" role="alert">{wrong}</p>}
          <button type="submit">Sign in</button>
        </form>
        <p class="hint">
          Make one with <code>deno task token create</code>. The first is printed when Daybook first starts, or kept in
          {" "}
          <code>first-token</code> in its data folder.
        </p>
        <p class="hint">
          You have an account? <a href={`/sign-in?next=${encodeURIComponent(next)}`}>Sign in with its name</a>.
        </p>
      </section>
    </main>
  </Page>
);

/** Only a path of our own: `//host` and `/\host` would lead elsewhere. */
export const ownPath = (next: string | undefined): string =>
  next !== undefined && /^\/(?![/\\])[\x21-\x7e]*$/.test(next) ? next : "/";

export const loginPage = (exchange: Exchange): Response =>
  page(exchange, 200, <Login next={ownPath(parameters(exchange.query).next)} />);

export const login = async (exchange: Exchange): Promise<Response> => {
  const { request, site, way } = exchange;
  refuseCoding(request.headers);
  if (parseMedia(request.headers.get("content-type") ?? "")?.essence !== "application/x-www-form-urlencoded") {
    throw new Problem("unsupported_media_type", "Send the form as application/x-www-form-urlencoded.", {
      headers: { "accept-post": "application/x-www-form-urlencoded" },
    });
  }
  const body = await readBody(exchange, FORM_BYTES_MAX);
  const { token = "", next } = parameters(textOf(body));
  const wait = site.refusals.wait(callerOf(way.client()), exchange.began);
  if (wait > 0) throw deniedTooOften(site.refusals, wait);
  const cookie = site.access.login(token.trim());
  if (cookie === undefined) {
    site.refusals.take(callerOf(way.client()), exchange.began);
    return page(exchange, 401, <Login next={ownPath(next)} wrong="This token is not valid, or no longer." />);
  }
  return away(exchange, ownPath(next), cookieHeader(cookie));
};

const FORM_BYTES_MAX = 8_192;

export const logout = (exchange: Exchange): Response => {
  const cookie = cookieOf(exchange.request.headers.get("cookie"));
  // Who signed in to an account signs out there, with a form that is this session's own.
  if (cookie && exchange.site.access.session(cookie)?.own) return away(exchange, "/account");
  if (cookie) exchange.site.access.logout(cookie);
  return away(exchange, "/login", `${cookieHeader("")}; Max-Age=0`);
};

/**
 * RFC 6265bis section 4.1.2.7: `Strict` sends it with our own pages' requests alone. `Secure` without TLS, too: browsers take it from this
 * machine (0169), and from no other. The session itself knows when it ends.
 */
export const cookieHeader = (value: string): string => `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Secure`;

export const away = (exchange: Pick<Exchange, "id">, location: string, cookie?: string): Response =>
  new Response(null, {
    status: 303,
    headers: {
      location,
      "cache-control": "no-store",
      "x-request-id": exchange.id,
      ...(cookie !== undefined && { "set-cookie": cookie }),
    },
  });

/** Where who has no session is sent when asking for a page. */
export const toLogin = (id: string, target: string): Response =>
  away({ id }, target === "/" ? "/login" : `/login?next=${encodeURIComponent(target)}`);
