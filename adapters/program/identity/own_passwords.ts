/**
 * Setting passwords. The hash is kept in the key database before the account says that it counts, and the one before is destroyed after
 * that: whatever instant the process dies at, what the log names is there.
 */
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { From, OwnSession, PasswordSet, Wait } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import { HashingBusy } from "./hashing.ts";
import { BUSY_MS, NO_PASSWORD, type Parts } from "./parts.ts";
import { FAULT_TOLD, passwordFault } from "./password_rules.ts";
import { type Kept, takesPasswords } from "./passwords.ts";
import { userOf } from "./sessions.ts";
import type { Tries } from "./tries.ts";

/** What allows a password to be set. */
type By =
  | { readonly is: "import" }
  | { readonly is: "invitation"; readonly invitation: string }
  | {
    readonly is: "password";
    readonly credential: string;
    readonly because: "changed" | "raised" | "upgraded";
    readonly session?: string;
  };

export class OwnPasswords {
  constructor(private readonly parts: Parts, private readonly tries: Tries) {}

  async change(
    { account, session }: OwnSession,
    { current, next }: { readonly current: string; readonly next: string },
    from: From,
  ): Promise<PasswordSet> {
    const { states, passwords, clock } = this.parts;
    const wait = this.tries.wait(account, from);
    if (wait) return wait;
    const weak = await this.weakness(account, next);
    if (weak) return weak;
    return await unlessBusy(async () => {
      const state = states.of(account);
      const checked = await passwords.check(account, takesPasswords(state, clock) ? state : NO_PASSWORD, current);
      if (!checked.fits) {
        await this.tries.refuse({ account, reason: "wrong_secret", password: current }, from);
        return { is: "refused" };
      }
      const { credential } = checked;
      const kept = await passwords.keep(account, next);
      const by: By = { is: "password", credential, because: "changed", session };
      return setOf(await this.settle(account, kept, by, userOf(account)));
    });
  }

  /** Whether it is the password of now; a wrong one is recorded. */
  async isRight({ account }: OwnSession, password: string, from: From): Promise<"right" | "refused" | Wait> {
    const { states, passwords, clock } = this.parts;
    const wait = this.tries.wait(account, from);
    if (wait) return wait;
    try {
      const state = states.of(account);
      if ((await passwords.check(account, takesPasswords(state, clock) ? state : NO_PASSWORD, password)).fits) {
        return "right";
      }
    } catch (error) {
      if (error instanceof HashingBusy) return { is: "wait", because: "busy", ms: BUSY_MS };
      throw error;
    }
    await this.tries.refuse({ account, reason: "wrong_secret", password }, from);
    return "refused";
  }

  /** With the code of an invitation. */
  async choose(code: string, password: string, from: From): Promise<PasswordSet> {
    const found = this.invitationOf(code);
    const wait = this.tries.wait(found?.account, from);
    if (wait) return wait;
    if (!found) return { is: "refused" };
    const { account, invitation } = found;
    const weak = await this.weakness(account, password);
    if (weak) return weak;
    return await unlessBusy(async () => {
      const kept = await this.parts.passwords.keep(account, password);
      return setOf(await this.settle(account, kept, { is: "invitation", invitation }, userOf(account)));
    });
  }

  /** Whose invitation a code is, if it counts now. */
  invitationOf(code: string): { readonly account: string; readonly invitation: string } | undefined {
    const { tickets, states, clock } = this.parts;
    const parts = tickets.read("invitation", code, 2);
    if (!parts) return undefined;
    const [account, invitation] = [parts[0]!, parts[1]!];
    const { is, invitation: counts } = states.of(account);
    return is === "active" && counts?.invitation === invitation && clock.now() < counts.until
      ? { account, invitation }
      : undefined;
  }

  /** The same password, hashed anew with what is wanted now; when that cannot be done, at the next sign-in. */
  async strengthen(account: string, credential: string, password: string): Promise<void> {
    const { states, passwords } = this.parts;
    try {
      const kept = await passwords.keep(account, password);
      const because = states.of(account).password?.scheme.algorithm === "bcrypt" ? "upgraded" : "raised";
      await this.settle(account, kept, { is: "password", credential, because }, userOf(account));
    } catch (error) {
      if (!(error instanceof HashingBusy)) throw error;
    }
  }

  /** Has the account say that this hash counts; what it was before is destroyed then. */
  async settle(account: string, kept: Kept, by: By, who: Principal): Promise<Outcome> {
    const { states, passwords } = this.parts;
    const { credential, scheme } = kept;
    const outcome = await states.ask(account, { type: "identity.password.set", data: { credential, scheme, by } }, who);
    if (outcome.is === "accepted") {
      const set = outcome.facts.find(({ type }) => type === "identity.password.set");
      const { factors, links } = states.of(account);
      const named = [...factors.map(({ factor }) => factor), ...links.map(({ link }) => link)];
      passwords.settled(account, kept, { named, replaced: (set?.data as { readonly replaced?: string })?.replaced });
      // With any other outcome it may yet be in the log.
    } else if (outcome.is === "rejected" || outcome.is === "invalid") passwords.forget(account, kept);
    return outcome;
  }

  private async weakness(account: string, password: string): Promise<Extract<PasswordSet, { is: "weak" }> | undefined> {
    const { config: { passwords: { length_min, words } }, breached, nameOf } = this.parts;
    const name = nameOf(account);
    const known = ["daybook", ...words, ...(name === undefined ? [] : [name, name.split("@", 1)[0]!])];
    const fault = await passwordFault(password, { length_min, words: known, breached });
    if (!fault) return undefined;
    const because = fault === "too_short" ? `has fewer than ${length_min} characters` : FAULT_TOLD[fault];
    return { is: "weak", because };
  }
}

const unlessBusy = async (set: () => Promise<PasswordSet>): Promise<PasswordSet> => {
  try {
    return await set();
  } catch (error) {
    if (error instanceof HashingBusy) return { is: "wait", because: "busy", ms: BUSY_MS };
    throw error;
  }
};

const setOf = (outcome: Outcome): PasswordSet => {
  if (outcome.is === "accepted") return { is: "set" };
  if (outcome.is === "rejected") return { is: "refused" };
  throw notDone(outcome);
};
