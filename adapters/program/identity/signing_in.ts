/** Signing in with a name and a password. */
import { type Account, isLocked } from "../../../actors/identity/account.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { From, Identity, SignedIn } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import type { Administration } from "./administration.ts";
import { HashingBusy } from "./hashing.ts";
import { accountName } from "./names.ts";
import type { OwnPasswords } from "./own_passwords.ts";
import { BUSY_MS, freshId, NO_PASSWORD, type Parts } from "./parts.ts";
import type { Checked } from "./passwords.ts";
import { userOf } from "./sessions.ts";
import type { Tries } from "./tries.ts";

/** A well-formed id that no account has. */
const STRANGER = "u_nobody-nobody-nobody";

/** Whether a password of this account may be right now. */
export const takesPasswords = (state: Account, clock: Pick<Clock, "now">): boolean =>
  state.is === "active" && !isLocked(state, clock.now());

/** Somebody whose password was right. */
interface Entering {
  readonly account: string;
  readonly checked: Extract<Checked, { fits: true }>;
  readonly kind: "browser" | "program" | "terminal";
  readonly password: string;
  readonly name: string | undefined;
}

export class SigningIn {
  constructor(
    private readonly parts: Parts,
    private readonly desk: {
      readonly tries: Tries;
      readonly own: OwnPasswords;
      readonly administration: Pick<Administration, "issue">;
    },
  ) {}

  /** One answer for every refusal, after the same work: a name that nobody has costs a hash like any other. */
  async signIn({ name, password, kind }: Parameters<Identity["signIn"]>[0], from: From): Promise<SignedIn> {
    const { vault, states, passwords, clock } = this.parts;
    const known = accountName(name);
    const wait = this.desk.tries.wait(known ?? name, from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
    const account = known === undefined ? undefined : vault.find(known);
    const id = account ?? STRANGER;
    const state = states.of(id);
    let checked: Checked;
    try {
      checked = await passwords.check(id, takesPasswords(state, clock) ? state : NO_PASSWORD, password);
    } catch (error) {
      if (error instanceof HashingBusy) return { is: "wait", because: "busy", ms: BUSY_MS };
      throw error;
    }
    if (!checked.fits) {
      const reason = state.is === "active" && state.password === null ? "not_enrolled" : "wrong_secret";
      await this.desk.tries.refuse({ account, name: known, reason, password }, from);
      return { is: "refused" };
    }
    if (checked.cut) return await this.wantPassword(id);
    return await this.begin({ account: id, checked, kind, password, name: known }, from);
  }

  private async begin({ account, checked, kind, password, name }: Entering, from: From): Promise<SignedIn> {
    const { states, sessions, policy } = this.parts;
    const { idle_ms, absolute_ms, concurrent_max } = policy(states.of(account).tenant);
    const session = freshId(this.parts);
    const { credential } = checked;
    const outcome = await states.ask(account, {
      type: "identity.signin.complete",
      data: { credential, session, kind, idle_ms, absolute_ms, sessions_max: concurrent_max, ...from },
    }, userOf(account));
    if (outcome.is === "rejected") {
      const reason = outcome.code === "changed_meanwhile" ? "changed_meanwhile" : "wrong_secret";
      await this.desk.tries.refuse({ account, name, reason }, from);
      return { is: "refused" };
    }
    if (outcome.is !== "accepted") throw notDone(outcome);
    if (checked.weaker) await this.desk.own.strengthen(account, credential, password);
    const begun = states.of(account).sessions.find((each) => each.session === session);
    // Somebody has ended it already.
    if (!begun) return { is: "refused" };
    if (kind === "browser") {
      return { is: "in_page", account, session, cookie: sessions.cookie({ account, session }), until: begun.until };
    }
    return { is: "in", account, session, tokens: await sessions.tokens(account, begun) };
  }

  /** What bcrypt cannot see of a long password nobody has proven, so it is not hashed anew as it was typed: it is to be set. */
  private async wantPassword(account: string): Promise<SignedIn> {
    const issued = await this.desk.administration.issue(account, "upgrade", userOf(account));
    if (issued.is === "issued") return { is: "password_wanted", code: issued.code };
    if (issued.is === "rejected") return { is: "refused" };
    throw notDone(issued);
  }
}
