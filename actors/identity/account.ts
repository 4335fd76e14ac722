/** What is known of one account from its stream: the state that every decision about it is made on. */
import type { Millis } from "../../events/event.ts";
import type { IdentityData, IdentityFact } from "../../events/identity/mod.ts";

export interface Session {
  readonly session: string;
  readonly kind: "browser" | "program" | "terminal";
  /** Of the refresh token that counts. */
  readonly generation: number;
  /** It is over from the earlier of the two on. */
  readonly idle_until: Millis;
  readonly until: Millis;
  readonly began: number;
  readonly roles: readonly string[];
  readonly privileged: boolean;
  readonly factors: IdentityData<"identity.session.started">["factors"];
  /** A second factor was proven within it, and counts as fresh until then; 0 for never. */
  readonly fresh_until: Millis;
}

export interface Role {
  readonly role: string;
  readonly privileged: boolean;
}

export interface Factor {
  readonly factor: string;
  readonly kind: IdentityData<"identity.factor.enrolled">["kind"];
  /** The highest that was taken; -1 before the first. */
  readonly counter: number;
  /** Of backup codes: the places of those that were used. */
  readonly used: readonly number[];
  /** What its holder calls it, as the fact has it. */
  readonly label?: string;
}

/** Who its holder is at a provider of sign-ins. */
export interface Link {
  readonly link: string;
  readonly provider: string;
  readonly protocol: IdentityData<"identity.link.added">["protocol"];
}

/** A key that lets programs in, or signs. */
export interface Key {
  readonly key: string;
  readonly kind: IdentityData<"identity.key.issued">["kind"];
  /** It counts until then; `null`: until something is done about it. */
  readonly until: Millis | null;
  readonly by: string | null;
  /** Of an `api` key: what it may at most. */
  readonly scopes: readonly string[];
}

export type LockedBy = IdentityData<"identity.account.locked">["because"];

/**
 * `unknown`: nobody has it (yet). `left`: its holder is gone for good.
 *
 * The same shape stands for `identity/nobody` and `identity/keys`, which have no account.
 */
export interface Account {
  readonly is: "unknown" | "active" | "disabled" | "left";
  readonly kind: "person" | "service";
  readonly tenant: string;
  readonly password:
    | { readonly credential: string; readonly scheme: IdentityData<"identity.password.set">["scheme"] }
    | null;
  /** Refused tries of a password in a row. */
  readonly failures: number;
  /** Takes no password while one of them stands: until when by what led to it; `null`: until somebody unlocks it. */
  readonly locks: Readonly<Partial<Record<LockedBy, Millis | null>>>;
  /** At most one counts: a new one replaces the last. */
  readonly invitation:
    | {
      readonly invitation: string;
      readonly purpose: IdentityData<"identity.invitation.issued">["purpose"];
      readonly until: Millis;
    }
    | null;
  /** In order of name. */
  readonly roles: readonly Role[];
  readonly factors: readonly Factor[];
  readonly links: readonly Link[];
  /** In the order in which they began. */
  readonly sessions: readonly Session[];
  /** So many sessions ever began; the order of one among them is its `began`. */
  readonly began: number;
  readonly keys: readonly Key[];
  /** Its holder leaves, or has left: once it is disabled it stays so. */
  readonly leaving: boolean;
}

export const nobody: Account = {
  is: "unknown",
  kind: "person",
  tenant: "",
  password: null,
  failures: 0,
  locks: {},
  invitation: null,
  roles: [],
  factors: [],
  links: [],
  sessions: [],
  began: 0,
  keys: [],
  leaving: false,
};

/** Whether it takes no password at that time. */
export const isLocked = ({ locks }: Account, at: Millis): boolean =>
  Object.values(locks).some((until) => lastsUntil(until) > at);

/** When a lock ends; one that nobody has set has ended. */
export const lastsUntil = (until: Millis | null | undefined): Millis => until === null ? Infinity : until ?? -Infinity;

/** Why a session is over at that time; `undefined` while it lasts. */
export const overBy = ({ idle_until, until }: Session, at: Millis): "idle" | "expired" | undefined => {
  if (at >= until) return "expired";
  return at >= idle_until ? "idle" : undefined;
};

/**
 * A lock after wrong passwords, however they were counted, keeps out who might guess the next one; one that somebody asked for keeps out
 * everybody.
 */
export const keepsOut = ({ locks }: Account, at: Millis): boolean => lastsUntil(locks.asked) > at;

/** More than one thing was proven; a passkey alone is two, for its holder was verified as well. */
const isStrong = (factors: Session["factors"]): boolean => factors.length > 1 || factors.includes("passkey");

/** The key of that id for programs, if it has one that counts at that time. */
export const apiKeyOf = (account: Account, key: string, at: Millis): Key | undefined => {
  const found = account.is === "active"
    ? account.keys.find((each) => each.key === key && each.kind === "api")
    : undefined;
  return found && (found.until === null || at < found.until) ? found : undefined;
};

/** The roles that count in a session: privileged ones where more than a password was proven. */
export const rolesIn = ({ roles }: Account, factors: Session["factors"]): readonly Role[] =>
  isStrong(factors) ? roles : roles.filter(({ privileged }) => !privileged);

export const isPrivileged = ({ roles }: Account): boolean => roles.some(({ privileged }) => privileged);

/** Whether a second factor is asked for. */
export const wantsSecond = ({ factors }: Account): boolean => factors.some(({ kind }) => kind !== "backup_codes");

/** The session of that id, if it has one that lasts. */
export const sessionOf = (account: Account, session: string, at: Millis): Session | undefined => {
  const found = account.is === "active" ? account.sessions.find((each) => each.session === session) : undefined;
  return found && overBy(found, at) === undefined ? found : undefined;
};

/** Total: any fact in any order gives a state. */
export const evolve = (state: Account, fact: IdentityFact): Account => {
  switch (fact.type) {
    case "identity.account.created":
      return { ...state, is: "active", kind: fact.data.kind, tenant: fact.data.tenant };
    case "identity.account.disabled":
      return state.is === "unknown" ? state : { ...state, is: state.leaving ? "left" : "disabled" };
    case "identity.account.enabled":
      return state.is === "unknown" ? state : { ...state, is: "active" };
    case "identity.account.offboarded":
      return { ...state, leaving: true };
    case "identity.account.locked": {
      const { until, failures, because } = fact.data;
      const locks = { ...state.locks, [because]: until === undefined ? null : Date.parse(until) };
      return { ...state, locks, failures };
    }
    case "identity.account.unlocked": {
      if (fact.data.because !== "threat") return { ...state, locks: {}, failures: 0 };
      const { threat: _, ...locks } = state.locks;
      return { ...state, locks };
    }
    case "identity.invitation.issued": {
      const { invitation, purpose, until } = fact.data;
      return { ...state, invitation: { invitation, purpose, until: Date.parse(until) } };
    }
    case "identity.invitation.used":
      return { ...state, invitation: null };
    case "identity.password.set":
      return { ...state, password: { credential: fact.data.credential, scheme: fact.data.scheme } };
    case "identity.signin.succeeded":
      // Who has proven something else knows the password no better than before.
      return fact.data.methods.includes("password") ? { ...state, failures: 0, locks: {} } : state;
    case "identity.signin.failed":
      return fact.data.failures === undefined ? state : { ...state, failures: fact.data.failures };
    case "identity.session.started":
      return { ...state, sessions: [...state.sessions, begun(fact.data, state.began)], began: state.began + 1 };
    case "identity.session.refreshed": {
      const { session, generation, idle_until } = fact.data;
      const sessions = state.sessions.map((each) =>
        each.session === session ? { ...each, generation, idle_until: Date.parse(idle_until) } : each
      );
      return { ...state, sessions };
    }
    case "identity.session.ended":
      return { ...state, sessions: state.sessions.filter(({ session }) => session !== fact.data.session) };
    case "identity.refresh.reused":
    case "identity.signin.observed":
    case "identity.clone.suspected":
      return state;
    case "identity.factor.enrolled": {
      const { factor, kind, label } = fact.data;
      const enrolled: Factor = { factor, kind, counter: -1, used: [], ...(label !== undefined && { label }) };
      return { ...state, factors: [...state.factors.filter((each) => each.factor !== factor), enrolled] };
    }
    case "identity.factor.renamed": {
      const { factor, label } = fact.data;
      return { ...state, factors: state.factors.map((each) => each.factor === factor ? { ...each, label } : each) };
    }
    case "identity.factor.removed":
      return { ...state, factors: state.factors.filter(({ factor }) => factor !== fact.data.factor) };
    case "identity.factor.verified":
      return proven(state, fact.data);
    case "identity.link.added": {
      const { link, provider, protocol } = fact.data;
      const links = state.links.filter((each) => each.link !== link);
      return { ...state, links: [...links, { link, provider, protocol }] };
    }
    case "identity.link.removed":
      return { ...state, links: state.links.filter(({ link }) => link !== fact.data.link) };
    case "identity.role.granted":
    case "identity.role.revoked":
      return { ...state, roles: rolesAfter(state.roles, fact.data) };
    case "identity.key.issued": {
      const { key, kind, until, scopes = [] } = fact.data;
      const issued: Key = { key, kind, until: until === undefined ? null : Date.parse(until), by: null, scopes };
      return { ...state, keys: [...state.keys.filter((each) => each.key !== key), issued] };
    }
    case "identity.key.rotated": {
      const { key, by, until } = fact.data;
      const keys = state.keys.map((each) => each.key === key ? { ...each, by, until: Date.parse(until) } : each);
      return { ...state, keys };
    }
    case "identity.key.revoked":
      return { ...state, keys: state.keys.filter(({ key }) => key !== fact.data.key) };
  }
};

const proven = (
  state: Account,
  { factor, kind, counter, session, fresh_until }: IdentityData<"identity.factor.verified">,
): Account => {
  const factors = state.factors.map((each) => {
    if (each.factor !== factor || counter === undefined) return each;
    const used = kind === "backup_codes" && !each.used.includes(counter) ? [...each.used, counter] : each.used;
    return { ...each, counter: Math.max(each.counter, counter), used };
  });
  if (fresh_until === undefined) return { ...state, factors };
  const until = Date.parse(fresh_until);
  const sessions = state.sessions.map((each) => each.session === session ? { ...each, fresh_until: until } : each);
  return { ...state, factors, sessions };
};

const begun = (data: IdentityData<"identity.session.started">, began: number): Session => ({
  session: data.session,
  kind: data.kind,
  generation: 0,
  idle_until: Date.parse(data.idle_until),
  until: Date.parse(data.until),
  began,
  roles: data.roles,
  privileged: data.privileged,
  factors: data.factors,
  fresh_until: data.fresh_until === undefined ? 0 : Date.parse(data.fresh_until),
});

const rolesAfter = (
  before: readonly Role[],
  { role, privileged, after }: IdentityData<"identity.role.granted">,
): readonly Role[] =>
  after.map((name) =>
    name === role
      ? { role, privileged }
      : before.find((each) => each.role === name) ?? { role: name, privileged: false }
  );
