/** Second factors: set up, shown once more within a session, and taken away. */
import { renderSVG } from "uqr";
import type { Account } from "../../../actors/identity/account.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Enrolling, FactorShown, From, OwnSession, Proof } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import { Codes, SECOND, type Second, totpOf } from "./codes.ts";
import { freshId, type Parts } from "./parts.ts";
import { userOf } from "./sessions.ts";
import type { Tries } from "./tries.ts";

/** Modules on each side (ISO/IEC 18004 section 6.3.8). */
const QUIET_ZONE = 4;

export class SecondFactors {
  private readonly codes: Codes;

  constructor(
    private readonly parts: Parts,
    private readonly tries: Tries,
  ) {
    this.codes = new Codes(parts);
  }

  /** Which factor a code is of; `undefined` for one that is of none. Whether it was taken before is the account's to say. */
  find(account: string, state: Account, code: string): Second | undefined {
    return this.codes.find(account, state, code);
  }

  /** A seed that counts once a code of it was shown. */
  begin({ account }: OwnSession): Enrolling {
    const { vault, random } = this.parts;
    const seed = random(SECOND.seed_bytes);
    const factor = vault.keep(account, seed);
    const totp = totpOf(seed, { issuer: this.parts.issuer(), label: this.parts.nameOf(account) ?? account });
    const uri = totp.toString();
    return { is: "enrolling", factor, secret: totp.secret.base32, uri, svg: renderSVG(uri, { border: QUIET_ZONE }) };
  }

  /** With the first code the factor counts, and ten backup codes are there, shown once. */
  async confirm(
    { account }: OwnSession,
    { factor, code }: { readonly factor: string; readonly code: string },
    from: From,
  ): Promise<Proof> {
    const wait = this.tries.wait(account, from);
    if (wait) return wait;
    const counter = /^\d{6}$/.test(code) ? this.codes.stepOf(account, factor, code) : undefined;
    if (counter === undefined) return { is: "refused" };
    const data = { factor, kind: "totp", counter } as const;
    const outcome = await this.parts.states.ask(account, { type: "identity.factor.enroll", data }, userOf(account));
    if (outcome.is === "rejected") return { is: "refused" };
    if (outcome.is !== "accepted") throw notDone(outcome);
    return await this.newBackupCodes(account);
  }

  /** Ten new ones; those before count no more. */
  async newBackupCodes(account: string): Promise<Proof> {
    const factor = freshId(this.parts);
    const data = { factor, kind: "backup_codes" } as const;
    const outcome = await this.parts.states.ask(account, { type: "identity.factor.enroll", data }, userOf(account));
    if (outcome.is !== "accepted") throw notDone(outcome);
    const codes = this.codes.backupCodes(account, factor).map((code) => code.match(/.{4}/g)!.join("-"));
    return { is: "proven", codes };
  }

  /** Once more within a session; then it counts as fresh for a while. */
  async prove(own: OwnSession, code: string, from: From): Promise<Proof> {
    const { account } = own;
    const { states } = this.parts;
    const wait = this.tries.wait(account, from);
    if (wait) return wait;
    const second = this.find(account, states.of(account), code);
    if (!second) {
      await this.tries.refuse({ account, method: "totp", reason: "wrong_secret" }, from);
      return { is: "refused" };
    }
    return await this.verify(own, second, from);
  }

  /** Has the account say that what was shown counts. */
  async verify({ account, session }: OwnSession, second: Second, from: From): Promise<Proof> {
    const data = { session, second, fresh_ms: SECOND.fresh_ms };
    const outcome = await this.parts.states.ask(account, { type: "identity.factor.verify", data }, userOf(account));
    if (outcome.is === "rejected") {
      const clone = outcome.code === "clone_suspected";
      const reason = clone ? "clone_suspected" : "used_before";
      await this.tries.refuse({ account, method: methodOf(second), reason, ...(clone && { clone: second }) }, from);
      return { is: "refused" };
    }
    if (outcome.is !== "accepted") throw notDone(outcome);
    return { is: "proven" };
  }

  isFresh({ account, session }: OwnSession): boolean {
    const found = this.parts.states.of(account).sessions.find((each) => each.session === session);
    return found !== undefined && this.parts.clock.now() < found.fresh_until;
  }

  shown(account: string): readonly FactorShown[] {
    return this.parts.states.of(account).factors.map(({ factor, kind, used, label }) => ({
      factor,
      kind,
      ...(label === undefined ? {} : { label: this.parts.unseal(label) }),
      ...(kind === "backup_codes" ? { left: SECOND.backup_codes - used.length } : {}),
    }));
  }

  /** Its seed is destroyed when the account has said that it counts no more. */
  async remove(
    account: string,
    { factor, session }: { readonly factor: string; readonly session?: string },
    by: Principal,
  ): Promise<Outcome> {
    const { states, vault } = this.parts;
    const because = session === undefined ? "reset" : "asked";
    const data = { factor, because, ...(session === undefined ? {} : { session }) } as const;
    const outcome = await states.ask(account, { type: "identity.factor.remove", data }, by);
    if (outcome.is === "accepted") vault.drop(account, [factor]);
    return outcome;
  }

  /** All of them, by an administrator, for who has lost theirs. */
  async reset(account: string, by: Principal): Promise<Outcome> {
    let done: Extract<Outcome, { is: "accepted" }> | undefined;
    for (;;) {
      const held = this.parts.states.of(account).factors.find(({ kind }) => kind !== "backup_codes");
      if (!held) break;
      const outcome = await this.remove(account, { factor: held.factor }, by);
      // Its holder, or another administrator, was first.
      if (outcome.is === "rejected" && outcome.code === "no_factor") continue;
      if (outcome.is !== "accepted") return outcome;
      done = { ...outcome, facts: [...(done?.facts ?? []), ...outcome.facts] };
    }
    return done ?? { is: "rejected", code: "no_factor", because: "The account has no second factor", revision: -1 };
  }
}

export const methodOf = ({ kind }: Second): "totp" | "backup_code" | "passkey" =>
  kind === "backup_codes" ? "backup_code" : kind;
