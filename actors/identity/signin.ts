/** Signing in: what a right password opens, and what wrong ones lead to. */
import type { Millis } from "../../events/event.ts";
import type { IdentityData, IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account, isLocked, keepsOut, overBy, rolesIn, sessionOf, wantsSecond } from "./account.ts";
import type { CommandData } from "./commands.ts";
import { provenBy } from "./factor.ts";
import { ended, iso, whenceOf } from "./session.ts";

/** The password was right. It counts only if the account may be used, takes passwords, and still has this one. */
export const complete = (
  state: Account,
  { credential, session, kind, second, ...policy }: CommandData<"identity.signin.complete">,
  context: Context,
): Decision<IdentityFact> => {
  const { id, at } = context;
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  if (isLocked(state, at)) return reject("locked", "The account takes no password now");
  if (state.password?.credential !== credential) {
    return reject("changed_meanwhile", "The password is another one by now");
  }
  if (!second && wantsSecond(state)) return reject("factor_wanted", "The account asks for a second factor as well");
  const proven = second && provenBy(state, second, id);
  if (proven && !proven.ok) return proven;
  const factors = ["password" as const, ...(second ? [METHOD[second.kind]] : [])];
  const begun = begin(state, { session, kind, ...policy }, { factors, methods: factors }, context);
  return begun.ok && proven ? accept(...proven.facts, ...begun.facts) : begun;
};

/** A passkey was shown, and its holder verified: nothing else is asked for. */
export const present = (
  state: Account,
  { passkey, ...asked }: CommandData<"identity.signin.present">,
  context: Context,
): Decision<IdentityFact> => {
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  if (keepsOut(state, context.at)) return reject("locked", "The account lets nobody in now");
  const proven = provenBy(state, passkey, context.id);
  if (!proven.ok) return proven;
  const begun = begin(state, asked, { factors: ["passkey"], methods: ["passkey"] }, context);
  return begun.ok ? accept(...proven.facts, ...begun.facts) : begun;
};

/** A provider vouches for its holder: as much as a password, so that a second factor is asked for where there is one. */
export const federate = (
  state: Account,
  { link, second, ...asked }: CommandData<"identity.signin.federate">,
  context: Context,
): Decision<IdentityFact> => {
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  if (keepsOut(state, context.at)) return reject("locked", "The account lets nobody in now");
  const held = state.links.find((each) => each.link === link);
  if (!held) return reject("changed_meanwhile", "The account has no such link any more");
  if (!second && wantsSecond(state)) return reject("factor_wanted", "The account asks for a second factor as well");
  const proven = second && provenBy(state, second, context.id);
  if (proven && !proven.ok) return proven;
  const factors = [held.protocol, ...(second ? [METHOD[second.kind]] : [])];
  const begun = begin(state, asked, { factors, methods: factors }, context);
  return begun.ok && proven ? accept(...proven.facts, ...begun.facts) : begun;
};

/**
 * Another session of the account allows this one (RFC 8628): what was proven there counts here, so it cannot have more than that one has.
 */
export const allow = (
  state: Account,
  { by, ...asked }: CommandData<"identity.signin.allow">,
  context: Context,
): Decision<IdentityFact> => {
  const allowing = sessionOf(state, by, context.at);
  if (!allowing) return reject("no_session", "There is no such session, or it is over");
  const { factors, fresh_until } = allowing;
  return begin(state, asked, { factors, methods: ["device"], fresh_until }, context);
};

type Methods = IdentityData<"identity.session.started">["factors"];

/**
 * Of one account, whatever is configured: all of them end in one decision, as when the account is disabled, beside its keys, and a
 * decision has no more facts than one append (`LIMITS.append_events_max`).
 */
export const SESSIONS_HELD_MAX = 850;

/** Of more sessions than the account may have the oldest end. */
const begin = (
  state: Account,
  { session, kind, idle_ms, absolute_ms, sessions_max, ...from }: Omit<CommandData<"identity.signin.allow">, "by">,
  { factors, methods, fresh_until = 0 }: {
    readonly factors: Methods;
    readonly methods: Methods;
    readonly fresh_until?: Millis;
  },
  { id, at }: Context,
): Decision<IdentityFact> => {
  if (state.sessions.some((each) => each.session === session)) {
    return reject("session_exists", "There is a session of this name already");
  }
  const over = state.sessions.flatMap((each) => overBy(each, at) ?? []).length;
  let spare = state.sessions.length - over - (Math.min(sessions_max, SESSIONS_HELD_MAX) - 1);
  const gone = state.sessions.flatMap((each): IdentityFact[] => {
    const why = overBy(each, at);
    if (why) return [ended(id, each.session, why)];
    return spare-- > 0 ? [ended(id, each.session, "too_many")] : [];
  }).slice(0, SESSIONS_HELD_MAX);
  const roles = rolesIn(state, factors);
  const until = at + absolute_ms;
  return accept(
    ...gone,
    { type: "identity.signin.succeeded", data: { account: id, session, methods: [...methods], ...whenceOf(from) } },
    {
      type: "identity.session.started",
      data: {
        account: id,
        session,
        tenant: state.tenant,
        kind,
        factors: [...factors],
        privileged: roles.some(({ privileged }) => privileged),
        roles: roles.map(({ role }) => role),
        idle_until: iso(Math.min(at + idle_ms, until)),
        until: iso(until),
        ...(fresh_until > at && { fresh_until: iso(fresh_until) }),
        ...whenceOf(from),
      },
    },
  );
};

const METHOD = { totp: "totp", backup_codes: "backup_code", passkey: "passkey" } as const;

/** What somebody types, and might guess: wrong ones lock the account. */
const GUESSED: readonly string[] = ["password", "totp", "backup_code"];

type Failed = IdentityData<"identity.signin.failed">;

/** A try was refused. It counts towards a lock when a secret that was typed was wrong, and not while a lock stands. */
export const fail = (
  state: Account,
  { name, method, provider, reason, tried, failures_max, lock_ms, lock_ms_max, clone, ...from }: CommandData<
    "identity.signin.fail"
  >,
  { id, at }: Context,
): Decision<IdentityFact> => {
  const told = {
    ...(name === undefined ? {} : { name }),
    method,
    ...(provider === undefined ? {} : { provider }),
    ...(tried === undefined ? {} : { tried }),
    ...whenceOf(from),
  };
  const failed = (data: Pick<Failed, "account" | "reason" | "failures">): IdentityFact => ({
    type: "identity.signin.failed",
    data: { ...data, ...told },
  });
  if (state.is === "unknown") {
    return accept(
      failed({ reason: reason === "wrong_secret" || reason === "not_enrolled" ? "unknown_account" : reason }),
    );
  }
  if (state.is !== "active") return accept(failed({ account: id, reason: "disabled" }));
  const guessed = GUESSED.includes(method);
  if (guessed ? isLocked(state, at) : keepsOut(state, at)) return accept(failed({ account: id, reason: "locked" }));
  const suspected = clone && suspect(state, clone, id, from);
  if (!guessed || reason !== "wrong_secret") return accept(...(suspected ?? []), failed({ account: id, reason }));
  const failures = state.failures + 1;
  const fact = failed({ account: id, reason, failures });
  if (failures < failures_max) return accept(fact);
  const until = iso(at + backOff(failures - failures_max, lock_ms, lock_ms_max));
  return accept(fact, { type: "identity.account.locked", data: { account: id, because: "failures", failures, until } });
};

const suspect = (
  { factors }: Account,
  { factor, counter }: { readonly factor: string; readonly counter: number },
  account: string,
  from: Parameters<typeof whenceOf>[0],
): IdentityFact[] =>
  factors.filter((each) => each.factor === factor).map((each) => ({
    type: "identity.clone.suspected",
    data: { account, factor, counter, held: Math.max(0, each.counter), ...whenceOf(from) },
  }));

/** Doubled with each further failure; the shift stays far from what a number holds. */
const backOff = (further: number, first: Millis, most: Millis): Millis =>
  Math.min(most, first * 2 ** Math.min(further, 30));
