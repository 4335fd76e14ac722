/**
 * Accounts at work: checks secrets, has the account decide, and hands out what a session needs.
 *
 * What is kept in the key database is there before the fact that names it, and counts only by that fact. So whatever instant the
 * process dies at, the log says what counts, and what it names is there.
 */
import { createHmac } from "node:crypto";
import { type Account, isLocked } from "../../../actors/identity/account.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Json } from "../../../events/event.ts";
import type { Config } from "../../../config/config.ts";
import type {
  AccountChange,
  Created,
  From,
  Identity,
  Issued,
  NewAccount,
  OwnSession,
  PasswordSet,
  SignedIn,
} from "../../http/identity/port.ts";
import { RateLimiter } from "../../http/rate.ts";
import { publicJwk } from "../../jose/access_tokens.ts";
import type { Accounts } from "../../keys/accounts.ts";
import { type AccountStates, notDone } from "./accounts.ts";
import { HashingBusy } from "./hashing.ts";
import { accountName } from "./names.ts";
import { FAULT_TOLD, passwordFault } from "./password_rules.ts";
import type { Checked, Kept, Passwords } from "./passwords.ts";
import { ROLES } from "./roles.ts";
import { type SessionPolicy, type Sessions, userOf } from "./sessions.ts";
import type { SigningKeys } from "./signing.ts";
import type { Tickets } from "./tickets.ts";

export interface IdentityOptions {
  readonly config: Config["identity"];
  readonly states: AccountStates;
  readonly vault: Accounts;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly signing: SigningKeys;
  readonly tickets: Tickets;
  readonly policy: (tenant: string) => SessionPolicy;
  readonly clock: Clock;
  readonly random: (bytes: number) => Uint8Array;
  /** The name an account was made with, in clear; for what its password must not be. */
  readonly nameOf: (account: string) => string | undefined;
}

/** Who tells of a try before anybody is known. */
const DOOR: Principal = { authtype: "system", authid: "identity" };
const ID_BYTES = 18;
const DAY_MS = 86_400_000;
/** When the threads are busy. */
const BUSY_MS = 2_000;

export class Accounting implements Identity {
  private readonly names: RateLimiter;
  private readonly addresses: RateLimiter;
  private tries: { readonly day: number; readonly key: Uint8Array } | undefined;

  constructor(private readonly options: IdentityOptions) {
    const { rate } = options.config;
    this.names = new RateLimiter({ max: rate.name_max, window_ms: rate.window_ms });
    this.addresses = new RateLimiter({ max: rate.address_max, window_ms: rate.window_ms });
  }

  async signIn(
    { name, password, kind }: Parameters<Identity["signIn"]>[0],
    from: From,
  ): Promise<SignedIn> {
    const { vault, states, passwords } = this.options;
    const known = accountName(name);
    const wait = this.wait(known ?? name, from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
    const account = known === undefined ? undefined : vault.find(known);
    // A name that nobody has costs what one does that somebody has.
    const id = account ?? STRANGER;
    const state = states.of(id);
    let checked: Checked;
    try {
      checked = await passwords.check(id, this.takesPasswords(state) ? state : NO_PASSWORD, password);
    } catch (error) {
      if (error instanceof HashingBusy) return { is: "wait", because: "busy", ms: BUSY_MS };
      throw error;
    }
    if (!checked.fits) {
      const reason = state.is === "active" && state.password === null ? "not_enrolled" : "wrong_secret";
      return await this.refuse(account, { name: known, reason, tried: this.triedOf(password) }, from);
    }
    if (checked.cut) return await this.wantPassword(id, from);
    return await this.begin(id, { checked, kind, password, name: known }, from);
  }

  private takesPasswords(state: Account): boolean {
    return state.is === "active" && !isLocked(state, this.options.clock.now());
  }

  private async begin(
    account: string,
    { checked, kind, password, name }: {
      readonly checked: Extract<Checked, { fits: true }>;
      readonly kind: "browser" | "program" | "terminal";
      readonly password: string;
      readonly name: string | undefined;
    },
    from: From,
  ): Promise<SignedIn> {
    const { states, sessions, policy } = this.options;
    const { idle_ms, absolute_ms, concurrent_max } = policy(states.of(account).tenant);
    const session = this.id();
    const { credential } = checked;
    const outcome = await states.ask(account, {
      type: "identity.signin.complete",
      data: { credential, session, kind, idle_ms, absolute_ms, sessions_max: concurrent_max, ...from },
    }, userOf(account));
    if (outcome.is === "rejected") {
      const reason = outcome.code === "changed_meanwhile" ? "changed_meanwhile" : "wrong_secret";
      return await this.refuse(account, { name, reason }, from);
    }
    if (outcome.is !== "accepted") throw notDone(outcome);
    if (checked.weaker) await this.strengthen(account, checked.credential, password);
    const begun = states.of(account).sessions.find((each) => each.session === session);
    // Somebody has ended it already.
    if (!begun) return { is: "refused" };
    if (kind === "browser") {
      return { is: "in_page", account, session, cookie: sessions.cookie({ account, session }), until: begun.until };
    }
    return { is: "in", account, session, tokens: await sessions.tokens(account, begun) };
  }

  /** Hashed anew with what is wanted now; when that cannot be done, at the next sign-in. */
  private async strengthen(account: string, credential: string, password: string): Promise<void> {
    const { states, passwords } = this.options;
    try {
      const kept = await passwords.keep(account, password);
      const because = states.of(account).password?.scheme.algorithm === "bcrypt" ? "upgraded" : "raised";
      await this.settle(account, kept, { is: "password", credential, because }, userOf(account));
    } catch (error) {
      if (!(error instanceof HashingBusy)) throw error;
    }
  }

  /** Has the account say that this hash counts; what it was before is destroyed then. */
  private async settle(
    account: string,
    kept: Kept,
    by: { readonly is: "import" } | { readonly is: "invitation"; readonly invitation: string } | {
      readonly is: "password";
      readonly credential: string;
      readonly because: "changed" | "raised" | "upgraded";
      readonly session?: string;
    },
    who: Principal,
  ): Promise<Outcome> {
    const { states, passwords } = this.options;
    const { credential, scheme } = kept;
    const outcome = await states.ask(account, { type: "identity.password.set", data: { credential, scheme, by } }, who);
    if (outcome.is === "accepted") {
      const set = outcome.facts.find(({ type }) => type === "identity.password.set");
      passwords.settled(account, kept, (set?.data as { readonly replaced?: string } | undefined)?.replaced);
      // Whatever else it came to, it may be in the log.
    } else if (outcome.is === "rejected" || outcome.is === "invalid") passwords.forget(account, kept);
    return outcome;
  }

  private async refuse(
    account: string | undefined,
    { name, reason, tried }: {
      readonly name: string | undefined;
      readonly reason: "wrong_secret" | "not_enrolled" | "changed_meanwhile";
      readonly tried?: string;
    },
    from: From,
  ): Promise<SignedIn> {
    const { states, config: { lockout } } = this.options;
    const data = {
      method: "password",
      reason,
      ...lockout,
      ...(name && { name }),
      ...(tried && { tried }),
      ...from,
    } as const;
    const command = { type: "identity.signin.fail", data } as const;
    const outcome = account === undefined
      ? await states.askNobody(command, DOOR)
      : await states.ask(account, command, DOOR);
    if (outcome.is !== "accepted") throw notDone(outcome);
    return { is: "refused" };
  }

  private async wantPassword(account: string, _from: From): Promise<SignedIn> {
    const issued = await this.issue(account, "upgrade", userOf(account));
    if (issued.is === "issued") return { is: "password_wanted", code: issued.code };
    if (issued.is === "rejected") return { is: "refused" };
    throw notDone(issued);
  }

  /** The longer of two waits, 0 when it may be tried. */
  private wait(name: string, { address = "" }: From): number {
    const now = this.options.clock.monotonic();
    return Math.max(this.names.take(name.slice(0, 256), now), this.addresses.take(address, now));
  }

  /** Equal for equal passwords within a day and run; too short to tell which. */
  private triedOf(password: string): string {
    const day = Math.floor(this.options.clock.now() / DAY_MS);
    if (this.tries?.day !== day) this.tries = { day, key: this.options.random(32) };
    return createHmac("sha256", this.tries.key).update(password).digest("hex").slice(0, 4);
  }

  private id(): string {
    return this.options.random(ID_BYTES).toBase64({ alphabet: "base64url" });
  }

  refresh(token: string, from: From, key?: string) {
    return this.options.sessions.refresh(token, from, key);
  }

  end({ account, session: own }: OwnSession, session: string): Promise<Outcome> {
    const because = own === session ? "signed_out" : "revoked";
    return this.options.states.ask(
      account,
      { type: "identity.session.end", data: { session, because } },
      userOf(account),
    );
  }

  endAll({ account, session }: OwnSession, { keep }: { readonly keep: boolean }): Promise<Outcome> {
    const data = { because: "signed_out_everywhere", ...(keep && { keep: session }) } as const;
    return this.options.states.ask(account, { type: "identity.session.end_all", data }, userOf(account));
  }

  sessions(account: string) {
    return this.options.sessions.shown(account);
  }

  async changePassword(
    { account, session }: OwnSession,
    { current, next }: { readonly current: string; readonly next: string },
    from: From,
  ): Promise<PasswordSet> {
    const { states, passwords } = this.options;
    const wait = this.wait(account, from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
    const weak = await this.weakness(account, next);
    if (weak) return weak;
    return await this.unlessBusy(async () => {
      const state = states.of(account);
      const checked = await passwords.check(account, this.takesPasswords(state) ? state : NO_PASSWORD, current);
      if (!checked.fits) {
        await this.refuse(account, { name: undefined, reason: "wrong_secret", tried: this.triedOf(current) }, from);
        return { is: "refused" };
      }
      const { credential } = checked;
      const kept = await passwords.keep(account, next);
      return setOf(
        await this.settle(account, kept, { is: "password", credential, because: "changed", session }, userOf(account)),
      );
    });
  }

  async choosePassword(code: string, password: string, from: From): Promise<PasswordSet> {
    const wait = this.wait("", from);
    if (wait > 0) return { is: "wait", because: "rate", ms: wait };
    const found = this.invitationOf(code);
    if (!found) return { is: "refused" };
    const { account, invitation } = found;
    const weak = await this.weakness(account, password);
    if (weak) return weak;
    return await this.unlessBusy(async () => {
      const kept = await this.options.passwords.keep(account, password);
      return setOf(await this.settle(account, kept, { is: "invitation", invitation }, userOf(account)));
    });
  }

  countsAsCode(code: string): boolean {
    return this.invitationOf(code) !== undefined;
  }

  private invitationOf(code: string): { readonly account: string; readonly invitation: string } | undefined {
    const { tickets, states, clock } = this.options;
    const parts = tickets.read("invitation", code, 2);
    if (!parts) return undefined;
    const [account, invitation] = [parts[0]!, parts[1]!];
    const { is, invitation: counts } = states.of(account);
    return is === "active" && counts?.invitation === invitation && clock.now() < counts.until
      ? { account, invitation }
      : undefined;
  }

  private async weakness(account: string, password: string): Promise<Extract<PasswordSet, { is: "weak" }> | undefined> {
    const { config: { passwords }, nameOf } = this.options;
    const name = nameOf(account);
    const words = ["daybook", ...passwords.words, ...(name === undefined ? [] : [name, name.split("@", 1)[0]!])];
    const fault = await passwordFault(password, { length_min: passwords.length_min, words });
    if (!fault) return undefined;
    const because = fault === "too_short" ? `has fewer than ${passwords.length_min} characters` : FAULT_TOLD[fault];
    return { is: "weak", because };
  }

  private async unlessBusy(set: () => Promise<PasswordSet>): Promise<PasswordSet> {
    try {
      return await set();
    } catch (error) {
      if (error instanceof HashingBusy) return { is: "wait", because: "busy", ms: BUSY_MS };
      throw error;
    }
  }

  csrf({ session }: OwnSession): string {
    return this.options.tickets.make("csrf", [session, this.id()]);
  }

  isCsrf({ session }: OwnSession, text: string): boolean {
    return this.options.tickets.read("csrf", text, 2)?.[0] === session;
  }

  async keys(): Promise<Json> {
    await this.options.signing.signing();
    return { keys: this.options.signing.all().map(publicJwk) as unknown as Json[] };
  }

  rotateKey(by: Principal): Promise<Outcome> {
    return this.options.signing.rotate(by);
  }

  async create({ bcrypt, ...asked }: NewAccount, by: Principal): Promise<Created> {
    const { vault, states, passwords } = this.options;
    const name = accountName(asked.name);
    if (name === undefined) {
      return { is: "invalid", path: "/name", message: "a name has ASCII letters, digits and . _ - + @ within" };
    }
    const account = vault.reserve(name);
    const kept = bcrypt === undefined ? undefined : passwords.bring(account, bcrypt);
    if (bcrypt !== undefined && !kept) {
      return { is: "invalid", path: "/bcrypt", message: "expected a bcrypt hash: $2b$, cost, salt and hash" };
    }
    const outcome = await states.ask(account, { type: "identity.account.create", data: { ...asked, name } }, by);
    if (outcome.is !== "accepted") {
      if (kept) passwords.forget(account, kept);
      return { is: "not_done", outcome };
    }
    if (asked.kind === "service") return { is: "created", account };
    if (kept) {
      const imported = await this.settle(account, kept, { is: "import" }, by);
      return imported.is === "accepted" ? { is: "created", account } : { is: "not_done", outcome: imported };
    }
    const issued = await this.issue(account, "activation", by);
    return issued.is === "issued" ? { is: "created", account, code: issued.code } : { is: "not_done", outcome: issued };
  }

  invite(account: string, purpose: "activation" | "reset", by: Principal) {
    return this.issue(account, purpose, by);
  }

  private async issue(
    account: string,
    purpose: "activation" | "reset" | "upgrade",
    by: Principal,
  ): Promise<Issued | Outcome> {
    const { states, tickets, config } = this.options;
    const invitation = this.id();
    const outcome = await states.ask(account, {
      type: "identity.invitation.issue",
      data: { invitation, purpose, valid_ms: config.invitation_ms },
    }, by);
    return outcome.is === "accepted"
      ? { is: "issued", code: tickets.make("invitation", [account, invitation]) }
      : outcome;
  }

  change(account: string, change: AccountChange, by: Principal, command?: string): Promise<Outcome> {
    const { states } = this.options;
    const more = command === undefined ? {} : { command };
    const why = "reason" in change && change.reason !== undefined ? { reason: change.reason } : {};
    switch (change.is) {
      case "disable":
        return states.ask(account, { type: "identity.account.disable", data: why }, by, more);
      case "enable":
        return states.ask(account, { type: "identity.account.enable", data: why }, by, more);
      case "offboard": {
        const left = change.left === undefined ? {} : { left: change.left };
        return states.ask(account, { type: "identity.account.offboard", data: { ...left, ...why } }, by, more);
      }
      case "unlock":
        return states.ask(account, { type: "identity.account.unlock", data: {} }, by, more);
      case "sign_out":
        return states.ask(account, { type: "identity.session.end_all", data: { because: "revoked" } }, by, more);
      case "grant": {
        const { role } = change;
        const { privileged } = ROLES[role]!;
        return states.ask(account, { type: "identity.role.grant", data: { role, privileged } }, by, more);
      }
      case "revoke":
        return states.ask(account, { type: "identity.role.revoke", data: { role: change.role } }, by, more);
    }
  }
}

/** A well-formed id that no account has. */
const STRANGER = "u_nobody-nobody-nobody";
const NO_PASSWORD = { password: null };

const setOf = (outcome: Outcome): PasswordSet => {
  if (outcome.is === "accepted") return { is: "set" };
  if (outcome.is === "rejected") return { is: "refused" };
  throw notDone(outcome);
};
