/** Tries of passwords: how many there may be, and how a refused one is recorded. */
import { createHmac } from "node:crypto";
import type { IdentityData } from "../../../events/identity/mod.ts";
import type { From, Wait } from "../../http/identity/port.ts";
import { callerOf } from "../../http/addresses.ts";
import { RateLimiter } from "../../http/rate.ts";
import { notDone } from "./accounts.ts";
import { DOOR, type Parts, type TryLimits } from "./parts.ts";

const DAY_MS = 86_400_000;
const KEY_BYTES = 32;
const NAME_CHARS = 256;

type Reason = Exclude<IdentityData<"identity.signin.failed">["reason"], "unknown_account" | "locked" | "disabled">;

/** A try that failed, as it is told. */
export interface Refusal {
  /** Absent: nobody has the name. */
  readonly account: string | undefined;
  readonly name?: string | undefined;
  readonly reason: Reason;
  /** Default: a password. */
  readonly method?: "password" | "totp" | "backup_code" | "passkey" | "oidc" | "saml";
  /** Who was asked to vouch. */
  readonly provider?: string;
  /** The passkey that was shown, where its counter had not grown. */
  readonly clone?: { readonly factor: string; readonly counter: number };
  /** The password; only 16 bits of a keyed hash of it are recorded. */
  readonly password?: string;
}

export const tryLimits = (
  { window_ms, name_max, address_max, credential_max }: Parts["config"]["rate"],
): TryLimits => ({
  name: new RateLimiter({ max: name_max, window_ms }),
  address: new RateLimiter({ max: address_max, window_ms }),
  credential: new RateLimiter({ max: credential_max, window_ms }),
});

export class Tries {
  private readonly secret: Uint8Array;
  private key: { readonly day: number; readonly bytes: Uint8Array } | undefined;

  constructor(private readonly parts: Pick<Parts, "config" | "states" | "clock" | "random" | "limits">) {
    this.secret = parts.random(KEY_BYTES);
  }

  /**
   * What to wait for until it may be tried; nothing for now, and then it counts as a try. Whether anybody has the name makes no difference. Without a name
   * only the address counts, so that nobody can use up what others need. A password counts whatever the name, for who has a list of them.
   * What one limit refuses takes nothing of the next: an address that has had enough fills no windows of names.
   */
  wait(name: string | undefined, { address = "" }: From, password?: string): Wait | undefined {
    const { limits, clock } = this.parts;
    const now = clock.monotonic();
    const tried = [
      ["address", callerOf(address)],
      ["name", name?.slice(0, NAME_CHARS)],
      ["credential", password === undefined ? undefined : this.hashOf(password)],
    ] as const;
    for (const [which, caller] of tried) {
      const ms = caller === undefined ? 0 : limits[which].take(caller, now);
      if (ms > 0) return { is: "wait", because: "rate", ms, limit: { name: `signin_${which}`, ...limits[which].rate } };
    }
    return undefined;
  }

  /** Known to this process alone, and to no file. */
  private hashOf(password: string): string {
    return createHmac("sha256", this.secret).update(password).digest("base64url");
  }

  /** Records it, and locks the account when it was one too many. Throws the problem where it could not be recorded. */
  async refuse(
    { account, name, reason, method = "password", password, clone, provider }: Refusal,
    from: From,
  ): Promise<void> {
    const { states, config: { lockout } } = this.parts;
    const tried = password === undefined ? {} : { tried: this.triedOf(password) };
    const cloned = clone && { clone: { factor: clone.factor, counter: clone.counter } };
    const data = {
      method,
      reason,
      ...lockout,
      ...(name && { name }),
      ...tried,
      ...cloned,
      ...(provider && { provider }),
      ...from,
    } as const;
    const command = { type: "identity.signin.fail", data } as const;
    const outcome = account === undefined
      ? await states.askNobody(command, DOOR)
      : await states.ask(account, command, DOOR);
    if (outcome.is !== "accepted") throw notDone(outcome);
  }

  /** Equal for equal passwords within a day and run; too short to tell which. */
  private triedOf(password: string): string {
    const day = Math.floor(this.parts.clock.now() / DAY_MS);
    if (this.key?.day !== day) this.key = { day, bytes: this.parts.random(KEY_BYTES) };
    return createHmac("sha256", this.key.bytes).update(password).digest("hex").slice(0, 4);
  }
}
