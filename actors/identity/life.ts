/** An account from its beginning to its end, and what it may do meanwhile. */
import { IDENTITY_LIMITS } from "../../events/identity/shape.ts";
import type { IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account, lastsUntil, type Role } from "./account.ts";
import type { CommandData, IdentityCommand } from "./commands.ts";
import { allEnded, iso } from "./session.ts";

type Decided = Decision<IdentityFact>;

const about = ({ reason }: { readonly reason?: string }) => (reason === undefined ? {} : { reason });

export const create = (
  state: Account,
  { tenant, name, email, kind }: CommandData<"identity.account.create">,
  account: string,
): Decided => {
  if (state.is !== "unknown") return reject("account_exists", "There is an account of this name already");
  const data = { account, tenant, name, ...(email === undefined ? {} : { email }), kind };
  return accept({ type: "identity.account.created", data });
};

/** What lets anybody in through this account ends with it. */
const shut = (state: Account, { id, at }: Pick<Context, "id" | "at">): IdentityFact[] => [
  ...allEnded(state, { id, at }, "account_disabled"),
  ...state.keys.map(({ key, kind }): IdentityFact => ({
    type: "identity.key.revoked",
    data: { key, kind, account: id, because: "account_disabled" },
  })),
];

export const disable = (state: Account, data: CommandData<"identity.account.disable">, context: Context): Decided => {
  const { id } = context;
  // The timer of somebody who leaves later finds the account so.
  if (state.is === "disabled") return accept();
  return accept({ type: "identity.account.disabled", data: { account: id, ...about(data) } }, ...shut(state, context));
};

export const enable = (
  state: Account,
  { approvedby, ...data }: CommandData<"identity.account.enable">,
  { id }: Context,
): Decided => {
  if (state.is === "left") return reject("account_left", "Its holder has left; make a new account");
  if (state.is === "active") return accept();
  return accept({
    type: "identity.account.enabled",
    data: { account: id, ...about(data), ...(approvedby === undefined ? {} : { approvedby }) },
  });
};

/** From `left` on nothing of the account counts; until then it goes on as it was. */
export const offboard = (
  state: Account,
  { left, ...data }: CommandData<"identity.account.offboard">,
  context: Context,
): Decided => {
  const { id, at } = context;
  if (state.leaving) return reject("account_left", "It is known already that its holder leaves");
  const when = left === undefined ? at : Date.parse(left);
  const notice: IdentityFact = {
    type: "identity.account.offboarded",
    data: { account: id, left: left ?? iso(at), ...about(data) },
  };
  if (when > at) {
    const disabling = { type: "identity.account.disable", data: {} } as const;
    return { ok: true, facts: [notice], timers: [{ set: "leave", at: when, command: disabling }] };
  }
  return accept(notice, { type: "identity.account.disabled", data: { account: id } }, ...shut(state, context));
};

/** Each cause has a lock of its own, so that one is taken back without the others; of two for one cause the later end counts. */
export const lock = (
  { locks, failures }: Account,
  { because, until }: CommandData<"identity.account.lock">,
  { id }: Pick<Context, "id">,
): Decided => {
  const ends = until === undefined ? null : Date.parse(until);
  if (lastsUntil(ends) <= lastsUntil(locks[because])) return accept();
  const data = { account: id, because, failures, ...(until === undefined ? {} : { until }) };
  return accept({ type: "identity.account.locked", data });
};

export const unlock = (
  { locks, failures }: Account,
  { because }: CommandData<"identity.account.unlock">,
  { id, at }: Pick<Context, "id" | "at">,
): Decided => {
  const stands = because === "threat" ? lastsUntil(locks.threat) > at : Object.keys(locks).length > 0 || failures > 0;
  if (!stands) return accept();
  return accept({ type: "identity.account.unlocked", data: { account: id, because: because ?? "asked" } });
};

export const issueInvitation = (
  state: Account,
  { invitation, purpose, valid_ms }: CommandData<"identity.invitation.issue">,
  { id, at }: Context,
): Decided => {
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  if (state.kind !== "person") return reject("no_passwords", "A service signs in with keys, not with a password");
  const data = { account: id, invitation, purpose, until: iso(at + valid_ms) };
  return accept({ type: "identity.invitation.issued", data });
};

/** Sessions began with the roles of then, so a change ends them. */
export const changeRole = (
  state: Account,
  { type, data }: Extract<IdentityCommand, { type: "identity.role.grant" | "identity.role.revoke" }>,
  context: Context,
): Decided => {
  const { id, by, account = by } = context;
  const { role, approvedby } = data;
  const held = state.roles.find((each) => each.role === role);
  const grant = type === "identity.role.grant";
  if (grant ? held !== undefined : held === undefined) return accept();
  if (grant && state.is !== "active") return reject("disabled", "The account cannot be used");
  if (grant && state.roles.length >= IDENTITY_LIMITS.roles_max) {
    return reject("too_many_roles", `An account has at most ${IDENTITY_LIMITS.roles_max} roles`);
  }
  // Whoever holds a key is who its account is.
  if (approvedby === by || approvedby === account) {
    return reject("own_approval", "Who changes a role cannot approve it as well");
  }
  const privileged = type === "identity.role.grant" ? data.privileged : held!.privileged;
  const rest = state.roles.filter((each) => each !== held);
  const after = grant ? [...rest, { role, privileged }].sort(byName) : rest;
  return accept(
    {
      type: grant ? "identity.role.granted" : "identity.role.revoked",
      data: {
        account: id,
        tenant: state.tenant,
        role,
        privileged,
        before: state.roles.map(({ role }) => role),
        after: after.map(({ role }) => role),
        ...(approvedby === undefined ? {} : { approvedby }),
      },
    },
    ...allEnded(state, context, "roles_changed"),
  );
};

const byName = (a: Role, b: Role): number => (a.role < b.role ? -1 : 1);
