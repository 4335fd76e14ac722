/**
 * Second factors: one-time codes by time (RFC 6238) and backup codes. Seeds lie in the key database; backup codes are nowhere kept, for
 * each follows from a key of the key database and its place.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { Secret, TOTP } from "otpauth";
import { renderSVG } from "uqr";
import type { Account } from "../../../actors/identity/account.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Enrolling, FactorShown, From, OwnSession, Proof } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import { freshId, type Parts } from "./parts.ts";
import { userOf } from "./sessions.ts";
import type { Tries } from "./tries.ts";

export const SECOND = {
  /** RFC 4226 section 4: 160 bits are recommended. */
  seed_bytes: 20,
  digits: 6,
  period_s: 30,
  /** Steps of the clock that a code may be early or late (RFC 6238 section 5.2). */
  window: 1,
  backup_codes: 10,
  /** How long a factor that was proven within a session counts as fresh. */
  fresh_ms: 5 * 60_000,
} as const;

/** Letters of a backup code: twelve, five bits each; none looks like a digit that is used. */
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";
const BACKUP_LETTERS = 12;

export interface Second {
  readonly factor: string;
  readonly kind: "totp" | "backup_codes" | "passkey";
  readonly counter: number;
}

export class SecondFactors {
  private backupKey: Uint8Array | undefined;

  constructor(
    private readonly parts: Parts,
    private readonly tries: Tries,
  ) {}

  /** Which factor a code is of; `undefined` for one that is of none. Whether it was taken before is the account's to say. */
  find(account: string, { factors }: Account, code: string): Second | undefined {
    const typed = code.replace(/[\s-]/g, "").toLowerCase();
    if (/^\d{6}$/.test(typed)) {
      for (const { factor, kind } of factors) {
        const counter = kind === "totp" ? this.stepOf(account, factor, typed) : undefined;
        if (counter !== undefined) return { factor, kind: "totp", counter };
      }
      return undefined;
    }
    if (!/^[a-z2-7]{12}$/.test(typed)) return undefined;
    for (const { factor, kind } of factors) {
      const counter = kind === "backup_codes" ? this.placeOf(account, factor, typed) : -1;
      if (counter >= 0) return { factor, kind: "backup_codes", counter };
    }
    return undefined;
  }

  /** The step of the clock that a code belongs to. */
  private stepOf(account: string, factor: string, token: string): number | undefined {
    const seed = this.parts.vault.read(account, factor);
    if (!seed) return undefined;
    const now = this.parts.clock.now();
    const delta = totpOf(seed).validate({ token, timestamp: now, window: SECOND.window });
    return delta === null ? undefined : Math.floor(now / 1000 / SECOND.period_s) + delta;
  }

  private placeOf(account: string, factor: string, typed: string): number {
    let found = -1;
    // All are compared, so that the time tells nothing of the place.
    this.backupCodes(account, factor).forEach((code, i) => {
      if (timingSafeEqual(Buffer.from(code), Buffer.from(typed))) found = i;
    });
    return found;
  }

  private backupCodes(account: string, factor: string): readonly string[] {
    this.backupKey ??= this.parts.backupSecret();
    return Array.from({ length: SECOND.backup_codes }, (_, i) => {
      const bytes = createHmac("sha256", this.backupKey!).update(`${account}\n${factor}\n${i}`).digest();
      return Array.from(bytes.subarray(0, BACKUP_LETTERS), (byte) => LETTERS[byte & 31]).join("");
    });
  }

  /** A seed that counts once a code of it was shown. */
  begin({ account }: OwnSession): Enrolling {
    const { vault, random } = this.parts;
    const seed = random(SECOND.seed_bytes);
    const factor = vault.keep(account, seed);
    const totp = totpOf(seed, { issuer: this.parts.issuer(), label: this.parts.nameOf(account) ?? account });
    const uri = totp.toString();
    return { is: "enrolling", factor, secret: totp.secret.base32, uri, svg: renderSVG(uri, { border: 2 }) };
  }

  /** With the first code the factor counts, and ten backup codes are there, shown once. */
  async confirm(
    { account }: OwnSession,
    { factor, code }: { readonly factor: string; readonly code: string },
    from: From,
  ): Promise<Proof> {
    const wait = this.tries.wait(account, from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
    const counter = /^\d{6}$/.test(code) ? this.stepOf(account, factor, code) : undefined;
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
    const codes = this.backupCodes(account, factor).map((code) => code.match(/.{4}/g)!.join("-"));
    return { is: "proven", codes };
  }

  /** Once more within a session; then it counts as fresh for a while. */
  async prove(own: OwnSession, code: string, from: From): Promise<Proof> {
    const { account } = own;
    const { states } = this.parts;
    const wait = this.tries.wait(account, from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
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
    let outcome: Outcome | undefined;
    for (const { factor, kind } of this.parts.states.of(account).factors) {
      if (kind === "backup_codes") continue;
      outcome = await this.remove(account, { factor }, by);
      if (outcome.is !== "accepted") return outcome;
    }
    return outcome ?? { is: "rejected", code: "no_factor", because: "The account has no second factor", revision: -1 };
  }
}

export const methodOf = ({ kind }: Second): "totp" | "backup_code" | "passkey" =>
  kind === "backup_codes" ? "backup_code" : kind;

const totpOf = (seed: Uint8Array, names: { readonly issuer?: string; readonly label?: string } = {}): TOTP =>
  new TOTP({
    ...names,
    secret: new Secret({ buffer: new Uint8Array(seed).buffer }),
    algorithm: "SHA1",
    digits: SECOND.digits,
    period: SECOND.period_s,
  });
