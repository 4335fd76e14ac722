/**
 * Identity: decides about one account at a time. Stream: `identity/{account}`, `identity/nobody` for tries on names that nobody has,
 * `identity/keys` for the keys that sign access tokens.
 */
import { type IdentityFact, identityFacts, type IdentityFactType } from "../../events/identity/mod.ts";
import { accountId } from "../../events/identity/shape.ts";
import { type Actor, type Context, type Decision, reject } from "../types.ts";
import { type Account, evolve, nobody } from "./account.ts";
import { type IdentityCommand, identityCommands } from "./commands.ts";
import { issueApiKey, revokeApiKey, rotateApiKey } from "./api_keys.ts";
import { enroll, remove, rename, verify } from "./factor.ts";
import { changeRole, create, disable, enable, issueInvitation, lock, offboard, unlock } from "./life.ts";
import { addLink, removeLink, syncRoles } from "./link.ts";
import { setPassword } from "./password.ts";
import { endAll, endOne, refresh, touch } from "./session.ts";
import { issueKey, revokeKey, rotateKey } from "./signing_keys.ts";
import { allow, complete, fail, federate, present } from "./signin.ts";

export type IdentityDecision = Decision<IdentityFact>;

/** Streams without an account. */
export const NOBODY = "nobody";
export const KEYS = "keys";

const decide = (state: Account, { type, data }: IdentityCommand, context: Context): IdentityDecision => {
  const { id } = context;
  if (type === "identity.key.issue" || type === "identity.key.rotate" || type === "identity.key.revoke") {
    if (id !== KEYS) return reject("wrong_stream", "The keys that sign access tokens have a stream of their own");
    if (type === "identity.key.issue") return issueKey(state, data);
    return type === "identity.key.rotate" ? rotateKey(state, data, context) : revokeKey(state, data);
  }
  if (type === "identity.signin.fail" && id === NOBODY) return fail(nobody, data, context);
  if (!accountId.safeParse(id).success) return reject("not_an_account", "An account is called u_ and a random part");
  if (type === "identity.account.create") return create(state, data, id);
  if (type === "identity.signin.fail") return fail(state, data, context);
  if (state.is === "unknown") return reject("unknown_account", "There is no such account");
  switch (type) {
    case "identity.account.disable":
      return disable(state, data, context);
    case "identity.account.enable":
      return enable(state, data, context);
    case "identity.account.offboard":
      return offboard(state, data, context);
    case "identity.account.lock":
      return lock(state, data, context);
    case "identity.account.unlock":
      return unlock(state, data, context);
    case "identity.invitation.issue":
      return issueInvitation(state, data, context);
    case "identity.password.set":
      return setPassword(state, data, context);
    case "identity.signin.complete":
      return complete(state, data, context);
    case "identity.signin.present":
      return present(state, data, context);
    case "identity.signin.federate":
      return federate(state, data, context);
    case "identity.signin.allow":
      return allow(state, data, context);
    case "identity.session.refresh":
      return refresh(state, data, context);
    case "identity.session.touch":
      return touch(state, data, context);
    case "identity.session.end":
      return endOne(state, data, id);
    case "identity.session.end_all":
      return endAll(state, data, id);
    case "identity.factor.enroll":
      return enroll(state, data, id);
    case "identity.factor.rename":
      return rename(state, data, id);
    case "identity.factor.remove":
      return remove(state, data, context);
    case "identity.factor.verify":
      return verify(state, data, context);
    case "identity.link.add":
      return addLink(state, data, id);
    case "identity.link.remove":
      return removeLink(state, data, context);
    case "identity.role.sync":
      return syncRoles(state, data, context);
    case "identity.api_key.issue":
      return issueApiKey(state, data, context);
    case "identity.api_key.rotate":
      return rotateApiKey(state, data, context);
    case "identity.api_key.revoke":
      return revokeApiKey(state, data, context);
    case "identity.role.grant":
    case "identity.role.revoke":
      return changeRole(state, { type, data } as Extract<IdentityCommand, { type: typeof type }>, context);
  }
};

export const identity: Actor<Account, IdentityCommand, IdentityFact> = {
  domain: "identity",
  version: 5,
  inside: true,
  commands: identityCommands,
  facts: Object.keys(identityFacts) as IdentityFactType[],
  initial: nobody,
  dated: ["identity.account.disable"],
  decide,
  evolve,
};
