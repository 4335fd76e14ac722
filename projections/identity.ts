/**
 * Identity: accounts as they stand, their sessions, every try to sign in, and the keys. Names and addresses are the sealed texts of the
 * events; pseudonyms tell which are equal.
 */
import { z } from "zod";
import type { Event } from "../events/event.ts";
import type { IdentityFact } from "../events/identity/mod.ts";
import type { Projection } from "./projection.ts";

const count = z.int().nonnegative();
const roles = z.array(z.string());

type IdentityEvent = Event<IdentityFact>;

const accountRow = z.strictObject({
  account: z.string(),
  tenant: z.string(),
  kind: z.enum(["person", "service"]),
  state: z.enum(["active", "disabled", "left"]),
  /** Sealed, as are names and addresses everywhere here. */
  name: z.string(),
  email: z.string().optional(),
  roles,
  privileged: z.array(z.string()),
  /** Algorithm of the password; absent: it has none. */
  password: z.enum(["argon2id", "bcrypt"]).optional(),
  factors: z.array(z.strictObject({
    factor: z.string(),
    kind: z.enum(["totp", "passkey", "backup_codes"]),
    /** Sealed. */
    label: z.string().optional(),
    /** So often its counter did not grow. */
    suspected: count.optional(),
  })),
  links: z.array(z.strictObject({ link: z.string(), provider: z.string(), protocol: z.enum(["oidc", "saml"]) })),
  /** Refused tries in a row. */
  failures: count,
  locked: z.boolean(),
  /** Until when; absent with `locked`: until somebody unlocks it. */
  locked_until: z.string().optional(),
  /** What it is locked by, each with its own end. */
  locks: z.array(z.strictObject({ because: z.enum(["failures", "threat", "asked"]), until: z.string().optional() })),
  /** Sessions that were not ended; one whose time is over may be among them. */
  sessions: count,
  created: z.string(),
  last_signin: z.string().optional(),
  /** From when on no access is due. */
  left: z.string().optional(),
});
type AccountRow = z.output<typeof accountRow>;

const accountOf = ({ data }: IdentityEvent): readonly string[] =>
  "account" in data && data.account !== undefined ? [data.account] : [];

export const identityAccounts: Projection<AccountRow, IdentityFact> = {
  name: "identity.accounts",
  version: 4,
  about: "Accounts: state, roles, password, factors, locks, open sessions. Key: the account.",
  hears: [
    "identity.account.created",
    "identity.account.disabled",
    "identity.account.enabled",
    "identity.account.offboarded",
    "identity.account.locked",
    "identity.account.unlocked",
    "identity.password.set",
    "identity.signin.succeeded",
    "identity.signin.failed",
    "identity.session.started",
    "identity.session.ended",
    "identity.factor.enrolled",
    "identity.factor.renamed",
    "identity.factor.removed",
    "identity.clone.suspected",
    "identity.link.added",
    "identity.link.removed",
    "identity.role.granted",
    "identity.role.revoked",
  ],
  row: accountRow,
  initial: {
    account: "",
    tenant: "",
    kind: "person",
    state: "active",
    name: "",
    roles: [],
    privileged: [],
    factors: [],
    links: [],
    failures: 0,
    locked: false,
    locks: [],
    sessions: 0,
    created: "",
  },
  indexes: ["tenant", "state", "kind", "locked", "failures", "sessions", "last_signin", "created"],
  columns: ["name", "tenant", "state", "roles", "password", "failures", "locked", "sessions", "last_signin"],
  keys: accountOf,
  apply(row, event): AccountRow | undefined {
    // A try on a name that was taken and whose account never came to be.
    if (row.account === "" && event.type !== "identity.account.created") return undefined;
    switch (event.type) {
      case "identity.account.created": {
        const { account, tenant, kind, name, email } = event.data;
        return { ...row, account, tenant, kind, name, ...(email === undefined ? {} : { email }), created: event.time };
      }
      case "identity.account.disabled":
        return { ...row, state: row.left === undefined ? "disabled" : "left" };
      case "identity.account.enabled":
        return { ...row, state: "active" };
      case "identity.account.offboarded":
        return { ...row, left: event.data.left };
      case "identity.account.locked": {
        const { because, until, failures } = event.data;
        return { ...lockedBy(row, [...without(row, because), given({ because, until })]), failures };
      }
      case "identity.account.unlocked":
        return event.data.because === "threat" ? lockedBy(row, without(row, "threat")) : unlocked(row);
      case "identity.signin.succeeded":
        return { ...(event.data.methods.includes("password") ? unlocked(row) : row), last_signin: event.time };
      case "identity.signin.failed":
        return event.data.failures === undefined ? row : { ...row, failures: event.data.failures };
      case "identity.password.set":
        return { ...row, password: event.data.scheme.algorithm };
      case "identity.session.started":
        return { ...row, sessions: row.sessions + 1 };
      case "identity.session.ended":
        return { ...row, sessions: Math.max(0, row.sessions - 1) };
      case "identity.factor.enrolled": {
        const { factor, kind, label } = event.data;
        const enrolled = given({ factor, kind, label });
        return { ...row, factors: [...row.factors.filter((each) => each.factor !== factor), enrolled] };
      }
      case "identity.factor.renamed":
      case "identity.clone.suspected": {
        const { data } = event;
        const factors = row.factors.map((each) => {
          if (each.factor !== data.factor) return each;
          return "label" in data ? { ...each, label: data.label } : { ...each, suspected: (each.suspected ?? 0) + 1 };
        });
        return { ...row, factors };
      }
      case "identity.factor.removed":
        return { ...row, factors: row.factors.filter(({ factor }) => factor !== event.data.factor) };
      case "identity.link.added":
      case "identity.link.removed": {
        const { link, provider, protocol } = event.data;
        const links = row.links.filter((each) => each.link !== link);
        return {
          ...row,
          links: event.type === "identity.link.added" ? [...links, { link, provider, protocol }] : links,
        };
      }
      case "identity.role.granted":
      case "identity.role.revoked": {
        const { role, privileged, after } = event.data;
        const held = row.privileged.filter((each) => each !== role && after.includes(each));
        return { ...row, roles: after, privileged: privileged && after.includes(role) ? [...held, role].sort() : held };
      }
      default:
        return row;
    }
  },
};

type Locks = AccountRow["locks"];

const without = ({ locks }: AccountRow, because: Locks[number]["because"]): Locks =>
  locks.filter((each) => each.because !== because);

/** The one that ends last is the end of all; one without an end sorts behind those that have one. */
const lockedBy = ({ locked_until: _, ...row }: AccountRow, locks: Locks): AccountRow => {
  const ends = locks.map(({ until }) => until).sort();
  const last = ends.at(-1);
  return { ...row, locks, locked: locks.length > 0, ...given({ locked_until: last }) };
};

const unlocked = (row: AccountRow): AccountRow => ({ ...lockedBy(row, []), failures: 0 });

const sessionRow = z.strictObject({
  account: z.string(),
  session: z.string(),
  tenant: z.string(),
  kind: z.enum(["browser", "program", "terminal"]),
  state: z.enum(["open", "ended"]),
  privileged: z.boolean(),
  roles,
  factors: roles,
  began: z.string(),
  used: z.string(),
  idle_until: z.string(),
  until: z.string(),
  /** Of the refresh token that counts. */
  generation: count,
  address: z.string().optional(),
  address_pseudonym: z.string().optional(),
  agent: z.string().optional(),
  ended: z.string().optional(),
  because: z.string().optional(),
  /** A refresh token of it was used twice. */
  reused: z.boolean(),
});
type SessionRow = z.output<typeof sessionRow>;

type Whence = {
  readonly address?: string;
  readonly address_pseudonym?: string;
  readonly agent?: string;
};
const whenceOf = ({ address, address_pseudonym, agent }: Whence): Whence => ({
  ...(address === undefined ? {} : { address }),
  ...(address_pseudonym === undefined ? {} : { address_pseudonym }),
  ...(agent === undefined ? {} : { agent }),
});

export const identitySessions: Projection<SessionRow, IdentityFact> = {
  name: "identity.sessions",
  version: 2,
  about: "Sessions: whose, how proven, from where, until when, and how they ended. Key: the session.",
  hears: [
    "identity.session.started",
    "identity.session.refreshed",
    "identity.session.ended",
    "identity.refresh.reused",
  ],
  row: sessionRow,
  initial: {
    account: "",
    session: "",
    tenant: "",
    kind: "browser",
    state: "open",
    privileged: false,
    roles: [],
    factors: [],
    began: "",
    used: "",
    idle_until: "",
    until: "",
    generation: 0,
    reused: false,
  },
  indexes: [
    "account",
    "tenant",
    "state",
    "kind",
    "privileged",
    "began",
    "used",
    "because",
    "reused",
    "address_pseudonym",
  ],
  columns: ["account", "kind", "state", "factors", "privileged", "began", "used", "because"],
  keys: ({ data }) => "session" in data && data.session !== undefined ? [data.session] : [],
  apply(row, event): SessionRow | undefined {
    if (row.session === "" && event.type !== "identity.session.started") return undefined;
    switch (event.type) {
      case "identity.session.started": {
        const { account, session, tenant, kind, privileged, roles, factors, idle_until, until } = event.data;
        const began = { began: event.time, used: event.time };
        return {
          ...identitySessions.initial,
          account,
          session,
          tenant,
          kind,
          privileged,
          roles,
          factors,
          ...began,
          idle_until,
          until,
          ...whenceOf(event.data),
        };
      }
      case "identity.session.refreshed": {
        const { generation, idle_until } = event.data;
        return { ...row, generation, idle_until, used: event.time, ...whenceOf(event.data) };
      }
      case "identity.refresh.reused":
        return { ...row, reused: true };
      case "identity.session.ended":
        return { ...row, state: "ended", ended: event.time, because: event.data.because };
      default:
        return row;
    }
  },
};

const signinRow = z.strictObject({
  /** Elsewhere: `accepted`, `refused`, or `noted`, which is neither. */
  outcome: z.enum(["succeeded", "failed", "accepted", "refused", "noted"]),
  /** Absent: nobody has the name, or it was elsewhere. */
  account: z.string().optional(),
  session: z.string().optional(),
  reason: z.string().optional(),
  method: z.string(),
  /** Who was asked to vouch. */
  provider: z.string().optional(),
  /** Elsewhere: which program. */
  service: z.string().optional(),
  /** Elsewhere: which machine. */
  source: z.string().optional(),
  /** Elsewhere: what was said. */
  message: z.string().optional(),
  name: z.string().optional(),
  name_pseudonym: z.string().optional(),
  address: z.string().optional(),
  address_pseudonym: z.string().optional(),
  /** Equal where the same password was tried. */
  tried: z.string().optional(),
  time: z.string(),
});
type SigninRow = z.output<typeof signinRow>;

const OBSERVED = { accepted: "accepted", failed: "refused", noted: "noted" } as const;

const given = <T extends object>(members: T): T =>
  Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined)) as T;

export const identitySignins: Projection<SigninRow, IdentityFact> = {
  name: "identity.signins",
  version: 3,
  about: "Every try to sign in, here and as other programs tell of it. Key: the position.",
  hears: ["identity.signin.succeeded", "identity.signin.failed", "identity.signin.observed"],
  row: signinRow,
  initial: { outcome: "failed", method: "", time: "" },
  indexes: ["outcome", "account", "reason", "method", "service", "name_pseudonym", "address_pseudonym", "tried"],
  columns: ["time", "outcome", "account", "reason", "method", "name", "address"],
  appendOnly: true,
  keys: (event) => [String(event.position)],
  apply(row, event): SigninRow {
    switch (event.type) {
      case "identity.signin.succeeded": {
        const { account, session, methods, address, address_pseudonym } = event.data;
        const method = methods.join("+");
        return given({ outcome: "succeeded", account, session, method, address, address_pseudonym, time: event.time });
      }
      case "identity.signin.failed": {
        const { account, reason, method, provider, name, name_pseudonym, address, address_pseudonym, tried } =
          event.data;
        const who = { account, name, name_pseudonym, address, address_pseudonym, tried };
        return given({ outcome: "failed", reason, method, provider, ...who, time: event.time });
      }
      case "identity.signin.observed": {
        const { service, outcome, message, method = "", name, name_pseudonym, address, address_pseudonym } = event.data;
        const where = { service, source: event.source, message, name, name_pseudonym, address, address_pseudonym };
        return given({ outcome: OBSERVED[outcome], method, ...where, time: event.time });
      }
      default:
        return row;
    }
  },
};

const keyRow = z.strictObject({
  key: z.string(),
  kind: z.enum(["api", "access_token"]),
  state: z.enum(["current", "replaced", "revoked"]),
  account: z.string().optional(),
  issued: z.string(),
  /** What it lets in or signed counts until then; absent: until something is done about it. */
  until: z.string().optional(),
  by: z.string().optional(),
  because: z.string().optional(),
});
type KeyRow = z.output<typeof keyRow>;

export const identityKeys: Projection<KeyRow, IdentityFact> = {
  name: "identity.keys",
  version: 1,
  about: "Keys that let programs in or sign access tokens: how old, replaced by which, until when. Key: the key.",
  hears: ["identity.key.issued", "identity.key.rotated", "identity.key.revoked"],
  row: keyRow,
  initial: { key: "", kind: "api", state: "current", issued: "" },
  indexes: ["kind", "state", "account", "issued"],
  keys: ({ data }) => "key" in data ? [data.key] : [],
  apply(row, event): KeyRow | undefined {
    switch (event.type) {
      case "identity.key.issued": {
        const { key, kind, account, until } = event.data;
        return given<KeyRow>({ key, kind, state: "current", account, issued: event.time, until });
      }
      case "identity.key.rotated":
        return row.key === "" ? undefined : { ...row, state: "replaced", by: event.data.by, until: event.data.until };
      case "identity.key.revoked":
        return row.key === "" ? undefined : { ...row, state: "revoked", because: event.data.because };
      default:
        return row;
    }
  },
};

export const identityViews = [identityAccounts, identitySessions, identitySignins, identityKeys] as const;
