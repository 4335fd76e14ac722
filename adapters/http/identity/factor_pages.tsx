/** Pages of second factors: the code at sign-in, setting one up, backup codes. */
import { raw } from "hono/html";
import { z } from "zod";
import { visible } from "../../../events/visible.ts";
import { page } from "../pages/layout.tsx";
import type { Exchange, Route } from "../route.ts";
import { freshOf } from "./factors.ts";
import { Csrf, PasskeyForm, Secret, Sheet, Wrong } from "./page_parts.tsx";
import { siteOf } from "./passkey_bodies.ts";
import type { Enrolling, FactorShown, Identity, OwnSession, PasskeyAsking } from "./port.ts";
import { checkCsrf, done, field, formOf, fromOf, ownOf, waitedPage } from "./requests.ts";

const enrollForm = z.strictObject({ csrf: field, current: field });
const confirmForm = z.strictObject({ csrf: field, factor: field, secret: field, code: field });
const codeForm = z.strictObject({ csrf: field, code: field });
const removeForm = z.strictObject({ csrf: field, factor: field });

export const factorPages = (identity: Identity): readonly Route[] => {
  const route = (path: string, about: string, handle: Route["handle"], proves?: true): Route => ({
    method: "POST",
    path,
    action: "account.use",
    page: true,
    csrf: "form",
    ...(proves && { proves }),
    about,
    handle,
  });
  return [
    {
      method: "GET",
      path: "/account/factors",
      action: "account.use",
      page: true,
      proves: true,
      about: "One's second factors.",
      handle: (exchange) => factors(exchange, identity),
    },
    route("/account/factors/totp", "Begins to set up one-time codes.", (exchange) => enroll(exchange, identity)),
    route("/account/factors/confirm", "Shows the first code.", (exchange) => confirm(exchange, identity)),
    route("/account/factors/verify", "Shows a code once more.", (exchange) => verify(exchange, identity), true),
    route("/account/factors/backup-codes", "New backup codes.", (exchange) => backupCodes(exchange, identity)),
    route("/account/factors/remove", "Takes a second factor away.", (exchange) => remove(exchange, identity)),
  ];
};

export const Code = ({ focus }: { readonly focus?: boolean }) => (
  <>
    <label for="code">Code</label>
    <input
      id="code"
      name="code"
      type="text"
      required
      autofocus={focus}
      autocomplete="one-time-code"
      autocapitalize="none"
      spellcheck={false}
      maxlength={64}
    />
  </>
);

const NAMES = { totp: "One-time codes", passkey: "Passkey", backup_codes: "Backup codes" } as const;

interface FactorsProps {
  readonly own: OwnSession;
  readonly held: readonly FactorShown[];
  readonly fresh: boolean;
  readonly csrf: string;
  readonly wrong?: string;
  /** To show one, or to set one up; absent where there is none to show, or the server is reached by an address. */
  readonly passkey?: PasskeyAsking;
  readonly named: boolean;
  /** Whether it has a password, which is shown again to set something up. */
  readonly password: boolean;
}

const Held = ({ of: { factor, kind, left, label }, fresh, csrf }: {
  readonly of: FactorShown;
  readonly fresh: boolean;
  readonly csrf: string;
}) => (
  <li>
    <div>
      {label === undefined ? NAMES[kind] : `${visible(label)} (${NAMES[kind].toLowerCase()})`}
      {left === undefined ? "" : `, ${left} left`}
    </div>
    {kind === "passkey" && (
      <form method="post" action="/account/factors/rename">
        <Csrf token={csrf} />
        <input type="hidden" name="factor" value={factor} />
        <input name="label" type="text" required maxlength={64} aria-label="Another name" value={label ?? ""} />
        <button type="submit">Rename</button>
      </form>
    )}
    {fresh && kind !== "backup_codes" && (
      <form method="post" action="/account/factors/remove">
        <Csrf token={csrf} />
        <input type="hidden" name="factor" value={factor} />
        <button type="submit">Remove</button>
      </form>
    )}
  </li>
);

const Factors = ({ held, fresh, csrf, wrong, passkey, named, password }: FactorsProps) => (
  <Sheet title="Second factors" asks={passkey !== undefined} leave={csrf}>
    {held.length === 0 && (
      <p>There is none: whoever has your password is you. Roles with privileges count only with one.</p>
    )}
    {held.length > 0 && (
      <ul>
        {held.map((of) => <Held key={of.factor} of={of} fresh={fresh} csrf={csrf} />)}
      </ul>
    )}
    <Wrong says={wrong} />
    {!fresh && (
      <form method="post" action="/account/factors/verify">
        <p>To change anything here, show a code.</p>
        <Csrf token={csrf} />
        <Code focus />
        <button type="submit">Show it</button>
      </form>
    )}
    {!fresh && passkey && (
      <PasskeyForm action="/account/factors/verify-passkey" asking={passkey} label="Show a passkey">
        <Csrf token={csrf} />
      </PasskeyForm>
    )}
    {fresh && held.length > 0 && (
      <form method="post" action="/account/factors/backup-codes">
        <Csrf token={csrf} />
        <button type="submit">New backup codes</button>
      </form>
    )}
    {fresh && password && (
      <form method="post" action="/account/factors/totp">
        <Csrf token={csrf} />
        <Secret id="current" label="Your password" />
        <button type="submit">Set up one-time codes</button>
      </form>
    )}
    {fresh && passkey && (
      <PasskeyForm action="/account/factors/passkey" asking={passkey} label="Set up a passkey" creates>
        <Csrf token={csrf} />
        <label for="label">Name of the passkey</label>
        <input id="label" name="label" type="text" maxlength={64} placeholder="Laptop, key ring …" />
        {password && <Secret id="again" name="current" label="Your password, once more" />}
      </PasskeyForm>
    )}
    {!named && <p class="hint">Passkeys want a name: come by one, such as localhost, not by an address.</p>}
    <p class="hint">
      <a href="/account">Back to the account</a>
    </p>
  </Sheet>
);

export const factors = (exchange: Exchange, identity: Identity, status = 200, wrong?: string): Response => {
  const own = ownOf(exchange);
  const held = identity.factors(own.account);
  const fresh = identity.isFresh(own);
  const site = siteOf(exchange);
  const passkey = site && (fresh ? identity.passkeys.askingNew(own, site) : identity.passkeys.askingProof(own, site));
  const props = {
    own,
    held,
    fresh,
    csrf: identity.csrf(own),
    named: site !== undefined,
    password: identity.hasPassword(own.account),
    ...(passkey && { passkey }),
  };
  return page(exchange, status, <Factors {...props} {...(wrong === undefined ? {} : { wrong })} />);
};

type SetUp = Pick<Enrolling, "factor" | "secret"> & { readonly svg?: string };

const SetUpSheet = (
  { of: { factor, secret, svg }, csrf, wrong }: { readonly of: SetUp; readonly csrf: string; readonly wrong?: string },
) => (
  <Sheet title="One-time codes" leave={csrf}>
    {svg && <div class="qr" role="img" aria-label="QR code for an authenticator">{raw(svg)}</div>}
    <p>
      {svg ? "Open it with an authenticator, or type" : "Where your authenticator does not have it yet, type"}{" "}
      <code>{secret.match(/.{1,4}/g)!.join(" ")}</code>. Then show the first code.
    </p>
    <form method="post" action="/account/factors/confirm">
      <Csrf token={csrf} />
      <input type="hidden" name="factor" value={factor} />
      <input type="hidden" name="secret" value={secret} />
      <Code focus />
      <Wrong says={wrong} />
      <button type="submit">Set it up</button>
    </form>
  </Sheet>
);

const BackupCode = ({ code }: { readonly code: string }) => <li>{code}</li>;

export const Codes = ({ codes, csrf }: { readonly codes: readonly string[]; readonly csrf: string }) => (
  <Sheet title="Backup codes" leave={csrf}>
    <p>Each lets you in once where you have no authenticator. They are not shown again.</p>
    <ol class="mono">{codes.map((code) => <BackupCode key={code} code={code} />)}</ol>
    <p class="hint">
      <a href="/account">Back to the account</a>
    </p>
  </Sheet>
);

const enroll = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, current } = await formOf(exchange, enrollForm);
  checkCsrf(identity, own, csrf);
  const begun = await identity.enroll(own, current, fromOf(exchange));
  if (begun.is === "enrolling") return page(exchange, 200, <SetUpSheet of={begun} csrf={identity.csrf(own)} />);
  if (begun.is === "refused") {
    return factors(exchange, identity, 401, "The password is another one, or the account takes none now.");
  }
  return waitedPage(begun, (status, says) => factors(exchange, identity, status, says));
};

const confirm = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, factor, secret, code } = await formOf(exchange, confirmForm);
  checkCsrf(identity, own, csrf);
  const proof = await identity.confirm(own, { factor, code: code.replace(/\s/g, "") }, fromOf(exchange));
  if (proof.is === "proven") return page(exchange, 200, <Codes codes={proof.codes ?? []} csrf={identity.csrf(own)} />);
  const token = identity.csrf(own);
  const again = (status: number, wrong: string) =>
    page(exchange, status, <SetUpSheet of={{ factor, secret }} csrf={token} wrong={wrong} />);
  if (proof.is === "wait") return waitedPage(proof, again);
  return again(401, "This code does not fit. Is the clock of the device right?");
};

const verify = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf, code } = await formOf(exchange, codeForm);
  checkCsrf(identity, own, csrf);
  const proof = await identity.prove(own, code, fromOf(exchange));
  if (proof.is === "proven") return factors(exchange, identity);
  if (proof.is === "refused") return factors(exchange, identity, 401, "This code does not fit, or was taken already.");
  return waitedPage(proof, (status, says) => factors(exchange, identity, status, says));
};

const backupCodes = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf } = await formOf(exchange, z.strictObject({ csrf: field }));
  checkCsrf(identity, own, csrf);
  const proof = await identity.backupCodes(own);
  return proof.is === "proven"
    ? page(exchange, 200, <Codes codes={proof.codes ?? []} csrf={identity.csrf(own)} />)
    : factors(exchange, identity);
};

const remove = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, factor } = await formOf(exchange, removeForm);
  checkCsrf(identity, own, csrf);
  if (identity.factors(own.account).some((each) => each.factor === factor)) {
    done(await identity.removeFactor(own, factor));
  }
  return factors(exchange, identity);
};
