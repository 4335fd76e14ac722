/**
 * What the command line asks about who stands before it: signing a terminal in through the server that has the folder, and a second
 * factor before what cannot be undone.
 */
import { z } from "zod";
import { isPrivileged, wantsSecond } from "../../../actors/identity/account.ts";
import { Refused } from "../../cli/runtime.ts";
import type { From } from "../../http/identity/port.ts";
import { retryAfter } from "../../http/rate.ts";
import { CedarAuthority } from "../access/authority.ts";
import { shippedModel } from "../access/model.ts";
import { type Operation, operation } from "../operation.ts";
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
 * Before what cannot be undone: once an account with privileges has a second factor, whoever stands here is signed in to such a one and
 * shows a code of it. `{ "wanted": false }` where there is none.
 */
export const showFactor: Operation = operation({
  about: "Shows a second factor, where accounts want one.",
  input: z.strictObject({ refresh_token: refresh_token.optional(), code: z.string().min(1).max(64).optional() }),
  async run(opened, { input }) {
    const { identity, sessions, states } = wiredIn(opened) ?? wireIdentity(opened, HERE);
    const wanted = opened.keys.accounts.all().some((account) => {
      const state = states.of(account);
      return state.is === "active" && isPrivileged(state) && wantsSecond(state);
    });
    if (!wanted) return { wanted };
    const own = input.refresh_token === undefined ? undefined : sessions.ownOf(input.refresh_token);
    if (!own) throw new Refused("login_wanted", "Sign in first: daybook login");
    if (!sessions.isPrivileged(own)) {
      throw new Refused(
        "not_privileged",
        "This wants an account with privileges that was signed in with a second factor",
      );
    }
    // Who has passkeys alone has none to type: it was shown where the terminal was allowed.
    const types = states.of(own.account).factors.some(({ kind }) => kind === "totp");
    if (input.code === undefined && !types && identity.isFresh(own)) return { wanted, account: own.account };
    if (input.code === undefined) {
      throw new Refused(
        "factor_wanted",
        "This cannot be undone: repeat it with --code and a code of your second factor",
      );
    }
    const proof = await identity.prove(own, input.code, TERMINAL);
    if (proof.is === "wait") throw later(proof.ms);
    if (proof.is === "refused") throw new Refused("code_refused", "This code does not fit, or was taken already");
    return { wanted, account: own.account };
  },
});

/** Where no server runs nobody is sent anywhere. */
export const model = shippedModel();
export const HERE = { pages: false, url: () => "", model, authority: new CedarAuthority(model) };
