/** Sessions: how they go on, and how they end. */
import type { Millis } from "../../events/event.ts";
import type { IdentityData, IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account, overBy, type Session } from "./account.ts";
import type { CommandData } from "./commands.ts";

type Because = IdentityData<"identity.session.ended">["because"];

export const iso = (at: Millis): string => new Date(at).toISOString();

/** What is known of where a request came from; what is not known is left out. */
export const whenceOf = ({ address, agent }: { readonly address?: string; readonly agent?: string }) => ({
  ...(address === undefined ? {} : { address }),
  ...(agent === undefined ? {} : { agent }),
});

export const ended = (account: string, session: string, because: Because): IdentityFact => ({
  type: "identity.session.ended",
  data: { account, session, because },
});

/** Every session of the account ends; those whose time was over say so. */
export const allEnded = (
  state: Account,
  { id, at }: Pick<Context, "id" | "at">,
  because: Because,
  keep?: string,
): IdentityFact[] =>
  state.sessions.filter(({ session }) => session !== keep).map((each) =>
    ended(id, each.session, overBy(each, at) ?? because)
  );

const NONE = reject("no_session", "There is no such session, or it is over");

const goesOn = (
  account: string,
  { session, until }: Session,
  generation: number,
  { idle_ms, ...from }: { readonly idle_ms: Millis; readonly address?: string; readonly agent?: string },
  at: Millis,
): IdentityFact => ({
  type: "identity.session.refreshed",
  data: { account, session, generation, idle_until: iso(Math.min(at + idle_ms, until)), ...whenceOf(from) },
});

/**
 * A refresh token was shown. Accepted with `identity.session.refreshed` it goes on; with anything else the session is over. A
 * token that had been exchanged before ends its session (RFC 9700 section 4.14.2).
 */
export const refresh = (
  state: Account,
  { session, generation, ...rest }: CommandData<"identity.session.refresh">,
  { id, at }: Context,
): Decision<IdentityFact> => {
  const found = state.sessions.find((each) => each.session === session);
  if (state.is !== "active" || !found) return NONE;
  const over = overBy(found, at);
  if (over) return accept(ended(id, session, over));
  if (found.kind === "browser") return reject("no_refresh", "A page's session has no refresh tokens");
  if (generation > found.generation) return reject("not_issued", "No such refresh token was handed out");
  if (generation < found.generation) {
    const data = { account: id, session, generation, current: found.generation, ...whenceOf(rest) };
    return accept({ type: "identity.refresh.reused", data }, ended(id, session, "refresh_reused"));
  }
  return accept(goesOn(id, found, generation + 1, rest, at));
};

/** A page's session was used: its idle time begins anew. */
export const touch = (
  state: Account,
  { session, ...rest }: CommandData<"identity.session.touch">,
  { id, at }: Context,
): Decision<IdentityFact> => {
  const found = state.sessions.find((each) => each.session === session);
  if (state.is !== "active" || !found) return NONE;
  const over = overBy(found, at);
  return over ? accept(ended(id, session, over)) : accept(goesOn(id, found, found.generation, rest, at));
};

export const endOne = (
  state: Account,
  { session, because }: CommandData<"identity.session.end">,
  account: string,
): Decision<IdentityFact> =>
  state.sessions.some((each) => each.session === session) ? accept(ended(account, session, because)) : accept();

export const endAll = (
  state: Account,
  { because, keep }: CommandData<"identity.session.end_all">,
  account: string,
): Decision<IdentityFact> =>
  accept(
    ...state.sessions.filter(({ session }) => session !== keep).map(({ session }) => ended(account, session, because)),
  );
