/**
 * Accounts at work: checks secrets, has the account decide, and hands out what a session needs.
 *
 * What is kept in the key database is there before the fact that names it, and counts only by that fact. So whatever instant the
 * process dies at, the log says what counts, and what it names is there.
 */
import { wantsSecond } from "../../../actors/identity/account.ts";
import type { Json } from "../../../events/event.ts";
import type { Identity } from "../../http/identity/port.ts";
import { publicJwk } from "../../jose/access_tokens.ts";
import type { ApiKeys } from "./api_keys.ts";
import { Administration } from "./administration.ts";
import { Devices } from "./devices.ts";
import { Entering } from "./entering.ts";
import { noticesOf } from "./notices.ts";
import { OwnPasswords } from "./own_passwords.ts";
import { freshId, type Parts } from "./parts.ts";

import { Passkeys } from "./passkeys.ts";
import { userOf } from "./sessions.ts";
import { SecondFactors } from "./second_factors.ts";
import type { Provider } from "./providers.ts";
import { SecondStep } from "./second_step.ts";
import { SignOn } from "./sign_on.ts";
import { SigningIn } from "./signing_in.ts";
import { Tries } from "./tries.ts";

export const identityOf = (parts: Parts, providers: ReadonlyMap<string, Provider>, apiKeys: ApiKeys): Identity => {
  const { states, sessions, signing, tickets } = parts;
  const tries = new Tries(parts);
  const own = new OwnPasswords(parts, tries);
  const administration = new Administration(parts, own);
  const factors = new SecondFactors(parts, tries);
  const devices = new Devices(parts, tries);
  const entering = new Entering(parts, tries);
  const step = new SecondStep(parts);
  const signingIn = new SigningIn(parts, { tries, own, factors, entering, step, administration });
  const signOn = new SignOn(parts, { tries, entering, step, providers });
  const passkeys = new Passkeys(parts, { tries, own, factors, entering, step });
  return {
    signIn: (asked, from) => signingIn.signIn(asked, from),
    passkeys,
    signOn,
    hasPassword: (account) => states.of(account).password !== null,
    second: (asked, from) => signingIn.second(asked, from),
    device: (from) => devices.begin(from),
    pollDevice: (code) => devices.poll(code),
    waiting: (who, code, from) => devices.waiting(who, code, from),
    answerDevice: (who, code, allowed) => devices.answer(who, code, allowed),
    factors: (account) => factors.shown(account),
    async enroll(who, password, from) {
      const right = await own.isRight(who, password, from);
      if (right === "right") return factors.begin(who);
      return right === "refused" ? { is: "refused" } : right;
    },
    showPassword: (who, password, from) => own.isRight(who, password, from),
    confirm: (who, asked, from) => factors.confirm(who, asked, from),
    prove: (who, code, from) => factors.prove(who, code, from),
    isFresh: (who) => !wantsSecond(states.of(who.account)) || factors.isFresh(who),
    backupCodes: ({ account }) => factors.newBackupCodes(account),
    removeFactor: ({ account, session }, factor) => factors.remove(account, { factor, session }, userOf(account)),
    resetFactors: (account, by) => factors.reset(account, by),
    refreshing: (token) => tickets.read("refresh", token, 3)?.[0],
    refresh: (token, from, key) => sessions.refresh(token, from, key),
    end({ account, session: mine }, session) {
      const because = mine === session ? "signed_out" : "revoked";
      return states.ask(account, { type: "identity.session.end", data: { session, because } }, userOf(account));
    },
    endAll({ account, session }, { keep }) {
      const data = { because: "signed_out_everywhere", ...(keep && { keep: session }) } as const;
      return states.ask(account, { type: "identity.session.end_all", data }, userOf(account));
    },
    sessions: (account) => sessions.shown(account),
    notices: (who) => noticesOf(parts, who),
    tenantOf(account) {
      const { is, tenant } = states.of(account);
      return is === "unknown" ? undefined : tenant;
    },
    changePassword: (who, password, from) => own.change(who, password, from),
    choosePassword: (code, password, from) => own.choose(code, password, from),
    countsAsCode: (code) => own.invitationOf(code) !== undefined,
    csrf: ({ session }) => tickets.make("csrf", [session, freshId(parts)]),
    isCsrf: ({ session }, text) => tickets.read("csrf", text, 2)?.[0] === session,
    async keys() {
      await signing.signing();
      return { keys: signing.all().map(publicJwk) } as unknown as Json;
    },
    rotateKey: (by) => signing.rotate(by),
    apiKeys: (account) => apiKeys.shown(account),
    issueKey: (account, asked, by) => apiKeys.issue(account, asked, by),
    rotateKeyOf: (account, key, by) => apiKeys.rotate(account, key, by),
    revokeKeyOf: (account, key, because, by) => apiKeys.revoke(account, key, because, by),
    isService: (account) => states.of(account).kind === "service",
    create: (account, by) => administration.create(account, by),
    invite: (account, purpose, by) => administration.issue(account, purpose, by),
    change: (account, change, by) => administration.change(account, change, by),
  };
};
