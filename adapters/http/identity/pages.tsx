/** Pages of an account: signing in, choosing a password, one's sessions. Plain forms; they work without scripts. */
import { z } from "zod";
import { cookieOf } from "../access.ts";
import { Page, page } from "../pages/layout.tsx";
import { parameters } from "../query.ts";
import { away, cookieHeader, ownPath } from "../pages/login.tsx";
import type { Exchange, Route } from "../route.ts";
import type {
  Identity,
  Notice,
  OwnSession,
  PasskeyAsking,
  PasswordSet,
  SessionShown,
  SignedIn,
  SignOnPort,
} from "./port.ts";
import { Code } from "./factor_pages.tsx";
import { Lately } from "./notices.tsx";
import { Csrf, minute, PasskeyForm, Secret, Sheet, Wrong } from "./page_parts.tsx";
import { siteOf } from "./passkey_bodies.ts";
import { checkCsrf, done, field, formOf, fromOf, ownOf, waitedPage } from "./requests.ts";

// No name has blanks; keyboards of telephones put one behind what they complete.
const signInForm = z.strictObject({ name: field.trim(), password: field, next: field.optional() });
const secondForm = z.strictObject({ ticket: field, code: field, next: field.optional() });
const welcomeForm = z.strictObject({ code: field, password: field, again: field });
const passwordForm = z.strictObject({ csrf: field, current: field, password: field, again: field });
const endForm = z.strictObject({ csrf: field, session: field.optional() });

export const accountPages = (identity: Identity, { length_min }: { readonly length_min: number }): readonly Route[] => [
  {
    method: "GET",
    path: "/sign-in",
    action: "signin.use",
    about: "The form to sign in to an account with.",
    handle: (exchange) => signInPage(exchange, identity, { next: parameters(exchange.query).next }),
  },
  {
    method: "POST",
    path: "/sign-in",
    action: "signin.use",
    about: "A session for a name and a password, as a cookie.",
    handle: (exchange) => signIn(exchange, identity),
  },
  {
    method: "POST",
    path: "/sign-in/second",
    action: "signin.use",
    about: "The code that was asked for after the password.",
    handle: (exchange) => secondStep(exchange, identity),
  },
  {
    method: "GET",
    path: "/welcome",
    action: "signin.use",
    about: "The form to choose a password with, for who has a code.",
    handle(exchange) {
      const code = (parameters(exchange.query).code ?? "").trim();
      return page(
        exchange,
        200,
        <Welcome code={code} least={length_min} wrong={identity.countsAsCode(code) ? undefined : NO_CODE} />,
      );
    },
  },
  {
    method: "POST",
    path: "/welcome",
    action: "signin.use",
    about: "Sets a password with a code.",
    handle: (exchange) => welcome(exchange, identity, length_min),
  },
  {
    method: "GET",
    path: "/account",
    action: "account.use",
    page: true,
    about: "One's own account: sessions and password.",
    handle: (exchange) => account(exchange, identity, { least: length_min }),
  },
  {
    method: "POST",
    path: "/account/password",
    action: "account.use",
    page: true,
    csrf: "form",
    about: "Changes one's password.",
    handle: (exchange) => changePassword(exchange, identity, length_min),
  },
  {
    method: "POST",
    path: "/account/sessions",
    action: "account.use",
    page: true,
    csrf: "form",
    about: "Ends one of one's sessions, or every other.",
    handle: (exchange) => endSession(exchange, identity),
  },
  {
    method: "POST",
    path: "/account/sign-out",
    action: "account.use",
    page: true,
    proves: true,
    csrf: "form",
    about: "Signs out.",
    handle: (exchange) => signOut(exchange, identity),
  },
];

/** What a page asks of who has a passkey; nothing where the server is reached by an address. */
const passkeyOf = (exchange: Exchange, { passkeys }: Identity): PasskeyAsking | undefined => {
  const site = siteOf(exchange);
  return site && passkeys.asking(site);
};
const passkeyFor = (step: string, exchange: Exchange, { passkeys }: Identity): PasskeyAsking | undefined => {
  const site = siteOf(exchange);
  return site && passkeys.askingSecond(step, site);
};

const NO_CODE = "This code does not count, or no longer. Ask for another.";
const WRONG = "Name and password do not go together, or the account takes none now.";

const SignIn = ({ next, name = "", wrong, passkey, providers }: {
  readonly next: string;
  readonly name?: string;
  readonly wrong?: string;
  readonly passkey: PasskeyAsking | undefined;
  readonly providers: SignOnPort["providers"];
}) => (
  <Sheet title="Sign in" asks={passkey !== undefined}>
    <form method="post" action="/sign-in">
      <label for="name">Account</label>
      <input
        id="name"
        name="name"
        type="text"
        required
        autofocus={name === ""}
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        value={name}
        maxlength={255}
      />
      <Secret id="password" label="Password" focus={name !== ""} />
      <input type="hidden" name="next" value={next} />
      <Wrong says={wrong} />
      <button type="submit">Sign in</button>
    </form>
    {passkey && (
      <PasskeyForm action="/sign-in/passkey" asking={passkey} label="Sign in with a passkey">
        <input type="hidden" name="next" value={next} />
      </PasskeyForm>
    )}
    {providers.map(({ name, title, protocol }) => (
      <p>
        <a href={`/sign-in/${protocol}/${name}?next=${encodeURIComponent(next)}`}>Sign in with {title}</a>
      </p>
    ))}
    <p class="hint">
      You have a token instead? <a href="/login">Sign in with a token</a>.
    </p>
  </Sheet>
);

/** With every way in that there is. */
export const signInPage = (
  exchange: Exchange,
  identity: Identity,
  { status = 200, next, name, wrong }: {
    readonly status?: number;
    readonly next: string | undefined;
    readonly name?: string;
    readonly wrong?: string;
  },
): Response =>
  page(
    exchange,
    status,
    <SignIn
      next={ownPath(next)}
      name={name}
      wrong={wrong}
      passkey={passkeyOf(exchange, identity)}
      providers={identity.signOn.providers}
    />,
  );

const signIn = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const { name, password, next } = await formOf(exchange, signInForm);
  const again = (status: number, wrong: string) =>
    signInPage(exchange, identity, { status, next, name: name.slice(0, 255), wrong });
  if (name === "" || password === "") return again(401, WRONG);
  const signed = await identity.signIn({ name, password, kind: "browser" }, fromOf(exchange));
  return await entered(exchange, identity, { signed, next, again });
};

const secondStep = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const { ticket, code, next } = await formOf(exchange, secondForm);
  const again = (status: number, wrong: string) =>
    page(
      exchange,
      status,
      <SecondStep
        ticket={ticket}
        next={ownPath(next)}
        wrong={wrong}
        passkey={passkeyFor(ticket, exchange, identity)}
      />,
    );
  const signed = await identity.second({ ticket, code }, fromOf(exchange));
  if (signed.is === "refused") return again(401, "This code does not fit, was taken already, or came too late.");
  return await entered(exchange, identity, { signed, next, again });
};

interface Step {
  readonly signed: SignedIn;
  readonly next: string | undefined;
  readonly again: (status: number, wrong: string) => Response;
}

/** What comes after a step of signing in. */
export const entered = async (
  exchange: Exchange,
  identity: Identity,
  { signed, next, again }: Step,
): Promise<Response> => {
  switch (signed.is) {
    case "in_page": {
      // A session begins under a name of its own, whatever cookie came along; what that one stood for ends.
      await leave(exchange, identity);
      return away(exchange, ownPath(next), cookieHeader(signed.cookie));
    }
    case "password_wanted":
      return away(exchange, `/welcome?code=${encodeURIComponent(signed.code)}`);
    case "factor_wanted":
      return page(
        exchange,
        200,
        <SecondStep
          ticket={signed.ticket}
          next={ownPath(next)}
          passkey={passkeyFor(signed.ticket, exchange, identity)}
        />,
      );
    case "wait":
      return waitedPage(signed, again);
    case "in":
    case "refused":
      return again(401, WRONG);
  }
};

const leave = async ({ request, site: { access } }: Exchange, identity: Identity): Promise<void> => {
  const cookie = cookieOf(request.headers.get("cookie"));
  const before = cookie === undefined ? undefined : access.session(cookie);
  if (!before) return;
  if (before.own) done(await identity.end(before.own, before.own.session));
  else access.logout(cookie!);
};

export const SecondStep = ({ ticket, next, wrong, passkey }: {
  readonly ticket: string;
  readonly next: string;
  readonly wrong?: string;
  readonly passkey: PasskeyAsking | undefined;
}) => (
  <Sheet title="Second factor" asks={passkey !== undefined}>
    {passkey && (
      <PasskeyForm action="/sign-in/second/passkey" asking={passkey} label="Use a passkey">
        <input type="hidden" name="step" value={ticket} />
        <input type="hidden" name="next" value={next} />
      </PasskeyForm>
    )}
    <p>The code that your authenticator shows, or one of your backup codes.</p>
    <form method="post" action="/sign-in/second">
      <input type="hidden" name="ticket" value={ticket} />
      <input type="hidden" name="next" value={next} />
      <Code focus />
      <Wrong says={wrong} />
      <button type="submit">Sign in</button>
    </form>
    <p class="hint">
      <a href="/sign-in">Begin again</a>
    </p>
  </Sheet>
);

const Welcome = (
  { code, least, wrong }: { readonly code: string; readonly least: number; readonly wrong: string | undefined },
) => (
  <Sheet title="Choose a password">
    <p>At least {least} characters; 15 or more is better. Anything goes: words, blanks, any script.</p>
    <form method="post" action="/welcome">
      <input type="hidden" name="code" value={code} />
      <Secret id="password" label="New password" fresh focus />
      <Secret id="again" label="Once more" fresh />
      <Wrong says={wrong} />
      <button type="submit">Set the password</button>
    </form>
  </Sheet>
);

const welcome = async (exchange: Exchange, identity: Identity, least: number): Promise<Response> => {
  const { code, password, again } = await formOf(exchange, welcomeForm);
  const wrong = (status: number, says: string) =>
    page(exchange, status, <Welcome code={code} least={least} wrong={says} />);
  // deno-lint-ignore daybook/secret-comparison -- the same person has typed both
  if (password !== again) return wrong(422, "The two are not the same.");
  const set = await identity.choosePassword(code, password, fromOf(exchange));
  if (set.is === "set") return away(exchange, "/sign-in");
  return unset(set, NO_CODE, wrong);
};

const unset = (
  set: Exclude<PasswordSet, { is: "set" }>,
  refused: string,
  show: (status: number, says: string) => Response | Promise<Response>,
): Response | Promise<Response> => {
  if (set.is === "wait") return waitedPage(set, show);
  return set.is === "weak" ? show(422, `The password ${set.because}.`) : show(401, refused);
};

const KINDS = { browser: "Browser", program: "Program", terminal: "Command line" } as const;

const SessionRow = (
  { of, own, csrf }: { readonly of: SessionShown; readonly own: OwnSession; readonly csrf: string },
) => (
  <tr>
    <td>{KINDS[of.kind]}{of.session === own.session ? " (this one)" : ""}</td>
    <td data-label="Proven by">{of.factors.join(", ")}</td>
    <td data-label="Roles">{of.roles.join(", ") || "none"}</td>
    <td data-label="Ends, unless used,">{minute(of.idle_until)}</td>
    <td>
      {of.session !== own.session && (
        <form method="post" action="/account/sessions">
          <Csrf token={csrf} />
          <input type="hidden" name="session" value={of.session} />
          <button type="submit" aria-label={`End the session of ${KINDS[of.kind]} until ${minute(of.until)}`}>
            End
          </button>
        </form>
      )}
    </td>
  </tr>
);

const Account = ({ own, sessions, notices, csrf, least, password, wrong, said }: AccountProps) => (
  <Page title="Account · Daybook">
    <header>
      <h1>
        <a href="/">Daybook</a>
      </h1>
      <nav>
        <form method="post" action="/account/sign-out">
          <Csrf token={csrf} />
          <button type="submit">Sign out</button>
        </form>
      </nav>
    </header>
    <main class="account">
      <Lately notices={notices} />
      <section>
        <h2>Sessions</h2>
        {said && <p role="status">{said}</p>}
        <div class="wide">
          <table class="sessions">
            <thead>
              <tr>
                <th>Where</th>
                <th>Proven by</th>
                <th>Roles</th>
                <th>Ends, unless used</th>
                <th>End it</th>
              </tr>
            </thead>
            <tbody>{sessions.map((of) => <SessionRow key={of.session} of={of} own={own} csrf={csrf} />)}</tbody>
          </table>
        </div>
        <form method="post" action="/account/sessions">
          <Csrf token={csrf} />
          <button type="submit">Sign out everywhere else</button>
        </form>
      </section>
      <section>
        <h2>Password</h2>
        {!password && <p>You have none; an administrator can invite you to set one.</p>}
        {password && <p>At least {least} characters; 15 or more is better. Every other session ends.</p>}
        {password && (
          <form class="fields" method="post" action="/account/password">
            <Csrf token={csrf} />
            <Secret id="current" label="Current password" />
            <Secret id="password" label="New password" fresh />
            <Secret id="again" label="Once more" fresh />
            <Wrong says={wrong} />
            <button type="submit">Change the password</button>
          </form>
        )}
        <p>
          <a href="/account/factors">Second factors</a>
        </p>
        <p class="hint">
          <a href="/account/keys">Keys of programs</a>
        </p>
        <p>
          <a href="/account/links">Signing in elsewhere</a>
        </p>
        <p class="hint mono">{own.account}</p>
      </section>
    </main>
  </Page>
);

interface AccountProps {
  readonly own: OwnSession;
  /** Whether there is one to change. */
  readonly password: boolean;
  readonly sessions: readonly SessionShown[];
  readonly notices: readonly Notice[];
  readonly csrf: string;
  readonly least: number;
  readonly wrong?: string;
  readonly said?: string;
}

const account = (
  exchange: Exchange,
  identity: Identity,
  { status = 200, ...more }: {
    readonly least: number;
    readonly status?: number;
    readonly wrong?: string;
    readonly said?: string;
  },
): Response => {
  const own = ownOf(exchange);
  return page(
    exchange,
    status,
    <Account
      own={own}
      sessions={identity.sessions(own.account)}
      notices={identity.notices(own)}
      csrf={identity.csrf(own)}
      password={identity.hasPassword(own.account)}
      {...more}
    />,
  );
};

const changePassword = async (exchange: Exchange, identity: Identity, least: number): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf, current, password, again } = await formOf(exchange, passwordForm);
  checkCsrf(identity, own, csrf);
  // deno-lint-ignore daybook/secret-comparison -- the same person has typed both
  if (password !== again) {
    return account(exchange, identity, { least, status: 422, wrong: "The two are not the same." });
  }
  const set = await identity.changePassword(own, { current, next: password }, fromOf(exchange));
  if (set.is === "set") {
    return account(exchange, identity, { least, said: "The password was changed. Every other session has ended." });
  }
  return unset(
    set,
    "The current password is another one, or the account takes none now.",
    (status, wrong) => account(exchange, identity, { least, status, wrong }),
  );
};

const endSession = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf, session } = await formOf(exchange, endForm);
  checkCsrf(identity, own, csrf);
  if (session === undefined) done(await identity.endAll(own, { keep: true }));
  else if (identity.sessions(own.account).some((each) => each.session === session)) {
    done(await identity.end(own, session));
  }
  return away(exchange, "/account");
};

const signOut = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf } = await formOf(exchange, endForm);
  checkCsrf(identity, own, csrf);
  done(await identity.end(own, own.session));
  return away(exchange, "/sign-in", `${cookieHeader("")}; Max-Age=0`);
};
