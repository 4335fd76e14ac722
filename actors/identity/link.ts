/** Links to providers of sign-ins, and the roles that follow from what they say of somebody. */
import type { IdentityFact } from "../../events/identity/mod.ts";
import { IDENTITY_LIMITS } from "../../events/identity/shape.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account, evolve, type Role } from "./account.ts";
import type { CommandData } from "./commands.ts";
import { allEnded } from "./session.ts";

/** Links of one account. */
export const LINKS_MAX = 10;

/** One for each provider. */
export const addLink = (
  { is, kind, links }: Account,
  { link, provider, protocol, because }: CommandData<"identity.link.add">,
  account: string,
): Decision<IdentityFact> => {
  if (is !== "active") return reject("disabled", "The account cannot be used");
  if (kind !== "person") return reject("no_links", "A service signs in with keys, not by a provider");
  if (links.some((each) => each.provider === provider)) {
    return reject("linked_already", "The account is linked to somebody at this provider");
  }
  if (links.length >= LINKS_MAX) return reject("too_many_links", `An account has at most ${LINKS_MAX} links`);
  return accept({ type: "identity.link.added", data: { account, link, provider, protocol, because } });
};

/** Other sessions end, for they may have begun with it. */
export const removeLink = (
  state: Account,
  { link, session }: CommandData<"identity.link.remove">,
  context: Context,
): Decision<IdentityFact> => {
  const held = state.links.find((each) => each.link === link);
  if (!held) return reject("no_link", "The account has no such link");
  const others = state.links.length > 1 || state.factors.some(({ kind }) => kind === "passkey");
  if (state.password === null && !others) {
    return reject("last_way_in", "Without it nobody could sign in: set a password or a passkey up first");
  }
  return accept(
    { type: "identity.link.removed", data: { account: context.id, ...held } },
    ...allEnded(state, context, "link_removed", session),
  );
};

/**
 * Of the roles that a provider may give, the account has those that it gives, from now on; all others stay. A change ends its sessions,
 * for what each may do is not what it began with.
 */
export const syncRoles = (
  state: Account,
  { managed, given }: CommandData<"identity.role.sync">,
  context: Context,
): Decision<IdentityFact> => {
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  const gone = state.roles.filter(({ role }) => managed.includes(role) && !given.some((each) => each.role === role));
  const come = given.filter(({ role }) => !state.roles.some((each) => each.role === role));
  let now = state;
  const facts: IdentityFact[] = [];
  const change = (type: Changed, role: Role): void => {
    const fact = changed(now, { type, role, account: context.id });
    facts.push(fact);
    now = evolve(now, fact);
  };
  for (const role of gone) change("identity.role.revoked", role);
  for (const role of come) change("identity.role.granted", role);
  if (now.roles.length > IDENTITY_LIMITS.roles_max) {
    return reject("too_many_roles", `An account has at most ${IDENTITY_LIMITS.roles_max} roles`);
  }
  return accept(...facts, ...(facts.length > 0 ? allEnded(state, context, "roles_changed") : []));
};

type Changed = "identity.role.granted" | "identity.role.revoked";

const changed = (
  { roles, tenant }: Account,
  { type, role: { role, privileged }, account }: {
    readonly type: Changed;
    readonly role: Role;
    readonly account: string;
  },
): IdentityFact => {
  const before = roles.map((each) => each.role);
  const rest = before.filter((each) => each !== role);
  const after = type === "identity.role.granted" ? [...rest, role].sort() : rest;
  return { type, data: { account, tenant, role, privileged, before, after } };
};
