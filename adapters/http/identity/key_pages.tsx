/** `/account/keys`: the page on which somebody makes, replaces and revokes keys of their programs. */
import { z } from "zod";
import type { Outcome } from "../../../actors/kernel/daybook.ts";
import { SCOPES } from "../../../events/scopes.ts";
import { page } from "../pages/layout.tsx";
import { Problem } from "../problem.ts";
import type { Exchange, Route } from "../route.ts";
import { freshOf } from "./factors.ts";
import { newKeyBody, type OwnKeys } from "./keys.ts";
import { Csrf, minute, Sheet, Wrong } from "./page_parts.tsx";
import type { Identity, KeyMade, KeyShown } from "./port.ts";
import { checkCsrf, done, field, formOf, ownOf } from "./requests.ts";

const newForm = z.strictObject({
  csrf: field,
  name: field,
  days: z.coerce.number(),
  ...Object.fromEntries(SCOPES.map((scope) => [scope, z.literal("on").optional()])),
});
const keyForm = z.strictObject({ csrf: field, key: field });

export const keyPages = (identity: Identity, own: OwnKeys): readonly Route[] => {
  const post = (path: string, about: string, handle: Route["handle"]): Route => ({
    method: "POST",
    path,
    action: "account.use",
    page: true,
    csrf: "form",
    about,
    handle,
  });
  return [
    {
      method: "GET",
      path: "/account/keys",
      action: "account.use",
      page: true,
      about: "Keys of one's programs.",
      handle: (exchange) => keys(exchange, identity),
    },
    post("/account/keys", "Makes a key.", (exchange) => make(exchange, identity, own)),
    post("/account/keys/rotate", "Replaces a key.", (exchange) => rotate(exchange, identity, own)),
    post("/account/keys/revoke", "Revokes a key.", (exchange) => revoke(exchange, identity)),
  ];
};

const DAYS = 90;

const Held = ({ of: { key, prefix, name, scopes, until, used, by }, csrf }: {
  readonly of: KeyShown;
  readonly csrf: string;
}) => (
  <li>
    {name} <code>{prefix}…</code>
    <small>
      {scopes.join(", ")}
      {by === undefined ? "" : ", replaced"}, until {until === undefined ? "it is revoked" : minute(until)},{" "}
      {used === undefined ? "never used" : `last used ${minute(used)}`}
    </small>
    {by === undefined && (
      <form method="post" action="/account/keys/rotate">
        <Csrf token={csrf} />
        <input type="hidden" name="key" value={key} />
        <button type="submit">Replace</button>
      </form>
    )}
    <form method="post" action="/account/keys/revoke">
      <Csrf token={csrf} />
      <input type="hidden" name="key" value={key} />
      <button type="submit">Revoke</button>
    </form>
  </li>
);

/** What was typed, which stands there again where it was refused. */
interface Typed {
  readonly name: string;
  readonly days: number;
  readonly scopes: readonly string[];
}
const NOTHING: Typed = { name: "", days: DAYS, scopes: [] };

const Keys = ({ held, csrf, wrong, typed }: {
  readonly held: readonly KeyShown[];
  readonly csrf: string;
  readonly wrong: string | undefined;
  readonly typed: Typed;
}) => (
  <Sheet title="Keys" leave={csrf}>
    {held.length === 0 ? <p>There is none.</p> : <ul>{held.map((of) => <Held key={of.key} of={of} csrf={csrf} />)}</ul>}
    <Wrong says={wrong} />
    <form method="post" action="/account/keys">
      <p>A key lets a program do what you may, within its scopes.</p>
      <Csrf token={csrf} />
      <label for="name">What it is for</label>
      <input id="name" name="name" type="text" required maxlength={100} value={typed.name} />
      <fieldset>
        <legend>Scopes</legend>
        {SCOPES.map((scope) => (
          <label>
            <input type="checkbox" name={scope} checked={typed.scopes.includes(scope)} /> {scope}
          </label>
        ))}
      </fieldset>
      <label for="days">Days</label>
      <input id="days" name="days" type="number" min={1} max={366} value={typed.days} required />
      <button type="submit">Make a key</button>
    </form>
    <p class="hint">
      <a href="/account">Back to the account</a>
    </p>
  </Sheet>
);

const Made = ({ of: { token, until }, csrf }: { readonly of: KeyMade; readonly csrf: string }) => (
  <Sheet title="A key" leave={csrf}>
    <p>It is not shown again; it counts until {minute(until)}.</p>
    <p class="mono" id="key">{token}</p>
    <p class="hint">
      <a href="/account/keys">Back to the keys</a>
    </p>
  </Sheet>
);

interface Told {
  readonly status: number;
  readonly wrong: string;
  readonly typed?: Typed;
}

const keys = (exchange: Exchange, identity: Identity, told?: Told): Response => {
  const own = ownOf(exchange);
  const { status = 200, wrong, typed = NOTHING } = told ?? {};
  const held = identity.apiKeys(own.account);
  return page(exchange, status, <Keys held={held} csrf={identity.csrf(own)} wrong={wrong} typed={typed} />);
};

const shown = (exchange: Exchange, identity: Identity, outcome: KeyMade | Outcome): Response => {
  if (outcome.is === "made") {
    return page(exchange, 201, <Made of={outcome} csrf={identity.csrf(ownOf(exchange))} />);
  }
  if (outcome.is === "rejected") return keys(exchange, identity, { status: 409, wrong: `${outcome.because}.` });
  throw done(outcome);
};

const make = async (exchange: Exchange, identity: Identity, ownKeys: OwnKeys): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, name, days, ...ticked } = await formOf(exchange, newForm);
  checkCsrf(identity, own, csrf);
  const typed = { name, days, scopes: Object.keys(ticked) };
  const parsed = newKeyBody.safeParse(typed);
  if (!parsed.success) return keys(exchange, identity, { status: 400, wrong: wantedOf(parsed.error), typed });
  const issue = async () => shown(exchange, identity, await ownKeys.issue(exchange, parsed.data));
  return await orTold(exchange, identity, { work: issue, typed });
};

const WANTED = {
  name: "Say what it is for, in at most 100 characters that can all be seen.",
  scopes: "Tick at least one scope.",
  days: "Say for how many days, 1 to 366.",
} as const;

const wantedOf = ({ issues }: z.ZodError): string =>
  Object.entries(WANTED).filter(([field]) => issues.some(({ path }) => path[0] === field)).map(([, says]) => says)
    .join(" ");

const rotate = async (exchange: Exchange, identity: Identity, ownKeys: OwnKeys): Promise<Response> => {
  const own = freshOf(exchange, identity);
  const { csrf, key } = await formOf(exchange, keyForm);
  checkCsrf(identity, own, csrf);
  const work = async () => shown(exchange, identity, await ownKeys.rotate(exchange, key));
  return await orTold(exchange, identity, { work });
};

const revoke = async (exchange: Exchange, identity: Identity): Promise<Response> => {
  const own = ownOf(exchange);
  const { csrf, key } = await formOf(exchange, keyForm);
  checkCsrf(identity, own, csrf);
  done(await identity.revokeKeyOf(own.account, key, "asked", exchange.grant!.principal));
  return keys(exchange, identity);
};

/** What one may not is told on the page. */
const orTold = async (
  exchange: Exchange,
  identity: Identity,
  { work, typed }: { readonly work: () => Promise<Response>; readonly typed?: Typed },
): Promise<Response> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "forbidden") throw error;
    return keys(exchange, identity, { status: 403, wrong: error.detail, ...(typed && { typed }) });
  }
};
