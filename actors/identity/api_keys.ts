/** Keys with which programs act for an account: how they are issued, replaced and revoked. */
import type { IdentityData, IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account, apiKeyOf } from "./account.ts";
import type { CommandData } from "./commands.ts";
import { iso } from "./session.ts";

type Decided = Decision<IdentityFact>;

const revoked = (
  account: string,
  key: string,
  because: IdentityData<"identity.key.revoked">["because"],
): IdentityFact => ({ type: "identity.key.revoked", data: { key, kind: "api", account, because } });

/** Those whose time is over go with the next that is issued. */
const room = (state: Account, { id, at }: Context, each_max: number): Decided => {
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  const held = state.keys.filter(({ kind }) => kind === "api");
  const over = held.filter(({ until }) => until !== null && until <= at);
  if (held.length - over.length >= each_max) return reject("too_many_keys", `An account has at most ${each_max} keys`);
  return accept(...over.map(({ key }) => revoked(id, key, "expired")));
};

export const issueApiKey = (
  state: Account,
  { key, prefix, scopes, valid_ms, each_max }: CommandData<"identity.api_key.issue">,
  context: Context,
): Decided => {
  const made = room(state, context, each_max);
  if (!made.ok) return made;
  const { id, at } = context;
  const data = { key, kind: "api" as const, account: id, prefix, scopes, until: iso(at + valid_ms) };
  return accept(...made.facts, { type: "identity.key.issued", data });
};

export const rotateApiKey = (
  state: Account,
  { key, by, prefix, valid_ms, overlap_ms, each_max }: CommandData<"identity.api_key.rotate">,
  context: Context,
): Decided => {
  const { id, at } = context;
  const old = apiKeyOf(state, key, at);
  if (!old) return reject("no_key", "The account has no such key, or it counts no more");
  if (old.by !== null) return reject("replaced_already", "Another key has taken its place already");
  if (key === by) return reject("same_key", "A key cannot take its own place");
  const made = room(state, context, each_max + 1);
  if (!made.ok) return made;
  const until = Math.min(at + overlap_ms, old.until ?? Infinity);
  return accept(
    ...made.facts,
    {
      type: "identity.key.issued",
      data: { key: by, kind: "api", account: id, prefix, scopes: [...old.scopes], until: iso(at + valid_ms) },
    },
    { type: "identity.key.rotated", data: { key, kind: "api", account: id, by, until: iso(until) } },
  );
};

export const revokeApiKey = (
  state: Account,
  { key, because }: CommandData<"identity.api_key.revoke">,
  { id }: Context,
): Decided =>
  state.keys.some((each) => each.key === key && each.kind === "api") ? accept(revoked(id, key, because)) : accept();
