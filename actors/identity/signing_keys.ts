/** The keys that sign access tokens. One signs; those before it count until what they signed is over. */
import type { IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import type { Account, Key } from "./account.ts";
import type { CommandData } from "./commands.ts";
import { iso } from "./session.ts";

type Decided = Decision<IdentityFact>;

/** Keys that count at a time; older ones go. */
export const SIGNING_KEYS_MAX = 20;

/** The key that signs: the newest without one that took its place. */
export const signingKey = ({ keys }: Account): Key | undefined =>
  keys.findLast(({ kind, by }) => kind === "access_token" && by === null);

/** Keys that verify at that time. */
export const verifyingKeys = ({ keys }: Account, at: number): readonly Key[] =>
  keys.filter(({ kind, until }) => kind === "access_token" && (until === null || at < until));

const issued = (key: string): IdentityFact => ({ type: "identity.key.issued", data: { key, kind: "access_token" } });
const revoked = (key: string, because: CommandData<"identity.key.revoke">["because"]): IdentityFact => ({
  type: "identity.key.revoked",
  data: { key, kind: "access_token", because },
});

export const issueKey = (state: Account, { key }: CommandData<"identity.key.issue">): Decided =>
  signingKey(state)
    ? reject("key_exists", "There is a key that signs already; it can be rotated")
    : accept(issued(key));

/** Those whose time is over go with it. */
export const rotateKey = (
  state: Account,
  { key, by, overlap_ms }: CommandData<"identity.key.rotate">,
  { at }: Context,
): Decided => {
  if (signingKey(state)?.key !== key) return reject("not_signing", "It is not this key that signs");
  if (key === by) return reject("same_key", "A key cannot take its own place");
  const over = state.keys.filter(({ until }) => until !== null && until <= at);
  if (state.keys.length - over.length >= SIGNING_KEYS_MAX) {
    return reject("too_many_keys", `There are ${SIGNING_KEYS_MAX} keys that count; wait until the time of one is over`);
  }
  return accept(
    ...over.map(({ key }) => revoked(key, "expired")),
    issued(by),
    {
      type: "identity.key.rotated",
      data: { key, kind: "access_token", by, until: iso(at + overlap_ms) },
    },
  );
};

/** What it signed counts no more, from now on. */
export const revokeKey = (state: Account, { key, because }: CommandData<"identity.key.revoke">): Decided =>
  state.keys.some((each) => each.key === key) ? accept(revoked(key, because)) : accept();
