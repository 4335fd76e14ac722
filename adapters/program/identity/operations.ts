/**
 * What the command line asks about who stands before it: signing a terminal in through the server that has the folder, and a second
 * factor before what cannot be undone.
 */
import { z } from "zod";
import { type Account, wantsSecond } from "../../../actors/identity/account.ts";
import { Refused } from "../../cli/runtime.ts";
import type { From, Identity, OwnSession, Proof } from "../../http/identity/port.ts";
import { retryAfter } from "../../http/rate.ts";
import { CedarAuthority } from "../access/authority.ts";
import { shippedModel } from "../access/model.ts";
import { type Operation, operation } from "../operation.ts";
import { yielding } from "../yielding.ts";
import { askingOf } from "./asking.ts";
import { CODE_WANTED, FACTOR_MISSING, notShown, PASSWORD_WANTED } from "./asking_told.ts";
import { wiredIn, wireIdentity } from "./wire.ts";

/** Who has the folder's socket stands at the machine itself. */
export const TERMINAL: From = { agent: "daybook on the command line" };

const refresh_token = z.string().min(1).max(512);
const later = (ms: number): Refused =>
  new Refused("too_often", `Tried too often; again in ${retryAfter(ms)["retry-after"]} s`);

export const beginLogin: Operation = operation({
  about: "A terminal asks to be signed in by somebody who is signed in elsewhere.",
  input: z.strictObject({}),
  run(opened) {
    const wired = wiredIn(opened);
    if (!wired) throw new Refused("no_server", "Nobody can sign a terminal in where no server runs; start one first");
    const begun = wired.identity.device(TERMINAL);
    if (begun.is === "wait") throw later(begun.ms);
    const { is: _, ...device } = begun;
    return Promise.resolve({ ...device, verification_uri: `${wired.url()}/device` });
  },
});

/** `{ "is": "pending" }`, or the session with the refresh token that stands for it. */
export const pollLogin: Operation = operation({
  about: "Whether somebody has allowed the terminal.",
  input: z.strictObject({ device_code: z.string().min(1).max(512) }),
  async run(opened, { input }) {
    const polled = await wiredIn(opened)?.identity.pollDevice(input.device_code);
    if (!polled || polled.is === "refused") {
      throw new Refused("device_refused", "It was refused, or nobody answered in time");
    }
    if (polled.is !== "in") return { is: "pending" };
    const { account, session, tokens: { refresh_token } } = polled;
    return { is: "in", account, session, refresh_token };
  },
});

export const endLogin: Operation = operation({
  about: "Ends the session of a terminal.",
  input: z.strictObject({ refresh_token }),
  async run(opened, { input }) {
    const { identity, sessions } = wiredIn(opened) ?? wireIdentity(opened, HERE);
    const own = sessions.ownOf(input.refresh_token);
    if (own) await identity.end(own, own.session);
    return { ended: own !== undefined };
  },
});

/**
 * Before what cannot be undone: once there are accounts that may do it, whoever stands here is signed in to one of them and shows what it
 * has: a code of its second factor, or the password where none of them has set one up. `{ "wanted": false }` where there is nobody to ask.
 */
export const showFactor: Operation = operation({
  about: "Shows a second factor, or the password, where accounts want it.",
  input: z.strictObject({
    refresh_token: refresh_token.optional(),
    code: z.string().min(1).max(64).optional(),
    password: z.string().min(1).max(4_096).optional(),
  }),
  async run(opened, { input }) {
    const { identity, sessions, states } = wiredIn(opened) ?? wireIdentity(opened, HERE);
    const all: (readonly [string, Account])[] = [];
    const turn = yielding();
    for (const account of opened.keys.accounts.all()) {
      all.push([account, states.of(account)]);
      await turn();
    }
    const { wanted, accounts } = await askingOf(all, opened.daybook.log);
    if (wanted === "nothing") return { wanted: false };
    const own = input.refresh_token === undefined ? undefined : sessions.ownOf(input.refresh_token);
    if (!own) throw new Refused("login_wanted", "Sign in first: deno task daybook login");
    const state = accounts.get(own.account);
    if (!state) throw new Refused("not_privileged", "This wants an account that may do it; sign in to such a one");
    const proof = wanted === "password"
      ? await showPassword(identity, own, input.password)
      : await showSecond(identity, own, { state, code: input.code });
    if (proof.is === "wait") throw later(proof.ms);
    if (proof.is === "refused") throw notShown(wanted);
    return { wanted: true, account: own.account };
  },
});

const showSecond = async (
  identity: Identity,
  own: OwnSession,
  { state, code }: { readonly state: Account; readonly code: string | undefined },
): Promise<Proof> => {
  if (code !== undefined) return await identity.prove(own, code, TERMINAL);
  // Who has passkeys alone has none to type: it was shown where the terminal was allowed.
  const types = state.factors.some(({ kind }) => kind === "totp");
  if (wantsSecond(state) && !types && identity.isFresh(own)) return { is: "proven" };
  throw new Refused("factor_wanted", wantsSecond(state) ? CODE_WANTED : FACTOR_MISSING);
};

const showPassword = async (
  identity: Identity,
  own: OwnSession,
  password: string | undefined,
): Promise<Proof> => {
  if (password === undefined) throw new Refused("password_wanted", PASSWORD_WANTED);
  const shown = await identity.showPassword(own, password, TERMINAL);
  return shown === "right" ? { is: "proven" } : shown === "refused" ? { is: "refused" } : shown;
};

/** Where no server runs nobody is sent anywhere. */
const model = shippedModel();
export const HERE = { pages: false, url: () => "", model, authority: new CedarAuthority(model) };
