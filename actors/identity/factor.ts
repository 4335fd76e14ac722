/** Second factors: set up, proven, taken away. A code is taken once. */
import type { IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account, sessionOf } from "./account.ts";
import type { CommandData } from "./commands.ts";
import { allEnded, iso } from "./session.ts";

/** Factors of one account. */
export const FACTORS_MAX = 10;

type Verified = Extract<IdentityFact, { type: "identity.factor.verified" }>;

/**
 * That a code or a passkey counts: it is of a factor of this account, and was not taken before (RFC 6238 section 5.2). A passkey's
 * counter grows, unless it has none (WebAuthn Level 3 section 6.1.1).
 */
export const provenBy = (
  { factors }: Account,
  { factor, kind, counter }: CommandData<"identity.factor.verify">["second"],
  account: string,
): Decision<Verified> => {
  const held = factors.find((each) => each.factor === factor && each.kind === kind);
  if (!held) return reject("no_factor", "The account has no such second factor");
  if (kind === "passkey" && counter <= held.counter && (counter > 0 || held.counter > 0)) {
    return reject("clone_suspected", "The counter of this passkey did not grow");
  }
  const before = kind === "backup_codes" ? held.used.includes(counter) : kind === "totp" && counter <= held.counter;
  if (before) return reject("used_before", "This code was taken already");
  return accept({ type: "identity.factor.verified", data: { account, factor, kind, counter } });
};

/** New backup codes take the place of those before. */
export const enroll = (
  { is, kind: whose, factors, links, password }: Account,
  { factor, kind, counter, label }: CommandData<"identity.factor.enroll">,
  account: string,
): Decision<IdentityFact> => {
  if (is !== "active") return reject("disabled", "The account cannot be used");
  if (whose !== "person") return reject("no_factors", "A service signs in with keys, not with a second factor");
  // What is kept under one name is one thing: who somebody is at a provider is no secret, so it cannot be a seed.
  const named = [password?.credential, ...links.map(({ link }) => link), ...factors.map((each) => each.factor)];
  if (named.includes(factor)) return reject("factor_exists", "It is set up already");
  if (factors.length >= FACTORS_MAX) {
    return reject("too_many_factors", `An account has at most ${FACTORS_MAX} second factors`);
  }
  const replaced = kind === "backup_codes" ? factors.filter((each) => each.kind === kind) : [];
  return accept(
    ...replaced.map((each): IdentityFact => ({
      type: "identity.factor.removed",
      data: { account, factor: each.factor, kind: each.kind, because: "replaced" },
    })),
    { type: "identity.factor.enrolled", data: { account, factor, kind, ...(label !== undefined && { label }) } },
    ...(counter === undefined
      ? []
      : [{ type: "identity.factor.verified", data: { account, factor, kind, counter } } as const]),
  );
};

export const rename = (
  { factors }: Account,
  { factor, label }: CommandData<"identity.factor.rename">,
  account: string,
): Decision<IdentityFact> => {
  if (!factors.some((each) => each.factor === factor)) {
    return reject("no_factor", "The account has no such second factor");
  }
  return accept({ type: "identity.factor.renamed", data: { account, factor, label } });
};

/** Sessions end that began when there was one factor more; with the last one backup codes go as well. */
export const remove = (
  state: Account,
  { factor, because, session }: CommandData<"identity.factor.remove">,
  context: Context,
): Decision<IdentityFact> => {
  const held = state.factors.find((each) => each.factor === factor);
  if (!held) return reject("no_factor", "The account has no such second factor");
  const left = state.factors.filter((each) => each !== held);
  const alone = left.every(({ kind }) => kind === "backup_codes") ? left : [];
  return accept(
    ...[held, ...alone].map(({ factor, kind }): IdentityFact => ({
      type: "identity.factor.removed",
      data: { account: context.id, factor, kind, because },
    })),
    ...allEnded(state, context, "factor_removed", session),
  );
};

/** Once more within a session, so that for a while nobody asks again. */
export const verify = (
  state: Account,
  { session, second, fresh_ms }: CommandData<"identity.factor.verify">,
  { id, at }: Context,
): Decision<IdentityFact> => {
  if (!sessionOf(state, session, at)) return reject("no_session", "There is no such session, or it is over");
  const proven = provenBy(state, second, id);
  if (!proven.ok) return proven;
  const [{ data }] = proven.facts as [Verified];
  return accept({ type: "identity.factor.verified", data: { ...data, session, fresh_until: iso(at + fresh_ms) } });
};
