/** Signing in with a name and a password. */
import { type Account, isLocked, wantsSecond } from "../../../actors/identity/account.ts";
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
import { methodOf, type Second, type SecondFactors } from "./second_factors.ts";
import type { Refusal, Tries } from "./tries.ts";

/** A well-formed id that no account has. */
const STRANGER = "u_nobody-nobody-nobody";

/** Whether a password of this account may be right now. */
export const takesPasswords = (state: Account, clock: Pick<Clock, "now">): boolean =>
  state.is === "active" && !isLocked(state, clock.now());

/** Somebody who has shown all that was asked for. */
interface Entering {
  readonly account: string;
  /** The password that was right. */
  readonly credential: string;
  readonly second?: Second;
  readonly kind: "browser" | "program" | "terminal";
  readonly name: string | undefined;
}

/** How long after the password the code may come. */
const TICKET_MS = 5 * 60_000;

/** What the account says, as a refused try has it. */
const REASONS: Readonly<Record<string, Refusal["reason"]>> = {
  changed_meanwhile: "changed_meanwhile",
  used_before: "used_before",
};

export class SigningIn {
  constructor(
    private readonly parts: Parts,
    private readonly desk: {
      readonly tries: Tries;
      readonly own: OwnPasswords;
      readonly factors: SecondFactors;
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
    if (checked.weaker) await this.desk.own.strengthen(id, checked.credential, password);
    const { password: counts } = states.of(id);
    if (counts && wantsSecond(states.of(id))) {
      const until = String(clock.now() + TICKET_MS);
      return { is: "factor_wanted", ticket: this.parts.tickets.make("second", [id, counts.credential, kind, until]) };
    }
    return await this.begin(
      { account: id, credential: counts?.credential ?? checked.credential, kind, name: known },
      from,
    );
  }

  /** The code that was asked for after the password. */
  async second({ ticket, code }: Parameters<Identity["second"]>[0], from: From): Promise<SignedIn> {
    const { states, tickets, clock } = this.parts;
    const [account, credential, kind, until] = tickets.read("second", ticket, 4) ?? [];
    if (account === undefined || credential === undefined) return { is: "refused" };
    const wait = this.desk.tries.wait(account, from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
    if (clock.now() >= Number(until)) {
      await this.desk.tries.refuse({ account, method: "totp", reason: "expired" }, from);
      return { is: "refused" };
    }
    const second = this.desk.factors.find(account, states.of(account), code);
    if (!second) {
      await this.desk.tries.refuse({ account, method: "totp", reason: "wrong_secret" }, from);
      return { is: "refused" };
    }
    return await this.begin({ account, credential, kind: kind as Entering["kind"], second, name: undefined }, from);
  }

  private async begin({ account, credential, kind, second, name }: Entering, from: From): Promise<SignedIn> {
    const { states, sessions, policy } = this.parts;
    const { idle_ms, absolute_ms, concurrent_max } = policy(states.of(account).tenant);
    const session = freshId(this.parts);
    const outcome = await states.ask(account, {
      type: "identity.signin.complete",
      data: {
        credential,
        session,
        kind,
        ...(second && { second }),
        idle_ms,
        absolute_ms,
        sessions_max: concurrent_max,
        ...from,
      },
    }, userOf(account));
    if (outcome.is === "rejected") {
      const reason = REASONS[outcome.code] ?? "wrong_secret";
      await this.desk.tries.refuse({ account, name, reason, method: second && methodOf(second) }, from);
      return { is: "refused" };
    }
    if (outcome.is !== "accepted") throw notDone(outcome);
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
