/** Signing in with a name and a password. */
import { wantsSecond } from "../../../actors/identity/account.ts";
import type { From, Identity, SignedIn } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import type { Administration } from "./administration.ts";
import { HashingBusy } from "./hashing.ts";
import { accountName } from "./names.ts";
import type { OwnPasswords } from "./own_passwords.ts";
import type { Entering } from "./entering.ts";
import { BUSY_MS, NO_PASSWORD, type Parts } from "./parts.ts";
import { type Checked, takesPasswords } from "./passwords.ts";
import { userOf } from "./sessions.ts";
import type { SecondFactors } from "./second_factors.ts";
import type { SecondStep } from "./second_step.ts";
import type { Tries } from "./tries.ts";

/** A well-formed id that no account has. */
const STRANGER = "u_nobody-nobody-nobody";

/** What every way in goes by. */
export interface Desk {
  readonly tries: Tries;
  readonly own: OwnPasswords;
  readonly factors: SecondFactors;
  readonly entering: Entering;
  readonly step: SecondStep;
}

export class SigningIn {
  constructor(
    private readonly parts: Parts,
    private readonly desk: Desk & { readonly administration: Pick<Administration, "issue"> },
  ) {}

  /** One answer for every refusal, after the same work: a name that nobody has costs a hash like any other. */
  async signIn({ name, password, kind }: Parameters<Identity["signIn"]>[0], from: From): Promise<SignedIn> {
    const { vault, states, passwords, clock } = this.parts;
    const known = accountName(name);
    const wait = this.desk.tries.wait(known ?? name, from, password);
    if (wait) return wait;
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
    if (checked.weaker) await this.desk.own.strengthen(id, checked.credential, password);
    const { password: counts } = states.of(id);
    const first = { is: "password", credential: counts?.credential ?? checked.credential } as const;
    if (counts && wantsSecond(states.of(id))) {
      return { is: "factor_wanted", ticket: this.desk.step.ticket({ account: id, kind, first }) };
    }
    return await this.desk.entering.enter(
      { account: id, kind, first, ...(known !== undefined && { name: known }) },
      from,
    );
  }

  /** The code that was asked for after the password. */
  async second({ ticket, code }: Parameters<Identity["second"]>[0], from: From): Promise<SignedIn> {
    const first = this.desk.step.read(ticket);
    if (!first) return { is: "refused" };
    const { account } = first;
    const wait = this.desk.tries.wait(account, from);
    if (wait) return wait;
    if (this.desk.step.isOver(first)) {
      await this.desk.tries.refuse({ account, method: "totp", reason: "expired" }, from);
      return { is: "refused" };
    }
    const second = this.desk.factors.find(account, this.parts.states.of(account), code);
    if (!second) {
      await this.desk.tries.refuse({ account, method: "totp", reason: "wrong_secret" }, from);
      return { is: "refused" };
    }
    return await this.desk.entering.enter({ ...first, second }, from);
  }

  /** What bcrypt cannot see of a long password nobody has proven, so it is not hashed anew as it was typed: it is to be set. */
  private async wantPassword(account: string): Promise<SignedIn> {
    const issued = await this.desk.administration.issue(account, "upgrade", userOf(account));
    if (issued.is === "issued") return { is: "password_wanted", code: issued.code };
    if (issued.is === "rejected") return { is: "refused" };
    throw notDone(issued);
  }
}
