/**
 * One-time codes by time (RFC 6238) and backup codes. Seeds lie in the key database; backup codes are nowhere kept, for each follows from
 * a key of the key database and its place.
 */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { Secret, TOTP } from "otpauth";
import type { Account } from "../../../actors/identity/account.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Parts } from "./parts.ts";

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

export class Codes {
  private backupKey: Uint8Array | undefined;

  constructor(private readonly parts: Pick<Parts, "vault" | "backupSecret"> & { readonly clock: Pick<Clock, "now"> }) {}

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
  stepOf(account: string, factor: string, token: string): number | undefined {
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

  backupCodes(account: string, factor: string): readonly string[] {
    this.backupKey ??= this.parts.backupSecret();
    return Array.from({ length: SECOND.backup_codes }, (_, i) => {
      const bytes = createHmac("sha256", this.backupKey!).update(`${account}\n${factor}\n${i}`).digest();
      return Array.from(bytes.subarray(0, BACKUP_LETTERS), (byte) => LETTERS[byte & 31]).join("");
    });
  }
}

export const totpOf = (seed: Uint8Array, names: { readonly issuer?: string; readonly label?: string } = {}): TOTP =>
  new TOTP({
    ...names,
    secret: new Secret({ buffer: new Uint8Array(seed).buffer }),
    algorithm: "SHA1",
    digits: SECOND.digits,
    period: SECOND.period_s,
  });
