/** Setting a password: who may, and what it ends. */
import type { IdentityFact } from "../../events/identity/mod.ts";
import { accept, type Context, type Decision, reject } from "../types.ts";
import { type Account } from "./account.ts";
import type { CommandData } from "./commands.ts";
import { allEnded } from "./session.ts";

/**
 * A new password ends the sessions that began with the old one, but for the one in which it is changed. Hashing the same password
 * anew ends none. A password set through an invitation takes a lock away: only who holds the code could.
 */
export const setPassword = (
  state: Account,
  { credential, scheme, by }: CommandData<"identity.password.set">,
  { id, at }: Context,
): Decision<IdentityFact> => {
  if (state.is !== "active") return reject("disabled", "The account cannot be used");
  if (state.kind !== "person") return reject("no_passwords", "A service signs in with keys, not with a password");
  const { password, invitation } = state;
  const set = (because: "chosen" | "changed" | "reset" | "imported" | "raised" | "upgraded"): IdentityFact => ({
    type: "identity.password.set",
    data: { account: id, credential, scheme, because, ...(password ? { replaced: password.credential } : {}) },
  });
  switch (by.is) {
    case "import":
      if (password) return reject("password_exists", "The account has a password already");
      return accept(set("imported"));
    case "password":
      if (password?.credential !== by.credential) {
        return reject("changed_meanwhile", "The password is another one by now");
      }
      if (by.because !== "changed") return accept(set(by.because));
      return accept(set("changed"), ...allEnded(state, { id, at }, "password_set", by.session));
    case "invitation": {
      if (invitation?.invitation !== by.invitation) {
        return reject("no_invitation", "This code does not count, or no longer");
      }
      if (at >= invitation.until) return reject("invitation_over", "The time of this code is over");
      return accept(
        { type: "identity.invitation.used", data: { account: id, invitation: invitation.invitation } },
        set(password ? "reset" : "chosen"),
        ...(Object.keys(state.locks).length > 0
          ? [{ type: "identity.account.unlocked", data: { account: id, because: "password_reset" } } as const]
          : []),
        ...allEnded(state, { id, at }, "password_set"),
      );
    }
  }
};
