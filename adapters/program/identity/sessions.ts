/** Sessions of accounts in requests: access tokens, refresh tokens and cookies, each held against what the log says of the session. */
import { LRUCache } from "lru-cache";
import { type Account, type Session, sessionOf } from "../../../actors/identity/account.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Millis } from "../../../events/event.ts";
import type { CedarAuthority } from "../access/authority.ts";
import type { Grant } from "../../http/access.ts";
import type { From, OwnSession, Refreshed, SessionShown, TokenPair } from "../../http/identity/port.ts";
import type { AccessTokens, Proven } from "../../jose/access_tokens.ts";
import { type AccountStates, notDone } from "./accounts.ts";
import type { Tickets } from "./tickets.ts";

/** Access tokens whose signature was checked; another is checked again. */
const PROVEN_HELD_MAX = 10_000;

export interface SessionPolicy {
  readonly idle_ms: Millis;
  readonly absolute_ms: Millis;
  readonly concurrent_max: number;
}

export interface SessionsOptions {
  readonly states: AccountStates;
  readonly tickets: Tickets;
  readonly access: AccessTokens;
  readonly lifetime: Millis;
  readonly policy: (tenant: string) => SessionPolicy;
  readonly now: () => Millis;
  readonly fresh: () => string;
  /** Whether the person behind an account was erased: then nothing of it lets anybody in, whatever the log has. */
  readonly erased: (account: string) => boolean;
  /** What a session's roles come to, for the scope of its access tokens. */
  readonly authority: CedarAuthority;
}

/** A page's session is marked as used when so much of its idle time has gone. */
const TOUCH_AFTER = 1 / 8;

export const userOf = (account: string): Principal => ({ authtype: "user", authid: account });

export class Sessions {
  private readonly proven = new LRUCache<string, Proven>({ maxSize: PROVEN_HELD_MAX, sizeCalculation: () => 1 });
  private readonly touching = new Set<string>();

  constructor(private readonly options: SessionsOptions) {}

  /** What a program is given for this generation of a session. */
  async tokens(account: string, session: Session): Promise<TokenPair> {
    const { access, tickets, lifetime, fresh, authority } = this.options;
    await authority.ready();
    const scope = authority.scopesOf(this.grantOf({ account, session: session.session }, session)).join(" ");
    const access_token = await access.sign({
      sub: account,
      sid: session.session,
      jti: fresh(),
      scope,
      amr: session.factors.map((factor) => AMR[factor] ?? factor),
    });
    const refresh_token = tickets.make("refresh", [account, session.session, String(session.generation)]);
    return { access_token, refresh_token, expires_in: Math.floor(lifetime / 1000) };
  }

  cookie({ account, session }: OwnSession): string {
    return this.options.tickets.make("session", [account, session]);
  }

  /** Checks an access token's signature, so that `granted` knows it. */
  async prove(token: string): Promise<void> {
    const proven = await this.options.access.verify(token);
    if (proven) this.proven.set(token, proven);
  }

  isProven(token: string): boolean {
    return this.proven.has(token);
  }

  /** Whom an access token that was proven lets in. A session that is over lets nobody in, whatever the token says. */
  granted(token: string): Grant | undefined {
    const proven = this.proven.get(token);
    if (!proven || this.options.now() >= proven.until) return undefined;
    return this.grant({ account: proven.sub, session: proven.sid });
  }

  /** Whom the cookie of a page lets in; it is used then, unless somebody only looks. */
  bearer(cookie: string, unused?: "unused"): Grant | undefined {
    const parts = this.options.tickets.read("session", cookie, 2);
    if (!parts) return undefined;
    const own = { account: parts[0]!, session: parts[1]! };
    const grant = this.grant(own);
    if (grant && unused === undefined) this.touch(own);
    return grant;
  }

  private grant(own: OwnSession): Grant | undefined {
    const session = this.live(own);
    return session && this.grantOf(own, session);
  }

  private grantOf(own: OwnSession, { roles }: Session): Grant {
    const { tenant } = this.options.states.of(own.account);
    return { id: own.account, scopes: [], roles, tenant, principal: userOf(own.account), own };
  }

  /** It is used: noted in the log, but not with every request. */
  private touch({ account, session }: OwnSession): void {
    const { states, policy, now } = this.options;
    const state = states.of(account);
    const { idle_ms } = policy(state.tenant);
    const { idle_until, until } = sessionOf(state, session, now())!;
    if (Math.min(now() + idle_ms, until) - idle_until < idle_ms * TOUCH_AFTER || this.touching.has(session)) return;
    this.touching.add(session);
    states.ask(account, { type: "identity.session.touch", data: { session, idle_ms } }, userOf(account))
      .catch(() => {}) // the next request tries again
      .finally(() => this.touching.delete(session));
  }

  async refresh(token: string, from: From, key?: string): Promise<Refreshed> {
    const parts = this.options.tickets.read("refresh", token, 3);
    const generation = Number(parts?.[2]);
    if (!parts || !Number.isSafeInteger(generation)) return { is: "refused" };
    const own = { account: parts[0]!, session: parts[1]! };
    if (this.options.erased(own.account)) return { is: "refused" };
    const outcome = await this.exchange(own, generation, from, key);
    if (outcome.is === "accepted" && outcome.facts.at(-1)?.type === "identity.session.refreshed") {
      const session = this.live(own);
      if (session?.generation === generation + 1) {
        return { is: "refreshed", session: own.session, tokens: await this.tokens(own.account, session) };
      }
      // The answer to a wish that was granted long ago: by now the token has been exchanged, and comes again.
      if (session && outcome.duplicate) await this.exchange(own, generation, from);
      return { is: "refused" };
    }
    if (outcome.is === "accepted" || outcome.is === "rejected") return { is: "refused" };
    throw notDone(outcome);
  }

  private exchange({ account, session }: OwnSession, generation: number, from: From, key?: string): Promise<Outcome> {
    const { states, policy } = this.options;
    const { idle_ms } = policy(states.of(account).tenant);
    return states.ask(
      account,
      { type: "identity.session.refresh", data: { session, generation, idle_ms, ...from } },
      userOf(account),
      key === undefined ? {} : { command: `refresh.${session}.${generation}.${key}` },
    );
  }

  /** Whose session a refresh token stands for, if it is the newest of a session that lasts; it is not used up. */
  ownOf(token: string): OwnSession | undefined {
    const parts = this.options.tickets.read("refresh", token, 3);
    if (!parts) return undefined;
    const own = { account: parts[0]!, session: parts[1]! };
    return this.live(own)?.generation === Number(parts[2]) ? own : undefined;
  }

  private live({ account, session }: OwnSession): Session | undefined {
    if (this.options.erased(account)) return undefined;
    return sessionOf(this.options.states.of(account), session, this.options.now());
  }

  shown(account: string): readonly SessionShown[] {
    const now = this.options.now();
    const state: Account = this.options.states.of(account);
    return state.sessions.filter(({ session }) => sessionOf(state, session, now)).map(shownOf);
  }
}

const shownOf = ({ session, kind, factors, privileged, roles, idle_until, until }: Session): SessionShown => ({
  session,
  kind,
  factors,
  privileged,
  roles,
  idle_until: new Date(idle_until).toISOString(),
  until: new Date(until).toISOString(),
});

/** RFC 8176 section 2. */
const AMR: Readonly<Record<string, string>> = { password: "pwd", totp: "otp", backup_code: "otp", passkey: "hwk" };
