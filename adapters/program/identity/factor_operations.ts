/** Second factors from the command line: whoever is signed in there sees them and sets up one-time codes. */
import { z } from "zod";
import { Refused } from "../../cli/runtime.ts";
import type { OwnSession, Wait } from "../../http/identity/port.ts";
import { retryAfter } from "../../http/rate.ts";
import type { Opened } from "../opened.ts";
import { type Operation, operation } from "../operation.ts";
import { HERE, TERMINAL } from "./operations.ts";
import { type Wired, wiredIn, wireIdentity } from "./wire.ts";

const refresh_token = z.string().min(1).max(512);
const code = z.string().min(1).max(64);

export const listFactors: Operation = operation({
  about: "The second factors of who is signed in at this terminal.",
  input: z.strictObject({ refresh_token }),
  run(opened, { input }) {
    const { identity, own } = signedIn(opened, input.refresh_token);
    return Promise.resolve({ factors: identity.factors(own.account) });
  },
});

/** It counts once `confirm-factor` was shown a code of it. */
export const beginFactor: Operation = operation({
  about: "Begins to set up one-time codes, for who shows the password again, and a code where there is one to show.",
  input: z.strictObject({ refresh_token, password: z.string().min(1).max(4_096), code: code.optional() }),
  async run(opened, { input }) {
    const { identity, own } = signedIn(opened, input.refresh_token);
    if (!identity.isFresh(own)) {
      if (input.code === undefined) {
        throw new Refused("factor_wanted", "Repeat it with --code and a code of your second factor");
      }
      const proof = await identity.prove(own, input.code, TERMINAL);
      if (proof.is === "wait") throw later(proof);
      if (proof.is === "refused") throw new Refused("code_refused", "This code does not fit, or was taken already");
    }
    const begun = await identity.enroll(own, input.password, TERMINAL);
    if (begun.is === "wait") throw later(begun);
    if (begun.is === "refused") {
      throw new Refused("signin_refused", "The password is another one, or the account takes none now");
    }
    const { factor, secret, uri } = begun;
    return { factor, secret, uri };
  },
});

export const confirmFactor: Operation = operation({
  about: "Shows the first code; from then on one is asked for. The answer has backup codes, shown once.",
  input: z.strictObject({ refresh_token, factor: z.string().min(1).max(64), code }),
  async run(opened, { input: { refresh_token, factor, code } }) {
    const { identity, own } = signedIn(opened, refresh_token);
    if (!identity.isFresh(own)) {
      throw new Refused("factor_wanted", "Begin again: deno task daybook factors add --code …");
    }
    const proof = await identity.confirm(own, { factor, code: code.replace(/\s/g, "") }, TERMINAL);
    if (proof.is === "wait") throw later(proof);
    if (proof.is === "refused") throw new Refused("code_refused", "This code does not fit; is the clock right?");
    return { codes: proof.codes ?? [] };
  },
});

const signedIn = (opened: Opened, token: string): Pick<Wired, "identity"> & { readonly own: OwnSession } => {
  const { identity, sessions } = wiredIn(opened) ?? wireIdentity(opened, HERE);
  const own = sessions.ownOf(token);
  if (!own) throw new Refused("login_wanted", "Sign in first: deno task daybook login");
  return { identity, own };
};

const later = ({ ms }: Wait): Refused =>
  new Refused("too_often", `Tried too often; again in ${retryAfter(ms)["retry-after"]} s`);
